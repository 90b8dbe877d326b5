# SPDX-License-Identifier: MIT
"""Whether roller and load are at rest: the plateau that a reading of a known load is taken from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel, Samples

_I24_MAX = 2**23 - 1
_GAP_S = 0.3


@dataclass(frozen=True)
class SteadyParams:
    """What counts as steady. All ours: a hand that holds still keeps within half of each."""

    window_s: float = 1.5
    """Looked at: the last seconds, s. Raising it averages more and waits longer."""
    rate_rad_s: float = 0.15
    """Largest angular rate, root mean square, rad/s."""
    noise_n: float = 0.02
    """Largest standard deviation of the load, N,"""
    drift_n: float = 0.015
    """and difference between the means of both halves, N,"""
    share: float = 0.003
    """each with this share of the load on top: a load that hangs from a hand swings in proportion."""


class SteadyState(NamedTuple):
    """The last seconds of samples."""

    t_s: NDArray[np.float64] = np.zeros(0)
    counts: NDArray[np.float64] = np.zeros(0)
    acc_m_s2: NDArray[np.float64] = np.zeros((0, 3))
    gyro_rad_s: NDArray[np.float64] = np.zeros((0, 3))


class Plateau(NamedTuple):
    """Means of the last seconds, and whether they can be trusted."""

    t_s: float
    """Middle of them, session time."""
    counts: float
    """Raw reading of the load cell."""
    noise_counts: float
    """Standard deviation of a sample, the weight of the head taken off."""
    felt_m_s2: tuple[float, float, float]
    """Specific force, body frame."""
    gyro_rad_s: tuple[float, float, float]
    """Angular rate, body frame: of a roller at rest, the bias."""
    trouble: str
    """Why it is not steady; empty when it is."""

    @property
    def steady(self) -> bool:
        """Nothing moves."""
        return not self.trouble


def steady_step(
    params: SteadyParams, model: DeviceModel, state: SteadyState, samples: Samples, zero_counts: float = math.nan
) -> tuple[Plateau | None, SteadyState]:
    """Look at the newest samples.

    Parameters
    ----------
    params : SteadyParams
        What counts as steady.
    model : DeviceModel
        With its zero and sensitivity ``samples`` were made; also converts what is allowed to counts.
    state : SteadyState
        Memory from the block before.
    samples : Samples
        The block.
    zero_counts : float, optional
        Reading without a load; by default that of the model.

    Returns
    -------
    plateau : Plateau or None
        None until the window is full, and after a gap.
    state : SteadyState
        Memory for the next block.
    """
    state = _appended(params, state, samples, raw_counts(model, samples))
    t_s, counts, acc, gyro = state
    if not len(t_s) or t_s[-1] - t_s[0] < 0.9 * params.window_s:
        return None, state
    half = len(counts) // 2
    n_per_count = abs(model.calibration.n_per_count)
    zero = model.calibration.zero_counts if math.isnan(zero_counts) else zero_counts
    # A hand that sways turns the head's weight in and out of the axis: that is no load that changes.
    load = counts - acc @ model.force_axis * (model.head_mass_kg / model.calibration.n_per_count)
    mean, noise = float(counts.mean()), float(load.std())
    more_n = params.share * abs(mean - zero) * n_per_count
    drift = abs(float(load[half:].mean() - load[:half].mean()))
    felt, turned = acc.mean(axis=0), gyro.mean(axis=0)
    trouble = ""
    if np.abs(counts).max() >= _I24_MAX:
        trouble = "the load cell is at the end of its range: take some of the load off"
    elif math.sqrt(float((gyro**2).sum(axis=1).mean())) > params.rate_rad_s:
        trouble = "the roller turns: hold it still"
    elif drift * n_per_count > params.drift_n + more_n:
        trouble = "the load still changes: wait until it hangs still"
    elif noise * n_per_count > params.noise_n + more_n:
        trouble = "the load swings or shakes: let it come to rest"
    return Plateau(float(t_s[half]), mean, noise, _three(felt), _three(turned), trouble), state


def raw_counts(model: DeviceModel, samples: Samples) -> NDArray[np.float64]:
    """What the load cell read, before sensitivity and zero of the model, shape (n,)."""
    record = model.calibration
    return samples.cell_n / record.n_per_count + record.zero_counts


def _appended(params: SteadyParams, state: SteadyState, samples: Samples, counts: NDArray[np.float64]) -> SteadyState:
    columns = (samples.t_s, counts, samples.acc_m_s2, samples.gyro_rad_s)
    if len(state.t_s) and len(samples.t_s) and samples.t_s[0] - state.t_s[-1] > _GAP_S:
        state = SteadyState()
    joined = [np.concatenate(pair) for pair in zip(state, columns, strict=True)]
    if not len(joined[0]):
        return state
    begin = int(np.searchsorted(joined[0], joined[0][-1] - params.window_s))
    return SteadyState(*(column[begin:] for column in joined))


def _three(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
