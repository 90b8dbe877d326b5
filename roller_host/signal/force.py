# SPDX-License-Identifier: MIT
"""Force on the skin: weight and inertia of the roller head removed, the zero found again in the air."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roller_host.signal.axle import felt_at_axle, last_two
from roller_host.signal.lowpass import Memory, lowpass_step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel, Samples


UNKNOWN_ZERO_N = 0.5
"""Standard uncertainty of a stored zero, N: load cells move by this much between uses."""
PEAK_S = 0.05
"""A peak of the force is one that is held for this long, s."""
_I16_MAX = 2**15 - 1
_YEAR_S = 365.25 * 86400
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
    sensitivity_sigma: float = 0.006
    """Relative uncertainty of a sensitivity found with weights: of the weights, of creep and hysteresis."""
    ageing_sigma: float = 0.003
    """The same of what it changes in a year, ours; a calibration without a date counts as one year old."""
    nominal_sigma: float = 0.1
    """The same of a sensitivity that is only nominal: cells and amplifiers differ by up to a fifth."""


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


class Zero(NamedTuple):
    """Load of a roller that touches nothing, but for the head's weight."""

    n: float = 0.0
    s: float = math.nan
    """When the air last showed it; NaN before it did."""
    highest_n: float = 0.0
    """How far it may have drifted up by now, N."""
    air: Air = Air()


class ForceState(NamedTuple):
    """Memory between blocks."""

    cell: Memory | None = None
    head: Memory | None = None
    """Of the two filters."""
    last_rad_s: NDArray[np.float64] | None = None
    """Angular rate of the last two samples, (2, 3)."""
    zero: Zero = Zero()


class Force(NamedTuple):
    """Force per sample."""

    raw_n: NDArray[np.float64]
    """Without weight, inertia and zero, corrected for the pitch, the cell's reading unfiltered, N."""
    force_n: NDArray[np.float64]
    """The same with that low-passed, N."""
    sigma_n: NDArray[np.float64]
    """Standard uncertainty of ``force_n``, N."""
    sure_n: NDArray[np.float64]
    """Least force that is surely there, N: less than ``force_n`` until the zero is known."""
    zero_found: NDArray[np.bool_]
    """The zero was found in the air; before that it is the stored one."""
    overload: NDArray[np.bool_]
    """The load cell is at the upper end of its range: the force is at least this."""
    saturated: NDArray[np.bool_]
    """Something clipped, cell or IMU: the force may be far off."""
    felt_m_s2: NDArray[np.float64]
    """Specific force at the roller's axle, body frame, (n, 3)."""


def after_gap(state: ForceState) -> ForceState:
    """Memory with which to go on after missing samples: the zero stays known."""
    return ForceState(zero=state.zero._replace(air=Air()))


def pitch_gain(params: ForceParams) -> float:
    """Force on the skin over that along the cell's axis, for the usual pitch of the handle."""
    return 1.0 / math.cos(math.radians(params.pitch_deg))


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
    felt = felt_at_axle(model, rate_rad_s, samples.acc_m_s2, fs_hz, state.last_rad_s)
    overload, saturated = saturation(model, samples)
    cell_n, t_s, clipped = samples.cell_n.tolist(), samples.t_s.tolist(), saturated.tolist()
    head_n = (np.vecdot(felt, model.force_axis) * model.head_mass_kg).tolist()
    head_n, head = lowpass_step(params.head_hz, fs_hz, state.head, head_n, order=1)
    slow_n, cell = lowpass_step(params.low_pass_hz, fs_hz, state.cell, cell_n)
    load_n = list(map(operator.sub, slow_n, head_n))
    spin2 = np.vecdot(rate_rad_s, rate_rad_s).tolist()
    rolled_m = (samples.roll_rad * model.geometry.roller_radius_m).tolist()
    followed = zip(t_s, load_n, spin2, rolled_m, clipped, strict=True)
    zeros_n, seen_s, zero = _follow_zero(params, state.zero, followed, fs_hz)
    zero_n, zero_s = np.array(zeros_n), np.array(seen_s)
    gain = pitch_gain(params)
    raw_n = (samples.cell_n - np.array(head_n) - zero_n) * gain
    force_n = (np.array(load_n) - zero_n) * gain
    variance = _variance(params, model, samples.t_s - zero_s, force_n, raw_n - force_n)
    zero_found, sure_n = zero_s == zero_s, force_n  # noqa: PLR0124 - NaN
    if math.isnan(seen_s[0]):
        variance[~zero_found] += UNKNOWN_ZERO_N**2
        sure_n = np.where(zero_found, force_n, force_n - 2 * UNKNOWN_ZERO_N)
    sigma_n = np.sqrt(variance)
    if True in clipped:
        sigma_n[saturated] = model.range_n
    return Force(raw_n, force_n, sigma_n, sure_n, zero_found, overload, saturated, felt), ForceState(
        cell, head, last_two(rate_rad_s, state.last_rad_s), zero
    )


