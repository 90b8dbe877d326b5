# SPDX-License-Identifier: MIT
"""docs/states.md has every phase of the link, and every message that the link can end or wait with."""

import ast
import re
import runpy
from pathlib import Path

import pytest

from roller_host.link.states import PHASE_HELP, LinkPhase

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "states.md").read_text("utf-8")
SPEAKING = (
    "client",
    "connection",
    "errands",
    "passkey",
    "quality",
    "radio",
    "refusals",
    "states",
    "stay",
    "unavailable",
)
"""Modules of the link whose messages reach a person."""


def messages(path):
    """Texts of three words and more in a module, but for docstrings and the log."""
    silent = set()
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            silent.add(node.value)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger."):
            silent.update(ast.walk(node))
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and n not in silent]
    return [text for text in texts if isinstance(text, str) and len(re.findall(r"[a-z]{2,}", text)) >= 3]


def test_every_phase_has_words():
    assert set(PHASE_HELP) == set(LinkPhase)
    assert all(known.meaning.endswith(".") and known.action.endswith(".") for known in PHASE_HELP.values())


def test_the_table_of_phases_is_current():
    shown = [f"| {phase.value} | {known.meaning} | {known.action} |" for phase, known in PHASE_HELP.items()]
    table = "\n".join(["| state | what it means | what to do |", "|---|---|---|", *shown])
    assert PAGE.split("<!-- phases -->\n")[1].split("\n<!-- /phases -->")[0] == table


@pytest.mark.parametrize("module", SPEAKING)
def test_every_message_is_on_the_page(module):
    said = messages(ROOT / "roller_host" / "link" / f"{module}.py")
    assert said
    page = PAGE.replace("\\|", "|")
    assert [text for text in said if text.strip() not in page] == []


def test_there_is_a_picture_of_every_state():
    pictures = runpy.run_path(str(ROOT / "docs" / "screenshots.py"))
    shown = [*pictures["LIVE"].values(), *(happens for *_, happens in pictures["PICKER"].values())]
    phases = {one.phase for happens in shown for one in happens if hasattr(one, "phase")}
    assert phases == set(LinkPhase) - {LinkPhase.OFF}
