# SPDX-License-Identifier: MIT
"""Truth as tables: one row per IMU sample, one row per stroke."""

from __future__ import annotations

import csv
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from firmware_protocol import zones
from simulator.body.truth import COLUMNS, TrueStroke

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from simulator.body.truth import Truth

_PLACE_COLUMNS: Final = (
    ("zone", "", "zone of the face or body; empty in the air"),
    ("side", "", "left or right, the person's own; empty on the midline and in the air"),
)
TRUTH_COLUMNS: Final = (
    ("session", "", "0: recorded without a host; else which START of the capture it belongs to, from 1"),
    ("device_us", "us", "the device's clock at the sample, since its boot; its low 32 bits are in the packets"),
    *(column for one in COLUMNS for column in (_PLACE_COLUMNS if one[0] == "place" else (one,))),
)
"""Name, unit and meaning of the columns of ``truth.csv``."""
STROKE_COLUMNS: Final = (
    ("begin_s", "s", "begin of the stroke, true time as t_s of truth.csv"),
    ("end_s", "s", "end of the stroke"),
    ("length_m", "m", "path of the contact point on the skin, face frame, skin stretch excluded"),
    ("direction_deg", "deg", "displacement in the tangent plane at the middle, from face-up toward the person's left"),
    ("force_n", "N", "mean normal force"),
    ("force_peak_n", "N", "peak normal force"),
    ("zone", "", "zone"),
    ("side", "", "left or right, the person's own; empty on the midline"),
)
"""Name, unit and meaning of the columns of ``strokes.csv``."""
_WHOLE: Final = frozenset({"session", "device_us", "contact", "moving"})
LONGEST_STEP_S: Final = 0.05
"""IMU samples farther apart have a pause between them."""
_PLACES: Final = np.array([f"{zone},{side}" for zone, side in zones.PLACES] + [","])


class Witness:
    """Collects what the device meets and hands it on row by row.

    Give its `truth` and `samples` to a `Device` as ``on_truth`` and ``on_samples``.
    """

    def __init__(self) -> None:
        self._stretches: list[Truth] = []
        self._t_s: list[NDArray[np.float64]] = []
        self._device_us: list[NDArray[np.int64]] = []
        self._sessions: list[NDArray[np.int64]] = []
        self._spans: list[tuple[float, float]] = []
        """Begin and end of what was measured without a pause."""
        self._strokes: list[TrueStroke] = []

    def truth(self, stretch: Truth) -> None:
        """Take the next stretch of truth."""
        self._stretches.append(stretch)
        self._strokes += stretch.strokes

    def samples(self, t_s: NDArray[np.float64], device_us: NDArray[np.int64], session: int) -> None:
        """Take the times of the next IMU samples."""
        self._t_s.append(t_s)
        self._device_us.append(device_us)
        self._sessions.append(np.full(len(t_s), session))
        begin_s, end_s = float(t_s[0]), float(t_s[-1])
        if self._spans and begin_s - self._spans[-1][1] < LONGEST_STEP_S:
            begin_s = self._spans.pop()[0]
        self._spans.append((begin_s, end_s))

    def tables(self, *, rest: bool = False) -> Iterator[dict[str, NDArray[Any]]]:
        """Columns of the stretches that are sampled to their end, and with ``rest`` of what there is of the last."""
        if not self._t_s:
            return
        t_s, device_us = np.concatenate(self._t_s), np.concatenate(self._device_us)
        session = np.concatenate(self._sessions)
        while self._stretches and len(t_s) and (rest or t_s[-1] > self._stretches[0].t_s[-1]):
            stretch = self._stretches.pop(0)
            n = int(np.searchsorted(t_s, stretch.t_s[-1], side="right"))
            if n:
                yield {"session": session[:n], "device_us": device_us[:n], **stretch.at(t_s[:n])}
            t_s, device_us, session = t_s[n:], device_us[n:], session[n:]
        self._t_s, self._device_us, self._sessions = [t_s], [device_us], [session]

    def strokes(self, until_s: float) -> list[TrueStroke]:
        """Strokes that ended by ``until_s``, were measured whole and were not handed on before."""
        over = [stroke for stroke in self._strokes if stroke.end_s <= until_s]
        self._strokes = self._strokes[len(over) :]
        return [
            stroke
            for stroke in over
            if any(b - LONGEST_STEP_S <= stroke.begin_s and stroke.end_s <= e + LONGEST_STEP_S for b, e in self._spans)
        ]


class TruthFiles:
    """Writes ``truth.csv`` and ``strokes.csv``.

    Parameters
    ----------
    truth, strokes : text files
        Open for writing.
    """

    def __init__(self, truth: IO[str], strokes: IO[str]) -> None:
        self._truth = truth
        self._strokes = csv.writer(strokes, lineterminator="\n")
        truth.write(",".join(name for name, _, _ in TRUTH_COLUMNS) + "\n")
        self._strokes.writerow(name for name, _, _ in STROKE_COLUMNS)

    def write(self, witness: Witness, until_s: float, *, rest: bool = False) -> None:
        """Write what the witness has by now; ``until_s`` is the time up to which the device has measured."""
        for table in witness.tables(rest=rest):
            self._truth.write(_rows(table))
        for stroke in witness.strokes(until_s):
            self._strokes.writerow([f"{v:.6f}" if isinstance(v, float) else v for v in stroke])


def _rows(table: dict[str, NDArray[Any]]) -> str:
    """CSV lines of a table; what is not a number stays empty."""
    formats: list[str] = []
    columns: list[list[Any]] = []
    for name, values in table.items():
        if name == "place":
            formats.append("%s")
            columns.append(_PLACES[values.astype(np.int64)].tolist())
        elif name in _WHOLE:
            formats.append("%d")
            columns.append(values.tolist())
        else:
            formats.append("%.6f" if name == "t_s" else "%.6g")
            columns.append(values.tolist())
    line = ",".join(formats) + "\n"
    return "".join([line % row for row in zip(*columns, strict=True)]).replace("nan", "")
