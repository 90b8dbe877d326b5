# SPDX-License-Identifier: MIT
"""Strokes: cut from skin contact and reversals of the roller, each with length, direction, speed and force."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roller_host.signal.calibration import GRAVITY_M_S2
from roller_host.signal.comfort import COMFORTABLE, NO_CONTACT
from roller_host.signal.grip import Evidence, GripState, Passage, gather, grip_step
from roller_host.signal.paths import along_rolling_rad, path_of
from roller_host.signal.skin import curvature_per_m
from roller_host.signal.stroke_sums import Rows, StrokeParams, ends_s, proper_motion, summed_up

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel
    from roller_host.signal.comfort import Comfort
    from roller_host.signal.estimates import Stroke


_MARGIN = 4  # samples around a stroke that its regression may use
_ACROSS = np.cross(np.eye(3), np.eye(3)[:, np.newaxis]).reshape(3, 9)
"""Times a vector: the matrix that takes other vectors (rows) to their cross products with it."""


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
    blocks: tuple[Rows, ...] = ()
    """Blocks since the contact or the reversal that began the movement under way, and a few samples before."""
    begin: int = 0
    """Row, counted from the first of ``blocks``, at which that movement began."""
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
    """Specific force at the IMU, body frame, (n, 3)."""
    felt_m_s2: NDArray[np.float64]
    """Specific force at the axle, body frame, (n, 3)."""
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
    contact = [c is not NO_CONTACT for c in samples.comfort]
    rows, speeds, ahead_m, followed = _rows(params, model, state, samples, fs_hz)
    speeds = [speed if touches else 0.0 for speed, touches in zip(speeds, contact, strict=True)]
    grip = state.grip
    cutter = _Cutter(params, model, state, (rows, samples), fs_hz)
    state = cutter.run(contact, ahead_m, state, followed)
    speed, direction = np.array(speeds), np.full(len(speeds), np.nan)
    if max(map(abs, speeds)) > params.moving_m_s:
        skew, pitch = _held(params, grip)
        if cutter.changes:
            skew, pitch = np.full(len(speed), skew), np.full(len(speed), pitch)
            for row, grip in cutter.changes:
                skew[row:], pitch[row:] = _held(params, grip)
        np.copyto(direction, _angle_deg(rows, skew, pitch, np.sign(speed)), where=np.abs(speed) > params.moving_m_s)
    return Detected(Motion(speed, direction), cutter.strokes, cutter.evidence), state


def after_gap(state: StrokeState) -> StrokeState:
    """Memory with which to go on after missing samples: roller and person are still the same, the grip is not."""
    return StrokeState(grip=state.grip._replace(out=None, forward=None))


class _Followed(NamedTuple):
    """The way so far, see `StrokeState`."""

    way_m: tuple[float, ...]
    speed_m_s: float
    gain_m_s2: float
    turned_rad: float


def _rows(
    params: StrokeParams, model: DeviceModel, state: StrokeState, samples: StrokeInput, fs_hz: float
) -> tuple[Rows, list[float], list[float], _Followed]:
    """Rows of the block, the speed, and the way ``params.ahead_s`` later."""
    rate, acc, axes = samples.rate_rad_s, samples.acc_m_s2, samples.rotation
    if not model.straight:
        rate, acc = (np.einsum("ij,jk->ik", one, model.basis) for one in (rate, acc))
        axes = np.matmul(axes, model.basis)
    turn = rate[:, 0].tolist()
    path, turned_rad = _path_m(model.geometry.roller_radius_m, state.turned_rad, samples.roll_rad.tolist(), turn, fs_hz)
    # Of the axle, along the rolling direction.
    gain = np.vecdot(samples.felt_m_s2, model.forward) - GRAVITY_M_S2 * axes[:, 2, 1]
    n_past = max(round(params.speed_s * fs_hz), 1)
    past = state.way_m or (path[0],) * n_past
    start = past[-1], state.speed_m_s, state.gain_m_s2
    followed, ahead, last = _follow(params, start, zip(path, gain.tolist(), turn, strict=True), fs_hz)
    track, per_s = (*past, *followed), fs_hz / n_past
    speeds = [(way_m - before_m) * per_s for way_m, before_m in zip(followed, track, strict=False)]
    rows = Rows(
        samples.t_s,
        np.array(path),
        np.array(followed),
        rate,
        acc,
        axes,
        samples.up,
        samples.force_n,
        samples.force_sigma_n,
        np.array([c is COMFORTABLE for c in samples.comfort]),
    )
    return rows, speeds, ahead, _Followed(track[-n_past:], *last, turned_rad)


def _path_m(
    radius_m: float, turned_rad: float, roll_rad: list[float], rate_rad_s: list[float], fs_hz: float
) -> tuple[list[float], float]:
    """Way of the axle: of the roller in the world, whose angle is the encoder's less the handle's turn."""
    path: list[float] = []
    for roll, rate in zip(roll_rad, rate_rad_s, strict=True):
        turned_rad += rate / fs_hz
        # Half of the last addend lies behind the sample.
        path.append((roll - turned_rad + rate / (2 * fs_hz)) * radius_m)
    return path, turned_rad


def _follow(
    params: StrokeParams,
    start: tuple[float, float, float],
    samples: Iterable[tuple[float, float, float]],
    fs_hz: float,
) -> tuple[list[float], list[float], tuple[float, float]]:
    """Follow the way without delay: the accelerometer foretells, the encoder corrects.

    A steady-state Kalman filter (alpha-beta filter) with both poles at the same place. Between two samples the
    acceleration is a straight line: a constant one overshoots where a quick stroke stops. ``start`` is way, speed and
    acceleration before; ``samples`` are measured way, acceleration along the rolling direction, and turn about the
    axle: that times pitch and speed is acceleration across the way, brought into it by the handle's turn. Returns the
    way as followed, the same ``params.ahead_s`` later, and the next speed and acceleration.
    """
    kept, dt_s = math.exp(-1 / (params.follow_s * fs_hz)), 1 / fs_hz
    alpha, beta = 1 - kept**2, (1 - kept) ** 2 * fs_hz
    pitch, ahead_s = params.pitch, params.ahead_s
    position, speed, before = start
    followed: list[float] = []
    ahead: list[float] = []
    for measured, felt, turn in samples:
        gain = felt - pitch * turn * speed
        position += (speed + (before / 3 + gain / 6) * dt_s) * dt_s
        wrong = measured - position
        position += alpha * wrong
        speed += 0.5 * (before + gain) * dt_s + beta * wrong
        before = gain
        followed.append(position)
        ahead.append(position + ahead_s * speed)
    return followed, ahead, (speed, before)


def _held(params: StrokeParams, grip: GripState) -> tuple[float, float]:
    """Skew and pitch (tangents) as known so far."""
    mean = params.grip.means if grip.mean is None else grip.mean.tolist()
    return mean[0] + mean[3], mean[1] + mean[4]


def _angle_deg(
    rows: Rows, skew: NDArray[np.float64] | float, pitch: NDArray[np.float64] | float, sense: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Direction of motion in the tangent plane from face-up, toward the person's left."""
    along, forward, out = np.matmul(rows.up[:, np.newaxis], rows.axes)[:, 0].T
    # Motion is (skew, 1, -pitch), the normal (0, pitch, 1), along axle, forward and out: across each other.
    along_up = skew * along + forward - pitch * out
    # motion . (up x normal) = up . (normal x motion), and the normal's length divides it.
    stretch = 1 + pitch * pitch
    across = (skew * forward - stretch * along - skew * pitch * out) / np.sqrt(stretch)
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
        block: tuple[Rows, StrokeInput],
        fs_hz: float,
    ) -> None:
        self._params, self._model, self._fs_hz = params, model, fs_hz
        rows, self._samples = block
        self._blocks = (*state.blocks, rows)
        self._n_old = sum(len(block.t_s) for block in state.blocks)
        self._lifted, self._ended_s = state.lifted, state.ended_s
        self._grip = state.grip
        self.strokes: list[Stroke] = []
        self.evidence: list[Evidence] = []
        self.changes: list[tuple[int, GripState]] = []
        """Row of the block from which on the grip is another."""

    def run(self, contact: list[bool], ahead_m: list[float], state: StrokeState, followed: _Followed) -> StrokeState:
        """Go through the block."""
        rows, (reversal_m, longest_s) = self._blocks[-1], (self._params.reversal_m, self._params.longest_s)
        begin, extreme, sign, begin_s, far_m = state.begin, state.extreme, state.sign, state.begin_s, state.far_m
        columns = zip(contact, rows.way_m.tolist(), ahead_m, rows.t_s.tolist(), strict=True)
        for i, (touches, way_m, soon_m, t_s) in enumerate(columns, self._n_old):
            if not touches:
                if i > begin:
                    self._close(begin, i - 1, i)
                begin, extreme, sign, self._lifted = i + 1, i + 1, 0, True
                continue
            if i == begin:
                begin_s, far_m = t_s, way_m
            moved = way_m - far_m
            if sign * moved > 0:
                extreme, far_m = i, way_m
            elif not sign:
                if abs(moved) > reversal_m:
                    sign, extreme, far_m = (1 if moved > 0 else -1), i, way_m
            elif sign * (far_m - soon_m) > reversal_m:
                self._close(begin, extreme, i)
                begin, begin_s = extreme, self._t_s(extreme)
                sign, extreme, far_m = -sign, i, way_m
            if t_s - begin_s > longest_s:
                self._close(begin, i, i)
                begin, extreme, sign, begin_s, far_m = i, i, 0, t_s, way_m
        n_past = self._forget(begin - _MARGIN)
        return StrokeState(
            *followed,
            blocks=self._blocks,
            begin=begin - n_past,
            extreme=extreme - n_past,
            begin_s=begin_s,
            far_m=far_m,
            sign=sign,
            lifted=self._lifted,
            ended_s=self._ended_s,
            grip=self._grip,
        )

    def _t_s(self, i: int) -> float:
        """Time of a row."""
        blocks = iter(self._blocks)
        t_s = next(blocks).t_s
        while i >= len(t_s):
            i, t_s = i - len(t_s), next(blocks).t_s
        return t_s.item(i)

    def _span(self, first: int, last: int) -> Rows:
        """Rows from ``first`` to ``last``."""
        over: list[Rows] = []
        begin = start = 0
        for block in self._blocks:
            end = begin + len(block.t_s)
            if first < end and begin <= last:
                start = start if over else begin
                over.append(block)
            begin = end
        rows = over[0] if len(over) == 1 else Rows._make(map(np.concatenate, zip(*over, strict=True)))
        return rows.part(first - start, last - start)

    def _close(self, begin: int, end: int, decided: int) -> None:
        """Sum up the movement between two rows, as decided at another."""
        first = max(begin - _MARGIN, 0)
        rows = self._span(first, decided)
        span = begin - first, end - first
        moved = proper_motion(self._params, rows, span)
        if moved is None:
            return
        # The place known when it was decided: all of the stroke was seen by then.
        row, samples = decided - self._n_old, self._samples
        place, known = samples.places.item(row), samples.place_confidence.item(row)
        said = self._gather(rows, span, moved, place)
        grip, self._grip = grip_step(self._params.grip, self._grip, said)
        path = path_of(said, grip, self._model.geometry.roller_radius_m)
        begin_s, end_s = ends_s(self._params, rows, span, moved, lifted=self._lifted)
        begin_s, self._ended_s = max(begin_s, self._ended_s), end_s
        self.strokes.append(
            summed_up(self._params, rows, moved, (begin_s, end_s), (place, known), path, samples.pitch_gain)
        )
        self.evidence.append(said)
        self.changes.append((row, self._grip))
        self._lifted = False

    def _gather(self, rows: Rows, span: tuple[int, int], moved: tuple[int, int], place: int) -> Evidence:
        model, (begin, end) = self._model, moved
        first = max(begin - _MARGIN, span[0] if self._lifted else 0)
        near = slice(first, end + _MARGIN + 1)
        rate, axes = rows.rate_rad_s[near], rows.axes[near]
        # As it integrates whole periods, the orientation is half a period ahead: turned back.
        axes = axes - np.matmul(axes, (rate @ _ACROSS).reshape(-1, 3, 3)) / (2 * self._fs_hz)
        passage = Passage(rows.path_m[near], rate, rows.acc_m_s2[near], axes, rows.up[near])
        lever_m = model.lever_along_m
        said = gather(self._params.grip, passage, (begin - first, end - first), lever_m, self._fs_hz)
        radius_m = model.geometry.roller_radius_m
        mean, spread = curvature_per_m(place, along_rolling_rad(said))
        # The axle's way is longer than the skin's by the radius: the same turn over it is a smaller curvature.
        seen = mean / (1 + radius_m * mean), spread / (1 + radius_m * mean) ** 2
        way_m = abs(float(rows.way_m[span[1]] - rows.way_m[span[0]]))
        return said._replace(way_m=way_m, lifted=self._lifted, curvature_per_m=seen)

    def _forget(self, first: int) -> int:
        """Drop the blocks before a row, and count their rows."""
        n_past = 0
        while len(self._blocks) > 1 and first - n_past >= len(self._blocks[0].t_s):
            n_past += len(self._blocks[0].t_s)
            self._blocks = self._blocks[1:]
        return n_past
