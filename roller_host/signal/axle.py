# SPDX-License-Identifier: MIT
"""Motion of the roller's axle, from that of the IMU a lever away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel


def felt_at_axle(
    model: DeviceModel,
    rate_rad_s: NDArray[np.float64],
    acc_m_s2: NDArray[np.float64],
    fs_hz: float,
    last_rad_s: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Specific force at the roller's axle, by the rigid-body relation f + alpha x r + w x (w x r).

    The angular acceleration is the slope at the newest of three samples: that between two of them is half a period
    late, which in quick turns is worth a tenth of a newton on the load cell.

    Parameters
    ----------
    model : DeviceModel
        Says where the axle is.
    rate_rad_s : ndarray, shape (n, 3)
        Angular rate less its bias, body frame; n > 0.
    acc_m_s2 : ndarray, shape (n, 3)
        Specific force at the IMU, body frame.
    fs_hz : float
        Sample rate, Hz.
    last_rad_s : ndarray, shape (2, 3), optional
        Angular rate of the two samples before. Default: the roller turned as at the first sample.

    Returns
    -------
    ndarray, shape (n, 3)
        Body frame, m/s2.
    """
    lever = model.lever_m
    track = np.empty((len(rate_rad_s) + 2, 3))
    track[:2], track[2:] = rate_rad_s[0] if last_rad_s is None else last_rad_s, rate_rad_s
    # Three samples in a row are nine numbers in a row. Row by row, so that blocks cannot show: a product with the whole
    # block would sum in another order.
    threes = np.ndarray((len(rate_rad_s), 1, 9), np.float64, track, 0, (24, 72, 8))
    felt = np.matmul(threes, model.slope_turning)[:, 0]
    felt *= fs_hz
    felt += acc_m_s2
    # w x (w x r) = w (w . r) - r (w . w)
    felt += rate_rad_s * np.vecdot(rate_rad_s, lever)[:, np.newaxis]
    felt -= np.vecdot(rate_rad_s, rate_rad_s)[:, np.newaxis] * lever
    return felt


def last_two(rate_rad_s: NDArray[np.float64], before: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Angular rate of the last two samples of a block, for the next call of `felt_at_axle`."""
    if len(rate_rad_s) > 1:
        return rate_rad_s[-2:].copy()
    return np.stack([rate_rad_s[0] if before is None else before[1], rate_rad_s[0]])
