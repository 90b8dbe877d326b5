# SPDX-License-Identifier: MIT
"""Sensitivity of the load cell from known loads: counts to newtons.

A mass that hangs on the roller's head is mass on the cell: the cell reads zero + (head + mass) g cos(tilt) / k, with
the tilt of its axis against gravity from the accelerometer and k in newtons per count. The weight of the head, found by
a tumble, is taken off each reading, and the zero found between the loads is taken off as well, so that neither drift
nor the way in which the roller is held matters. What is left is a straight line, fitted by least squares; another model
has to be far better at readings that it was not fitted to (leave one out: Stone, Cross-Validatory Choice and Assessment
of Statistical Predictions, 1974).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roller_host.signal.calibration import GRAVITY_M_S2
from roller_host.signal.tumble import TUMBLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from firmware_protocol import codec
    from roller_host.signal.calibration import DeviceModel
    from roller_host.signal.steady import Plateau

WEIGHED = 1
"""Bit of the flags of CALIBRATION: force calibrated with weights."""
LEAST_KG = 0.01
"""Lighter masses tell nothing beside what drifts, kg."""


@dataclass(frozen=True)
class WeightParams:
    """What known loads have to be like. All ours, from simulated sensors with the flaws that measured cells have."""

    fewest: int = 3
    """Least number of different loads; the empty roller is one of them."""
    off_n: float = 0.05
    """A reading this far from what the others say, N,"""
    off_share: float = 0.015
    """and this share of its load besides, is wrong. Household masses are good to 1 %, a cell's creep and hysteresis to
    half of that."""
    mass_sigma: float = 0.003
    """Relative standard uncertainty of the masses themselves: 1 % at most, evenly spread over half of that."""
    ratio: tuple[float, float] = (0.4, 2.5)
    """Sensitivity found over that of the record: outside of this a unit was mistaken. Cells and amplifiers differ by a
    fifth."""
    most_tilt_deg: float = 30.0
    """Under a load the axis of the cell is this close to the vertical, degrees: beyond it a load slips off."""
    clearly: float = 0.5
    """A curve is clearly better than a line when its error at readings left out is less than this share of the line's,
    root mean square,"""
    clearly_n: float = 0.03
    """and smaller by this much, N."""


class WeightError(ValueError):
    """Loads that make no calibration; the message says why, and what to do about it.

    Parameters
    ----------
    message : str
    suspects : tuple of int, optional
        Which readings are to blame, where that is known.
    """

    def __init__(self, message: str, suspects: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.suspects = suspects


class Reading(NamedTuple):
    """What the cell read under a known load."""

    mass_kg: float
    """0 for the empty roller."""
    load_n: float
    """Of the mass, along the cell's axis; negative when it pulls the other way."""
    counts: float
    """Without the weight of the head."""
    noise_counts: float
    t_s: float
    """Session time."""


class WeightFit(NamedTuple):
    """What known loads say about the cell."""

    n_per_count: float
    sigma: float
    """Relative standard uncertainty of it: residuals and masses."""
    zero_counts: float
    """Latest reading of the empty roller, without the weight of the head."""
    residuals_n: tuple[float, ...]
    """What the line says less the load, N, in the order of the readings; those of the empty roller are one."""
    max_error_n: float
    """Largest of them."""
    left_out_n: float
    """Root mean square of the error at readings left out of the fit, N."""
    bent_left_out_n: float
    """The same of a curve of second order; NaN when there are too few loads for one."""
    bent: bool
    """The curve is clearly better: the cell or its stop is not what it should be."""
    n_loads: int
    """Different loads, the empty roller not counted."""


