# SPDX-License-Identifier: MIT
"""Which place is being rolled, sample by sample: the face tied to the world, and contacts told apart.

A start pose (see `face`) shows how the face stands. From there the contact point is carried along: over the skin by
the roller, through the air by integrating the acceleration twice between two contacts, at whose ends the velocity is
known. Position and normal of each contact then say where it is (see `placing`), and all contacts together how far the
heading has drifted.
"""

from __future__ import annotations

import itertools
import math
import operator
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roller_host.signal import placing
from roller_host.signal.face import FaceFrame, frame_of_pose
from roller_host.signal.placing import Belief, Expectation, Look, PlacingParams
from roller_host.signal.running_sums import (
    FELT,
    FELT_SUM,
    NORMAL,
    ROLLED,
    ROLLED_SUM,
    ROLLING,
    TAIL,
    Moved,
    RunningSums,
    SumsState,
)
from roller_host.signal.sequence import ELSEWHERE, Chain, GuidedPlace, chain_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel

LOOKS_S = 0.0, 0.1, 0.25, 0.5, 1.0, 1.5
"""Times after a touch-down at which the place is looked at, s; after the last one the contact counts as a new one."""


@dataclass(frozen=True)
class ZoneParams(PlacingParams):
    """Tuning of the place estimate."""

    least: float = 0.4
    """Less probable places are unknown. Raising it trades wrong places for unknown ones."""
    still_rad_s: float = 0.25
    """Slower than this in the air, the roller is held still, rad/s: a hand before a swaying head turns by 0.1 or so."""
    pose_s: float = 1.2
    """A start pose is taken once it was held still for this long, s."""
    again_deg: float = 20.0
    """During a session only a pose this near to the face frame is a start pose held again."""
    touch_s: float = 0.15
    """Shorter absences from the skin belong to the contact, s."""


class ZoneInput(NamedTuple):
    """What the estimate needs of each of n samples."""

    rotation: NDArray[np.float64]
    """World from body, (n, 3, 3)."""
    rate_rad_s: NDArray[np.float64]
    """Angular rate less its bias, body frame, (n, 3)."""
    acc_m_s2: NDArray[np.float64]
    """Specific force at the IMU, body frame, (n, 3)."""
    roll_rad: NDArray[np.float64]
    """Roller angle; without an encoder any constant, and the contact point is taken to stay."""
    contact: NDArray[np.bool_]
    """Skin contact."""


class Zones(NamedTuple):
    """Place per sample."""

    live: NDArray[np.int64]
    """Index in ``PLACES``; -1 unknown, or without contact. (n,)"""
    settled: NDArray[np.int64]
    """The same, but in the air that of the contact before, with all that was seen of it: at the end of a stroke this is
    its place."""
    confidence: NDArray[np.float64]
    """Probability of ``settled``, 0 to 1; 0 when unknown before a start pose."""
    up: NDArray[np.float64]
    """Face-up, world frame, unit vectors, (n, 3); the vertical for a person who sits, and before a start pose."""
    heading_sigma_deg: float
    """Standard uncertainty of the heading of the face at the last sample; infinite before a start pose."""


_CONTACT, _STILL = 1, 2


class _Mark(NamedTuple):
    """A sample at which something began."""

    i: int
    """Its number since the beginning of the state."""
    sums: NDArray[np.float64]
    """Running sums before it, (18,)."""
    imu_m_s: NDArray[np.float64]
    """Velocity of the IMU, world frame, (3,)."""
    arm_m: NDArray[np.float64]
    """From the IMU to the contact point, world frame, (3,)."""


class Track(NamedTuple):
    """What is known since the start pose."""

    frame: FaceFrame
    """Face of the start pose."""
    belief: Belief
    """Contact point, heading, person and sequence."""
    i: int
    """Number of the sample to which the belief belongs."""
    begin: _Mark | None
    """Where the contact looked at began, or the way through the air; None when samples were lost on it."""
    axes: NDArray[np.float64]
    """`straight` as of ``begin``, see `FaceFrame.axes`."""
    expected: Expectation | None = None
    """What there was to expect of the contact that began there; None in the air."""
    touched: bool = False
    """The skin was touched since the start pose."""
    i_look: int = 0
    """Looks taken at this contact."""
    way_m: float = 0.0
    """Farthest distance from the beginning of the contact at a look, m."""
    settled: int = -1
    confidence: float = 0.0

    @property
    def straight(self) -> FaceFrame:
        """How the face stands when it looks straight ahead, as far as the contacts have shown since the start pose."""
        return self.frame._replace(heading_rad=self.frame.heading_rad + placing.drifted_rad(self.belief))

    @property
    def heading(self) -> tuple[float, float]:
        """Heading of the face as it looks now, as in `FaceFrame`, and its standard deviation, rad."""
        turned, sigma = placing.turned_rad(self.belief, math.cos(self.frame.recline_rad))
        return self.frame.heading_rad + turned, sigma


