# SPDX-License-Identifier: MIT
"""Strokes of a roller without an encoder: cut from skin contact and acceleration, with a direction but no length.

Where a stroke turns back its acceleration is largest. So peaks of alternating sense of the low-passed acceleration
along the rolling direction divide contact into strokes: the first peak after touch-down sets the roller going, the last
one before lift-off brakes it, those between are reversals. The low-pass lags, and a stroke cut too late ends in the
motion of the next one, which turns its direction round; so everything is set back by the group delay of the filter.

Slow strokes drown: at 5 cm/s the acceleration is as small as what a tilt of the orientation by one degree puts in its
place. A contact without a peak is handed on as a stroke of unknown direction, and slow strokes with little confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import place_at
from roller_host.signal.calibration import GRAVITY_M_S2
from roller_host.signal.comfort import Comfort
from roller_host.signal.displacement import (
    Course,
    Displacement,
    DisplacementParams,
    DisplacementState,
    displacement,
    displacement_step,
    integrate,
)
from roller_host.signal.estimates import Stroke, confidence_of, outward_deg
from roller_host.signal.force import peak_n
from roller_host.signal.lowpass import lowpass_step
from roller_host.signal.strokes import Detected, Motion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel
    from roller_host.signal.lowpass import Memory
    from roller_host.signal.strokes import StrokeInput


@dataclass(frozen=True)
class InertialParams:
    """Tuning of the detector."""

    low_pass_hz: float = 2.0
    """Cut-off for the acceleration along the rolling direction, Hz: lets the to and fro of strokes pass, not their
    shaking, and joins the braking of a stroke and the start of the next one over a short pause."""
    delay_s: float = 0.13
    """Group delay of that filter at the 0.5 to 1.7 strokes per second that it is for, s."""
    peak_m_s2: float = 0.2
    """Smaller peaks are no reversals, m/s^2: noise, and the error of the orientation."""
    braking_s: float = 0.35
    """Lift-off within this time after a peak means that it was the braking before it, s."""
    shortest_s: float = 0.1
    """Shorter contacts are no strokes, s."""
    shortest_m: float = 0.012
    """Shorter movements are no strokes, m: touch-down and lift-off push the roller too."""
    longest_s: float = 20.0
    """A contact without a reversal is cut after this time, s, so that memory stays bounded."""
    sure_m_s: float = 0.10
    """The direction of a slower stroke has little confidence, m/s,"""
    sure_s: float = 0.25
    """as has that of a shorter one, s: the low-pass merges its reversals, half a period apart, and one may be lost."""
    doubtful: float = 0.5
    """Confidence of such strokes at most."""
    pitch_deg: float = -6.0
    """Usual angle of the handle to the skin, about the axle: the grip is held off the skin."""
    pitch_sigma_deg: float = 4.6
    """How far it lies from that, standard deviation."""
    chord_sigma_deg: float = 3.0
    """Angle between the way of a stroke and the skin at its middle, where skin curves unevenly, standard deviation."""
    sway_deg: float = 2.0
    """Motion of the head and error of the surface's normal, standard deviation."""
    displacement: DisplacementParams = field(
        default_factory=lambda: DisplacementParams(across=0.03, reach_m=0.1, error_m_s2=0.2)
    )
    """On the skin the roller comes to rest between strokes; what the head does is an error of the acceleration too."""


_T, _VELOCITY, _PLACE_M, _NORMAL, _UP = 0, slice(1, 4), slice(4, 7), slice(7, 10), slice(10, 13)
_PUSH, _CONTACT, _FORCE, _SIGMA, _BAND, _ZONE, _ZONE_CONFIDENCE = range(13, 20)
_COLUMNS = 20
_MARGIN_S = 0.05
"""Samples this long before a stroke show how it set out."""


