# SPDX-License-Identifier: MIT
"""Force on the skin: weight and inertia of the roller head removed, the zero found again in the air."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roller_host.signal.lowpass import lowpass_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel, Samples


UNKNOWN_ZERO_N = 0.5
"""Standard uncertainty of a stored zero, N: load cells move by this much between uses."""
PEAK_S = 0.05
"""A peak of the force is one that is held for this long, s."""
_I24_MAX, _I16_MAX = 2**23 - 1, 2**15 - 1
_WARMING_K = 10.0
"""The head warms by about this much on the skin, K."""


@dataclass(frozen=True)
class ForceParams:
    """Tuning of the force estimate."""

    low_pass_hz: float = 40.0
    """Cut-off of the filter that comfort and display see, Hz: all that a load cell read at 80 Hz can tell. Lowering it
    calms the number, delays every alert and flattens touch-down and lift-off."""
    head_hz: float = 25.0
    """Cut-off, first order, for the load of the head that is taken off, Hz: the same delay as the other filter, with
    less of the skin's rattling, which shakes the accelerometer more than the head."""
    pitch_deg: float = 11.5
    """Pitch of the handle against the skin for which the force is corrected, root mean square, degrees. Along its axis
    the cell reads F cos(pitch). The axle is one radius off the skin, the grip higher by the fingers around it, which
    are some 18 mm deep, on a lever of 90 mm."""
    pitch_sigma: float = 0.025
    """Share of the force that this correction leaves uncertain."""
    steady_n: float = 0.04
    """The load is steady while it stays this close to its running mean, N."""
    steady_tau_s: float = 0.5
    """Time constant of that mean, s."""
    still_rad_s: float = 0.12
    """The roller counts as still below this angular rate, rad/s."""
    still_s: float = 0.8
    """Held still under a steady load for this long, it shows its first zero, s."""
    air_s: float = 0.2
    """A later zero needs a steady load for this long, s: roller heads are in the air for 0.4 s and more."""
    zero_trust_n: float = 0.1
    """Once a zero was found, a load less than this above it may be the air, N: where contact ends."""
    zero_tau_s: float = 0.3
    """Time constant with which the zero follows, s. Down it follows freely: skin never pulls."""
    zero_rise_n_s: float = 0.002
    """but up no further than if it had drifted at this rate since it was last seen, N/s: ten times what warming by 10 K
    in minutes and creep do, a fiftieth of the slowest touch."""
    zero_seen_n: float = 0.005
    """A zero that the load comes this close to has been seen, N."""
    free_m: float = 0.001
    """A roller that turned by more than this, as travel of its surface, may be rolling on skin, m."""
    turning_rad_s: float = 0.5
    """Tremor turns the handle more slowly than this, rad/s."""
    turned_rad: float = 0.5
    """A handle that turned by this much under a steady load, and did not roll, is in the air whatever the load, rad."""
    zero_sigma_n: float = 0.008
    """Standard uncertainty of a zero just found in the air, with what is wrong about the weight of the head, N."""
    drift_n: float = 0.02
    """and of what it drifts afterwards, N, after a minute; grows with the square root of time."""
    rattle_sigma_n: float = 0.012
    """What the skin's rattling leaves in the load of the head, standard deviation, N."""
    sensitivity_sigma: float = 0.007
    """Relative uncertainty of a sensitivity found with weights, and of creep."""
    nominal_sigma: float = 0.05
    """The same for one that is only nominal."""


class Air(NamedTuple):
    """Stretch of steady load under way."""

    begin_s: float = math.inf
    n_samples: int = 0
    mean_n: float = math.nan
    """Running mean of the load; NaN ends the stretch with the next sample."""
    roll_m: float = math.nan
    """Where the roller last was when it moved, as travel of its surface; NaN without an encoder."""
    rolled_s: float = math.inf
    """When that was."""
    turned_rad: float = 0.0
    """How far the handle has turned since, but for tremor."""
    still_since_s: float = math.inf