class _Shown(NamedTuple):
    """One row of `Zones`."""

    settled: int
    confidence: float
    up: tuple[float, float, float]
    sigma_deg: float
    """When the track was last changed."""
    i: int
    """Number of the sample to which that belongs: the heading drifts on."""


_UNKNOWN = _Shown(-1, 0.0, (0.0, 0.0, 1.0), math.inf, 0)


class ZoneState(NamedTuple):
    """Memory between blocks."""

    n_samples: int = 0
    """Samples so far."""
    sums: SumsState = SumsState()
    contact: bool = False
    still: bool = False
    pose_begin: _Mark | None = None
    """Where the roller came to rest in the air."""
    posed: bool = False
    """It has been held there long enough for a pose."""
    track: Track | None = None
    """None before the start pose."""
    shown: _Shown = _UNKNOWN
    """What the track shows of each sample until it changes."""


class _Block(NamedTuple):
    """One block as the events in it see it."""

    params: ZoneParams
    chain: Chain
    model: DeviceModel
    samples: ZoneInput
    sums: RunningSums
    begin_i: int
    """Number of the first sample since the beginning of the state."""
    period_s: float

    def mark(self, i: int) -> _Mark:
        """Mark sample number ``i``."""
        row = i - self.begin_i
        lever, rotation = self.model.lever_m, self.samples.rotation[row]
        x, y, z = self.samples.rate_rad_s[row].tolist()
        turning = np.array([y * lever[2] - z * lever[1], z * lever[0] - x * lever[2], x * lever[1] - y * lever[0]])
        arm_m = rotation @ (lever + self.model.geometry.roller_radius_m * self.model.press)
        sums = self.sums.rows
        rolled_m = sums[row + TAIL, ROLLED] - sums[row + 1, ROLLED]
        speed = rolled_m / ((TAIL - 1) * self.period_s)
        return _Mark(i, sums[row + TAIL - 1].copy(), speed - rotation @ turning, arm_m)

    def since(self, begin: _Mark, i: int) -> NDArray[np.float64]:
        """Running sums of the samples from ``begin`` to number ``i``, both included."""
        return self.sums.rows[i - self.begin_i + TAIL] - begin.sums


def zone_step(
    params: ZoneParams,
    model: DeviceModel,
    state: ZoneState,
    samples: ZoneInput,
    period_s: float,
    routine: tuple[GuidedPlace, ...] = (),
) -> tuple[Zones, ZoneState]:
    """Estimate the place of each sample.

    Parameters
    ----------
    params : ZoneParams
        Tuning.
    model : DeviceModel
        Geometry.
    state : ZoneState
        Memory from the block before.
    samples : ZoneInput
        n > 0 samples.
    period_s : float
        Sample period, s.
    routine : tuple of GuidedPlace, optional
        What the person has been asked to roll, as `sequence.guided` makes it. Default: free-hand.

    Returns
    -------
    zones : Zones
    state : ZoneState
        Memory for the next block.
    """
    n = len(samples.contact)
    chain = chain_of(params.stay, params.elsewhere, routine)
    sums = RunningSums(model, state.sums, Moved(samples.rotation, samples.acc_m_s2, samples.roll_rad))
    block = _Block(params, chain, model, samples, sums, state.n_samples, period_s)
    flags = _flags(params, samples)
    spans: list[tuple[int, _Shown]] = []
    for change in [*_changes(state, flags), n]:
        while (row := _next_look(block, state)) < change:
            spans.append((row, state.shown))
            shown, state = _look(block, state, row, change)
            spans += shown
        spans.append((change, state.shown))
        if change < n:
            state = _showing(_change(block, state, block.begin_i + change, flags[change]))
    return _zones(block, spans), state._replace(n_samples=state.n_samples + n, sums=sums.left())


def after_gap(state: ZoneState) -> ZoneState:
    """Memory with which to go on after missing samples with the same orientation: only the contact point is lost."""
    track = state.track
    if track:
        track = track._replace(belief=placing.lost(track.belief), begin=None, settled=-1, confidence=0.0)
    return _showing(ZoneState(n_samples=state.n_samples, track=track))


