# SPDX-License-Identifier: MIT
"""Unit quaternions, scalar first, in rows: ``q_a_b`` turns coordinates of frame b into those of frame a."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# scipy's Rotation costs ten times as much on the thousands of rows of one stretch.


def multiply(q_a_b: NDArray[np.float64], q_b_c: NDArray[np.float64]) -> NDArray[np.float64]:
    """``q_a_c``; shapes (..., 4) that broadcast."""
    w, x, y, z = (q_a_b[..., i] for i in range(4))
    s, t, u, v = (q_b_c[..., i] for i in range(4))
    return np.stack(
        [w * s - x * t - y * u - z * v, w * t + x * s + y * v - z * u, w * u - x * v + y * s + z * t,
         w * v + x * u - y * t + z * s], axis=-1,
    )  # fmt: skip


def inverse(q_a_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """``q_b_a``, shape (..., 4)."""
    return q_a_b * np.array([1.0, -1.0, -1.0, -1.0])


def cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross product over the last axis of (..., 3)."""
    ax, ay, az = (a[..., i] for i in range(3))
    bx, by, bz = (b[..., i] for i in range(3))
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def rotate(q_a_b: NDArray[np.float64], vector_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (..., 3) in coordinates of frame a."""
    axis = q_a_b[..., 1:]
    turned = 2 * cross(axis, vector_b)
    return vector_b + q_a_b[..., :1] * turned + cross(axis, turned)


def from_rotvec(rotvec_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """From axis times angle, (..., 3)."""
    half = np.linalg.norm(rotvec_rad, axis=-1, keepdims=True) / 2
    return np.concatenate([np.cos(half), np.sinc(half / np.pi) * rotvec_rad / 2], axis=-1)


def from_axes(x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """``q_a_b`` from the unit axes of frame b in coordinates of frame a, each (n, 3)."""
    xx, yy, zz = x[:, 0], y[:, 1], z[:, 2]
    p, q, r = y[:, 2] - z[:, 1], z[:, 0] - x[:, 2], x[:, 1] - y[:, 0]
    a, b, c = y[:, 0] + x[:, 1], z[:, 0] + x[:, 2], z[:, 1] + y[:, 2]
    # Four multiples of the same quaternion; the longest has no cancellation.
    rows = np.array(
        [[1 + xx + yy + zz, p, q, r], [p, 1 + xx - yy - zz, a, b], [q, a, 1 - xx + yy - zz, c],
         [r, b, c, 1 - xx - yy + zz]],
    )  # fmt: skip
    best = np.argmax([rows[i, i] for i in range(4)], axis=0)
    chosen = rows[best, :, np.arange(len(best))]
    return chosen / np.linalg.norm(chosen, axis=1, keepdims=True)


def between(begin: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest turn that takes a unit vector (3,) to another one; for opposite ones about any axis across them."""
    turn = np.concatenate([[1.0 + begin @ end], cross(begin, end)])
    if turn[0] < 1e-9:
        aside = cross(begin, np.array([1.0, 0.0, 0.0] if abs(begin[0]) < 0.9 else [0.0, 0.0, 1.0]))
        turn = np.concatenate([[0.0], aside])
    return turn / np.linalg.norm(turn)


def slerp(begin: NDArray[np.float64], end: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn evenly by the shorter way from ``begin`` to ``end``, (4,), at shares 0 to 1, (n,)."""
    step = multiply(inverse(begin), end)
    step = step if step[0] >= 0 else -step
    length = float(np.linalg.norm(step[1:]))
    if length < 1e-12:
        return np.tile(begin, (len(share), 1))
    rotvec = step[1:] / length * 2 * np.arctan2(length, step[0])
    return multiply(begin, from_rotvec(share[:, np.newaxis] * rotvec))
