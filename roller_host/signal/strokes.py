# SPDX-License-Identifier: MIT
"""Strokes: cut from skin contact and reversals of the roller, each with length, direction, speed and force."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import place_at
from roller_host.signal.calibration import GRAVITY_M_S2
from roller_host.signal.comfort import Comfort
from roller_host.signal.estimates import Stroke, confidence_of, outward_deg
from roller_host.signal.force import peak_n
from roller_host.signal.grip import (
    Evidence,
    GripParams,
    GripState,
    Passage,
    along_rolling_rad,
    gather,
    grip_step,
    look_back,
    path_of,
)
from roller_host.signal.skin import curvature_per_m

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel
    from roller_host.signal.grip import Path


@dataclass(frozen=True)
class StrokeParams:
    """Tuning of the stroke detector."""

    follow_s: float = 0.02
    """Time constant with which the followed way trusts the encoder over the accelerometer, s. Raising it rejects
    encoder jitter and lets vibration in."""
    pitch: float = -0.15
    """Usual pitch of the handle against the skin, tangent: the grip is held off the skin by the fingers around it."""
    reversal_m: float = 0.6e-3
    """The roller has turned back once it is this far from its extreme, m. Raising it rejects jitter and finds
    reversals later."""
    ahead_s: float = 0.012
    """or will be after this time at its present speed, s. Raising it finds quick reversals earlier, and trembling at
    rest is taken for one."""
    shortest_m: float = 0.012
    """Shorter movements are no strokes, m."""
    edge_m: float = 0.3e-3
    """Motion is sure this far inside the extremes, m: dwell does not count."""
    carried_m: float = 0.2e-3
    """Skin goes along with the roller this far before the roller rolls, m."""
    unseen_s: float = 0.2
    """A stroke begins and ends no farther than this outside of what is surely motion, s."""
    longest_s: float = 20.0
    """A contact without a reversal is cut after this time, s, so that memory stays bounded."""
    speed_s: float = 0.05
    """The shown speed is that over this time, s."""
    moving_m_s: float = 0.01
    """Below this speed the direction of motion is not defined, m/s."""
    sway_deg: float = 1.7
    """Error of "up", from head motion, orientation and mounting of the IMU, standard deviation."""
    grip: GripParams = field(default_factory=GripParams)


_MARGIN = 4  # samples around a stroke that its regression may use
_T, _PATH, _WAY, _RATE, _ACC, _AXES, _UP = 0, 1, 2, slice(3, 6), slice(6, 9), slice(9, 18), slice(18, 21)
_FORCE, _SIGMA, _IN_BAND, _PLACE, _PLACE_CONFIDENCE = 21, 22, 23, 24, 25
_AHEAD, _COLUMNS = 26, 27


class StrokeState(NamedTuple):
    """Memory between blocks."""

    way_m: tuple[float, ...] = ()
    """Last values of the axle's way as followed, as many as the shown speed needs."""
    speed_m_s: float = 0.0
    """Speed as followed."""
    gain_m_s2: float = 0.0
    """Last acceleration along the rolling direction."""
    turned_rad: float = 0.0
    """Turn of the handle about the axle since the beginning."""
    blocks: tuple[NDArray[np.float64], ...] = ()
    """Rows of samples since the contact or the reversal that began the movement under way, and a few before."""
    begin: int = 0
    """Row at which that movement began."""
    extreme: int = 0
    """Row at which it was farthest."""
    begin_s: float = 0.0
    """Time of the one."""
    far_m: float = 0.0
    """Way at the other."""
    sign: int = 0
    """Sense of the movement, 0 until it shows."""
    lifted: bool = True
    """No stroke came since the last touch-down."""
    ended_s: float = -math.inf
    """End of the last stroke: no other one begins before it."""
    grip: GripState = GripState()


class Motion(NamedTuple):
    """Motion per sample."""

    speed_m_s: NDArray[np.float64]
    """Signed, positive toward the head of the roller; 0 in the air."""
    direction_deg: NDArray[np.float64]
    """As in ``Stroke.direction_deg``; NaN without contact or motion."""


