# SPDX-License-Identifier: MIT
"""The causal low-pass of the core: Butterworth, second order, with its memory carried from block to block."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

if TYPE_CHECKING:
    from numpy.typing import NDArray


@functools.cache
def _sos(low_pass_hz: float, fs_hz: float) -> NDArray[np.float64]:
    # A slow IMU leaves no room for the wanted cut-off.
    return np.asarray(signal.butter(2, min(low_pass_hz, 0.45 * fs_hz), fs=fs_hz, output="sos"))


def lowpass_step(
    low_pass_hz: float, fs_hz: float, zi: NDArray[np.float64] | None, values: NDArray[np.float64]
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
    values : ndarray, shape (n, n_channels)
        n > 0 samples.

    Returns
    -------
    smooth : ndarray, shape (n, n_channels)
    zi : ndarray
        Memory for the next block.
    """
    sos = _sos(low_pass_hz, fs_hz)
    if zi is None:
        zi = signal.sosfilt_zi(sos)[:, :, np.newaxis] * values[0]
    smooth, zi = signal.sosfilt(sos, values, axis=0, zi=zi)
    return np.asarray(smooth), np.asarray(zi)