def sensitivity_sigma(params: ForceParams, model: DeviceModel) -> float:
    """Relative standard uncertainty of the sensitivity: weights and creep, residuals of the calibration, and its age.

    The largest residual bounds an even distribution, so that its standard uncertainty is that over the root of 3
    (JCGM 100:2008, 4.3.7); as a share it is taken of half of the range. Independent shares add up squared (5.1.2).

    Parameters
    ----------
    params : ForceParams
        Tuning.
    model : DeviceModel
        Its calibration, and the date of the session.
    """
    record = model.calibration
    if not model.calibrated:
        return params.nominal_sigma
    residuals = record.max_error_n / math.sqrt(3.0) / (0.5 * model.range_n)
    dated = record.unix_date_s and model.session_s
    years = max(model.session_s - record.unix_date_s, 0) / _YEAR_S if dated else 1.0
    return math.hypot(params.sensitivity_sigma, residuals, params.ageing_sigma * years)


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


def saturation(model: DeviceModel, samples: Samples) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the cell is at its upper end, and whether anything clipped, per sample.

    Parameters
    ----------
    model : DeviceModel
        Says where cell and converters end.
    samples : Samples
        n > 0 samples.
    """
    range_n = model.range_n
    overload, saturated = samples.cell_n >= range_n, np.abs(samples.cell_n) >= range_n
    for values, scale in (
        (samples.acc_m_s2, model.acc_m_s2_per_count),
        (samples.gyro_rad_s, model.gyro_rad_s_per_count),
    ):
        size, most = np.abs(values), (_I16_MAX - 0.5) * scale
        if size.max() > most:
            saturated |= (size > most).any(axis=1)
    return overload, saturated


def _follow_zero(
    params: ForceParams, zero: Zero, samples: Iterable[tuple[float, float, float, float, bool]], fs_hz: float
) -> tuple[list[float], list[float], Zero]:
    """Zero, and when it was last seen, per sample: of time, load, squared angular rate, rolled way, saturation."""
    zero_n, zero_s, highest_n, air = zero
    found = not math.isnan(zero_s)
    begin_s, n, mean_n, roll_m, rolled_s, turned, still_s = air
    dt_s, inf = 1.0 / fs_hz, math.inf
    n_most = max(params.steady_tau_s * fs_hz, 1.0)
    follow, rise_n = min(dt_s / params.zero_tau_s, 1.0), params.zero_rise_n_s * dt_s
    turning2, still2 = params.turning_rad_s**2, params.still_rad_s**2
    # Looked up once: this is done for every sample there is.
    steady_n, free_m, still_for_s, air_s = params.steady_n, params.free_m, params.still_s, params.air_s
    trust_n, turned_rad, seen_n = params.zero_trust_n, params.turned_rad, params.zero_seen_n
    zeros_n: list[float] = []
    seen_s: list[float] = []
    for t, load, spin2, rolled, clipped in samples:
        if clipped:
            begin_s, n, mean_n, roll_m, rolled_s, turned, still_s = Air()
        elif abs(load - mean_n) < steady_n:
            n += 1
            mean_n += (load - mean_n) / (n if n < n_most else n_most)  # noqa: FURB136 - a call takes far longer
            if abs(rolled - roll_m) > free_m:
                roll_m, rolled_s, turned = rolled, t, 0.0
            elif spin2 > turning2:
                turned += math.sqrt(spin2) * dt_s
        else:
            begin_s, n, mean_n, roll_m, rolled_s, turned, still_s = t, 1, load, rolled, t, 0.0, inf
        still_s = inf if spin2 >= still2 else t if still_s == inf else still_s
        held = t - still_s >= still_for_s
        above_n = mean_n - zero_n
        highest_n += rise_n
        free = t - rolled_s >= air_s
        if (held and not found) or (free and turned > turned_rad and not math.isnan(rolled)):
            zero_n, zero_s, highest_n, turned, found = mean_n, t, mean_n, 0.0, True
        elif found and above_n < trust_n and (free or (above_n < 0 and t - begin_s >= air_s)):
            # Turning tells nothing new here, and must not vouch for a touch that begins slowly later on.
            zero_n, zero_s, turned = min(zero_n + follow * above_n, highest_n), t, 0.0
            if above_n < seen_n:
                highest_n = zero_n
        zeros_n.append(zero_n)
        seen_s.append(zero_s)
    air = Air(begin_s, n, mean_n, roll_m, rolled_s, turned, still_s)
    return zeros_n, seen_s, Zero(zero_n, zero_s, highest_n, air)


def _variance(
    params: ForceParams,
    model: DeviceModel,
    since_s: NDArray[np.float64],
    force_n: NDArray[np.float64],
    lag_n: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Squared standard uncertainty of the force, but for that of a zero not found yet, N2, (n,).

    The variance of the zero, ``since_s`` ago (NaN before it was found) seen, and sensitivity, pitch of the handle, and
    ``lag_n``, what the low-pass has not followed yet.
    """
    warming = model.calibration.tempco_ppm_k * 1e-6 * _WARMING_K
    share = sensitivity_sigma(params, model) ** 2 + warming**2 + params.pitch_sigma**2
    variance = params.zero_sigma_n**2 + (params.drift_n**2 / 60.0) * since_s
    if math.isnan(since_s.item(0)):
        np.copyto(variance, 0.0, where=np.isnan(since_s))
    variance += params.rattle_sigma_n**2 * (force_n > params.zero_trust_n)
    variance += lag_n * lag_n + share * (force_n * force_n)
    return variance