class StrokeInput(NamedTuple):
    """What the stroke detector needs of each of n samples."""

    t_s: NDArray[np.float64]
    roll_rad: NDArray[np.float64]
    rate_rad_s: NDArray[np.float64]
    """Angular rate less its bias, body frame, (n, 3)."""
    acc_m_s2: NDArray[np.float64]
    """Specific force, body frame, (n, 3)."""
    rotation: NDArray[np.float64]
    """World from body, (n, 3, 3)."""
    up: NDArray[np.float64]
    """Face-up in the world, unit vectors, (n, 3)."""
    force_n: NDArray[np.float64]
    force_sigma_n: NDArray[np.float64]
    comfort: list[Comfort]
    places: NDArray[np.int64]
    """Settled places (see ``zones.Zones``)."""
    place_confidence: NDArray[np.float64]
    """Their probability."""
    pitch_gain: float = 1.0
    """What ``force_n`` was multiplied by for the usual pitch of the handle."""


class Detected(NamedTuple):
    """What a block brought."""

    motion: Motion
    strokes: list[Stroke]
    evidence: list[Evidence]
    """Of each stroke: what its estimate can be improved from after the session."""


def stroke_step(
    params: StrokeParams, model: DeviceModel, state: StrokeState, samples: StrokeInput, fs_hz: float
) -> tuple[Detected, StrokeState]:
    """Follow the roller over one block.

    Parameters
    ----------
    params : StrokeParams
        Tuning.
    model : DeviceModel
        Geometry.
    state : StrokeState
        Memory from the block before. Begin with that of `after_gap` after a gap: no stroke spans it.
    samples : StrokeInput
        n > 0 samples.
    fs_hz : float
        Sample rate, Hz.

    Returns
    -------
    detected : Detected
        Motion of every sample, and strokes that ended in this block.
    state : StrokeState
        Memory for the next block.
    """
    rows, speed, state = _rows(params, model, state, samples, fs_hz)
    contact = [c is not Comfort.NO_CONTACT for c in samples.comfort]
    before = _held(params, state.grip)
    cutter = _Cutter(params, model, state, rows, samples.pitch_gain, fs_hz)
    state = cutter.run(contact, state)
    direction = np.full(len(rows), np.nan)
    speed = np.where(contact, speed, 0.0)
    moving = np.flatnonzero(np.abs(speed) > params.moving_m_s)
    if len(moving):
        skew, pitch = np.full(len(rows), before[0]), np.full(len(rows), before[1])
        for row, grip in cutter.changes:
            skew[row:], pitch[row:] = _held(params, grip)
        direction[moving] = _angle_deg(rows[moving], skew[moving], pitch[moving], np.sign(speed[moving]))
    return Detected(Motion(speed, direction), cutter.strokes, cutter.evidence), state


def after_gap(state: StrokeState) -> StrokeState:
    """Memory with which to go on after missing samples: roller and person are still the same, the grip is not."""
    return StrokeState(grip=state.grip._replace(out=None, forward=None))


