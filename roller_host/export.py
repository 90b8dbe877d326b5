# SPDX-License-Identifier: MIT
"""What an analysis found, as files: tables that any program opens, and a summary that says how they were made."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import platform
from collections import Counter
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

import roller_host
from firmware_protocol import layout
from firmware_protocol.zones import PLACES, place_name
from roller_host.intake import OFFLINE_LOG
from roller_host.sessions.errors import SessionError
from roller_host.sessions.source import params_json
from roller_host.signal.comfort import Comfort, band_of
from roller_host.signal.estimates import Stroke
from roller_host.signal.measures import MeasureParams, join, measure, measures_json, rolled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from roller_host.analysis import Analysis, Part, Session
    from roller_host.intake import Opened

SAMPLE_COLUMNS = (
    ("t_s", "s", "session timeline: device clock since the first sample; sessions follow each other without pause"),
    ("session", "-", "which session of the file, from 1"),
    ("gap_before", "0 or 1", "samples are missing between this row and the one before"),
    ("contact", "0 or 1", "the roller touches the skin"),
    ("force_n", "N", "applied force: filtered, weight and inertia of the head removed"),
    ("force_sigma_n", "N", "its standard uncertainty"),
    ("saturated", "0 or 1", "load cell or IMU clipped: the force may be far off"),
    ("cell_n", "N", "load on the cell before any of that: stored zero removed, sensitivity applied"),
    ("roll_rad", "rad", "roller angle against the handle, unwrapped"),
    ("speed_m_s", "m/s", "along the rolling direction; positive: toward the head of the roller"),
    (
        "direction_deg",
        "deg",
        "direction of motion, from face-up toward the person's left; empty at rest and in the air",
    ),
    ("comfort", "-", "comfort state in words"),
    ("zone", "-", "zone of the face or body; empty when not known and in the air"),
    ("side", "-", "left or right, the person's own; empty on the midline too"),
)
"""Name, unit, meaning of the columns of ``samples.csv``."""
EVENT_COLUMNS = (
    ("t_s", "s", "session timeline, as in samples.csv"),
    ("session", "-", "which session of the file, from 1"),
    ("event", "-", "begin (of a session), gap (missing samples), cue (new comfort state), device (said by the roller)"),
    ("detail", "-", "where the session comes from; the new comfort state; the name of the device's event"),
    ("before", "-", "comfort state before a cue"),
    ("force_raw_n", "N", "unfiltered force at a cue"),
    ("force_n", "N", "filtered force that was compared"),
    ("threshold_n", "N", "threshold that decided"),
    ("rule", "-", "the rule in words"),
    ("zone", "-", "where the roller was at a cue"),
    ("side", "-", "as above"),
    ("duration_s", "s", "length of a gap"),
    ("lost_packets", "-", "packets that a gap hides"),
    ("arg", "-", "of the device's event, see docs/protocol.md"),
    ("value", "-", "as above"),
)
"""Name, unit, meaning of the columns of ``events.csv``."""
STROKE_COLUMNS = ("session", *Stroke._fields)
"""Columns of ``strokes.csv``; `estimates.Stroke` describes them."""
FILES = ("samples.csv", "strokes.csv", "events.csv", "summary.json")
_DIGITS = {"t_s": 6, "_m_s": 4, "_m": 5, "_n": 4, "_deg": 2, "_rad": 5, "_s": 4}
"""Decimals by the end of a column's name: finer than any uncertainty."""
_COMFORT_NAMES = [level.name.lower() for level in Comfort]
_PLACE_NAMES = [*PLACES, ("", "")]
_EVENT_NAMES = {code: name for code, name, _ in layout.EVENTS}


def check_folder(folder: Path) -> None:
    """Refuse a place where something would be overwritten.

    Raises
    ------
    SessionError
        When there is such a file, or such a folder that is not empty.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise SessionError(f"{folder} exists already, and results are never overwritten: choose another name")
    except OSError as error:
        raise SessionError(f"cannot look into {folder}: {error.strerror}; choose another place with --out") from error


def export(
    analysis: Analysis, summary: Mapping[str, Any], folder: Path, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Write `FILES`: all of them, or none.

    Parameters
    ----------
    analysis : Analysis
        What was found.
    summary : mapping
        See `summarise`.
    folder : Path
        A new or an empty folder.
    tell : callable, optional
        Told now and then how far it is, in words.

    Raises
    ------
    SessionError
        When they cannot be written.
    """
    check_folder(folder)
    texts = (
        _samples_csv(analysis, tell),
        _strokes_csv(analysis),
        _events_csv(analysis),
        iter([json.dumps(summary, indent=1, allow_nan=False) + "\n"]),
    )
    _write_all(folder, dict(zip(FILES, texts, strict=True)))


