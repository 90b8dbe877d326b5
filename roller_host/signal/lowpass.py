# SPDX-License-Identifier: MIT
"""The causal low-pass of the core: Butterworth, with its memory carried from block to block."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import signal

if TYPE_CHECKING:
    from numpy.typing import NDArray


@functools.cache
def _coefficients(order: int, low_pass_hz: float, fs_hz: float) -> tuple[NDArray[np.float64], ...]:
    """Numerator, denominator, and the memory of a constant 1."""
    # A slow IMU leaves no room for the wanted cut-off.
    filt: Any = signal.butter(order, min(low_pass_hz, 0.45 * fs_hz), fs=fs_hz)
    return np.asarray(filt[0]), np.asarray(filt[1]), np.asarray(signal.lfilter_zi(*filt))


def lowpass_step(
    low_pass_hz: float,
    fs_hz: float,
    zi: NDArray[np.float64] | None,
    values: NDArray[np.float64],
    order: int = 2,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Filter a block.

    Parameters
    ----------
    low_pass_hz : float
        Cut-off, Hz; at most 0.45 of the sample rate is used.
    fs_hz : float
        Sample rate, Hz.
    zi : ndarray or None
        Memory from the block before; None begins as if the first sample had always been there.
    values : ndarray, shape (n,) or (n, n_channels)
        n > 0 samples.
    order : int, default 2
        1 or 2: at so low an order the direct form is as exact as sections, and five times faster on short blocks.

    Returns
    -------
    smooth : ndarray, shape of values
    zi : ndarray
        Memory for the next block.
    """
    b, a, constant = _coefficients(order, low_pass_hz, fs_hz)
    if zi is None:
        zi = constant * values[0] if values.ndim == 1 else constant[:, np.newaxis] * values[0]
    smooth, zi = signal.lfilter(b, a, values, axis=0, zi=zi)
    return np.asarray(smooth), np.asarray(zi)
