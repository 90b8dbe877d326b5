# SPDX-License-Identifier: MIT
"""Force, its uncertainty and the alerts against simulator truth.

Force: sessions of 15 minutes with every flaw of the reference device (creep, drift with time and temperature, rattling
skin, pitched handle), in which the roller is also turned over in the air. Each sample after the start pose counts; the
budget of a sample is 0.10 N + 2 % of the true force, and the budget is kept when the root mean square of error over
budget is at most 1. Peaks are those of the strokes that were found and matched to true ones.

Alerts: a hand that presses on one place, as noisily as in the studies behind the thresholds: mean 3.6 N, an
Ornstein-Uhlenbeck process of 0.35 N and 0.3 s, tremor of 0.08 N at 9 Hz, limit 4 N; and overloads that rise from 2.5 N
to 6 N, and to 10 N beyond the ceiling of 8 N, in 150 ms. Latency is device time of the deciding sample less the true
crossing. An alert is without reason when no true excursion of 100 ms, every millisecond of it above the limit, goes on
at it or ended less than 150 ms before.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmware_protocol.zones import PLACES
from roller_host.pipeline import Pipeline
from roller_host.signal.comfort import STARTING_BANDS, Comfort
from roller_host.signal.core import SignalParams
from roller_host.signal.record import Record
from simulator.body import rotations
from simulator.body.hand import Habits, Hand
from simulator.body.motion import in_air, min_jerk
from simulator.body.truth import GRID_HZ, match_strokes
from simulator.firmware.device import Device
from simulator.generate import generate
from simulator.hardware.flaws import Flaws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.comfort import Cue
    from roller_host.signal.estimates import Stroke
    from simulator.body.truth import Truth

SETTLED_S = 3.0
"""Force is scored after the start pose, in which its zero is found."""
BAND = STARTING_BANDS["cheek"]
"""Thresholds of the pressing hand, everywhere."""
SESSION_S, PRESS_S = 900.0, 120.0
OVERLOADS = 15
"""Per pressing session and height."""


class TurningHand(Hand):
    """Massages, and turns the roller over in the air after every fourth visit."""

    def __init__(self, seed: int, habits: Habits | None = None) -> None:
        super().__init__(seed, habits)
        self._turns = np.random.default_rng([seed, 9])
        self._n_visits = 0

    def visit(self) -> Truth:
        """Massage one place, or turn over."""
        self._n_visits += 1
        return self._turn_over() if self._n_visits % 5 == 0 else super().visit()

    def _turn_over(self) -> Truth:
        axis = self._turns.normal(size=3)
        angle = np.pi * min_jerk(round(self._turns.uniform(0.8, 1.5) * GRID_HZ))
        turn = np.concatenate([angle, np.full(GRID_HZ // 2, np.pi), angle[::-1]])
        q = rotations.multiply(
            self._pose.q_face_body, rotations.from_rotvec(np.outer(turn, axis / np.linalg.norm(axis)))
        )
        return self._truth(in_air(np.tile(self._pose.axle_m, (len(turn), 1)), q))


class PressingHand(Hand):
    """Presses the resting roller on one place with given forces, each after a second in the air."""

    def __init__(self, seed: int, presses: list[NDArray[np.float64]]) -> None:
        """Take one array of force on the truth's grid, N, per press."""
        super().__init__(seed)
        self._presses = iter(presses)

    def visit(self) -> Truth:
        """Press once; after the last time rest."""
        force_n = next(self._presses, None)
        if force_n is None:
            return self.rest(1.0)
        pitch = np.radians(self.rng.normal(-2 * self.habits.pitch_deg, self.habits.pitch_deg))
        air = np.zeros(GRID_HZ)
        force_n = np.concatenate([air, force_n, air])
        n = len(force_n)
        still = in_air(np.tile(self._pose.axle_m, (n, 1)), np.tile(self._pose.q_face_body, (n, 1)))
        return self._truth(
            replace(
                still,
                force_n=force_n,
                axial_n=force_n * np.cos(pitch),
                side_n=np.outer(force_n, [0.0, np.sin(pitch)]),
                normal=np.tile(self._pose.normal, (n, 1)),
                moving=force_n > 0,
                place=np.full(n, PLACES.index(("cheek", "left")), np.int8),
            )
        )


class Run(NamedTuple):
    """One session: what was estimated, and the truth of it by the device's clock."""

    t_s: NDArray[np.float64]
    force_n: NDArray[np.float64]
    sigma_n: NDArray[np.float64]
    true_n: NDArray[np.float64]
    """True force at the samples."""
    comfort: list[Comfort]
    cues: list[Cue]
    strokes: list[Stroke]
    true: list[Truth]
    grid_s: NDArray[np.float64]
    """Session time of all rows of ``true``."""


