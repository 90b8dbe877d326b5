# SPDX-License-Identifier: MIT
"""Strokes of a long session in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from roller_host.signal.estimates import Stroke

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = ("zone", "side")
_NUMBERS = tuple(name for name in Stroke._fields if name not in _WORDS)
_BLOCK = 64
"""Strokes in one array. A single array that grows is moved again and again, and each time leaves a hole of its size."""


class StrokeList(Sequence[Stroke]):
    """Strokes that can be appended and read, bit for bit as they were given.

    Their numbers are packed: a hundred-odd bytes a stroke, a quarter of what the values themselves would take, so that
    an hour of rolling stays below 1 MiB.
    """

    def __init__(self) -> None:
        self._blocks: list[array[float]] = []
        """Numbers of `_BLOCK` strokes each, but for the last."""
        self._place = array("B")
        """Index in ``_places`` of each stroke."""
        self._places: list[tuple[str, str]] = []

    def extend(self, strokes: Iterable[Stroke]) -> None:
        """Append strokes."""
        for stroke in strokes:
            place = stroke.zone, stroke.side
            if place not in self._places:
                self._places.append(place)
            if len(self) % _BLOCK == 0:
                self._blocks.append(array("d"))
            self._place.append(self._places.index(place))
            self._blocks[-1].extend(getattr(stroke, name) for name in _NUMBERS)

    def __len__(self) -> int:
        return len(self._place)

    @overload
    def __getitem__(self, i: int) -> Stroke: ...
    @overload
    def __getitem__(self, i: slice) -> list[Stroke]: ...
    def __getitem__(self, i: int | slice) -> Stroke | list[Stroke]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        k = range(len(self))[i]
        i_block, i_stroke = divmod(k, _BLOCK)
        numbers = self._blocks[i_block][i_stroke * len(_NUMBERS) : (i_stroke + 1) * len(_NUMBERS)]
        zone, side = self._places[self._place[k]]
        return Stroke(**dict(zip(_NUMBERS, numbers, strict=True)), zone=zone, side=side)
