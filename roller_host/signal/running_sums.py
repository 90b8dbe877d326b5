# SPDX-License-Identifier: MIT
"""Running sums of how a roller stood and moved, for means and integrals over any stretch of samples.

They are asked for at a few samples only, where a contact begins, is looked at or ends, so samples wait until somebody
asks: to add up many at once takes hardly longer than a few.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from roller_host.signal.calibration import GRAVITY_M_S2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel

TAIL: Final = 5
"""Rows of sums kept: the speed of the roller is taken over one step less."""
ROLLING, NORMAL, FELT, ROLLED, FELT_SUM, ROLLED_SUM = (slice(i, i + 3) for i in range(0, 18, 3))
"""Columns, world frame: rolling direction, normal, acceleration, way rolled; and the sums of the last two."""
_N_SUMS = 18
_MOST_WAITING: Final = 250
"""Samples that wait at most."""


class Moved(NamedTuple):
    """What is summed up of n samples."""

    rotation: NDArray[np.float64]
    """World from body, (n, 3, 3)."""
    acc_m_s2: NDArray[np.float64]
    """Specific force at the IMU, body frame, (n, 3)."""
    roll_rad: NDArray[np.float64]
    """Roller angle, (n,)."""


class SumsState(NamedTuple):
    """Memory between blocks."""

    tail: NDArray[np.float64] = np.zeros((TAIL, _N_SUMS))
    """Sums up to the last samples that do not wait."""
    last_roll_rad: float | None = None
    """Roller angle at the last of them."""
    waiting: tuple[Moved, ...] = ()
    """Samples behind them."""
    model: DeviceModel | None = None
    """Device of those that wait; None when there are none."""


class RunningSums:
    """Sums at the samples of a block.

    Parameters
    ----------
    model : DeviceModel
        Geometry.
    state : SumsState
        Memory from the block before.
    moved : Moved
        The block, n > 0 samples.
    """

    def __init__(self, model: DeviceModel, state: SumsState, moved: Moved) -> None:
        if state.model is not None and state.model is not model:
            state = _summed_up(state, _rows(state.model, state))
        self._model, self._state = model, SumsState(state.tail, state.last_roll_rad, (*state.waiting, moved), model)
        self._n_waiting = sum([len(one.roll_rad) for one in state.waiting])
        self._n = len(moved.roll_rad)

    @functools.cached_property
    def rows(self) -> NDArray[np.float64]:
        """Sums up to and with each sample of the block, behind those of the `TAIL` samples before it, (5 + n, 18)."""
        return _rows(self._model, self._state)[self._n_waiting :]

    def left(self) -> SumsState:
        """Memory for the next block."""
        if "rows" not in self.__dict__ and self._n_waiting + self._n <= _MOST_WAITING:
            return self._state
        return _summed_up(self._state, self.rows)


def _summed_up(state: SumsState, rows: NDArray[np.float64]) -> SumsState:
    """The same with nothing that waits; ``rows`` end with the last sample."""
    return SumsState(rows[-TAIL:].copy(), state.waiting[-1].roll_rad.item(-1))


def _rows(model: DeviceModel, state: SumsState) -> NDArray[np.float64]:
    """Sums of the tail and, sample by sample, so that blocks cannot show in them, of all that waits."""
    waiting = state.waiting
    moved = waiting[0] if len(waiting) == 1 else Moved._make(map(np.concatenate, zip(*waiting, strict=True)))
    roll, radius_m = moved.roll_rad.tolist(), model.geometry.roller_radius_m
    roll.insert(0, roll[0] if state.last_roll_rad is None else state.last_roll_rad)
    rolled_m = np.array([(now - before) * radius_m for before, now in itertools.pairwise(roll)])
    sums = np.empty((TAIL + len(rolled_m), _N_SUMS))
    sums[:TAIL] = state.tail
    steps = sums[TAIL:]
    axes = moved.rotation if model.straight else np.matmul(moved.rotation, model.basis)
    steps[:, : FELT.start].reshape(-1, 2, 3)[:] = axes.transpose(0, 2, 1)[:, 1:]
    np.matmul(moved.rotation, moved.acc_m_s2[:, :, np.newaxis], out=steps[:, FELT, np.newaxis])
    steps[:, FELT.stop - 1] -= GRAVITY_M_S2
    np.multiply(steps[:, ROLLING], rolled_m[:, np.newaxis], out=steps[:, ROLLED])
    first = sums[TAIL - 1 :, : FELT_SUM.start]
    np.add.accumulate(first, axis=0, out=first)
    second = sums[TAIL - 1 :, FELT_SUM.start :]
    second[1:] = first[1:, FELT.start :]
    np.add.accumulate(second, axis=0, out=second)
    return sums
