# SPDX-License-Identifier: MIT
"""Personal comfort calibration against the feelings of simulated people.

Each (thresholds by place, reaction of 0.15 to 0.5 s, ramps at half to twice the pace, a spread of their own) goes
through the guided flow with a simulated roller, faster than real time: sensors with all flaws, packets, pipeline,
`ComfortGuide`. Truth of a limit is 0.85 of the person's own "as firm as I would like", at most 0.85 of the ceiling; of
the end of the band, their "pleasantly firm", at most 0.9 of the limit. No band in use may lie above the person's true
pain threshold, also none that is only inferred. ``usual`` repeats it without the reaction test.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, NamedTuple

import numpy as np

from firmware_protocol.zones import PLACES
from roller_host.guide.comfort import ComfortGuide
from roller_host.guide.step import Order, Task
from roller_host.pipeline import Pipeline
from roller_host.sessions.person import Person
from roller_host.signal.comfort import STARTING_BANDS
from roller_host.signal.limits import Origin
from roller_host.signal.record import Record
from simulator.body.pressing import PressingHand
from simulator.firmware.device import Device
from simulator.generate import Dialogue, Payload

LONGEST_S = 3600.0
LIMIT_RATIO, FIRM_RATIO = 0.85, 0.9


class Run(NamedTuple):
    """One person's calibration."""

    guide: ComfortGuide
    hand: PressingHand
    seconds: float
    problems: list[str]


def calibrate(seed: int, form: str, *, tested: bool = True) -> Run:
    """Lead one person through the flow."""
    hand = PressingHand(seed)
    device, pipeline = Device(seed, hand=hand), Pipeline()
    session: list[float] = []
    """Driver's time at the beginning of the session, s."""
    problems: list[str] = []
    orders: list[Order | None] = [None]

    def clock() -> float | None:
        return host.now_us * 1e-6 - session[0] if session else None

    def take(payload: Payload) -> None:
        estimates = pipeline.feed(Record(*payload))
        if estimates is None:
            return
        if not session:
            # The first packet holds the samples since START.
            session.append(host.now_us * 1e-6 - float(estimates.t_s[-1]))
        before = guide.shown.problem
        guide.take(estimates)
        if guide.shown.problem not in ("", before):
            problems.append(guide.shown.problem)
        if guide.shown.order != orders[-1]:
            orders.append(guide.shown.order)
            obey(device, hand, guide.shown.order, host.now_us)

    guide = ComfortGuide(Person("Simulated"), device.device_id.hex(), "", lambda _: None, clock=clock)
    host = Dialogue(device, take)
    host.connect()
    host.start()
    host.pass_time(3.0)
    guide.act(form)
    guide.act("go")
    if not tested:
        guide.act("skip")
    while guide.shown.step != "result":
        host.pass_time(0.02)
        if host.now_us * 1e-6 > LONGEST_S:
            raise RuntimeError(f"seed {seed}: the flow does not end: {guide.shown.title}, {guide.shown.text}")
    return Run(guide, hand, host.now_us * 1e-6, problems)


def obey(device: Device, hand: PressingHand, order: Order | None, now_us: int) -> None:
    """Let the hand do what the flow orders."""
    if order is None:
        hand.release()
    elif order.task is Task.BUTTON:
        hand.tap(device.senses.life_at(now_us))
    elif order.task is Task.RAMP:
        hand.press(order.zone, order.side, order.rate_n_s)
    else:
        hand.still()


def score(run: Run) -> dict[str, Any]:
    """Errors of one person's bands, in percent of the truth."""
    feelings, rows = run.hand.feelings, {"limit": [], "firm": [], "inferred_limit": []}
    above_pain: list[str] = []
    for place in PLACES:
        felt = feelings.thresholds[place]
        one = run.guide.shown.bands[place]
        limit_n = LIMIT_RATIO * min(felt.firmest_n, STARTING_BANDS[place[0]].ceiling_n)
        firm_n = min(felt.pleasant_n, FIRM_RATIO * limit_n)
        if one.origin is Origin.MEASURED:
            rows["limit"].append(100 * (one.band.limit_n / limit_n - 1))
            rows["firm"].append(100 * (one.band.firm_n / firm_n - 1))
        else:
            rows["inferred_limit"].append(100 * (one.band.limit_n / limit_n - 1))
        if one.band.limit_n > felt.pain_n:
            above_pain.append(" ".join(place))
    return {
        **rows,
        "above_pain": above_pain,
        "reaction_error_ms": 1000 * (run.guide.shown.reaction.s - feelings.reaction_s),
        "seconds": run.seconds,
        "repeated": len(run.problems),
        "problems": run.problems,
        "skipped": len(run.guide.shown.skipped),
    }


def summarise(people: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures over all people."""
    limit, firm, inferred = (
        np.concatenate([one[key] for one in people]) for key in ("limit", "firm", "inferred_limit")
    )
    both = np.abs(np.concatenate([limit, firm]))
    return {
        "people": len(people),
        "bands_measured": len(limit),
        "band_error_median_percent": float(np.median(both)),
        "band_error_p95_percent": float(np.percentile(both, 95)),
        "band_error_worst_person_percent": max(
            float(np.median(np.abs([*one["limit"], *one["firm"]]))) for one in people if one["limit"]
        ),
        "limit_error_median_percent": float(np.median(np.abs(limit))),
        "limit_bias_percent": float(np.median(limit)),
        "firm_error_median_percent": float(np.median(np.abs(firm))),
        "firm_bias_percent": float(np.median(firm)),
        "inferred_limit_bias_percent": float(np.median(inferred)) if len(inferred) else None,
        "limits_above_pain": sum(len(one["above_pain"]) for one in people),
        "limits_in_use": len(people) * len(PLACES),
        "reaction_error_median_ms": float(np.median(np.abs([one["reaction_error_ms"] for one in people]))),
        "flow_median_s": float(np.median([one["seconds"] for one in people])),
        "problems_told": sum(one["repeated"] for one in people),
        "places_skipped": sum(one["skipped"] for one in people),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seed-base", type=int, default=100, help="first of the seeds (7000 scores; tune on others)")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--parts", nargs="+", choices=("quick", "usual", "full"), default=["quick", "usual"])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    seeds = range(arguments.seed_base, arguments.seed_base + arguments.people)
    result: dict[str, Any] = {"seed_base": arguments.seed_base}
    for part in arguments.parts:
        runs: list[dict[str, Any]] = []
        for seed in seeds:
            runs.append(score(calibrate(seed, "full" if part == "full" else "quick", tested=part != "usual")))
            if not arguments.json:
                print(f"{part} {seed}: {json.dumps(runs[-1])}", file=sys.stderr)
        result[part] = summarise(runs)
    if arguments.json:
        print(json.dumps(result))
        return
    for part in arguments.parts:
        print(part)
        for key, value in result[part].items():
            print(f"  {key:34} {value:.3g}" if isinstance(value, float) else f"  {key:34} {value}")


if __name__ == "__main__":
    main()
