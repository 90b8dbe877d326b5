# SPDX-License-Identifier: MIT
"""The simulated body against closed forms: rolling, pitch, stretch, gravity, posture; and people who differ."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from firmware_protocol import reference, zones
from firmware_protocol.routine import parse_routine
from simulator.body import rotations
from simulator.body.face import PATCHES, Ellipsoid
from simulator.body.hand import AMBIENT_C, SKIN_C, Hand
from simulator.body.head import Head
from simulator.body.people import PEOPLE, Habits, person
from simulator.body.strokes import Plan, Roller, rolled_share
from simulator.body.truth import COLUMNS, GRAVITY_M_S2, GRID_HZ, Grid, felt

EXACT = Habits(
    wander_deg=0, skew_stroke_deg=0, skew_group_deg=0, slip=0, stretch_m=0, force_wander=0, radius_bias=0, tremor_m=0,
    head_sway_deg=0, turns=0, heavy=0, force_scatter=0, wrong_way=0,
)  # fmt: skip
RADIUS_M = 0.015
FLAT = Ellipsoid(np.array([0.0, 0.0, -1000.0]), np.full(3, 1000.0))
BALL_M = 0.1
BALL = Ellipsoid(np.array([0.0, 0.0, -BALL_M]), np.full(3, BALL_M))
UP, LEFT, FORWARD = np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])


def rolled(habits=EXACT, surface=FLAT, **plan):
    """A stroke from a known plan."""
    whole = {
        "middle_m": np.zeros(3), "direction_deg": 0.0, "skew_deg": 0.0, "pitch_deg": 0.0, "rocking_deg": 0.0,
        "force_n": 2.0, "length_m": 0.06, "speed_m_s": (0.1, 0.1), "n_strokes": 1, "place": 0, **plan,
    }  # fmt: skip
    return Roller(np.random.default_rng(1), habits, RADIUS_M).roll(Plan(surface, **whole))[0]


def travel_m(motion):
    return float(np.linalg.norm(np.diff(motion.contact_m, axis=0), axis=1).sum())


def turned_x_rad(motion):
    """Rotation of the handle about its own x axis over the whole motion."""
    q = motion.q_face_body
    step = rotations.multiply(rotations.inverse(q[:-1]), q[1:])
    return float((2 * step[:, 1] * np.sign(step[:, 0])).sum())


# --- Rolling ----------------------------------------------------------------------------------------------------------


def test_a_straight_roll_turns_the_encoder_by_length_over_radius():
    motion = rolled()
    assert motion.strokes[0].length_m == pytest.approx(travel_m(motion), rel=1e-6)
    assert motion.roll_rad[-1] == pytest.approx(travel_m(motion) / RADIUS_M, rel=1e-4)


def test_rolling_toward_the_head_of_the_roller_counts_up_and_back_counts_down():
    assert rolled(direction_deg=0.0).roll_rad[-1] > 3.0
    assert rolled(direction_deg=180.0).roll_rad[-1] < -3.0


def test_pitch_of_the_handle_turns_the_encoder_as_much_as_the_gyroscope():
    motion = rolled(rocking_deg=20.0)
    pitched_rad = np.radians(motion.pitch_deg[-1] - motion.pitch_deg[0])
    assert pitched_rad > 0.4
    assert turned_x_rad(motion) == pytest.approx(pitched_rad, rel=1e-3)
    assert motion.roll_rad[-1] - turned_x_rad(motion) == pytest.approx(travel_m(motion) / RADIUS_M, rel=1e-4)


def test_positive_pitch_raises_the_head_of_the_roller():
    motion = rolled(pitch_deg=15.0)
    toward_head = rotations.rotate(motion.q_face_body, UP)
    assert_allclose(np.einsum("ij,ij->i", toward_head, motion.normal), np.sin(np.radians(15)), atol=1e-9)


def test_around_a_ball_the_encoder_counts_the_path_and_the_handle_turns_over():
    motion = rolled(surface=BALL)
    assert motion.roll_rad[-1] == pytest.approx(travel_m(motion) / RADIUS_M, rel=1e-4)
    assert turned_x_rad(motion) == pytest.approx(-travel_m(motion) / BALL_M, rel=1e-3)


def test_a_skewed_roller_rolls_the_cosine_and_keeps_the_direction_of_the_path():
    motion = rolled(skew_deg=25.0)
    assert motion.roll_rad[-1] == pytest.approx(travel_m(motion) / RADIUS_M * np.cos(np.radians(25)), rel=1e-4)
    assert motion.strokes[0].direction_deg == pytest.approx(0.0, abs=0.01)
    axle = rotations.rotate(motion.q_face_body, LEFT)
    heading = motion.contact_m[-1] - motion.contact_m[0]
    across = axle @ heading / np.linalg.norm(heading)
    assert_allclose(np.degrees(np.arcsin(across)), 25.0, atol=0.1)
    assert_allclose(motion.skew_deg, 25.0)


def test_slip_scatters_the_rolled_length_but_not_the_true_one():
    habits = replace(EXACT, slip=0.05)
    roller = Roller(np.random.default_rng(2), habits, RADIUS_M)
    plan = Plan(FLAT, np.zeros(3), 0, 0, 0, 0, 2.0, 0.06, (0.3, 0.3), 1, 0)
    motions = [roller.roll(plan)[0] for _ in range(60)]
    off = [motion.roll_rad[-1] * RADIUS_M / motion.strokes[0].length_m - 1 for motion in motions]
    assert 0.035 < np.std(off) < 0.065
    assert abs(np.mean(off)) < 0.02


def test_the_axle_runs_above_the_skin_by_its_radius():
    motion = rolled(surface=BALL)
    height_m = np.einsum("ij,ij->i", motion.axle_m - motion.contact_m, motion.normal)
    assert_allclose(height_m, RADIUS_M)
    assert_allclose(np.linalg.norm(motion.axle_m - BALL.centre_m, axis=1), BALL_M + RADIUS_M)


@pytest.mark.parametrize("direction_deg", [0.0, 60.0, -100.0, 170.0])
def test_direction_is_from_up_toward_the_left(direction_deg):
    motion = rolled(direction_deg=direction_deg)
    heading = motion.contact_m[-1] - motion.contact_m[0]
    assert np.degrees(np.arctan2(heading @ LEFT, heading @ UP)) == pytest.approx(direction_deg, abs=0.01)
    assert motion.strokes[0].direction_deg == pytest.approx(direction_deg, abs=0.01)
    fast = motion.speed_m_s > 0.02
    assert_allclose(motion.direction_deg[fast], direction_deg, atol=0.01)
    assert np.isnan(motion.direction_deg[0])


def test_speed_adds_up_to_length():
    motion = rolled(replace(EXACT, stretch_m=0.002))
    assert motion.speed_m_s.sum() / GRID_HZ == pytest.approx(motion.strokes[0].length_m, rel=1e-4)


# --- Skin stretch -----------------------------------------------------------------------------------------------------


def test_skin_goes_along_before_the_roller_rolls():
    stretch_m, way_m = 0.003, np.linspace(0, 0.06, 20_001)
    share = rolled_share(way_m, [(0, len(way_m))], stretch_m)
    assert share[0] == 0
    rolled_m = np.trapezoid(share, way_m)
    assert rolled_m == pytest.approx(0.06 - stretch_m * (1 - np.exp(-0.06 / stretch_m)), rel=1e-6)


def test_after_turning_back_the_skin_goes_along_twice_as_far():
    there = np.linspace(0, 0.06, 20_001)
    way_m = np.concatenate([there, there[::-1]])
    share = rolled_share(way_m, [(0, 20_001), (20_001, 40_002)], 0.002)
    lost_m = [0.06 - np.trapezoid(share[part], there) for part in (slice(0, 20_001), slice(20_001, 40_002))]
    assert_allclose(lost_m, [0.002, 0.004], rtol=1e-3)


def test_without_stretch_everything_is_rolled():
    assert_array_equal(rolled_share(np.linspace(0, 0.06, 50), [(0, 50)], 0.0), 1.0)


def test_true_length_excludes_skin_stretch_and_the_encoder_agrees():
    motion = rolled(replace(EXACT, stretch_m=0.004))
    lost_m = travel_m(motion) - motion.strokes[0].length_m
    assert lost_m == pytest.approx(0.004, rel=0.01)
    assert motion.roll_rad[-1] == pytest.approx(motion.strokes[0].length_m / RADIUS_M, rel=1e-4)


# --- Forces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pitch_deg", [-30.0, 20.0])
def test_the_skin_presses_along_its_normal(pitch_deg):
    motion = rolled(pitch_deg=pitch_deg)
    pressing = rotations.rotate(rotations.inverse(motion.q_face_body), motion.normal * motion.force_n[:, np.newaxis])
    assert_allclose(motion.axial_n, pressing[:, 2], atol=1e-9)
    assert_allclose(motion.side_n[:, 1], pressing[:, 1], atol=1e-9)
    middle = len(motion.force_n) // 2
    assert motion.axial_n[middle] == pytest.approx(motion.force_n[middle] * np.cos(np.radians(pitch_deg)))


def test_friction_works_against_sliding_sideways():
    motion = rolled(skew_deg=25.0)
    sliding = np.einsum("ij,ij->i", np.gradient(motion.contact_m, axis=0), rotations.rotate(motion.q_face_body, LEFT))
    moving = np.abs(sliding) > 1e-5
    assert moving.sum() > 100
    assert (motion.side_n[moving, 0] * sliding[moving] < 0).all()


# --- World ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recline_deg", "felt_g"), [(0.0, (0, 1, 0)), (90.0, (0, 0, 1)), (45.0, (0, np.sqrt(0.5), np.sqrt(0.5)))]
)
def test_a_still_roller_feels_gravity_upward_in_every_posture(recline_deg, felt_g):
    hand = Hand(1, replace(EXACT, recline_deg=recline_deg))
    hand._pose = hand._pose._replace(q_face_body=np.array([1.0, 0, 0, 0]))
    truth = hand.rest(0.1)
    assert_allclose(truth.acc_m_s2, np.tile(felt_g, (100, 1)) * GRAVITY_M_S2, atol=1e-6)
    assert_allclose(truth.gyro_rad_s, 0, atol=1e-9)


def test_the_start_pose_is_upright_relative_to_the_face():
    for seed in range(5):
        truth = Hand(seed, Habits(recline_deg=60.0)).rest(0.01)
        q_face_body = rotations.multiply(rotations.inverse(truth.q_world_face), truth.q_world_body)
        assert rotations.rotate(q_face_body, UP)[0] @ UP > np.cos(np.radians(10))


def test_looking_left_turns_the_face_to_the_persons_left():
    head = Head(np.random.default_rng(1), EXACT)
    head.look(20.0, 1.0, 2.0)
    before, after = head.orientation(np.array([0.5, 2.5]))
    ahead = rotations.rotate(after, FORWARD)
    assert ahead @ rotations.rotate(before, LEFT) == pytest.approx(np.sin(np.radians(20)))
    assert ahead @ rotations.rotate(before, FORWARD) == pytest.approx(np.cos(np.radians(20)))


def test_specific_force_on_a_circle_points_inward():
    t_s = np.arange(200) / GRID_HZ
    rate, radius_m = 3.0, 0.2
    position = radius_m * np.stack([np.cos(rate * t_s), np.sin(rate * t_s), 0 * t_s], axis=1)
    q = rotations.from_rotvec(np.outer(rate * t_s, FORWARD))
    assert_allclose(felt(position, q)[1:-1], np.tile([-(rate**2) * radius_m, 0, GRAVITY_M_S2], (198, 1)), atol=1e-4)


@pytest.fixture(scope="module")
def massage():
    hand = Hand(4, Habits(strokes=(2, 4), turns=1.0))
    return [hand.rest(0.5), *(hand.visit() for _ in range(6)), hand.home(), hand.rest(0.5)]


def test_gyroscope_and_orientation_tell_the_same_story(massage):
    for truth in massage:
        q = truth.q_world_body[0]
        for rate in (truth.gyro_rad_s[:-1] + truth.gyro_rad_s[1:]) / 2:
            q = rotations.multiply(q, rotations.from_rotvec(rate / GRID_HZ))
        assert abs(q @ truth.q_world_body[-1]) > np.cos(0.5e-3)


def test_imu_and_axle_are_two_points_of_one_rigid_roller(massage):
    lever_m = np.array([0.0, reference.GEOMETRY.lever_y_m, 0.0])
    for truth in massage:
        rate = truth.gyro_rad_s
        spin = np.gradient(rate, 1 / GRID_HZ, axis=0)
        apart = np.cross(spin, lever_m) + np.cross(rate, np.cross(rate, lever_m))
        off = truth.acc_m_s2 + apart - truth.head_acc_m_s2
        assert np.abs(off[3:-3]).max() < 0.02 * max(np.abs(apart).max(), 1.0)
    assert_allclose(massage[0].head_acc_m_s2[200] @ massage[0].acc_m_s2[200], GRAVITY_M_S2**2, rtol=0.1)


def test_heads_turn_now_and_then(massage):
    ahead = rotations.rotate(np.concatenate([truth.q_world_face for truth in massage]), FORWARD)
    heading = np.degrees(np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0])))
    assert np.ptp(heading) > 10
    unturned = Hand(4, Habits(strokes=(2, 4), turns=0.0))
    ahead = rotations.rotate(np.concatenate([unturned.visit().q_world_face for _ in range(6)]), FORWARD)
    assert np.ptp(np.degrees(np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0])))) < 10


def test_turning_heads_and_going_home_join_at_rest(massage):
    for before, after in pairwise(massage):
        for name, step in (("gyro_rad_s", 0.01), ("acc_m_s2", 0.05), ("roll_rad", 1e-6), ("temp_c", 1e-3)):
            assert np.abs(getattr(after, name)[0] - getattr(before, name)[-1]).max() < step


def test_home_is_the_start_pose(massage):
    first, last = massage[0], massage[-1]
    in_face = [rotations.multiply(rotations.inverse(t.q_world_face), t.q_world_body)[0] for t in (first, last)]
    assert abs(in_face[0] @ in_face[1]) == pytest.approx(1.0)


def test_columns_of_the_contact_are_known_in_contact_and_only_there(massage):
    whole = {name: np.concatenate([getattr(t, name) for t in massage]) for name in ("contact", "place", "speed_m_s")}
    contact = whole["contact"]
    for name in ("contact_m", "normal", "skew_deg", "pitch_deg"):
        rows = np.concatenate([getattr(t, name) for t in massage])
        assert np.isfinite(rows[contact]).all()
    assert ((whole["place"] >= 0) == contact).all()
    assert not whole["speed_m_s"][~contact].any()
    for truth in massage:
        for stroke in truth.strokes:
            during = (truth.t_s >= stroke.begin_s) & (truth.t_s < stroke.end_s)
            assert {zones.PLACES[i] for i in truth.place[during]} == {(stroke.zone, stroke.side)}
            assert truth.contact_m[during, 0].mean() * {"left": 1, "right": -1}[stroke.side] > 0.01


def test_the_roller_warms_on_the_skin_and_cools_in_the_air():
    hand = Hand(1)
    warming = hand._warm(np.ones(240 * GRID_HZ, bool))
    assert warming[-1] == pytest.approx(SKIN_C + (AMBIENT_C - SKIN_C) / np.e)
    cooling = hand._warm(np.zeros(400 * GRID_HZ, bool))
    assert cooling[-1] - AMBIENT_C == pytest.approx((warming[-1] - AMBIENT_C) / np.e)
    mixed = Hand(1)._warm(np.repeat([False, True, False], GRID_HZ))
    assert np.abs(np.diff(mixed)).max() < 1e-4
    assert np.argmax(mixed) == 2 * GRID_HZ - 1


# --- Places -----------------------------------------------------------------------------------------------------------

SIDED = tuple(zone for zone in zones.ZONES if zone not in zones.MIDLINE)
EVERY_WAY = 'format = 1\nname = "every way"\n' + "".join(
    f'[[steps]]\nzone = "{zone}"\nside = "both"\ndirection = "{way}"\nstrokes = 2\n'
    for zone in SIDED
    for way in ("up", "outward", "inward", "toward-neck")
)


def shares_on_the_named_side(hand):
    """Zone -> share of its rows of contact that lie on the half of the face that their place names."""
    right = {zone: [] for zone in SIDED}
    for _ in range(60):
        truth = hand.visit()
        for zone, side in {(stroke.zone, stroke.side) for stroke in truth.strokes if stroke.side}:
            x_m = truth.contact_m[truth.place == zones.PLACES.index((zone, side)), 0]
            right[zone].append(x_m * {"left": 1, "right": -1}[side] > 0)
    return {zone: np.concatenate(rows).mean() for zone, rows in right.items()}


@pytest.mark.parametrize("name", ["practised", "beginner"])
@pytest.mark.parametrize("routine", [None, parse_routine(EVERY_WAY)], ids=["free", "routine"])
def test_the_roller_stays_on_the_side_that_the_truth_names(name, routine):
    for seed in range(3):
        shares = shares_on_the_named_side(Hand(seed, person(name, seed), routine=routine))
        assert min(shares.values()) >= 0.99, (seed, shares)


# --- Truth at sample times --------------------------------------------------------------------------------------------


def test_rows_of_the_table_are_the_columns_of_the_truth(massage):
    truth = massage[2]
    rows = truth.at(truth.t_s)
    assert list(rows) == [name for name, _, _ in COLUMNS]
    assert all(column.shape == truth.t_s.shape for column in rows.values())
    assert_array_equal(rows["place"], truth.place)
    touching = truth.contact
    assert_allclose(rows["contact_y_m"][touching], truth.contact_m[touching, 1], atol=1e-9)
    assert_allclose(rows["side_y_n"], truth.side_n[:, 1], atol=1e-9)
    assert_allclose(rows["acc_z_m_s2"], truth.acc_m_s2[:, 2], atol=1e-6)
    q = np.stack([rows[f"q_world_face_{part}"] for part in "wxyz"], axis=1)
    assert_allclose(np.abs(np.einsum("ij,ij->i", q, truth.q_world_face)), 1.0)
    assert (q[:, 0] >= 0).all()


def test_between_rows_the_table_interpolates(massage):
    truth = massage[2]
    i = np.flatnonzero(truth.moving & (truth.speed_m_s > 0.03))[:50]
    rows = truth.at(truth.t_s[i] + 0.25 / GRID_HZ)
    assert_allclose(rows["force_n"], 0.75 * truth.force_n[i] + 0.25 * truth.force_n[i + 1])
    assert_allclose(rows["contact_x_m"], 0.75 * truth.contact_m[i, 0] + 0.25 * truth.contact_m[i + 1, 0])
    assert_array_equal(rows["direction_deg"], truth.direction_deg[i])


def test_the_table_knows_its_own_time_only(massage):
    truth = massage[2]
    assert len(truth.at(truth.t_s[:1] - 0.5 / GRID_HZ)["t_s"]) == 1
    for t_s in (truth.t_s[0] - 0.01, truth.t_s[-1] + 0.01):
        with pytest.raises(ValueError, match="asked for another time"):
            truth.at(np.array([t_s]))


def test_orientations_of_either_sign_are_interpolated_by_the_shorter_way():
    turns_rad = np.array([2.9, 3.1, 3.3, 3.5])
    q = rotations.from_rotvec(np.outer(turns_rad, LEFT)) * np.array([[-1], [1], [1], [-1]])
    between = Grid(np.arange(4.0), np.array([0.5, 1.5, 2.5])).quaternion(q)
    assert (between[:, 0] >= 0).all()
    expected = rotations.from_rotvec(np.outer([3.0, 3.2, 3.4], LEFT))
    assert_allclose(between, expected * np.sign(expected[:, :1]), atol=1e-6)


def test_turning_takes_the_shorter_way_at_an_even_rate():
    begin, end = rotations.from_rotvec(np.array([[0.2, 0, 0], [1.2, 0, 0]]))
    for sign in (1, -1):
        way = rotations.slerp(begin, sign * end, np.array([0.0, 0.3, 1.0]))
        expected = rotations.from_rotvec(np.outer([0.2, 0.5, 1.2], LEFT))
        assert_allclose(way * np.sign(way[:, :1]), expected, atol=1e-12)
    assert_allclose(rotations.slerp(begin, begin, np.array([0.5])), begin[np.newaxis])


# --- People -----------------------------------------------------------------------------------------------------------


def strokes_of(habits, n_visits=45, seed=11, visits=None):
    hand = Hand(seed, habits, visits)
    return [stroke for _ in range(n_visits) for stroke in hand.visit().strokes]


def speed_of(stroke):
    return stroke.length_m / (stroke.end_s - stroke.begin_s)


def test_every_person_massages():
    for name in PEOPLE:
        assert len(strokes_of(person(name, 3), 3)) >= 6, name
    assert person("practised") == Habits()


def test_an_unknown_person_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'nobody'.*practised, beginner, heavy"):
        person("nobody")


def test_individuals_of_a_kind_differ_and_stay_the_same():
    assert person("heavy", 1) == person("heavy", 1) != person("heavy", 2)
    assert 1.2 < person("heavy", 1).firmness < 3.0


def test_a_heavy_hand_presses_harder_than_a_gentle_one():
    heavy, practised, gentle = (
        np.median([stroke.force_n for stroke in strokes_of(person(name))]) for name in ("heavy", "practised", "gentle")
    )
    assert heavy > 1.6 * practised
    assert practised > 1.6 * gentle


def test_an_asymmetric_person_is_harder_and_slower_on_the_left():
    strokes = strokes_of(replace(EXACT, left_force=1.6, left_pace=0.65), visits=(("cheek", "left"), ("cheek", "right")))
    left, right = ([stroke for stroke in strokes if stroke.side == side] for side in zones.SIDES)
    ratio = np.median([s.force_n for s in left]) / np.median([s.force_n for s in right])
    assert ratio == pytest.approx(1.6, rel=0.05)
    assert np.median(list(map(speed_of, left))) < 0.85 * np.median(list(map(speed_of, right)))


def test_force_differs_by_zone_as_the_person_likes():
    factors = tuple(3.0 if zone == "jaw" else 1.0 for zone in zones.ZONES)
    usual = strokes_of(EXACT, visits=(("jaw", "left"), ("eye", "left")))
    harder = strokes_of(replace(EXACT, zone_force=factors), visits=(("jaw", "left"), ("eye", "left")))
    for zone, factor in (("jaw", 3.0), ("eye", 1.0)):
        ours, others = (np.mean([s.force_n for s in group if s.zone == zone]) for group in (harder, usual))
        assert ours / others == pytest.approx(factor, rel=0.05)


def test_slow_and_fast_people_roll_at_their_speeds():
    slow = [speed_of(stroke) for stroke in strokes_of(person("slow"), 15)]
    assert min(slow) > 0.015
    assert max(slow) < 0.065
    assert np.median([speed_of(stroke) for stroke in strokes_of(person("fast"), 15)]) > 0.15


def test_a_person_who_rolls_the_wrong_way_always_does():
    for stroke in strokes_of(person("wrong_way"), visits=(("cheek", "left"),), n_visits=5):
        off = abs((stroke.direction_deg - PATCHES["cheek"].direction_deg + 180) % 360 - 180)
        assert off > 120


@pytest.mark.parametrize(("name", "sign"), [("right_handed", 1), ("left_handed", -1)])
def test_the_handle_hangs_to_the_side_of_its_hand(name, sign):
    hand = Hand(5, person(name), (("decolletage", ""),))
    toward_head, skews = [], []
    for _ in range(12):
        truth = hand.visit()
        q_face_body = rotations.multiply(rotations.inverse(truth.q_world_face), truth.q_world_body)[truth.contact]
        toward_head.append(rotations.rotate(q_face_body, UP)[:, 0].mean())
        skews.append(truth.skew_deg[truth.contact].mean())
    assert (sign * np.array(toward_head) > -0.5).all()
    assert sign * np.mean(toward_head) > 0.3
    assert sign * np.mean(skews) > 1.0


def test_a_person_lying_has_gravity_on_the_face():
    truth = Hand(1, person("lying")).rest(0.1)
    assert truth.acc_m_s2[:, 2].mean() > 9.5


def test_a_beginner_pauses_and_is_uneven():
    strokes, steady = strokes_of(person("beginner")), strokes_of(person("practised"))
    uneven, even = (np.std(np.log([s.force_n for s in group if s.zone == "cheek"])) for group in (strokes, steady))
    assert uneven > even
    assert np.median([s.length_m for s in strokes]) < np.median([s.length_m for s in steady])
    gaps = [after.begin_s - before.end_s for before, after in pairwise(strokes) if after.zone != before.zone]
    assert max(gaps) > 2.0


def test_the_same_seed_is_the_same_person():
    one, same, other = (Hand(seed).visit() for seed in (7, 7, 8))
    assert_array_equal(one.acc_m_s2, same.acc_m_s2)
    assert one.strokes == same.strokes
    assert one.strokes != other.strokes