def _rows(
    params: StrokeParams, model: DeviceModel, state: StrokeState, samples: StrokeInput, fs_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], StrokeState]:
    """Columns of the block, and the speed."""
    n, basis, lever = len(samples.t_s), model.basis, model.lever_along_m
    rate, acc, axes = samples.rate_rad_s, samples.acc_m_s2, samples.rotation
    if not model.straight:
        rate, acc = (np.einsum("ij,jk->ik", one, basis) for one in (rate, acc))
        axes = np.einsum("nij,jk->nik", axes, basis)
    # With what was before as its first value, the sum has the same bits however the samples are divided.
    turned = np.cumsum(np.concatenate([[state.turned_rad], rate[:, 0] / fs_hz]))
    # Half of the last addend lies behind the sample.
    way = (samples.roll_rad - turned[1:] + rate[:, 0] / (2 * fs_hz)) * model.geometry.roller_radius_m
    # Of the axle, along the rolling direction; the lever's angular acceleration acts across it.
    spin = rate[:, 1] * (np.einsum("ij,j->i", rate, lever)) - lever[1] * np.einsum("ij,ij->i", rate, rate)
    gain = acc[:, 1] + spin - GRAVITY_M_S2 * axes[:, 2, 1]
    n_past = max(round(params.speed_s * fs_hz), 1)
    past = state.way_m or (float(way[0]),) * n_past
    start = past[-1], state.speed_m_s, state.gain_m_s2
    followed, ahead, (last_m_s, last_m_s2) = _follow(
        params, start, (way.tolist(), gain.tolist(), (params.pitch * rate[:, 0]).tolist()), fs_hz
    )
    track = np.array([*past, *followed])
    speed = (track[n_past:] - track[:-n_past]) * (fs_hz / n_past)
    rows = np.empty((n, _COLUMNS))
    rows[:, _T], rows[:, _PATH], rows[:, _WAY] = samples.t_s, way, followed
    rows[:, _RATE], rows[:, _AHEAD] = rate, ahead
    rows[:, _ACC], rows[:, _AXES] = acc, axes.reshape(n, 9)
    rows[:, _UP], rows[:, _FORCE], rows[:, _SIGMA] = samples.up, samples.force_n, samples.force_sigma_n
    rows[:, _IN_BAND] = [c is Comfort.COMFORTABLE for c in samples.comfort]
    rows[:, _PLACE], rows[:, _PLACE_CONFIDENCE] = samples.places, samples.place_confidence
    way_m = tuple(track[len(track) - n_past :].tolist())
    state = state._replace(way_m=way_m, speed_m_s=last_m_s, gain_m_s2=last_m_s2, turned_rad=float(turned[-1]))
    return rows, speed, state


def _follow(
    params: StrokeParams, start: tuple[float, float, float], columns: tuple[list[float], ...], fs_hz: float
) -> tuple[list[float], list[float], tuple[float, float]]:
    """Follow the way without delay: the accelerometer foretells, the encoder corrects.

    A steady-state Kalman filter (alpha-beta filter) with both poles at the same place. Between two samples the
    acceleration is a straight line: a constant one overshoots where a quick stroke stops. ``start``
    is way, speed and acceleration before, ``columns`` are measured way, acceleration along the rolling direction, and
    pitch times turn (1/s): that times the speed is acceleration across the way, brought into it by the handle's turn.
    Returns the way as followed, the same ``params.ahead_s`` later, and the next speed and acceleration.
    """
    kept = math.exp(-1 / (params.follow_s * fs_hz))
    alpha, beta = 1 - kept**2, (1 - kept) ** 2 * fs_hz
    position, speed, before = start
    followed: list[float] = []
    ahead: list[float] = []
    for measured, felt, bend in zip(*columns, strict=True):
        gain = felt - bend * speed
        position += (speed + (before / 3 + gain / 6) / fs_hz) / fs_hz
        speed += 0.5 * (before + gain) / fs_hz
        before = gain
        wrong = measured - position
        position += alpha * wrong
        speed += beta * wrong
        followed.append(position)
        ahead.append(position + params.ahead_s * speed)
    return followed, ahead, (speed, before)


def _held(params: StrokeParams, grip: GripState) -> tuple[float, float]:
    """Skew and pitch (tangents) as known so far."""
    mean = params.grip.means if grip.mean is None else grip.mean.tolist()
    return mean[0] + mean[3], mean[1] + mean[4]


