# SPDX-License-Identifier: MIT
"""How well host time is known for what the device's clock says, against truth, over delays of many kinds.

The link is a model of delays, faster than real time: connection events at an interval of the host's clock, to which
requests wait, and packets and answers; an answer waits for the event after the one that brought the request. What
systems and handlers add is exponential (0.3 and 0.5 ms), and on top comes jitter, uniform up to a limit, in order. One
event in fifty is missed, and every four minutes on average nothing goes through for 1 to 8 s. The newest samples in a
packet lie up to a sample period before its flush, every 60 ms of the device's clock. The skew is +100 or -100 ppm,
and the clock begins anywhere, so that its low 32 bits wrap in about 4 of 10 runs.

The error is that of the host time estimated for the present device time, from 0.5 s on.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roller_host.signal.clock import ClockParams, ClockState, Exchange, arrival_step, exchange_step, pause_s
from roller_host.signal.clock_line import estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

SETTLED_S = 120.0
EARLY_S = (0.5, 1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 80, 100)
EVERY_S = 20.0
FLUSH_S = 0.06
SAMPLE_PERIODS_US = (9615.4, 12500.0)
"""Of IMU and load cell."""


class Conditions(NamedTuple):
    """What a link is like."""

    interval_s: float = 0.03
    """Connection interval; 0 for a link without."""
    jitter_up_s: float = 0.06
    """Longest jitter of what the roller sends."""
    jitter_down_s: float = 0.0
    """Longest jitter of what the host sends."""
    answer_events: float = 1.0
    """From the event that brings a request to the next one that can take the answer, intervals."""
    warming_ppm: float = 0.0
    """Change of the skew, with a time constant of 5 minutes."""
    ask: Callable[[int], float] = pause_s
    """Pause before the i-th exchange, s."""
    reboot_s: float | None = None
    """When the device restarts."""


def as_before(i_exchange: int) -> float:
    """Pause of a host that asks as soon as it can: eight times, then every 10 s."""
    return 0.0 if i_exchange < 8 else 10.0


CONDITIONS = {
    "no interval, jitter both ways": Conditions(0.0, 0.06, 0.06),
    **{
        f"{1e3 * interval_s:g} ms, {name}": Conditions(interval_s, up_s, down_s)
        for interval_s in (0.0075, 0.015, 0.03, 0.06)
        for name, up_s, down_s in (("no jitter", 0.0, 0.0), ("jitter", 0.06, 0.0), ("jitter both ways", 0.06, 0.06))
    },
    "30 ms, jitter, answer in half an interval": Conditions(answer_events=0.5),
    "30 ms, jitter, skew changes by 4 ppm": Conditions(warming_ppm=4.0),
    "30 ms, jitter, reboot": Conditions(reboot_s=600.0),
    "30 ms, jitter, 8 requests, then one in 10 s": Conditions(ask=as_before),
}


class Link:
    """One boot of a device on a link; host time is counted from its beginning.

    Parameters
    ----------
    rng : Generator
        Draws everything.
    conditions : Conditions
        What the link is like.
    seconds : float
        How long it lasts.
    """

    def __init__(self, rng: np.random.Generator, conditions: Conditions, seconds: float) -> None:
        self.conditions, self.seconds = conditions, seconds
        self.skew_ppm = float(rng.choice([-100.0, 100.0]))
        self._rng = rng
        self._boot_us = float(rng.uniform(1e6, 2**32))
        self._phase_s = float(rng.uniform(0, 1))
        begins = np.cumsum(rng.exponential(240.0, int(seconds / 20) + 1))
        self._stalls = [(float(t), float(t + rng.uniform(1, 8))) for t in begins[begins < seconds]]

    def device_us(self, t_s: float) -> float:
        """Device clock at a host time."""
        warmed_s = t_s - 300.0 * -math.expm1(-t_s / 300.0)
        return self._boot_us + t_s * (1e6 + self.skew_ppm) + warmed_s * self.conditions.warming_ppm

    def traffic(self) -> Iterator[tuple[float, Exchange | int]]:
        """Host times of arrival, in order, with exchanges and the device clock of packets."""
        return iter(sorted([*self._packets(), *self._exchanges()], key=lambda one: one[0]))

    def _packets(self) -> Iterator[tuple[float, int]]:
        phases = self._rng.uniform(0, 1, 3)
        arrival_s = 0.0
        for i in range(int((self.seconds - 1) / FLUSH_S)):
            # By the device's clock, as long as that goes evenly.
            flush_s = 0.5 + FLUSH_S * (i + phases[2]) / (1 + self.skew_ppm * 1e-6)
            flush_us = self.device_us(flush_s)
            newest = max(
                (flush_us / period - phase) // 1 * period + phase * period
                for period, phase in zip(SAMPLE_PERIODS_US, phases, strict=False)
            )
            sent_s = self._event_s(flush_s + float(self._rng.uniform(0, 1e-3)))
            arrival_s = max(arrival_s, self._delayed_s(sent_s, self.conditions.jitter_up_s))
            yield arrival_s, int(newest)

    def _exchanges(self) -> Iterator[tuple[float, Exchange]]:
        t4_s, i_exchange = 0.0, 0
        while True:
            t1_s = t4_s + self.conditions.ask(i_exchange) + float(self._rng.exponential(3e-4))
            if t1_s > self.seconds:
                return
            event_s = self._event_s(self._delayed_s(t1_s, self.conditions.jitter_down_s))
            t2_s = event_s + float(self._rng.exponential(5e-4))
            dt_s = float(self._rng.uniform(2e-4, 3e-3))
            wait_s = self.conditions.answer_events * self.conditions.interval_s
            answer_s = max(t2_s + dt_s, event_s + wait_s)
            t4_s = self._delayed_s(self._past_stalls_s(answer_s), self.conditions.jitter_up_s)
            i_exchange += 1
            yield t4_s, Exchange(t1_s, round(self.device_us(t2_s)), round(dt_s * 1e6), t4_s)

    def _delayed_s(self, t_s: float, jitter_s: float) -> float:
        return t_s + float(self._rng.exponential(5e-4) + self._rng.uniform(0, jitter_s))

    def _event_s(self, t_s: float) -> float:
        """When something that is ready at ``t_s`` has crossed the air, 0.4 ms after the event that takes it."""
        interval_s = self.conditions.interval_s
        t_s = self._past_stalls_s(t_s)
        if interval_s:
            n_missed = int(self._rng.geometric(0.98)) - 1
            t_s = (math.ceil(t_s / interval_s - self._phase_s) + n_missed + self._phase_s) * interval_s
        return t_s + 4e-4

    def _past_stalls_s(self, t_s: float) -> float:
        return next((end_s for begin_s, end_s in self._stalls if begin_s <= t_s < end_s), t_s)


def errors(link: Link) -> NDArray[np.float64]:
    """Rows of time, s, error, s, stated standard uncertainty, s, and error of the skew, ppm."""
    params, state = ClockParams(), ClockState()
    times = iter([*EARLY_S, *np.arange(SETTLED_S, link.seconds, EVERY_S).tolist()])
    next_s = next(times)
    rows: list[tuple[float, ...]] = []
    for arrival_s, what in link.traffic():
        while arrival_s > next_s:
            model, now_us = estimate(params, state), link.device_us(next_s)
            if model:
                error_s = model.to_host_s(now_us) - next_s
                warmed_ppm = link.conditions.warming_ppm * -math.expm1(-next_s / 300.0)
                error_ppm = model.skew_ppm - link.skew_ppm - warmed_ppm
                rows.append((next_s, error_s, model.uncertainty_s(now_us), error_ppm))
            next_s = next(times, math.inf)
        if isinstance(what, Exchange):
            state = exchange_step(params, state, what)
        else:
            state = arrival_step(params, state, arrival_s, what % 2**32)
    return np.array(rows)


def boots(seed: int, i_condition: int, seconds: float) -> list[Link]:
    """Links of one run: one, or two with a reboot between them."""
    conditions = list(CONDITIONS.values())[i_condition]
    rng = np.random.default_rng([seed, i_condition])
    if conditions.reboot_s is None:
        return [Link(rng, conditions, seconds)]
    reboot_s = min(conditions.reboot_s, seconds / 2)
    return [Link(rng, conditions, reboot_s), Link(rng, conditions, seconds - reboot_s)]


def score(rows: NDArray[np.float64]) -> dict[str, float]:
    """Figures of one condition from its `errors`."""
    settled = rows[:, 0] >= SETTLED_S
    inside = np.abs(rows[:, 1]) <= 2 * rows[:, 2]
    after, before = rows[settled], rows[~settled]
    return {
        "p95_ms": float(np.quantile(np.abs(after[:, 1]), 0.95) * 1e3),
        "mean_ms": float(after[:, 1].mean() * 1e3),
        "stated_ms": float(np.median(after[:, 2]) * 1e3),
        "covered_percent": float(inside[settled].mean() * 100),
        "skew_p95_ppm": float(np.quantile(np.abs(after[:, 3]), 0.95)),
        "before_p95_ms": float(np.quantile(np.abs(before[:, 1]), 0.95) * 1e3),
        "before_covered_percent": float(inside[~settled].mean() * 100),
    }


def measure(seed_base: int, n_seeds: int, minutes: float) -> dict[str, Any]:
    """All conditions, ready for JSON."""
    found: dict[str, dict[str, float]] = {}
    for i, name in enumerate(CONDITIONS):
        print(f"{name} ...", file=sys.stderr)
        links = [link for seed in range(n_seeds) for link in boots(seed_base + seed, i, 60 * minutes)]
        found[name] = score(np.concatenate([errors(link) for link in links]))
    return {"seed_base": seed_base, "seeds": n_seeds, "minutes": minutes, "conditions": found}


def table(result: dict[str, Any]) -> str:
    """Figures as Markdown."""
    head = (
        "| interval; jitter up to 60 ms | from 120 s on, p95 (ms) | stated (ms) | covered | skew, p95 (ppm) "
        "| before, p95 (ms) | covered |\n|---|---|---|---|---|---|---|"
    )
    lines = [
        f"| {name} | {one['p95_ms']:.1f} | {one['stated_ms']:.1f} | {one['covered_percent']:.0f} % "
        f"| {one['skew_p95_ppm']:.0f} | {one['before_p95_ms']:.0f} | {one['before_covered_percent']:.0f} % |"
        for name, one in result["conditions"].items()
    ]
    return "\n".join([head, *lines])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed-base", type=int, default=100, help="first seed (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each condition (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=30.0, help="length of a run (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    arguments = parser.parse_args()
    if arguments.seeds < 1 or arguments.minutes <= 3:
        parser.error("at least one seed, and more than 3 minutes: the first two are scored by themselves")
    result = measure(arguments.seed_base, arguments.seeds, arguments.minutes)
    print(json.dumps(result) if arguments.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