def _write_all(folder: Path, files: Mapping[str, Iterator[str]]) -> None:
    """Write files under temporary names and rename them at the end; leave nothing behind when that fails."""
    new = not folder.exists()
    made: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, texts in files.items():
            with (folder / f"{name}.part").open("x", encoding="utf-8", newline="") as file:
                made.append(folder / f"{name}.part")
                file.writelines(texts)
        for i, name in enumerate(files):
            made[i] = made[i].rename(folder / name)
    except BaseException as error:
        with suppress(OSError):
            for path in made:
                path.unlink()
            if new:
                folder.rmdir()
        if isinstance(error, OSError):
            raise SessionError(
                f"cannot write to {folder}: {error.strerror}; free some space, or choose another place with --out"
            ) from error
        raise


def _digits(name: str) -> int:
    return next((digits for end, digits in _DIGITS.items() if name.endswith(end)), 4)


def _texts(name: str, column: ArrayLike) -> list[str]:
    """Numbers as text, rounded as the column's name says; what is not known is empty."""
    form = f"%.{_digits(name)}f"
    return ["" if value != value else form % value for value in np.asarray(column, float).tolist()]  # noqa: PLR0124


def _flags(column: NDArray[np.bool_]) -> list[str]:
    return ["1" if one else "0" for one in column.tolist()]


def _samples_csv(analysis: Analysis, tell: Callable[[str], None]) -> Iterator[str]:
    yield ",".join(name for name, *_ in SAMPLE_COLUMNS) + "\n"
    n_rows = 0
    for number, session in enumerate(analysis.sessions, 1):
        for part in session.parts:
            columns = _sample_columns(number, part)
            yield "\n".join(map(",".join, zip(*columns, strict=True))) + "\n"
            n_rows += len(part.samples.t_s)
            tell(f"writing   {n_rows} samples")


def _sample_columns(number: int, part: Part) -> tuple[Sequence[str], ...]:
    """Texts of the columns, in the order of `SAMPLE_COLUMNS`."""
    estimates, samples = part.estimates, part.samples
    n = len(samples.t_s)
    places = [_PLACE_NAMES[place] for place in estimates.places]
    return (
        _texts("t_s", estimates.t_s),
        [str(number)] * n,
        ["1" if part.after_gap else "0", *["0"] * (n - 1)],
        _flags(estimates.contact),
        _texts("force_n", estimates.force_n),
        _texts("force_sigma_n", estimates.force_sigma_n),
        _flags(estimates.saturated) or ["0"] * n,
        _texts("cell_n", samples.cell_n),
        _texts("roll_rad", samples.roll_rad),
        _texts("speed_m_s", estimates.speed_m_s),
        _texts("direction_deg", estimates.direction_deg),
        [_COMFORT_NAMES[level] for level in estimates.comfort],
        [zone for zone, _ in places],
        [side for _, side in places],
    )


def _table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Lines of a small table, quoted where need be."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    yield text.getvalue()


def _cell(name: str, value: Any) -> Any:
    return _texts(name, [value])[0] if isinstance(value, float) else value


def _strokes_csv(analysis: Analysis) -> Iterator[str]:
    rows = (
        (number, *(_cell(name, value) for name, value in stroke._asdict().items()))
        for number, session in enumerate(analysis.sessions, 1)
        for stroke in session.strokes
    )
    return _table(STROKE_COLUMNS, rows)


def _events_csv(analysis: Analysis) -> Iterator[str]:
    names = [name for name, *_ in EVENT_COLUMNS]
    rows = (
        [_cell(name, event.get(name, "")) for name in names]
        for number, session in enumerate(analysis.sessions, 1)
        for event in sorted(_events(number, session), key=lambda event: event["t_s"])
    )
    return _table(names, rows)


def _events(number: int, session: Session) -> Iterator[dict[str, Any]]:
    if session.begin_s is not None:
        yield {"t_s": session.begin_s, "session": number, "event": "begin", "detail": session.source}
    for gap in session.gaps:
        yield {**gap._asdict(), "session": number, "event": "gap"}
    for cue in session.cues:
        levels = {"detail": cue.comfort.name.lower(), "before": cue.before.name.lower()}
        yield {**cue._asdict(), **levels, "session": number, "event": "cue"}
    for event in session.events:
        name = _EVENT_NAMES.get(event.code, str(event.code))
        yield {**event._asdict(), "session": number, "event": "device", "detail": name}