def check_mass(mass_kg: float, most_n: float) -> None:
    """See whether a mass can be weighed with.

    Parameters
    ----------
    mass_kg : float
    most_n : float
        Load at which the cell or its converter clips, N.

    Raises
    ------
    WeightError
        When it is no mass, or too heavy for the cell.
    """
    if not (math.isfinite(mass_kg) and mass_kg >= LEAST_KG):
        raise WeightError(f"{mass_kg:g} kg is no mass to weigh with: give each in kg, from {LEAST_KG:g} up")
    if mass_kg * GRAVITY_M_S2 > most_n:
        raise WeightError(
            f"{mass_kg:g} kg pulls with {mass_kg * GRAVITY_M_S2:.1f} N, more than the {most_n:.3g} N that the cell "
            f"bears: give masses up to {math.floor(most_n / GRAVITY_M_S2 * 10) / 10:g} kg, in kg"
        )


def check_masses(params: WeightParams, masses_kg: Sequence[float], most_n: float) -> None:
    """See from a list of masses alone whether they could make a calibration.

    Parameters
    ----------
    params : WeightParams
        What is asked of them.
    masses_kg : sequence of float
        In any order; repeats are welcome.
    most_n : float
        Load at which the cell or its converter clips, N.

    Raises
    ------
    WeightError
        When one is no mass, too heavy for the cell, or there are too few different ones.
    """
    for mass_kg in masses_kg:
        check_mass(mass_kg, most_n)
    n_loads = len(set(masses_kg)) + 1
    if n_loads < params.fewest:
        raise WeightError(_too_few(params, n_loads - 1))


def _too_few(params: WeightParams, n_masses: int) -> str:
    told = ("no mass", "one mass")[n_masses] if n_masses < 2 else f"{n_masses} masses"
    return (
        f"{told} beside the empty roller: a line needs {params.fewest - 1} different masses or more to show whether "
        f"they agree; five between 0.1 and 2 kg are good"
    )


def reading_of(
    params: WeightParams,
    model: DeviceModel,
    plateau: Plateau,
    mass_kg: float,
    *,
    pressed: bool = False,
) -> Reading:
    """Reading of a plateau under a known load.

    Parameters
    ----------
    params : WeightParams
        How far the axis may be off the vertical.
    model : DeviceModel
        Its head mass, axis and sensitivity say what the head weighs, in counts.
    plateau : Plateau
        Steady.
    mass_kg : float
        What hangs there; 0 for the empty roller.
    pressed : bool, default False
        The roller is pressed on a scale that shows this mass, instead.

    Raises
    ------
    WeightError
        When the axis of the cell is too far off the vertical for a load to act along it.
    """
    felt = np.array(plateau.felt_m_s2)
    along = float(model.force_axis @ felt)
    head_counts = model.head_mass_kg * along / model.calibration.n_per_count
    upright = along / float(np.linalg.norm(felt))
    tilt_deg = math.degrees(math.acos(min(abs(upright), 1.0)))
    if mass_kg and tilt_deg > params.most_tilt_deg:
        raise WeightError(
            f"the roller is tilted by {tilt_deg:.0f} degrees: turn its pressing side straight up or straight down"
        )
    # Only the direction of gravity is taken from the accelerometer: its scale is worse than g.
    load_n = mass_kg * GRAVITY_M_S2 * upright * (-1.0 if pressed else 1.0)
    return Reading(mass_kg, load_n, plateau.counts - head_counts, plateau.noise_counts, plateau.t_s)