class _Peak(NamedTuple):
    """Acceleration of one sense."""

    first: int
    """Row in which it began."""
    weight: float
    """Sum of the acceleration, m/s^2."""
    moment: float
    """The same, times rows since the first."""

    @property
    def row(self) -> int:
        """Its middle: braking and setting out again make two peaks of a reversal, which lies between them."""
        return self.first + round(self.moment / self.weight)

    def grown(self, i: int, push: float) -> _Peak:
        """With one sample more."""
        return self._replace(weight=self.weight + push, moment=self.moment + push * (i - self.first))


class InertialState(NamedTuple):
    """Memory between blocks. Rows are those of ``pending``."""

    last: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None = None
    """Acceleration, velocity and place of the IMU at the last sample, as integrated."""
    low_pass: Memory | None = None
    pending: NDArray[np.float64] = np.zeros((0, _COLUMNS))
    """Samples since the contact or the reversal that began the movement under way, and a few before."""
    done: int = 0
    """First row that was not looked at."""
    begin: int = -1
    """Row in which that movement began; -1 in the air."""
    peaks: tuple[_Peak, ...] = ()
    """Those that set it going and that brake it or turn it round, as far as they have come."""
    displacement: DisplacementState | None = None


def inertial_step(
    params: InertialParams, model: DeviceModel, state: InertialState, samples: StrokeInput, fs_hz: float
) -> tuple[Detected, InertialState]:
    """Follow a roller without an encoder over one block.

    Parameters
    ----------
    params : InertialParams
        Tuning.
    model : DeviceModel
        Geometry.
    state : InertialState
        Memory from the block before. Begin with a new one after a gap: no stroke spans it.
    samples : StrokeInput
        n > 0 samples; the roller angle is not looked at.
    fs_hz : float
        Sample rate, Hz.

    Returns
    -------
    detected : Detected
        Strokes that were decided in this block, with NaN for length and speed. The direction is NaN too, and the
        confidence 0, for a contact whose motion was too slow to be seen. Motion is NaN for every sample: what is known
        is known at the end of a stroke.
    state : InertialState
        Memory for the next block.
    """
    rows, last, memory = _rows(params, model, state, samples, fs_hz)
    pending = np.concatenate([state.pending, rows])
    state = state._replace(last=last, low_pass=memory)
    cutter = _Cutter(params, state, pending, fs_hz)
    done = cutter.run(state.done)
    unknown = np.full(len(rows), np.nan)
    return Detected(Motion(unknown, unknown), cutter.strokes, []), cutter.left(state, done)


def _rows(
    params: InertialParams, model: DeviceModel, state: InertialState, samples: StrokeInput, fs_hz: float
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], Memory]:
    """One row per sample; the motion is that of the contact point, a lever away from the IMU."""
    rotation, rate = samples.rotation, samples.rate_rad_s
    acc = np.einsum("nij,nj->ni", rotation, samples.acc_m_s2)
    acc[:, 2] -= GRAVITY_M_S2
    velocity, place = integrate(acc, 1 / fs_hz, state.last)
    lever = model.lever_m + model.geometry.roller_radius_m * model.press
    turning = np.stack(
        [
            rate[:, 1] * lever[2] - rate[:, 2] * lever[1],
            rate[:, 2] * lever[0] - rate[:, 0] * lever[2],
            rate[:, 0] * lever[1] - rate[:, 1] * lever[0],
        ],
        axis=1,
    )
    rows = np.empty((len(acc), _COLUMNS))
    rows[:, _T] = samples.t_s
    rows[:, _VELOCITY] = velocity + np.einsum("nij,nj->ni", rotation, turning)
    rows[:, _PLACE_M] = place + np.einsum("nij,j->ni", rotation, lever)
    rows[:, _NORMAL] = np.einsum("nij,j->ni", rotation, _off_skin(params, model))
    rows[:, _UP] = samples.up
    before = state.pending[-1:, _VELOCITY] if len(state.pending) else rows[:1, _VELOCITY]
    gained = rows[:, _VELOCITY] - np.concatenate([before, rows[:-1, _VELOCITY]])
    push = np.einsum("ni,nij,j->n", gained, rotation, model.forward) * fs_hz
    rows[:, _PUSH], memory = lowpass_step(params.low_pass_hz, fs_hz, state.low_pass, push.tolist())
    rows[:, _FORCE], rows[:, _SIGMA] = samples.force_n, samples.force_sigma_n
    rows[:, _CONTACT] = [level is not Comfort.NO_CONTACT for level in samples.comfort]
    rows[:, _BAND] = [level is Comfort.COMFORTABLE for level in samples.comfort]
    rows[:, _ZONE], rows[:, _ZONE_CONFIDENCE] = samples.places, samples.place_confidence
    return rows, (acc[-1], velocity[-1], place[-1]), memory