def run(seed: int, seconds: float, hand: Hand, flaws: Flaws | None = None, params: SignalParams | None = None) -> Run:
    """Simulate and estimate one session."""
    true: list[Truth] = []
    clock: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    device = Device(
        seed, None, flaws, true.append, hand=hand, on_samples=lambda true_s, us, _: clock.append((true_s, us))
    )
    pipeline = Pipeline(params)
    records = (Record(*payload) for payload in generate(device, seconds))
    blocks = [estimates for record in records if (estimates := pipeline.feed(record)) is not None]
    # The device's crystal is off by some 20 ppm. Its first sample is time zero of the session.
    true_s, device_us = (np.concatenate(part) for part in zip(*clock, strict=True))
    begin_s = min(true_s[0], 0.5 / device.force_rate_hz)
    rate = (device_us[-1] - device_us[0]) * 1e-6 / (true_s[-1] - true_s[0])
    grid_s = (np.concatenate([part.t_s for part in true]) - begin_s) * rate
    t_s = np.concatenate([block.t_s for block in blocks])
    return Run(
        t_s,
        np.concatenate([block.force_n for block in blocks]),
        np.concatenate([block.force_sigma_n for block in blocks]),
        np.interp(t_s, grid_s, np.concatenate([part.force_n for part in true])),
        [level for block in blocks for level in block.comfort],
        [cue for block in blocks for cue in block.cues],
        pipeline.totals.strokes,
        true,
        grid_s,
    )


# --- Force ------------------------------------------------------------------------------------------------------------


def score_massage(found: Run) -> dict[str, NDArray[Any]]:
    """Errors per sample and per stroke of one session."""
    settled = found.t_s > SETTLED_S
    true_s = np.concatenate([part.t_s for part in found.true])
    strokes = [stroke for part in found.true for stroke in part.strokes]
    begins, ends = (
        np.interp([getattr(stroke, end) for stroke in strokes], true_s, found.grid_s) for end in ("begin_s", "end_s")
    )
    true = [
        stroke._replace(begin_s=begin, end_s=end)
        for stroke, begin, end in zip(strokes, begins.tolist(), ends.tolist(), strict=True)
    ]
    pairs, _, _ = match_strokes(true, found.strokes)
    return {
        "error_n": (found.force_n - found.true_n)[settled],
        "true_n": found.true_n[settled],
        "sigma_n": found.sigma_n[settled],
        "peak": np.array([other.force_peak_n / stroke.force_peak_n - 1 for stroke, other in pairs]),
        "mean": np.array([other.force_n / stroke.force_n - 1 for stroke, other in pairs]),
    }


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _percent(chosen: NDArray[Any]) -> float:
    return 100 * float(np.mean(chosen))


def summarise_force(sessions: list[dict[str, NDArray[Any]]]) -> dict[str, float]:
    """Figures over all samples and strokes."""
    all_of = {key: np.concatenate([session[key] for session in sessions]) for key in sessions[0]}
    error_n, true_n = all_of["error_n"], all_of["true_n"]
    contact, budget_n = true_n > 0, 0.10 + 0.02 * true_n
    sigmas = np.abs(error_n) / all_of["sigma_n"]
    peak, mean = 100 * np.abs(all_of["peak"]), 100 * np.abs(all_of["mean"])
    return {
        "force_rmse_n": _rms(error_n),
        "force_rmse_contact_n": _rms(error_n[contact]),
        "force_rmse_air_n": _rms(error_n[~contact]),
        "force_rmse_over_budget": _rms(error_n / budget_n),
        "force_worst_session_over_budget": max(
            _rms(one["error_n"] / (0.10 + 0.02 * one["true_n"])) for one in sessions
        ),
        "force_within_budget_percent": _percent(np.abs(error_n) <= budget_n),
        "force_mean_contact_n": float(true_n[contact].mean()),
        "force_samples": len(error_n),
        "peak_force_median_percent": float(np.median(peak)),
        "peak_force_p95_percent": float(np.percentile(peak, 95)),
        "peak_force_bias_percent": 100 * float(np.median(all_of["peak"])),
        "mean_force_median_percent": float(np.median(mean)),
        "mean_force_p95_percent": float(np.percentile(mean, 95)),
        "force_strokes": len(peak),
        "sigma_1_contact_percent": _percent(sigmas[contact] < 1),
        "sigma_2_contact_percent": _percent(sigmas[contact] < 2),
        "sigma_1_air_percent": _percent(sigmas[~contact] < 1),
        "sigma_2_air_percent": _percent(sigmas[~contact] < 2),
    }


# --- Alerts -----------------------------------------------------------------------------------------------------------


