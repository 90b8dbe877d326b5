# SPDX-License-Identifier: MIT
"""Routines: the format, its errors, the bundled files, and hands that follow them."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import routine as routine_format
from firmware_protocol import zones
from firmware_protocol.routine import BANDS_N, RoutineError, Step, parse_routine
from roller_host.signal.comfort import STARTING_BANDS
from simulator.body.hand import Hand
from simulator.body.people import Habits

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "routines.md").read_text(encoding="utf-8")
BUNDLED = ROOT / "simulator" / "routines"
GOOD = {
    "zone": '"cheek"',
    "side": '"left"',
    "direction": '"up"',
    "band": '"comfortable"',
    "pace": '"medium"',
    "strokes": "4",
}


def text_of(*steps, head='format = 1\nname = "Test"\n'):
    return head + "".join("[[steps]]\n" + "".join(f"{k} = {v}\n" for k, v in step.items()) for step in steps)


def step_with(**changes):
    """A good step with keys changed, or left out when None."""
    return {key: value for key, value in {**GOOD, **changes}.items() if value is not None}


def parsed(**changes):
    (step,) = parse_routine(text_of(step_with(**changes))).steps
    return step


# --- Format -----------------------------------------------------------------------------------------------------------


def test_a_step_is_read_as_written():
    assert parsed(note='" Slowly. "') == Step(
        "cheek", "left", "up", 0.0, "comfortable", (0.8, 2.5), (0.06, 0.15), 4, None, "Slowly."
    )


def test_band_and_pace_have_defaults():
    assert parsed(band=None, pace=None) == parsed()


@pytest.mark.parametrize(
    ("written", "degrees"),
    [('"up-outward"', 45), ('"inward"', -90), ('"down"', 180), ('"toward-neck"', 120), ("-30", -30), ("12.5", 12.5)],
)
def test_directions_are_degrees_from_up_toward_outward(written, degrees):
    assert parsed(direction=written).direction_deg == degrees


@pytest.mark.parametrize(
    ("zone", "written", "newtons"),
    [
        ("cheek", '"light"', (0.3, 0.8)),
        ("eye", '"light"', (0.3, 0.6)),
        ("cheek", '"firm"', (2.5, 4.0)),
        ("eye", '"comfortable"', (0.2, 0.6)),
        ("cheek", "[1, 2.5]", (1.0, 2.5)),
        ("cheek", "[0.15, 4.0]", (0.15, 4.0)),
    ],
)
def test_bands_are_newtons_of_the_zone(zone, written, newtons):
    assert parsed(zone=f'"{zone}"', band=written).band_n == newtons


@pytest.mark.parametrize(
    ("written", "m_s"), [('"slow"', (0.02, 0.06)), ("12", (0.12, 0.12)), ("[4, 10.0]", (0.04, 0.10))]
)
def test_paces_are_speeds(written, m_s):
    assert parsed(pace=written).pace_m_s == pytest.approx(m_s)


def test_a_step_lasts_strokes_or_seconds():
    assert (parsed().strokes, parsed().seconds) == (4, None)
    timed = parsed(strokes=None, seconds="90")
    assert (timed.strokes, timed.seconds) == (None, 90.0)


def test_both_sides_are_left_then_right():
    assert parsed(side='"both"').places == (("cheek", "left"), ("cheek", "right"))
    assert parsed(zone='"decolletage"', side=None).places == (("decolletage", ""),)


WRONG_STEPS = [
    ("zone", {"zone": '"nose"'}, "decolletage"),
    ("zone", {"zone": None}, "forehead"),
    ("zone", {"zone": "3"}, "forehead"),
    ("side", {"side": None}, "left, right, both"),
    ("side", {"side": '"middle"'}, "left, right, both"),
    ("side", {"zone": '"decolletage"'}, "no sides"),
    ("direction", {"direction": None}, "toward-neck"),
    ("direction", {"direction": '"sideways"'}, "toward-neck"),
    ("direction", {"direction": "181"}, "-180 to 180"),
    ("direction", {"direction": "nan"}, "-180 to 180"),
    ("direction", {"direction": "true"}, "-180 to 180"),
    ("band", {"band": '"brutal"'}, "light, comfortable, firm"),
    ("band", {"band": "[1.0, 4.1]"}, "to the 4 N of this zone"),
    ("band", {"band": "[0.1, 2.0]"}, "from 0.15"),
    ("band", {"band": "[2.0, 1.0]"}, "[low, high]"),
    ("band", {"band": "[1.0]"}, "[low, high]"),
    ("band", {"band": "[1.0, inf]"}, "[low, high]"),
    ("band", {"band": "2.0"}, "[low, high]"),
    ("pace", {"pace": '"hasty"'}, "slow, medium, brisk"),
    ("pace", {"pace": "0.5"}, "from 1 to 50"),
    ("pace", {"pace": "[10, 5]"}, "[slowest, fastest]"),
    ("pace", {"pace": "[10, 51]"}, "from 1 to 50"),
    ("strokes", {"strokes": "0"}, "1 to 100"),
    ("strokes", {"strokes": "101"}, "1 to 100"),
    ("strokes", {"strokes": "2.0"}, "whole number"),
    ("strokes", {"strokes": "true"}, "whole number"),
    ("seconds", {"strokes": None, "seconds": "0.5"}, "1 to 900"),
    ("seconds", {"strokes": None, "seconds": '"long"'}, "1 to 900"),
    ("strokes or seconds", {"seconds": "30"}, "exactly one"),
    ("strokes or seconds", {"strokes": None}, "exactly one"),
    ("note", {"note": "7"}, "200"),
    ("note", {"note": f'"{"x" * 201}"'}, "200"),
    ("speed", {"speed": "7"}, "unknown key; known are zone, side"),
]


@pytest.mark.parametrize(("key", "changes", "allowed"), WRONG_STEPS)
def test_errors_name_step_and_key_and_what_is_allowed(key, changes, allowed):
    with pytest.raises(RoutineError) as refused:
        parse_routine(text_of(GOOD, step_with(**changes)))
    message = str(refused.value)
    assert message.startswith("step 2")
    assert key in message
    assert allowed in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "format: must be 1"),
        (text_of(GOOD, head='format = 2\nname = "x"\n'), "format: must be 1, not '2'"),
        (text_of(GOOD, head='format = true\nname = "x"\n'), "format"),
        (text_of(GOOD, head="format = 1\n"), "name"),
        (text_of(GOOD, head='format = 1\nname = " "\n'), "name"),
        (text_of(GOOD, head='format = 1\nname = "x"\nauthor = "y"\n'), "'author': unknown key"),
        ('format = 1\nname = "x"\n', "steps"),
        ('format = 1\nname = "x"\nsteps = [1]\n', "step 1: must be a table"),
        (text_of(*[GOOD] * 101), "1 to 100"),
        ("format = ", "TOML"),
        ("#" * 65537, "longer than 65536"),
        ("x = " + "[" * 5000, "TOML"),
    ],
)
def test_texts_that_are_no_routine_are_refused(text, says):
    with pytest.raises(RoutineError, match=re.escape(says)):
        parse_routine(text)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.data())
def test_any_text_is_a_routine_or_a_routine_error(data):
    text = text_of(GOOD, step_with(band="[1.0, 2.0]", note='"a note"'))
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(begin + 12, len(text))))
    middle = data.draw(
        st.text(max_size=8) | st.sampled_from(["1e999", "-1", "[[]]", "nan", "true", '""', "2020-01-01"])
    )
    try:
        steps = parse_routine(text[:begin] + middle + text[end:]).steps
    except RoutineError:
        return
    for step in steps:
        assert 0.15 <= step.band_n[0] < step.band_n[1] <= BANDS_N[step.zone][2]
        assert (step.strokes is None) != (step.seconds is None)


def test_bands_are_those_of_the_host():
    assert {zone: STARTING_BANDS[zone][:3] for zone in zones.ZONES} == BANDS_N


# --- Page and bundled files -------------------------------------------------------------------------------------------


def test_the_example_of_the_page_is_read():
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert [step.zone for step in parse_routine(example).steps] == ["jaw", "decolletage"]
    (message,) = re.findall(r"```\n(step 2.*?)\n```", PAGE)
    with pytest.raises(RoutineError, match=re.escape(message)):
        parse_routine(example.replace("[0.8, 2.0]", "[0.8, 9.0]"))


def test_the_page_tells_the_numbers_of_the_parser():
    for zone in zones.ZONES:
        bands = [parsed(zone=f'"{zone}"', side=None if zone == "decolletage" else '"left"', band=f'"{name}"').band_n
                 for name in routine_format.BAND_NAMES]  # fmt: skip
        assert f"| {zone} | " + " | ".join(f"{low} to {high}" for low, high in bands) + " |" in PAGE
        assert f"{zone} {routine_format.TOWARD_NECK_DEG[zone]:g}" in PAGE
    for name, degrees in routine_format.DIRECTIONS_DEG.items():
        assert f"| `{name}` | {degrees:g} |" in PAGE


@pytest.mark.parametrize(
    ("name", "minutes"), [("sculpt", (10, 15)), ("lymph", (10, 15)), ("short", (2, 4)), ("wake-up", (8, 13))]
)
def test_bundled_routines_last_as_long_as_they_say(name, minutes):
    routine = parse_routine((BUNDLED / f"{name}.toml").read_text(encoding="utf-8"))
    hand = Hand(1, routine=routine)
    strokes = 0
    while not hand.done:
        truth = hand.visit()
        strokes += len(truth.strokes)
    assert minutes[0] * 60 < truth.t_s[0] < minutes[1] * 60
    assert strokes >= sum((step.strokes or 4) * len(step.places) for step in routine.steps)


def test_every_bundled_file_is_on_the_page():
    assert {path.stem for path in BUNDLED.glob("*.toml")} == set(
        re.findall(r"^\| `([a-z-]+)` \|.*min \|$", PAGE, re.MULTILINE)
    )


# --- Hands that follow ------------------------------------------------------------------------------------------------

EXACT = Habits(wrong_way=0, heavy=0, force_scatter=0, force_wander=0, direction_scatter_deg=0)


def followed(*steps, habits=EXACT, **options):
    """All strokes of one pass through steps."""
    hand = Hand(3, habits, routine=parse_routine(text_of(*steps)), **options)
    strokes = []
    while not hand.done:
        strokes += hand.visit().strokes
    return strokes


def test_a_hand_makes_the_strokes_of_a_routine_in_order():
    strokes = followed(step_with(side='"both"', strokes="11"), step_with(zone='"decolletage"', side=None, strokes="3"))
    places = [(stroke.zone, stroke.side) for stroke in strokes]
    assert places == [("cheek", "left")] * 11 + [("cheek", "right")] * 11 + [("decolletage", "")] * 3


@pytest.mark.parametrize(("side", "sign"), [("left", 1), ("right", -1)])
@pytest.mark.parametrize("outward_deg", [-90, 0, 45, 135])
def test_strokes_go_the_way_that_the_step_says(side, sign, outward_deg):
    strokes = followed(step_with(side=f'"{side}"', direction=str(outward_deg)))
    turned = [(sign * stroke.direction_deg - outward_deg + 180) % 360 - 180 for stroke in strokes]
    assert np.abs(turned).max() < 5


def test_strokes_are_as_firm_and_as_fast_as_the_step_says():
    strokes = followed(step_with(band="[1.0, 2.0]", pace="8", strokes="8"))
    assert np.median([stroke.force_n for stroke in strokes]) == pytest.approx(1.5, rel=0.05)
    speeds = [stroke.length_m / (stroke.end_s - stroke.begin_s) for stroke in strokes]
    assert np.median(speeds) == pytest.approx(0.08, rel=0.1)


def test_a_timed_step_lasts_about_its_seconds_on_each_side():
    strokes = followed(step_with(side='"both"', strokes=None, seconds="40"))
    changes_s = next(stroke.begin_s for stroke in strokes if stroke.side == "right")
    assert changes_s == pytest.approx(40, abs=8)
    assert strokes[-1].end_s == pytest.approx(80, abs=12)


def test_the_person_brings_their_own_errors():
    wrong = followed(step_with(), habits=Habits(wrong_way=1.0, direction_scatter_deg=0))
    assert all(abs(stroke.direction_deg) > 170 for stroke in wrong)


def test_after_the_end_the_hand_rests():
    hand = Hand(1, routine=parse_routine(text_of(step_with(strokes="2"))))
    assert len(hand.visit().strokes) == 2
    assert not hand.done
    rest = hand.visit()
    assert hand.done
    assert not rest.contact.any()


def test_going_home_begins_the_routine_anew():
    hand = Hand(1, routine=parse_routine(text_of(step_with(strokes="2"), step_with(zone='"jaw"', strokes="2"))))
    first = hand.visit()
    hand.home()
    assert {stroke.zone for stroke in (*first.strokes, *hand.visit().strokes)} == {"cheek"}
