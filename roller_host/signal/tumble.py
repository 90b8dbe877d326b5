# SPDX-License-Identifier: MIT
"""Head mass, force axis and zero of the load cell, from a roller that is turned about in the air.

Without contact the cell carries nothing but the roller head: load = zero + (mass * axis) . f, with f the specific force
at the head. This is linear, and solved by least squares: the usual way to find what a robot's wrist carries (An,
Atkeson and Hollerbach, Model-Based Control of a Robot Manipulator, 1988, chapter 4). The axis is found in the frame of
the IMU, so that an IMU mounted askew does no harm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roller_host.signal.axle import felt_at_axle
from roller_host.signal.force import saturation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from firmware_protocol import codec
    from roller_host.signal.calibration import DeviceModel, Samples

TUMBLED = 2
"""Bit of the flags of CALIBRATION: head mass and force axis were identified by a tumble."""
_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class TumbleParams:
    """What a tumble has to be like."""

    shortest_s: float = 10.0
    """Least duration, s."""
    bin_s: float = 0.1
    """Samples are averaged over this time, s: what is left of noise and delays is nearly independent then."""
    spread_m_s2: float = 3.0
    """Least standard deviation of the specific force in every direction, m/s2; turning every side down once gives about
    5. Raising it asks for a more thorough tumble."""
    residual_n: float = 0.03
    """Largest standard deviation of what the fit leaves, N: more, and something touched the roller."""
    scale_sigma: float = 0.006
    """Relative standard uncertainty of load cell and accelerometer together, which the fit cannot see."""
    acc_sigma_m_s2: float = 0.05
    """The same of the accelerometer's zero."""
    tilt_sigma_deg: float = 0.15
    """The same of the angles between its axes."""
    mass_kg: tuple[float, float] = (0.005, 0.3)
    """Head masses that can be."""


class TumbleError(ValueError):
    """A tumble that tells too little; the message says what to do about it."""


class Tumble(NamedTuple):
    """What a tumble found. Uncertainties are standard uncertainties."""

    head_mass_kg: float
    head_mass_sigma_kg: float
    axis: tuple[float, float, float]
    """Force axis, unit vector, body frame as the IMU sees it: pressing the roller in this direction reads positive."""
    axis_sigma_deg: float
    zero_n: float
    """Load that the record's zero and sensitivity show without any, N."""
    zero_sigma_n: float
    residual_n: float
    """Standard deviation of what the fit leaves, N."""
    spread_m_s2: float
    """Standard deviation of the specific force in the direction in which it was smallest, m/s2."""


def identify(
    params: TumbleParams, model: DeviceModel, samples: Samples, rate_rad_s: NDArray[np.float64], fs_hz: float
) -> Tumble:
    """Find head mass, force axis and zero.

    Parameters
    ----------
    params : TumbleParams
        What is asked of the tumble.
    model : DeviceModel
        Its sensitivity and zero were used for ``samples``; says where the axle is.
    samples : Samples
        The whole tumble, n samples, nothing touching the roller; slow turns through all positions for some 20 s.
    rate_rad_s : ndarray, shape (n, 3)
        Angular rate less its bias.
    fs_hz : float
        Sample rate, Hz.

    Raises
    ------
    TumbleError
        When it was too short, clipped, left a direction out or was touched, or finds a mass that no head has.
    """
    n_bin = max(round(params.bin_s * fs_hz), 1)
    n_bins = len(samples.t_s) // n_bin
    if n_bins * n_bin < params.shortest_s * fs_hz:
        raise TumbleError(f"too short: turn the roller about in the air for {params.shortest_s:g} s or more")
    if saturation(model, samples)[1].any():
        raise TumbleError("a sensor clipped: turn the roller more slowly, and touch nothing with it")
    felt = _binned(felt_at_axle(model, rate_rad_s, samples.acc_m_s2, fs_hz), n_bins, n_bin)
    spread_m_s2, weakest = _spread(felt)
    if spread_m_s2 < params.spread_m_s2:
        raise TumbleError(
            f"turned too little: gravity along {weakest} hardly changed; turn every side of the roller down once"
        )
    return _fit(params, felt, _binned(samples.cell_n, n_bins, n_bin), spread_m_s2)


def calibrated(record: codec.Calibration, tumble: Tumble) -> codec.Calibration:
    """Calibration record with what a tumble found.

    Parameters
    ----------
    record : Calibration
        The one that was in use.
    tumble : Tumble
        What was found with it.

    Returns
    -------
    Calibration
        Its ``crc16`` is that of ``record``: encoding sets it.
    """
    axis_x, axis_y, axis_z = tumble.axis
    return record._replace(
        flags=record.flags | TUMBLED,
        zero_counts=record.zero_counts + round(tumble.zero_n / record.n_per_count),
        head_mass_kg=tumble.head_mass_kg,
        axis_x=axis_x,
        axis_y=axis_y,
        axis_z=axis_z,
    )


def _binned(values: NDArray[np.float64], n_bins: int, n_bin: int) -> NDArray[np.float64]:
    """Means of the first axis."""
    return values[: n_bins * n_bin].reshape(n_bins, n_bin, *values.shape[1:]).mean(axis=1)


def _spread(felt: NDArray[np.float64]) -> tuple[float, str]:
    """Standard deviation in the direction in which it is smallest, and that direction in words."""
    variances, directions = np.linalg.eigh(np.cov(felt.T))
    body_axis = "xyz"[int(np.argmax(np.abs(directions[:, 0])))]
    return float(np.sqrt(max(variances[0], 0.0))), f"the body's {body_axis} axis"


def _fit(params: TumbleParams, felt: NDArray[np.float64], load_n: NDArray[np.float64], spread_m_s2: float) -> Tumble:
    """Solve for zero and mass times axis."""
    matrix = np.column_stack([np.ones(len(felt)), felt])
    found = np.linalg.lstsq(matrix, load_n, rcond=None)[0]
    left = load_n - matrix @ found
    residual_n = float(np.sqrt(np.sum(left**2) / (len(left) - 4)))
    if residual_n > params.residual_n:
        raise TumbleError(f"the load does not follow gravity (to {residual_n:.3f} N): let nothing touch the roller")
    mass_kg = float(np.linalg.norm(found[1:]))
    least_kg, most_kg = params.mass_kg
    if not least_kg <= mass_kg <= most_kg:
        raise TumbleError(f"found a head of {1000 * mass_kg:.0f} g: the sensitivity of the load cell cannot be right")
    covariance = np.linalg.inv(matrix.T @ matrix) * residual_n**2
    axis = found[1:] / mass_kg
    along = float(axis @ covariance[1:, 1:] @ axis)
    across = (float(np.trace(covariance[1:, 1:])) - along) / 2
    return Tumble(
        mass_kg,
        math.sqrt(along + (params.scale_sigma * mass_kg) ** 2),
        (float(axis[0]), float(axis[1]), float(axis[2])),
        math.hypot(math.degrees(math.sqrt(across) / mass_kg), params.tilt_sigma_deg),
        float(found[0]),
        math.sqrt(float(covariance[0, 0]) + (mass_kg * params.acc_sigma_m_s2) ** 2),
        residual_n,
        spread_m_s2,
    )