class ForceState(NamedTuple):
    """Memory between blocks."""

    cell_zi: NDArray[np.float64] | None = None
    head_zi: NDArray[np.float64] | None = None
    """Of the two filters."""
    last_m_s: tuple[float, float] | None = None
    """See `felt_at_head`."""
    zero_n: float = 0.0
    zero_s: float = math.nan
    """When the air last showed the zero; NaN before it did."""
    highest_n: float = 0.0
    """How far the zero may have drifted up by now, N."""
    air: Air = Air()


class Force(NamedTuple):
    """Force per sample."""

    raw_n: NDArray[np.float64]
    """Without weight, inertia and zero, corrected for the pitch, the cell's reading unfiltered, N."""
    force_n: NDArray[np.float64]
    """The same with that low-passed, N."""
    sigma_n: NDArray[np.float64]
    """Standard uncertainty of ``force_n``, N."""
    zero_found: NDArray[np.bool_]
    """The zero was found in the air; before that it is the stored one."""
    overload: NDArray[np.bool_]
    """The load cell is at the upper end of its range: the force is at least this."""
    saturated: NDArray[np.bool_]
    """Something clipped, cell or IMU: the force may be far off."""


def after_gap(state: ForceState) -> ForceState:
    """Memory with which to go on after missing samples: the zero stays known."""
    return ForceState(zero_n=state.zero_n, zero_s=state.zero_s, highest_n=state.highest_n)


def pitch_gain(params: ForceParams) -> float:
    """Force on the skin over that along the cell's axis, for the usual pitch of the handle."""
    return 1.0 / math.cos(math.radians(params.pitch_deg))


def force_axis(model: DeviceModel) -> tuple[float, float, float]:
    """Unit vector of the load cell's axis, body frame: as the calibration says, else the press direction."""
    record = model.calibration
    axis = record.axis_x, record.axis_y, record.axis_z
    norm = math.hypot(*axis)
    if not norm:
        axis = model.geometry.press_x, model.geometry.press_y, model.geometry.press_z
        norm = math.hypot(*axis) or 1.0
    return axis[0] / norm, axis[1] / norm, axis[2] / norm