def fit_weights(params: WeightParams, record: codec.Calibration, readings: Sequence[Reading]) -> WeightFit:
    """Fit a line through readings under known loads.

    Parameters
    ----------
    params : WeightParams
        What is asked of them.
    record : Calibration
        The one that was in use: the sensitivity has to be of its size and sign.
    readings : sequence of Reading
        In any order of loads, empty ones among them; times tell which empty one belongs to which load.

    Raises
    ------
    WeightError
        When they are too few, disagree, or do not make sense: the reading to repeat is named where there is one.
    """
    masses = {one.mass_kg for one in readings} - {0.0}
    if all(one.mass_kg for one in readings):
        raise WeightError("the empty roller was not read: take everything off, and read it once")
    if len(masses) + 1 < params.fewest:
        raise WeightError(_too_few(params, len(masses)))
    rows = _rows(readings)
    bent = _bends(params, rows)
    if _off(params, rows).any() and not bent:
        raise _disagreement(params, readings, rows)
    slope, offset = np.polyfit(rows.load_n, rows.counts, 1)
    _check_sense(params, record, 1.0 / float(slope))
    residuals_n = (rows.counts - offset) / slope - rows.load_n
    spread_n = math.sqrt(float(residuals_n @ residuals_n) / (len(residuals_n) - 2))
    around_n = rows.load_n - rows.load_n.mean()
    left_out_n, bent_n = (_rms(_left_out(rows, degree)) for degree in (1, 2))
    of_row = dict(zip(rows.readings, residuals_n.tolist(), strict=True))
    return WeightFit(
        1.0 / float(slope),
        math.hypot(spread_n / math.sqrt(float(around_n @ around_n)), params.mass_sigma),
        [one.counts for one in readings if not one.mass_kg][-1],
        tuple(of_row.get(i, residuals_n.item(0)) for i in range(len(readings))),
        float(np.abs(residuals_n).max()),
        left_out_n,
        bent_n,
        bent,
        len(masses),
    )


def with_weights(
    record: codec.Calibration, found: codec.Calibration, fit: WeightFit, unix_s: int, temp_c: float
) -> codec.Calibration:
    """Calibration record with what known loads said.

    Parameters
    ----------
    record : Calibration
        The one that was in use while the loads were read.
    found : Calibration
        The same with what a tumble found (`tumble.calibrated`), or ``record`` itself.
    fit : WeightFit
        Of the loads.
    unix_s : int
        Date, s since 1970 UTC.
    temp_c : float
        Temperature of the cell, degrees C; NaN when it is not known.

    Returns
    -------
    Calibration
        Its ``crc16`` is that of ``record``: encoding sets it.
    """
    # What the tumble weighed is in newtons of the old sensitivity.
    mass_kg = found.head_mass_kg * abs(fit.n_per_count / record.n_per_count)
    return found._replace(
        version=1,
        flags=found.flags | WEIGHED,
        zero_counts=round(fit.zero_counts),
        n_per_count=fit.n_per_count,
        head_mass_kg=mass_kg if found.flags & TUMBLED else found.head_mass_kg,
        temp_ref_c=record.temp_ref_c if math.isnan(temp_c) else temp_c,
        points=min(fit.n_loads, 255),
        max_error_n=min(fit.max_error_n, 65.0),
        unix_date_s=unix_s,
    )


class _Rows(NamedTuple):
    """Points of the line: the empty roller once, at the origin, and the loads."""

    load_n: NDArray[np.float64]
    counts: NDArray[np.float64]
    """Without the zero at that time."""
    readings: tuple[int, ...]
    """Which reading each is; of the empty ones the last."""

    def without(self, row: int) -> _Rows:
        keep = [i for i in range(len(self.load_n)) if i != row]
        return _Rows(self.load_n[keep], self.counts[keep], tuple(self.readings[i] for i in keep))


def _rows(readings: Sequence[Reading]) -> _Rows:
    empty = sorted((one.t_s, one.counts) for one in readings if not one.mass_kg)
    zero_s, zeros = zip(*empty, strict=True)
    loads = [(i, one) for i, one in enumerate(readings) if one.mass_kg]
    last_empty = max(i for i, one in enumerate(readings) if not one.mass_kg)
    counts = [one.counts - float(np.interp(one.t_s, zero_s, zeros)) for _, one in loads]
    return _Rows(
        np.array([0.0, *(one.load_n for _, one in loads)]),
        np.array([0.0, *counts]),
        (last_empty, *(i for i, _ in loads)),
    )


def _left_out(rows: _Rows, degree: int) -> NDArray[np.float64]:
    """What the others say about each row less its load, N; NaN where there are too few of them."""
    errors_n = np.full(len(rows.load_n), math.nan)
    for i in range(len(rows.load_n)):
        others = rows.without(i)
        if len(set(others.load_n.tolist())) <= degree:
            continue
        # Scaled, so that the powers of counts stay of one size.
        scale = float(np.abs(others.counts).max()) or 1.0
        powers = np.vander(np.append(others.counts, rows.counts[i]) / scale, degree + 1)
        curve = np.linalg.lstsq(powers[:-1], others.load_n, rcond=None)[0]
        errors_n[i] = float(powers[-1] @ curve) - rows.load_n[i]
    return errors_n


