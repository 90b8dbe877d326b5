# SPDX-License-Identifier: MIT
"""Orientation of the roller by VQF (Laidig and Seel, Information Fusion 91, 2023), six axes, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from vqf import VQF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Orientation(NamedTuple):
    """Orientation per sample."""

    rotation: NDArray[np.float64]
    """World from body, (n, 3, 3); world z is up, its heading is arbitrary and drifts."""
    rate_rad_s: NDArray[np.float64]
    """Angular rate less its bias, body frame, (n, 3)."""


def orientation_step(
    period_s: float, state: Mapping[str, Any] | None, gyro_rad_s: NDArray[np.float64], acc_m_s2: NDArray[np.float64]
) -> tuple[Orientation, Mapping[str, Any]]:
    """Run the filter over a block.

    Parameters
    ----------
    period_s : float
        Measured sample period, s.
    state : mapping or None
        The filter's whole memory, None at the beginning.
    gyro_rad_s, acc_m_s2 : ndarray, shape (n, 3)
        Calibrated samples, body frame.

    Returns
    -------
    orientation : Orientation
        One per sample.
    state : mapping
        Memory for the next block.
    """
    vqf: Any = VQF(period_s)
    if state is not None:
        vqf.state = state
    out = vqf.updateBatch(np.ascontiguousarray(gyro_rad_s), np.ascontiguousarray(acc_m_s2))
    return Orientation(matrices(out["quat6D"]), gyro_rad_s - out["bias"]), vqf.state


def restart(state: Mapping[str, Any], period_s: float) -> Mapping[str, Any]:
    """Memory with which to go on after a gap: the gyroscope bias stays known, the orientation does not."""
    vqf = VQF(period_s)
    vqf.setBiasEstimate(np.array(state["bias"]), -1.0)
    return vqf.state


def matrices(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices, (n, 3, 3), of unit quaternions, (n, 4), scalar first."""
    w, x, y, z = q.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows).transpose(2, 0, 1)