def summarise(analysis: Analysis, opened: Opened) -> dict[str, Any]:
    """What was found, and how, as JSON values.

    Parameters
    ----------
    analysis : Analysis
        What was found.
    opened : Opened
        In what.
    """
    sessions, params, bands = analysis.sessions, MeasureParams(), analysis.params.bands
    columns = [rolled([part.estimates for part in one.parts], one.period_s or 0.0) for one in sessions]
    strokes = [stroke for one in sessions for stroke in one.strokes]
    total = measure(params, strokes, join(columns), bands)
    each = [measure(params, one.strokes, part, bands) for one, part in zip(sessions, columns, strict=True)]
    found = {
        "file": str(opened.path),
        "made_with": _versions(),
        "how": _how(analysis),
        "problem": analysis.problem,
        **_counts(analysis),
        "duration_s": next((one.end_s for one in reversed(sessions) if one.end_s is not None), 0.0),
        "strokes": len(strokes),
        "contact_s": total.total.contact_s,
        "force_mean_n": total.total.force_mean_n,
        "force_peak_n": _peak_n(sessions),
        "rate_hz": next((one.rate_hz for one in sessions if one.rate_hz), None),
        "assumed": list(analysis.assumed),
        "parameters_from": opened.params_source,
        "parameters": {**json.loads(params_json(analysis.params)), "measures": params.__dict__},
        "thresholds": {
            place_name(*place) or "unknown place": {
                **band_of(bands, *place)._asdict(),
                "from": "personal" if place in bands else "starting point of this project, not clinical",
            }
            for place in _PLACE_NAMES
        },
        "sessions": [
            _session_json(one) | {"measures": measures_json(m)} for one, m in zip(sessions, each, strict=True)
        ],
        "measures": measures_json(total),
        "columns": {
            name: {column: {"unit": unit, "meaning": meaning} for column, unit, meaning in columns}
            for name, columns in (("samples.csv", SAMPLE_COLUMNS), ("events.csv", EVENT_COLUMNS))
        },
    }
    return {key: _plain(value) for key, value in found.items()}


def _plain(value: Any) -> Any:
    """JSON values; numbers that are not finite, as a device may send them, are null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _how(analysis: Analysis) -> list[str]:
    """Sentences about what this analysis did and what it took for granted."""
    said = [
        "Packets were ordered by their numbers and placed by the device's clock.",
        "Late packets stand where they belong, so the numbers may differ from those of the live session.",
        "With an encoder, the path of every stroke was estimated from all strokes of its session, later ones included.",
        "No estimate and no measure spans a gap. Sessions follow each other on one timeline, without the pauses.",
        "Places and comfort thresholds are estimates; no measure here is a medical finding.",
    ]
    if analysis.assumed:
        said.append(f"The roller did not say its {', '.join(analysis.assumed)}: the reference device's is assumed.")
    if any(session.source == OFFLINE_LOG for session in analysis.sessions):
        said.append("What the roller recorded without a host stands behind the live sessions, as sessions of its own.")
    return said


def _counts(analysis: Analysis) -> dict[str, Any]:
    sessions = analysis.sessions
    gaps = [gap for one in sessions for gap in one.gaps]
    wrong: Counter[str] = sum((Counter(one.bad_payloads) for one in sessions), Counter())
    missing = [name for one in sessions for name in one.missing_streams]
    return {
        "packets": sum(one.packets for one in sessions),
        "log_packets": sum(one.packets for one in sessions if one.source == OFFLINE_LOG),
        "gaps": len(gaps),
        "lost_packets": sum(gap.lost_packets for gap in gaps),
        "lost_s": sum(gap.duration_s for gap in gaps),
        "late_packets": sum(one.late_packets for one in sessions),
        "duplicates": sum(one.duplicates for one in sessions),
        "contradictions": sum(one.contradictions for one in sessions),
        "bad_payloads": wrong.total() + analysis.bad_requests,
        "bad_payloads_by_reason": dict(wrong.most_common(20)),
        "unknown_blocks": sum(one.unknown_blocks for one in sessions),
        "missing_streams": list(dict.fromkeys(missing)),
        "cues": sum(len(one.cues) for one in sessions),
    }


def _session_json(session: Session) -> dict[str, Any]:
    return {
        "source": session.source,
        "began_unix_s": session.began_unix_s,
        "begin_s": session.begin_s,
        "end_s": session.end_s,
        "packets": session.packets,
        "late_packets": session.late_packets,
        "gaps": len(session.gaps),
        "rate_hz": session.rate_hz,
        "period_s": session.period_s,
        "samples": sum(len(part.samples.t_s) for part in session.parts),
        "strokes": len(session.strokes),
        "calibration": session.model.calibration._asdict(),
        "geometry": session.model.geometry._asdict(),
    }


def _peak_n(sessions: Iterable[Session]) -> float | None:
    parts = itertools.chain.from_iterable(session.parts for session in sessions)
    peaks_n = [float(part.estimates.force_n[part.estimates.contact].max(initial=0.0)) for part in parts]
    return max(peaks_n, default=0.0) or None


def _versions() -> dict[str, str]:
    found = {"roller-host": roller_host.__version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "vqf"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