def _off_skin(params: InertialParams, model: DeviceModel) -> NDArray[np.float64]:
    """Normal of the skin in the body frame, for a handle held as usual."""
    pitch = math.radians(params.pitch_deg)
    return math.sin(pitch) * model.forward - math.cos(pitch) * model.press


class _Cutter:
    """Divides contact at the reversals; looks the acceleration up where its filter has it, ``lag`` rows later."""

    def __init__(
        self, params: InertialParams, state: InertialState, pending: NDArray[np.float64], fs_hz: float
    ) -> None:
        self._params, self._fs_hz, self._pending = params, fs_hz, pending
        self._lag, self._braking, self._longest, self._margin = (
            round(time_s * fs_hz) for time_s in (params.delay_s, params.braking_s, params.longest_s, _MARGIN_S)
        )
        self._push = pending[:, _PUSH].tolist()
        self._begin, self._peaks, self._memory = state.begin, list(state.peaks), state.displacement
        self.strokes: list[Stroke] = []

    def run(self, done: int) -> int:
        """Look at the rows from ``done`` on; tell where it has to go on."""
        contact = self._pending[:, _CONTACT].tolist()
        last = max(len(contact) - self._lag, done)
        for i in range(done, last):
            if contact[i]:
                self._touch(i)
            elif self._begin >= 0:
                self._end(i - 1, i)
                self._begin, self._peaks = -1, []
        return last

    def left(self, state: InertialState, done: int) -> InertialState:
        """Memory for the next block, without the rows that nobody will look at again."""
        first = max((self._begin if self._begin >= 0 else done) - self._margin, 0)
        return state._replace(
            pending=self._pending[first:].copy(),
            done=done - first,
            begin=max(self._begin - first, -1),
            peaks=tuple(peak._replace(first=peak.first - first) for peak in self._peaks),
            displacement=self._memory,
        )

    def _touch(self, i: int) -> None:
        if self._begin < 0:
            self._begin = i
        now = self._push[i + self._lag]
        if abs(now) > self._params.peak_m_s2:
            if not self._peaks or self._peaks[-1].weight * now < 0:
                if len(self._peaks) == 2:  # the peak between two others turned the roller round
                    self._turn(self._peaks[1], i)
                self._peaks.append(_Peak(i, 0.0, 0.0))
            self._peaks[-1] = self._peaks[-1].grown(i, now)
        if len(self._peaks) == 2 and i - self._peaks[1].row > self._braking:
            self._turn(self._peaks[1], i)
        if i - self._begin > self._longest:
            self._end(i, i)
            self._begin, self._peaks = i, []

    def _turn(self, at: _Peak, decided: int) -> None:
        """Go on from a reversal; from before it when nothing had moved till then."""
        if self._end(at.row, decided):
            self._begin = at.row
        self._peaks = self._peaks[1:]

    def _end(self, end: int, decided: int) -> bool:
        """Sum up what lies before; tell whether it was a stroke."""
        params, rows, begin = self._params, self._pending, self._begin
        if rows[end, _T] - rows[begin, _T] < params.shortest_s:
            return False
        decided_s = float(rows[min(decided + self._lag, len(rows) - 1), _T])
        if not self._peaks:
            self.strokes.append(_stroke(rows[begin : end + 1], rows[decided], decided_s, _UNKNOWN))
            return True
        course = Course(rows[:, _T], rows[:, _VELOCITY], rows[:, _PLACE_M], 1 / self._fs_hz)
        steps, memory = displacement_step(params.displacement, self._memory, course, begin, end, rows[:, _NORMAL])
        direction, length_m = _direction(params, rows[(begin + end) // 2], displacement(steps[-1]))
        if length_m < params.shortest_m:
            return False
        duration_s = float(rows[end, _T] - rows[begin, _T])
        if length_m < params.sure_m_s * duration_s or duration_s < params.sure_s:
            direction = direction._replace(confidence=min(direction.confidence, params.doubtful))
        self._memory = memory
        self.strokes.append(_stroke(rows[begin : end + 1], rows[decided], decided_s, direction))
        return True


class _Direction(NamedTuple):
    angle_deg: float
    sigma_deg: float
    confidence: float


_UNKNOWN = _Direction(math.nan, math.nan, 0.0)


def _stroke(rows: NDArray[np.float64], last: NDArray[np.float64], decided_s: float, direction: _Direction) -> Stroke:
    """Sum up the rows of a stroke; its place is the one known at the last row."""
    place = int(last[_ZONE])
    zone, side = place_at(place)
    return Stroke(
        begin_s=float(rows[0, _T]),
        end_s=float(rows[-1, _T]),
        decided_s=decided_s,
        length_m=math.nan,
        length_sigma_m=math.nan,
        direction_deg=direction.angle_deg,
        direction_sigma_deg=direction.sigma_deg,
        confidence=direction.confidence,
        outward_deg=outward_deg(direction.angle_deg, side),
        speed_m_s=math.nan,
        speed_peak_m_s=math.nan,
        force_n=float(rows[:, _FORCE].mean()),
        force_peak_n=peak_n(rows[:, _T], rows[:, _FORCE]),
        force_sigma_n=float(rows[:, _SIGMA].mean()),
        in_band_ratio=float(rows[:, _BAND].mean()),
        zone=zone,
        side=side,
        zone_confidence=float(last[_ZONE_CONFIDENCE]),
    )


def _direction(params: InertialParams, middle: NDArray[np.float64], way: Displacement) -> tuple[_Direction, float]:
    """Angle from face-up in the tangent plane, and the length, m."""
    normal, up = _across(params, middle[_NORMAL], way), middle[_UP]
    along = up - normal * (up @ normal)
    flat = max(math.sqrt(along @ along), 0.05)
    along /= flat
    left = np.cross(along, normal)
    x, y = float(way.mean_m @ along), float(way.mean_m @ left)
    length_m = max(math.hypot(x, y), 1e-6)
    side = (x * left - y * along) / length_m
    error = math.atan2(math.sqrt(side @ way.cov_m2 @ side), length_m)
    sigma = math.hypot(math.degrees(error), params.sway_deg / flat)
    confidence = confidence_of(sigma)
    return _Direction(math.degrees(math.atan2(y, x)), sigma, confidence), length_m


def _across(params: InertialParams, normal: NDArray[np.float64], way: Displacement) -> NDArray[np.float64]:
    """Normal of the skin as expected from the handle, turned toward the one that the way itself shows.

    Motion over the skin is across its normal, so motion along the expected normal says how wrong that is.
    """
    out_m = float(way.mean_m @ normal)
    ahead = way.mean_m - normal * out_m
    ahead_m = max(math.sqrt(ahead @ ahead), 1e-6)
    expected = math.radians(params.pitch_sigma_deg) ** 2
    seen = math.radians(params.chord_sigma_deg) ** 2 + float(normal @ way.cov_m2 @ normal) / ahead_m**2
    turned = normal - ahead * (out_m / ahead_m**2 * expected / (expected + seen))
    return turned / math.sqrt(turned @ turned)
