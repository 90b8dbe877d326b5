# SPDX-License-Identifier: MIT
"""Force on the skin: weight and inertia of the roller head removed, the zero found again in the air."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roller_host.signal.lowpass import lowpass_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel, Samples


UNKNOWN_ZERO_N = 0.5
"""Standard uncertainty of a stored zero, N: load cells move by this much between uses."""


@dataclass(frozen=True)
class ForceParams:
    """Tuning of the force estimate."""

    low_pass_hz: float = 20.0
    """Cut-off of the filter that comfort and display see, Hz. Lowering it calms the number and delays every alert."""
    still_rad_s: float = 0.12
    """The roller counts as still below this angular rate, rad/s."""
    still_spread_n: float = 0.08
    """and while the cell moves less than this around its recent mean, N."""
    still_s: float = 0.8
    """for this long, s."""
    zero_trust_n: float = 0.1
    """Once a zero was found, only loads less than this above it are taken for the air, N: where contact ends. Any load
    below it is, because skin never pulls."""
    zero_tau_s: float = 1.0
    """Time constant with which the zero follows, s."""
    zero_sigma_n: float = 0.03
    """Standard uncertainty of a zero found in the air, N; covers creep between two looks at it."""
    sensitivity_sigma: float = 0.01
    """Relative uncertainty of a sensitivity found with weights."""
    nominal_sigma: float = 0.05
    """The same for one that is only nominal."""
    pitch_sigma: float = 0.03
    """Share of the force that the cell misses when the handle pitches: 1 - cos(14 degrees)."""


class ForceState(NamedTuple):
    """Memory between blocks."""

    filter_zi: NDArray[np.float64] | None = None
    last_rate: NDArray[np.float64] | None = None
    """Angular rate of the last sample, rad/s, (3,)."""
    zero_n: float = 0.0
    zero_found: bool = False
    still_since_s: float | None = None
    recent_n: float = 0.0
    """Running mean of the load while still, N."""


class Force(NamedTuple):
    """Force per sample."""

    raw_n: NDArray[np.float64]
    """Without weight, inertia and zero, unfiltered, N."""
    force_n: NDArray[np.float64]
    """The same, low-passed, N."""
    sigma_n: NDArray[np.float64]
    """Standard uncertainty of ``force_n``, N."""
    zero_found: NDArray[np.bool_]
    """The zero was found in the air; before that it is the stored one."""
    still: NDArray[np.bool_]
    """The roller has been held still, and its load steady, for as long as finding a zero takes."""


def head_load(
    model: DeviceModel, samples: Samples, rate_rad_s: NDArray[np.float64], last_rate: NDArray[np.float64], fs_hz: float
) -> NDArray[np.float64]:
    """Load that weight and inertia of the roller head put on the cell, N, (n,).

    The specific force at the head follows from that at the IMU by the rigid-body relation f + alpha x r + w x (w x r).
    """
    previous = np.vstack([last_rate[np.newaxis], rate_rad_s[:-1]])
    alpha = (rate_rad_s - previous) * fs_hz
    press, lever = model.press, model.lever_m
    # press . (alpha x r) = alpha . (r x press), and w x (w x r) = w (w . r) - r (w . w).
    turning = np.einsum("ij,j->i", alpha, np.cross(lever, press))
    along = np.einsum("ij,j->i", rate_rad_s, press) * np.einsum("ij,j->i", rate_rad_s, lever)
    across = np.einsum("ij,ij->i", rate_rad_s, rate_rad_s) * np.einsum("j,j->", lever, press)
    felt = np.einsum("ij,j->i", samples.acc_m_s2, press) + turning + along - across
    return model.calibration.head_mass_kg * felt


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
    """
    last_rate = rate_rad_s[0] if state.last_rate is None else state.last_rate
    load_n = samples.cell_n - head_load(model, samples, rate_rad_s, last_rate, fs_hz)
    smooth, zi = lowpass_step(params.low_pass_hz, fs_hz, state.filter_zi, load_n[:, np.newaxis])
    smooth_n = smooth[:, 0]
    state = state._replace(filter_zi=zi, last_rate=rate_rad_s[-1])
    spin = np.sqrt(np.einsum("ij,ij->i", rate_rad_s, rate_rad_s))
    rows, state = _follow_zero(params, state, samples.t_s.tolist(), smooth_n.tolist(), spin.tolist(), fs_hz)
    zeros, found, still = zip(*rows, strict=True)
    zero_n = np.array(zeros)
    force_n = smooth_n - zero_n
    zero_found = np.array(found)
    raw_n = load_n - zero_n
    return Force(
        raw_n, force_n, _sigma(params, model, (raw_n, force_n), zero_found), zero_found, np.array(still)
    ), state


def _follow_zero(
    params: ForceParams, state: ForceState, t_s: list[float], load_n: list[float], spin: list[float], fs_hz: float
) -> tuple[list[tuple[float, bool, bool]], ForceState]:
    """Zero, whether it was found, and whether the roller is held still, per sample."""
    _, _, zero_n, found, since_s, recent_n = state
    share = 1.0 / (params.zero_tau_s * fs_hz)
    rows: list[tuple[float, bool, bool]] = []
    for t, load, rate in zip(t_s, load_n, spin, strict=True):
        near = since_s is None or abs(load - recent_n) < params.still_spread_n
        light = not found or load - zero_n < params.zero_trust_n
        if rate < params.still_rad_s and near and light:
            since_s, recent_n = (t, load) if since_s is None else (since_s, recent_n + 0.1 * (load - recent_n))
            still = t - since_s >= params.still_s
            if still:
                zero_n = zero_n + share * (load - zero_n) if found else recent_n
                found = True
        else:
            since_s, still = None, False
        rows.append((zero_n, found, still))
    return rows, state._replace(zero_n=zero_n, zero_found=found, still_since_s=since_s, recent_n=recent_n)


def _sigma(
    params: ForceParams,
    model: DeviceModel,
    forces_n: tuple[NDArray[np.float64], NDArray[np.float64]],
    zero_found: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Add up the known errors: zero, sensitivity, pitch of the handle, and what the low-pass has not followed yet."""
    raw_n, force_n = forces_n
    zero_n = np.where(zero_found, params.zero_sigma_n, UNKNOWN_ZERO_N)
    sensitivity = params.sensitivity_sigma if model.calibration.flags & 1 else params.nominal_sigma
    lag_n = raw_n - force_n
    return np.sqrt(zero_n**2 + lag_n**2 + (sensitivity**2 + params.pitch_sigma**2) * force_n**2)