def _angle_deg(
    rows: NDArray[np.float64], skew: NDArray[np.float64], pitch: NDArray[np.float64], sense: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Direction of motion in the tangent plane from face-up, toward the person's left."""
    axes, up = rows[:, _AXES].reshape(-1, 3, 3), rows[:, _UP]
    in_roller = np.einsum("nji,nj->in", axes, up)
    # Motion is (skew, 1, -pitch), the normal (0, pitch, 1), along axle, forward and out: across each other.
    along_up = skew * in_roller[0] + in_roller[1] - pitch * in_roller[2]
    # motion . (up x normal) = up . (normal x motion), and the normal's length divides it.
    across = -(1 + pitch**2) * in_roller[0] + skew * in_roller[1] - skew * pitch * in_roller[2]
    across /= np.sqrt(1 + pitch**2)
    return np.degrees(np.arctan2(across * sense, along_up * sense))


class _Cutter:
    """Divides contact into movements of one sense; the grip is learned from each that is a stroke.

    Rows are counted from the first one of ``state.blocks``.
    """

    def __init__(
        self,
        params: StrokeParams,
        model: DeviceModel,
        state: StrokeState,
        rows: NDArray[np.float64],
        pitch_gain: float,
        fs_hz: float,
    ) -> None:
        self._params, self._model, self._fs_hz, self._pitch_gain = params, model, fs_hz, pitch_gain
        self._blocks = (*state.blocks, rows)
        self._n_old = sum(map(len, state.blocks))
        self._begin, self._extreme, self._sign, self._lifted = state.begin, state.extreme, state.sign, state.lifted
        self._begin_s, self._far_m, self._ended_s = state.begin_s, state.far_m, state.ended_s
        self._grip = state.grip
        self.strokes: list[Stroke] = []
        self.evidence: list[Evidence] = []
        self.changes: list[tuple[int, GripState]] = []
        """Row of the block from which on the grip is another."""

    def run(self, contact: list[bool], state: StrokeState) -> StrokeState:
        """Go through the block."""
        rows = self._blocks[-1]
        times = zip(contact, *rows[:, [_WAY, _AHEAD, _T]].T.tolist(), strict=True)
        for i, (touches, way_m, ahead_m, t_s) in enumerate(times, self._n_old):
            if touches:
                self._touch(i, way_m, ahead_m, t_s)
            else:
                if i > self._begin:
                    self._close(i - 1, i)
                self._begin, self._extreme, self._sign, self._lifted = i + 1, i + 1, 0, True
        return self._rest(state)

    def _touch(self, i: int, way_m: float, ahead_m: float, t_s: float) -> None:
        params = self._params
        if i == self._begin:
            self._begin_s, self._far_m = t_s, way_m
        moved = way_m - self._far_m
        if self._sign == 0 and abs(moved) > params.reversal_m:
            self._sign, self._extreme, self._far_m = (1 if moved > 0 else -1), i, way_m
        elif self._sign * moved > 0:
            self._extreme, self._far_m = i, way_m
        elif self._sign and self._sign * (self._far_m - ahead_m) > params.reversal_m:
            self._close(self._extreme, i)
            self._begin, self._begin_s = self._extreme, float(self._span(self._extreme, self._extreme)[0, _T])
            self._extreme, self._far_m, self._sign = i, way_m, -self._sign
        if t_s - self._begin_s > params.longest_s:
            self._close(i, i)
            self._begin = self._extreme = i
            self._begin_s, self._far_m, self._sign = t_s, way_m, 0

    def _span(self, first: int, last: int) -> NDArray[np.float64]:
        """Rows from ``first`` to ``last``."""
        parts: list[NDArray[np.float64]] = []
        begin = 0
        for block in self._blocks:
            if first < begin + len(block) and begin <= last:
                parts.append(block[max(first - begin, 0) : last + 1 - begin])
            begin += len(block)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _close(self, end: int, decided: int) -> None:
        """Sum up the movement that ended at a row, as decided at another."""
        first = max(self._begin - _MARGIN, 0)
        rows = self._span(first, decided)
        span = self._begin - first, end - first
        moved = _inner(self._params, rows, span)
        if moved is None:
            return
        said = self._gather(rows, span, moved)
        grip, self._grip = grip_step(self._params.grip, self._grip, said)
        path = path_of(said, grip, self._model.geometry.roller_radius_m)
        begin_s, end_s = _ends_s(self._params, rows, span, moved, lifted=self._lifted)
        begin_s, self._ended_s = max(begin_s, self._ended_s), end_s
        self.strokes.append(_stroke(self._params, rows, moved, (begin_s, end_s), path, self._pitch_gain))
        self.evidence.append(said)
        self.changes.append((decided - self._n_old, self._grip))
        self._lifted = False

    def _gather(self, rows: NDArray[np.float64], span: tuple[int, int], moved: tuple[int, int]) -> Evidence:
        model, (begin, end) = self._model, moved
        first = max(begin - _MARGIN, span[0] if self._lifted else 0)
        near = rows[first : end + 1 + _MARGIN]
        axes, turn = near[:, _AXES].reshape(-1, 3, 3), near[:, np.newaxis, _RATE] / (2 * self._fs_hz)
        # As it integrates whole periods, the orientation is half a period ahead: turned back.
        axes = axes - np.cross(axes, turn)
        passage = Passage(near[:, _PATH], near[:, _RATE], near[:, _ACC], axes, near[:, _UP])
        lever_m = model.lever_along_m
        said = gather(self._params.grip, passage, (begin - first, end - first), lever_m, self._fs_hz)
        radius_m = model.geometry.roller_radius_m
        mean, spread = curvature_per_m(int(rows[-1, _PLACE]), along_rolling_rad(said))
        # The axle's way is longer than the skin's by the radius: the same turn over it is a smaller curvature.
        seen = mean / (1 + radius_m * mean), spread / (1 + radius_m * mean) ** 2
        way_m = abs(float(rows[span[1], _WAY] - rows[span[0], _WAY]))
        return said._replace(way_m=way_m, lifted=self._lifted, curvature_per_m=seen)

    def _rest(self, state: StrokeState) -> StrokeState:
        """Memory for the next block: what lies before the margin is not needed any more."""
        blocks, first = self._blocks, max(self._begin - _MARGIN, 0)
        begin, extreme = self._begin - first, self._extreme - first
        while len(blocks) > 1 and first >= len(blocks[0]):
            blocks, first = blocks[1:], first - len(blocks[0])
        return state._replace(
            blocks=(blocks[0][first:].copy(), *blocks[1:]),
            begin=begin,
            extreme=extreme,
            begin_s=self._begin_s,
            far_m=self._far_m,
            sign=self._sign,
            lifted=self._lifted,
            ended_s=self._ended_s,
            grip=self._grip,
        )


def _inner(params: StrokeParams, rows: NDArray[np.float64], span: tuple[int, int]) -> tuple[int, int] | None:
    """First and last row of the motion proper; None when it was too short to be a stroke."""
    begin, end = span
    if end - begin < 2:
        return None
    travel = np.abs(rows[begin : end + 1, _WAY] - rows[begin, _WAY])
    length_m = float(travel[-1])
    if length_m < params.shortest_m:
        return None
    # Jitter crosses either edge more than once: the middle between the first and the last time.
    inside, to_go = travel > params.edge_m, travel < length_m - params.edge_m
    if not (inside & to_go).any():  # so fast that no sample lies between the ends
        return begin, end
    first = (int(np.argmax(inside)) + int(np.flatnonzero(~inside)[-1])) // 2
    last = (int(np.flatnonzero(to_go)[-1]) + int(np.argmin(to_go)) + 1) // 2
    return (begin + first, begin + last) if first < last else (begin, end)


def _ends_s(
    params: StrokeParams, rows: NDArray[np.float64], span: tuple[int, int], moved: tuple[int, int], *, lifted: bool
) -> tuple[float, float]:
    """When the stroke began and ended.

    Hands set out and stop slowly: by a minimum-jerk motion (Flash and Hogan, J. Neurosci. 5(7), 1985), which covers
    10 x^3 of its way in the first share x of its time. So the first tenths of a millimetre, in which motion is not yet
    sure, take a share of the time that follows from their share of the way.
    """
    begin, end = (float(rows[i, _T]) for i in moved)
    length_m = abs(float(rows[span[1], _WAY] - rows[span[0], _WAY]))
    unseen = min(((params.edge_m + params.carried_m) / (10 * length_m)) ** (1 / 3), 0.25)
    before_s = min(unseen * (end - begin) / (1 - 2 * unseen), params.unseen_s)
    # Nothing begins before the touch-down; where the roller turns back, jitter hides the extreme.
    earliest, latest = float(rows[span[0], _T]), float(rows[span[1], _T])
    slack_s = 0.0 if lifted else before_s / 2
    return max(begin - before_s, earliest - slack_s), min(end + before_s, latest + before_s / 2)


def _stroke(
    params: StrokeParams,
    rows: NDArray[np.float64],
    moved: tuple[int, int],
    ends_s: tuple[float, float],
    path: Path,
    pitch_gain: float,
) -> Stroke:
    """Sum up one stroke."""
    begin_s, end_s = ends_s
    inner = rows[moved[0] : moved[1] + 1]
    place = int(rows[-1, _PLACE])  # where it was decided: all of the stroke was seen by then
    zone, side = place_at(place)
    way_m = abs(float(inner[-1, _WAY] - inner[0, _WAY]))
    t_s, force_n = _pressed(rows, moved, ends_s, path, pitch_gain)
    speeds = np.abs(np.diff(inner[:, _WAY])) / np.diff(inner[:, _T])
    stroke = Stroke(
        begin_s=begin_s,
        end_s=end_s,
        decided_s=float(rows[-1, _T]),
        length_m=way_m,
        length_sigma_m=math.nan,
        direction_deg=math.nan,
        direction_sigma_deg=math.nan,
        confidence=math.nan,
        outward_deg=math.nan,
        speed_m_s=way_m / max(end_s - begin_s, 1e-3),
        speed_peak_m_s=float(speeds.max()),
        force_n=float(force_n.mean()),
        force_peak_n=peak_n(t_s, force_n),
        force_sigma_n=float(inner[:, _SIGMA].mean()),
        in_band_ratio=float(inner[:, _IN_BAND].mean()),
        zone=zone,
        side=side,
        zone_confidence=float(rows[-1, _PLACE_CONFIDENCE]),
    )
    return _along(params, stroke, path)


def _pressed(
    rows: NDArray[np.float64], moved: tuple[int, int], ends_s: tuple[float, float], path: Path, pitch_gain: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Time and force of each sample of the whole stroke, by the pitch that it had instead of the usual one."""
    first, last = np.searchsorted(rows[:, _T], ends_s).tolist()
    rows, middle_m = rows[min(first, moved[0]) : max(last, moved[1]) + 1], rows[list(moved), _WAY].mean()
    pitch = path.pitch + path.pitch_per_m * (rows[:, _WAY] - middle_m)
    # The cell feels F cos(pitch), and 1 / cos = sqrt(1 + tan^2).
    return rows[:, _T], rows[:, _FORCE] / pitch_gain * np.sqrt(1 + pitch * pitch + path.pitch_variance)


def _along(params: StrokeParams, stroke: Stroke, path: Path) -> Stroke:
    """The same stroke along another path."""
    sway = params.sway_deg / max(path.flatness, 0.05)
    sigma_deg = math.hypot(path.direction_sigma_deg, math.degrees(params.reversal_m / path.length_m), sway)
    longer = path.length_m / max(stroke.length_m, 1e-6)
    return stroke._replace(
        length_m=path.length_m,
        length_sigma_m=math.hypot(path.length_sigma_m, params.edge_m),
        direction_deg=path.direction_deg,
        direction_sigma_deg=sigma_deg,
        confidence=confidence_of(sigma_deg),
        outward_deg=outward_deg(path.direction_deg, stroke.side),
        speed_m_s=stroke.speed_m_s * longer,
        speed_peak_m_s=stroke.speed_peak_m_s * longer,
    )


def after_session(
    params: StrokeParams, model: DeviceModel, strokes: Sequence[Stroke], evidence: Sequence[Evidence]
) -> list[Stroke]:
    """Strokes of a whole session, each estimated from all: those before it, itself and those after it.

    Parameters
    ----------
    params : StrokeParams
        Tuning.
    model : DeviceModel
        Geometry.
    strokes : sequence of Stroke
        As decided one by one.
    evidence : sequence of Evidence
        Of each of them; empty when they come from the IMU alone: then they stay as they are.

    Returns
    -------
    list of Stroke
        The same strokes with better paths.
    """
    if not evidence:
        return list(strokes)
    radius_m = model.geometry.roller_radius_m
    grips = look_back(params.grip, evidence)
    paths = [path_of(said, grip, radius_m) for said, grip in zip(evidence, grips, strict=True)]
    return [_along(params, stroke, path) for stroke, path in zip(strokes, paths, strict=True)]
