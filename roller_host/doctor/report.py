# SPDX-License-Identifier: MIT
"""The command `doctor`: what was found, in words or as JSON, and the table of all that can be found."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from roller_host.doctor.cases import AFTER, ELSEWHERE, UNKNOWN, Case, Saying, Verdict
from roller_host.doctor.checks import NAMES, examine, exit_code
from roller_host.doctor.probes import gather
from roller_host.link.radio import open_radio
from roller_host.link.states import BadRadioError
from roller_host.terminal import BAD_INPUT, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roller_host.doctor.checks import Finding


def run_doctor(radio: str, *, as_json: bool) -> int:
    """Look at this computer and say what to do; returns the exit code."""
    if radio != "demo":
        try:
            open_radio(radio)
        except BadRadioError as error:
            sys.stderr.write(f"roller-host: {error}\n")
            if as_json:
                sys.stdout.write(json.dumps({"radio": radio, "error": str(error)}) + "\n")
            return BAD_INPUT
    progress = Progress()
    try:
        facts = gather(radio, NAMES, lambda words: progress.show(words, at_once=True))
    finally:
        progress.clear()
    findings = examine(facts)
    sys.stdout.write(as_object(radio, findings) if as_json else as_text(findings))
    return exit_code(findings)


def as_object(radio: str, findings: Sequence[Finding]) -> str:
    """All findings as one JSON object on a line."""
    checks = [
        {
            "name": one.check.value,
            "verdict": one.verdict.value,
            "case": one.case,
            "found": one.found,
            "action": one.action,
        }
        for one in findings
    ]
    return json.dumps({"radio": radio, "exit_code": exit_code(findings), "checks": checks}) + "\n"


def as_text(findings: Sequence[Finding]) -> str:
    """Findings as lines for a person, what to do below each, and at the end what to begin with."""
    shown = [one for one in findings if one.case not in {"AFTER", "ELSEWHERE"}]
    width = max(len(one.check.value) for one in shown)
    lines: list[str] = []
    for one in shown:
        lines.append(f"{one.verdict.value:8} {one.check.value:{width}}  {one.found}")
        if one.action:
            lines.append(f"{'':8} {'':{width}}  > {one.action}")
    return "\n".join([*lines, "", _conclusion(findings)]) + "\n"


def _conclusion(findings: Sequence[Finding]) -> str:
    count = Counter(one.verdict for one in findings)
    problems, warnings = (_number(count[verdict], verdict.value) for verdict in (Verdict.PROBLEM, Verdict.WARNING))
    if not count[Verdict.PROBLEM]:
        return f"Nothing stands in the way{f'; {warnings}' if warnings else ''}."
    first = next(one for one in findings if one.verdict is Verdict.PROBLEM)
    later = [one.check.value for one in findings if one.case == "AFTER"]
    sentences = [
        " and ".join(filter(None, (problems, warnings))) + ".",
        f"Begin with: {first.check.value}.",
        *([f"Not looked at until that is solved: {', '.join(later)}."] if later else []),
        "docs/troubleshooting.md tells more.",
    ]
    return " ".join(sentences)


def _number(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n > 1 else ''}" if n else ""


def table() -> str:
    """All that the doctor can say, as a table in Markdown."""

    def row(name: str, saying: Saying) -> str:
        cells = (name, saying.verdict.value, *(text.replace("|", "\\|") for text in (saying.found, saying.action)))
        return f"| {' | '.join(cells)} |"

    rows = [row(case.check.value, case.saying) for case in Case]
    rows += [row("any", saying) for saying in (AFTER, ELSEWHERE, UNKNOWN)]
    return "\n".join(["| check | verdict | what it found | what to do |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
