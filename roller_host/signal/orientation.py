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


_BIAS_REST_DEG_S = 0.07
"""Standard deviation of a bias found at rest. The filter's own 0.03 is for a device that lies on a table: one held
before a breathing, swaying head turns with it, and the heading would drift by that."""
_BIAS_MOTION_DEG_S = 0.05
"""The same found in motion; the filter's own is 0.1. Lowering it averages over more of the strokes' changing poses, and
follows a changing bias later."""


def _filter(period_s: float) -> Any:
    return VQF(period_s, biasSigmaRest=_BIAS_REST_DEG_S, biasSigmaMotion=_BIAS_MOTION_DEG_S)


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
    vqf: Any = _filter(period_s)
    if state is not None:
        vqf.state = state
    out = vqf.updateBatch(np.ascontiguousarray(gyro_rad_s), np.ascontiguousarray(acc_m_s2))
    return Orientation(matrices(out["quat6D"]), gyro_rad_s - out["bias"]), vqf.state


def restart(state: Mapping[str, Any], period_s: float) -> Mapping[str, Any]:
    """Memory with which to go on after a gap: the gyroscope bias stays known, the orientation does not."""
    vqf = _filter(period_s)
    vqf.setBiasEstimate(np.array(state["bias"]), -1.0)
    return vqf.state


# Each element of the matrix is a sum of two products of quaternion elements (w, x, y, z), the second doubled; 1 more on
# the diagonal. As tables, all of them take a handful of calls.
_LEFT = [2, 1, 1, 1, 1, 2, 1, 2, 1, 3, 0, 0, 0, 3, 0, 0, 0, 2]
_RIGHT = [2, 2, 3, 2, 1, 3, 3, 3, 1, 3, 3, 2, 3, 3, 1, 2, 1, 2]
_FACTORS = np.array(_LEFT + _RIGHT)
_TWICE = 2.0 * np.array([-1, 1, 1, 1, -1, 1, 1, 1, -1, -1, -1, 1, 1, -1, -1, -1, 1, -1])[:, np.newaxis]


def matrices(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices, (n, 3, 3), of unit quaternions, (n, 4), scalar first."""
    factors = q.T.copy().take(_FACTORS, axis=0)
    products = factors[:18]
    products *= factors[18:]
    products *= _TWICE
    out = np.empty((len(q), 9))
    np.add(products[:9], products[9:], out=out.T)
    diagonal = out[:, ::4]
    diagonal += 1.0
    return out.reshape(-1, 3, 3)