def noise_n(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Noisy hand around its mean on the truth's grid, N."""
    # On a grid the Ornstein-Uhlenbeck process is a recursion: this is its exact one.
    keep = np.exp(-1 / (0.3 * GRID_HZ))
    steps = (0.35 * np.sqrt(1 - keep**2) * rng.normal(size=n)).tolist()
    wander = np.empty(n)
    last = 0.35 * rng.normal()
    for i, step in enumerate(steps):
        last = keep * last + step
        wander[i] = last
    tremor = 0.08 * np.sqrt(2) * np.sin(2 * np.pi * 9.0 * np.arange(n) / GRID_HZ + rng.uniform(0, 2 * np.pi))
    return wander + tremor


def noisy_presses(rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """One long press of the noisy hand."""
    n = round(PRESS_S * GRID_HZ)
    ramp = min_jerk(GRID_HZ // 4)
    force_n = np.maximum(3.6 + noise_n(rng, n), 0.01)
    force_n[: len(ramp)] *= ramp
    force_n[-len(ramp) :] *= ramp[::-1]
    return [force_n]


def overload_presses(rng: np.random.Generator, height_n: float) -> list[NDArray[np.float64]]:
    """Presses of the noisy hand that rise from 2.5 N to a height in 150 ms and stay there for half a second."""
    ramp, rise = min_jerk(GRID_HZ // 4), np.linspace(0, 1, round(0.15 * GRID_HZ))
    presses: list[NDArray[np.float64]] = []
    for _ in range(OVERLOADS):
        calm = np.ones(round(rng.uniform(1.0, 2.0) * GRID_HZ))
        share = np.concatenate([0 * ramp, 0 * calm, rise, np.ones(GRID_HZ // 2), rise[::-1], 0 * calm, 0 * ramp])
        force_n = np.maximum(2.5 + (height_n - 2.5) * share + noise_n(rng, len(share)), 0.01)
        force_n[: len(ramp)] *= ramp
        force_n[-len(ramp) :] *= ramp[::-1]
        presses.append(force_n)
    return presses


def press(seed: int, presses: list[NDArray[np.float64]]) -> Run:
    """Session of the pressing hand."""
    bands = dict.fromkeys([*PLACES, ("", "")], BAND)
    seconds = sum(len(one) / GRID_HZ + 2.0 for one in presses) + 4.0
    return run(seed, seconds, PressingHand(seed, presses), params=SignalParams(bands=bands))


def excursions(found: Run, limit_n: float, shortest_s: float) -> list[tuple[float, float]]:
    """Session times between which the true force is above a limit throughout."""
    above = np.concatenate([part.force_n for part in found.true]) > limit_n
    edges = np.flatnonzero(np.diff(np.concatenate([[False], above, [False]])))
    times = found.grid_s[np.minimum(edges, len(found.grid_s) - 1)].reshape(-1, 2)
    return [(begin_s, end_s) for begin_s, end_s in times.tolist() if end_s - begin_s >= shortest_s]


def score_noisy(found: Run) -> dict[str, Any]:
    """Alerts, those without reason, and overloads without an alert."""
    alerts = [cue.t_s for cue in found.cues if cue.comfort >= Comfort.TOO_HARD > cue.before]
    reasons = excursions(found, BAND.limit_n, 0.1)
    overloads = excursions(found, BAND.limit_n, 0.3)
    hard = np.array([level in (Comfort.TOO_HARD, Comfort.STOP) for level in found.comfort])
    return {
        "minutes": PRESS_S / 60,
        "alerts": len(alerts),
        "without_reason": sum(not any(b <= at <= e + 0.15 for b, e in reasons) for at in alerts),
        "overloads": len(overloads),
        "missed": sum(not hard[(found.t_s >= b) & (found.t_s <= e + 0.03)].any() for b, e in overloads),
    }


def latencies_s(found: Run, threshold_n: float, level: Comfort) -> list[float]:
    """From each first crossing by the truth in a press to the decision; inf where there was none.

    A little too early is right as well: the force that is shown may be a little too high.
    """
    decided = [cue.t_s for cue in found.cues if cue.comfort >= level > cue.before]
    crossed: list[float] = []
    for begin_s, _ in excursions(found, threshold_n, 0.0):
        if not crossed or begin_s > crossed[-1] + 1.5:
            crossed.append(begin_s)
    return [min((at - begin_s for at in decided if -0.05 <= at - begin_s < 1.0), default=np.inf) for begin_s in crossed]


def _latency_figures(name: str, values_s: list[float], allowed_s: float) -> dict[str, float]:
    found_ms = 1000 * np.array([value for value in values_s if np.isfinite(value)])
    return {
        f"{name}_latency_median_ms": float(np.median(found_ms)),
        f"{name}_latency_p95_ms": float(np.percentile(found_ms, 95)),
        f"{name}_latency_max_ms": float(found_ms.max()),
        f"{name}_in_time_percent": _percent(np.array(values_s) <= allowed_s),
        f"{name}_missed": len(values_s) - len(found_ms),
        f"{name}_steps": len(values_s),
    }


def score_alerts(seed_base: int, seeds: int) -> dict[str, float]:
    """Figures of the pressing hand."""
    noisy: list[dict[str, Any]] = []
    limit_s: list[float] = []
    ceiling_s: list[float] = []
    for seed in range(seed_base, seed_base + seeds):
        rng = np.random.default_rng([seed, 11])
        noisy.append(score_noisy(press(seed, noisy_presses(rng))))
        limit_s += latencies_s(press(seed, overload_presses(rng, 6.0)), BAND.limit_n, Comfort.TOO_HARD)
        ceiling_s += latencies_s(press(seed, overload_presses(rng, 10.0)), BAND.ceiling_n, Comfort.STOP)
    total = {key: sum(one[key] for one in noisy) for key in noisy[0]}
    return {
        **_latency_figures("limit", limit_s, 0.130),
        **_latency_figures("ceiling", ceiling_s, 0.040),
        "alerts_per_minute": total["alerts"] / total["minutes"],
        "false_alerts_per_minute": total["without_reason"] / total["minutes"],
        "overloads_300_ms": total["overloads"],
        "overloads_300_ms_missed": total["missed"],
    }


# --- Ablation ---------------------------------------------------------------------------------------------------------

_PERFECT = Flaws(
    **{name: 0.0 for name in Flaws.__dataclass_fields__ if name not in ("creep_s", "stop_n", "zero_counts")}
)
_CASES: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "creep": ({"creep": 0.0}, {}),
    "zero walk": ({"zero_walk_n": 0.0}, {}),
    "zero by temperature": ({"zero_n_k": 0.0}, {}),
    "sensitivity": ({"calibration": 0.0, "sensitivity_k": 0.0}, {}),
    "rattling": ({"vibration_m_s2": 0.0}, {}),
    "pitch of the handle": ({}, {"pitch_deg": 0.0, "rocking_deg": 0.0, "wander_deg": 0.0}),
}


def ablate(seed_base: int, seeds: int = 2, seconds: float = 300.0) -> dict[str, dict[str, float]]:
    """Force figures with one cause of error taken away, with it doubled, and with perfect sensors.

    Parameters
    ----------
    seed_base : int
        First seed.
    seeds : int, default 2
        Sessions per case.
    seconds : float, default 300
        Length of a session, s.
    """

    def figures(flaws: Flaws, habits: Habits) -> dict[str, float]:
        runs = [run(s, seconds, TurningHand(s, habits), flaws) for s in range(seed_base, seed_base + seeds)]
        whole = summarise_force([score_massage(one) for one in runs])
        return {key: whole[key] for key in ("force_rmse_n", "force_rmse_over_budget", "peak_force_median_percent")}

    table = {"as it is": figures(Flaws(), Habits()), "perfect sensors": figures(_PERFECT, Habits())}
    for name, (flaws, habits) in _CASES.items():
        twice = {key: 2 * getattr(Flaws(), key) for key in flaws}, {key: 2 * getattr(Habits(), key) for key in habits}
        table[f"without {name}"] = figures(replace(Flaws(), **flaws), replace(Habits(), **habits))
        table[f"{name} doubled"] = figures(replace(Flaws(), **twice[0]), replace(Habits(), **twice[1]))
    return table


# --- All --------------------------------------------------------------------------------------------------------------


def score(seed_base: int, seeds: int = 4, seconds: float = SESSION_S) -> dict[str, Any]:
    """Figures of force and alerts, JSON values.

    Parameters
    ----------
    seed_base : int
        First seed; each is another person with another device.
    seeds : int, default 4
        Massages, and pressing hands.
    seconds : float, default 900
        Length of a massage, s.
    """
    sessions = [score_massage(run(seed, seconds, TurningHand(seed))) for seed in range(seed_base, seed_base + seeds)]
    return {"force_sessions": seeds, "force_session_s": seconds, **summarise_force(sessions)} | score_alerts(
        seed_base, seeds
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed-base", type=int, default=7000, help="first seed; the following ones are used too")
    parser.add_argument("--seeds", type=int, default=4, help="massages, and pressing hands")
    parser.add_argument("--seconds", type=float, default=SESSION_S, help="length of a massage")
    parser.add_argument("--ablation", action="store_true", help="take causes of error away one by one instead")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    if arguments.ablation:
        result: dict[str, Any] = ablate(arguments.seed_base)
    else:
        result = score(arguments.seed_base, arguments.seeds, arguments.seconds)
    if arguments.json:
        print(json.dumps(result))
        return 0
    for key, value in result.items():
        shown = "  ".join(f"{k} {v:.3f}" for k, v in value.items()) if isinstance(value, dict) else f"{value:.3f}"
        print(f"{key:36} {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