def felt_at_head(
    model: DeviceModel,
    samples: Samples,
    rate_rad_s: NDArray[np.float64],
    axis: tuple[float, float, float],
    fs_hz: float,
    last_m_s: tuple[float, float] | None = None,
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Component along an axis of the specific force at the roller's axle.

    It follows from that at the IMU by the rigid-body relation f + alpha x r + w x (w x r). The angular acceleration is
    the slope at the newest of three samples: that between two of them is half a period late, which in quick turns is
    worth a tenth of a newton.

    Parameters
    ----------
    model : DeviceModel
        Says where the axle is.
    samples : Samples
        n > 0 samples.
    rate_rad_s : ndarray, shape (n, 3)
        Angular rate less its bias.
    axis : (float, float, float)
        Unit vector, body frame.
    fs_hz : float
        Sample rate, Hz.
    last_m_s : (float, float), optional
        What came back from the block before. Default: the roller turned as at the first sample.

    Returns
    -------
    felt_m_s2 : ndarray, shape (n,)
    last_m_s : (float, float)
        Speed of the axle about the IMU along the axis, at the last two samples.
    """
    (px, py, pz), (rx, ry, rz) = axis, model.lever_m.tolist()
    # axis . (alpha x r) is the change of w . (r x axis), and w x (w x r) = w (w . r) - r (w . w).
    across = ry * pz - rz * py, rz * px - rx * pz, rx * py - ry * px
    # einsum gives the same bits however the rows are divided into blocks.
    speed_m_s, along, outward = np.einsum("ij,kj->ki", rate_rad_s, np.array([across, axis, (rx, ry, rz)]))
    track = np.concatenate([last_m_s or (speed_m_s[0], speed_m_s[0]), speed_m_s])
    felt = (1.5 * track[2:] - 2.0 * track[1:-1] + 0.5 * track[:-2]) * fs_hz
    felt += np.einsum("ij,j->i", samples.acc_m_s2, np.array(axis))
    felt += along * outward
    felt -= np.einsum("ij,ij->i", rate_rad_s, rate_rad_s) * (rx * px + ry * py + rz * pz)
    return felt, (track.item(-2), track.item(-1))


def force_step(
    params: ForceParams,
    model: DeviceModel,
    state: ForceState,
    samples: Samples,
    rate_rad_s: NDArray[np.float64],
    fs_hz: float,
) -> tuple[Force, ForceState]:
    """Estimate the applied force of each sample.

    Parameters
    ----------
    params : ForceParams
        Tuning.
    model : DeviceModel
        Calibration and geometry.
    state : ForceState
        Memory from the block before.
    samples : Samples
        Calibrated samples, n > 0.
    rate_rad_s : ndarray, shape (n, 3)
        Angular rate less its bias.
    fs_hz : float
        Measured sample rate, Hz.

    Returns
    -------
    force : Force
    state : ForceState
        Memory for the next block.

    Notes
    -----
    Of what a load cell does over minutes (creep, drift with temperature and time) nothing is modelled: it moves the
    zero by less than 1 mN/s, and the zero is seen every few seconds. A temperature coefficient of the sensitivity that
    the calibration states only widens the uncertainty; one of the zero is in no record.
    """
    felt, last_m_s = felt_at_head(model, samples, rate_rad_s, force_axis(model), fs_hz, state.last_m_s)
    head_n = felt * (model.calibration.head_mass_kg or model.geometry.head_mass_kg)
    head_n, head_zi = lowpass_step(params.head_hz, fs_hz, state.head_zi, head_n, order=1)
    cell_n, cell_zi = lowpass_step(params.low_pass_hz, fs_hz, state.cell_zi, samples.cell_n)
    load_n = cell_n - head_n
    overload, saturated = saturation(model, samples)
    spin = np.sqrt(np.einsum("ij,ij->i", rate_rad_s, rate_rad_s))
    rolled_m = samples.roll_rad * model.geometry.roller_radius_m
    state = state._replace(cell_zi=cell_zi, head_zi=head_zi, last_m_s=last_m_s)
    columns = (samples.t_s, load_n, spin, rolled_m, saturated)
    (zeros, seen), state = _follow_zero(params, state, columns, fs_hz)
    gain = pitch_gain(params)
    zero_n, zero_s = np.array(zeros), np.array(seen)
    raw_n, force_n = (samples.cell_n - head_n - zero_n) * gain, (load_n - zero_n) * gain
    zero_found = np.isfinite(zero_s)
    zero_sigma2 = params.zero_sigma_n**2 + params.drift_n**2 / 60.0 * (samples.t_s - zero_s)
    zero_sigma2[~zero_found] = UNKNOWN_ZERO_N**2
    sigma_n = _sigma(params, model, raw_n, force_n, zero_sigma2)
    sigma_n[saturated] = _range_n(model)
    return Force(raw_n, force_n, sigma_n, zero_found, overload, saturated), state


def peak_n(t_s: NDArray[np.float64], force_n: NDArray[np.float64]) -> float:
    """Largest force that was held: the largest mean over `PEAK_S`, N.

    The largest of many samples is too high by what rattles in them, for light forces by a tenth.

    Parameters
    ----------
    t_s, force_n : ndarray, shape (n,)
        Samples in a row, n >= 1.
    """
    n = len(t_s)
    step_s = float(t_s[-1] - t_s[0]) / max(n - 1, 1)
    n_held = min(max(round(PEAK_S / step_s), 1), n) if step_s > 0 else 1
    return float(np.convolve(force_n, np.full(n_held, 1.0 / n_held), "valid").max())


def _range_n(model: DeviceModel) -> float:
    """Load at which cell or converter clips, N."""
    record = model.calibration
    rail_n = (_I24_MAX - abs(record.zero_counts)) * abs(record.n_per_count)
    return min(record.max_force_n, rail_n) if record.max_force_n > 0 else rail_n


def saturation(model: DeviceModel, samples: Samples) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the cell is at its upper end, and whether anything clipped, per sample.

    Parameters
    ----------
    model : DeviceModel
        Says where cell and converters end.
    samples : Samples
        n > 0 samples.
    """
    range_n = _range_n(model)
    overload = samples.cell_n >= range_n
    saturated = overload | (samples.cell_n <= -range_n)
    for values, scale in (
        (samples.acc_m_s2, model.acc_m_s2_per_count),
        (samples.gyro_rad_s, model.gyro_rad_s_per_count),
    ):
        most = (_I16_MAX - 0.5) * scale
        if values.max() > most or values.min() < -most:
            saturated |= (np.abs(values) > most).any(axis=1)
    return overload, saturated


def _follow_zero(
    params: ForceParams, state: ForceState, columns: tuple[NDArray[np.float64] | NDArray[np.bool_], ...], fs_hz: float
) -> tuple[tuple[list[float], list[float]], ForceState]:
    """Zero, and when it was last seen, per sample."""
    zero_n, zero_s, highest_n, found = state.zero_n, state.zero_s, state.highest_n, not math.isnan(state.zero_s)
    begin_s, n, mean_n, roll_m, rolled_s, turned, still_s = state.air
    dt_s = 1.0 / fs_hz
    n_most = max(params.steady_tau_s * fs_hz, 1.0)
    follow, rise_n = min(dt_s / params.zero_tau_s, 1.0), params.zero_rise_n_s * dt_s
    zeros: list[float] = []
    seen: list[float] = []
    for t, load, rate, rolled, clipped in zip(*(column.tolist() for column in columns), strict=True):
        if clipped:
            begin_s, n, mean_n, roll_m, rolled_s, turned, still_s = Air()
        elif abs(load - mean_n) < params.steady_n:
            n += 1
            mean_n += (load - mean_n) / min(n, n_most)
            if abs(rolled - roll_m) > params.free_m:
                roll_m, rolled_s, turned = rolled, t, 0.0
            elif rate > params.turning_rad_s:
                turned += rate * dt_s
        else:
            begin_s, n, mean_n, roll_m, rolled_s, turned, still_s = t, 1, load, rolled, t, 0.0, math.inf
        still_s = min(still_s, t) if rate < params.still_rad_s else math.inf
        held = t - still_s >= params.still_s
        above_n = mean_n - zero_n
        highest_n += rise_n
        free = t - rolled_s >= params.air_s
        if (held and not found) or (free and turned > params.turned_rad and not math.isnan(rolled)):
            zero_n, zero_s, highest_n, turned, found = mean_n, t, mean_n, 0.0, True
        elif found and above_n < params.zero_trust_n and (free or (above_n < 0 and t - begin_s >= params.air_s)):
            # Turning tells nothing new here, and must not vouch for a touch that begins slowly later on.
            zero_n, zero_s, turned = min(zero_n + follow * above_n, highest_n), t, 0.0
            if above_n < params.zero_seen_n:
                highest_n = zero_n
        zeros.append(zero_n)
        seen.append(zero_s)
    air = Air(begin_s, n, mean_n, roll_m, rolled_s, turned, still_s)
    return (zeros, seen), state._replace(zero_n=zero_n, zero_s=zero_s, highest_n=highest_n, air=air)


def _sigma(
    params: ForceParams,
    model: DeviceModel,
    raw_n: NDArray[np.float64],
    force_n: NDArray[np.float64],
    zero_sigma2: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Add to the variance of the zero sensitivity, pitch of the handle, and what the low-pass has not followed yet."""
    record = model.calibration
    sensitivity = params.sensitivity_sigma if record.flags & 1 else params.nominal_sigma
    warming = record.tempco_ppm_k * 1e-6 * _WARMING_K
    share = sensitivity**2 + warming**2 + params.pitch_sigma**2
    rattle = (force_n > params.zero_trust_n) * params.rattle_sigma_n**2
    lag_n = raw_n - force_n
    return np.sqrt(zero_sigma2 + rattle + lag_n * lag_n + share * (force_n * force_n))