def _rms(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return math.sqrt(float(known @ known) / len(known)) if len(known) else math.nan


def _allowed_n(params: WeightParams, rows: _Rows) -> NDArray[np.float64]:
    return params.off_n + params.off_share * np.abs(rows.load_n)


def _agree(params: WeightParams, rows: _Rows) -> bool:
    """Enough loads, and none is off what the others say."""
    return len(set(rows.load_n.tolist())) >= params.fewest and not _off(params, rows).any()


def _off(params: WeightParams, rows: _Rows, degree: int = 1) -> NDArray[np.bool_]:
    """Which rows are off what the others say."""
    return np.abs(_left_out(rows, degree)) > _allowed_n(params, rows)


def _bends(params: WeightParams, rows: _Rows) -> bool:
    """Whether a curve of second order is clearly better than the line, and leaves nothing off."""
    line_n, curve_n = _left_out(rows, 1), _left_out(rows, 2)
    if np.isnan(curve_n).any() or _off(params, rows, 2).any():
        return False
    return _rms(curve_n) < params.clearly * _rms(line_n) and _rms(line_n) - _rms(curve_n) > params.clearly_n


def _check_sense(params: WeightParams, record: codec.Calibration, n_per_count: float) -> None:
    """Raise when a sensitivity is not of the size or sign of the one before."""
    ratio = n_per_count / record.n_per_count
    low, high = params.ratio
    if ratio < 0:
        raise WeightError(
            "the reading falls where it should rise: hang the masses so that they push the roller as the skin does, or "
            "say that it is pressed on a scale"
        )
    if not low <= ratio <= high:
        raise WeightError(
            f"the sensitivity comes out {ratio:.3g} times the one before, and load cells differ by a fifth: are the "
            f"masses given in kg?"
        )


def _disagreement(params: WeightParams, readings: Sequence[Reading], rows: _Rows) -> WeightError:
    """Why loads do not lie on a line."""
    errors_n = _left_out(rows, 1)
    n_rows = len(rows.load_n)
    guilty = [i for i in range(n_rows) if _agree(params, rows.without(i))]
    if guilty:
        # Without the wrong one the others agree best.
        worst = min(guilty, key=lambda i: _rms(_left_out(rows.without(i), 1)))
        name = _name(readings, rows.readings[worst])
        return WeightError(
            f"the {name} reading is {abs(errors_n[worst]):.2f} N off what the others say: remove it, and read it again",
            (rows.readings[worst],),
        )
    for i, j in itertools.combinations(range(1, n_rows), 2):
        order = list(range(n_rows))
        order[i], order[j] = j, i
        if rows.load_n[i] != rows.load_n[j] and _agree(params, rows._replace(counts=rows.counts[order])):
            suspects = rows.readings[i], rows.readings[j]
            names = " and ".join(_name(readings, one) for one in suspects)
            return WeightError(f"{names} seem to be swapped: remove both, and read them again", suspects)
    off_n = float(np.nanmax(np.abs(errors_n)))
    return WeightError(
        f"the readings contradict each other by up to {off_n:.2f} N, and none can be named: check what each mass "
        f"weighs, and read them again with one or two more"
    )


def _name(readings: Sequence[Reading], i: int) -> str:
    """What to call a reading, its number among those of the same mass included."""
    mass_kg = readings[i].mass_kg
    if not mass_kg:
        return "empty roller's"
    alike = [j for j, one in enumerate(readings) if one.mass_kg == mass_kg]
    number = ("", "first ", "second ", "third ")[alike.index(i) + 1] if 1 < len(alike) < 4 else ""
    return f"{number}{mass_kg:g} kg"