def _showing(state: ZoneState) -> ZoneState:
    """State that shows what its track says now."""
    track = state.track
    if not track:
        return state
    heading_rad, recline_rad = track.straight
    ahead = math.sin(recline_rad)
    up = -ahead * math.sin(heading_rad), ahead * math.cos(heading_rad), math.cos(recline_rad)
    sigma_deg = math.degrees(track.heading[1])
    return state._replace(shown=_Shown(track.settled, track.confidence, up, sigma_deg, track.i))


def _zones(block: _Block, spans: list[tuple[int, _Shown]]) -> Zones:
    """Per sample what was shown up to the ends of spans."""
    contact, ends, last = block.samples.contact, [end for end, _ in spans], spans[-1][1]
    lengths = list(map(operator.sub, ends, [0, *ends]))
    table = np.array([(shown.settled, shown.confidence, *shown.up) for _, shown in spans]).repeat(lengths, axis=0)
    settled = table[:, 0].astype(np.int64)
    gone_s = (block.begin_i + len(contact) - 1 - last.i) * block.period_s
    sigma_deg = placing.drifted_sigma_deg(block.params, last.sigma_deg, gone_s)
    return Zones(np.where(contact, settled, -1), settled, table[:, 1], table[:, 2:], sigma_deg)


def _flags(params: ZoneParams, samples: ZoneInput) -> list[int]:
    """On the skin, still in the air, or neither, for each sample."""
    contact = samples.contact.tolist()
    if False not in contact:
        return [_CONTACT] * len(contact)
    spin2, still2 = np.vecdot(samples.rate_rad_s, samples.rate_rad_s).tolist(), params.still_rad_s**2
    pairs = zip(contact, spin2, strict=True)
    return [_CONTACT if touches else _STILL if one < still2 else 0 for touches, one in pairs]


def _changes(state: ZoneState, flags: list[int]) -> list[int]:
    """Rows at which contact or stillness begin or end."""
    first = [0] if flags[0] != _CONTACT * state.contact + _STILL * state.still else []
    if flags.count(flags[0]) == len(flags):
        return first
    return first + [i for i, (one, other) in enumerate(itertools.pairwise(flags), 1) if one != other]


def _next_look(block: _Block, state: ZoneState) -> int:
    """Row of the next look at the contact or the pose under way; far off when there is none."""
    track, pose = state.track, state.pose_begin
    if state.contact and track and track.begin:
        return track.begin.i - block.begin_i + round(LOOKS_S[track.i_look] / block.period_s)
    if pose and not state.posed:
        return pose.i - block.begin_i + round(block.params.pose_s / block.period_s)
    return sys.maxsize


def _look(block: _Block, state: ZoneState, row: int, end: int) -> tuple[list[tuple[int, _Shown]], ZoneState]:
    """Take the look that is due at a row, and all others at the same contact before row ``end``.

    Returns up to which rows things were shown between these looks, and the state after them.
    """
    i, track = block.begin_i + row, state.track
    if state.pose_begin:
        return [], _showing(state._replace(posed=True, track=_posed(block, track, state.pose_begin, i)))
    if not (track and track.begin and track.expected):
        return [], state
    if track.i_look + 1 < len(LOOKS_S):
        first = track.begin.i - block.begin_i
        rows = [first + round(after_s / block.period_s) for after_s in LOOKS_S[track.i_look : -1]]
        rows = [row for row in rows if row < end]
        named, _ = _weighed(block, track, track.begin, track.expected, [block.begin_i + row for row in rows])
        # The face stands as before.
        shown = [state.shown._replace(settled=one.settled, confidence=one.confidence) for one in named]
        track = named[-1]._replace(i_look=track.i_look + len(rows))
        return list(zip(rows[1:], shown, strict=False)), state._replace(track=track, shown=shown[-1])
    track = _finished(block, track, track.begin, i - 1)
    weights = placing.next_weights(block.chain, track.belief, again=True)
    # It goes on at the same place most likely: early looks would say nothing new.
    return [], _showing(state._replace(track=_begun(track, block.mark(i), weights, len(LOOKS_S) // 2)))


def _change(block: _Block, state: ZoneState, i: int, flag: int) -> ZoneState:
    """Follow a change of contact or stillness."""
    contact, still, track = flag == _CONTACT, flag == _STILL, state.track
    if state.posed and state.pose_begin:
        track = _posed(block, track, state.pose_begin, i)
    if track and contact:
        track = _touched_down(block, track, i)
    elif track and state.contact:
        if track.begin:
            track = _finished(block, track, track.begin, i - 1)
        track = track._replace(begin=block.mark(i))
    pose_begin = block.mark(i) if still else None
    return state._replace(contact=contact, still=still, pose_begin=pose_begin, posed=False, track=track)


def _posed(block: _Block, track: Track | None, begin: _Mark, i: int) -> Track | None:
    """Take a start pose that has been held until before sample ``i``."""
    held = block.since(begin, i - 1)
    pose = frame_of_pose(held[NORMAL], held[ROLLING])
    if pose is None:
        return track
    if not (track and track.touched):
        belief = placing.first_belief(block.params, block.chain)
        return Track(pose, belief, i, block.mark(i), pose.axes())
    turned = math.remainder(pose.heading_rad - track.heading[0], 2 * math.pi)
    leaned = pose.recline_rad - track.frame.recline_rad
    if max(abs(turned), abs(leaned)) > math.radians(block.params.again_deg):
        return track
    belief = placing.before_face(block.params, track.belief, turned, math.cos(track.frame.recline_rad))
    return track._replace(belief=belief, i=i, begin=block.mark(i))


def _touched_down(block: _Block, track: Track, i: int) -> Track:
    begin, mark = track.begin, block.mark(i)
    gone_s = (i - track.i) * block.period_s
    way_m, air_s = (
        (_flight(begin, mark, block.period_s), (i - begin.i) * block.period_s) if begin else (_NO_WAY, gone_s)
    )
    way_m = track.straight.axes() @ way_m
    belief = placing.travelled(block.params, track.belief, way_m, air_s, gone_s)
    again = track.touched and air_s < block.params.touch_s
    weights = placing.next_weights(block.chain, belief, again=again) if track.touched else belief.weights
    return _begun(track._replace(belief=belief, i=i, touched=True), mark, weights)


_NO_WAY = np.zeros(3)


def _begun(track: Track, begin: _Mark, weights: NDArray[np.float64], i_look: int = 0) -> Track:
    """Begin a contact, with such probabilities of the sequence."""
    expected = placing.expecting(track.belief, weights)
    return track._replace(begin=begin, axes=track.straight.axes(), expected=expected, i_look=i_look, way_m=0.0)


def _flight(begin: _Mark, end: _Mark, period_s: float) -> NDArray[np.float64]:
    """Way of the contact point through the air, world frame, (3,)."""
    air_s = (end.i - begin.i) * period_s
    sums = (end.sums - begin.sums) * period_s
    way_m = sums[FELT_SUM] * period_s + (begin.imu_m_s - begin.sums[FELT] * period_s) * air_s
    # The velocity at the end is known too: what is left of it was gained evenly on the way.
    return way_m + (end.imu_m_s - begin.imu_m_s - sums[FELT]) * (air_s / 2) + end.arm_m - begin.arm_m


def _finished(block: _Block, track: Track, begin: _Mark, i: int) -> Track:
    """Learn from a contact that has been seen up to sample ``i``."""
    if not track.expected:
        return track
    (track,), weighed = _weighed(block, track, begin, track.expected, [i])
    belief = placing.learned(track.belief, weighed)
    way_m = track.axes @ block.since(begin, i)[ROLLED]
    return track._replace(belief=placing.rolled(block.params, belief, way_m), i=i, expected=None)


def _weighed(
    block: _Block, track: Track, begin: _Mark, expected: Expectation, ends: list[int]
) -> tuple[list[Track], placing.Weighed]:
    """Name the place of the contact under way by what has been seen of it up to each of some samples."""
    last = np.array(ends)
    n = (last - (begin.i - 1))[:, np.newaxis]
    seen = block.sums.rows[last + (TAIL - block.begin_i)] - begin.sums
    ways_m = itertools.accumulate([track.way_m, *itertools.starmap(math.hypot, seen[:, ROLLED].tolist())], max)
    seen[:, ROLLED_SUM] -= n * begin.sums[ROLLED]
    means = seen.reshape(-1, 6, 3) @ track.axes.T / n[:, np.newaxis]
    directions = np.empty((len(ends), 3, 3))
    directions[:, 0], directions[:, 1], directions[:, 2] = means[:, 1], means[:, 0], track.axes[:, 2]
    look = Look(directions, means[:, -1], list(ways_m)[1:])
    weighed = placing.weigh(block.params, block.chain, expected, look)
    named: list[Track] = []
    for way_m, probability in zip(look.way_m, weighed.probability, strict=True):
        best = int(probability.argmax())
        confidence = probability.item(best)
        if best == ELSEWHERE or confidence < block.params.least:
            best, confidence = -1, 0.0
        named.append(track._replace(settled=best, confidence=confidence, way_m=way_m))
    return named, weighed
