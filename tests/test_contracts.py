# SPDX-License-Identifier: MIT
"""Rules of the code base that no other test would notice being broken."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.cli import main as simulator_main

ROOT = Path(__file__).parent.parent
PACKAGES = ("firmware_protocol", "roller_host", "simulator")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TESTS = sorted((ROOT / "tests").glob("*.py"))


def ident(path):
    return str(path.relative_to(ROOT))


LINT = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(no_cache=True))"


def test_import_contracts_are_kept():
    # In a process of its own: the linter takes its settings from the working folder, and the logging for itself.
    done = subprocess.run([sys.executable, "-c", LINT], capture_output=True, text=True, cwd=ROOT, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout
    assert "5 kept, 0 broken" in done.stdout


NO_SIMULATOR = """
import importlib, pkgutil, sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("simulator", "bumble"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Wall())
import roller_host
names = [module.name for module in pkgutil.walk_packages(roller_host.__path__, "roller_host.")]
for name in names:
    if not name.startswith(("roller_host.dashboard", "roller_host.link.bumble_backend", "roller_host.link.dongle")):
        importlib.import_module(name)
assert len(names) > 30, names
from roller_host.cli import main
sys.exit(main(["replay", sys.argv[1], "--json"]))
"""


def test_the_host_does_not_need_the_simulator_and_so_cannot_know_its_ranges(tmp_path):
    """Face shapes, mounting errors and skew are drawn in the simulator alone: estimates come without it."""
    assert simulator_main(["generate", "--minutes", "0.2", "--out", str(tmp_path)]) == 0
    capture = str(tmp_path / "capture.jsonl")
    done = subprocess.run([sys.executable, "-c", NO_SIMULATOR, capture], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["strokes"] > 0


def test_only_the_world_of_the_demo_names_the_simulator():
    naming = [
        ident(path)
        for path in (ROOT / "roller_host").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "simulator")
        or (isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == "simulator" for alias in node.names))
    ]
    assert set(naming) == {"roller_host/app/world.py"}


def test_there_are_sources():
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=ident)
def test_file_begins_with_its_licence(path):
    assert path.read_text("utf-8").startswith("# SPDX-License-Identifier: MIT\n")


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"], ids=ident)
def test_package_imports_nothing(path):
    # What stands in a function or under TYPE_CHECKING is not imported with the package.
    body = ast.parse(path.read_text("utf-8")).body
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {node.module for node in imports if isinstance(node, ast.ImportFrom)} <= {"typing"}
    assert not [node for node in imports if isinstance(node, ast.Import)]


@pytest.mark.parametrize("name", PACKAGES)
def test_package_is_marked_as_typed(name):
    assert (ROOT / name / "py.typed").exists()


@pytest.mark.skipif(os.name == "nt", reason="no permission bits")
def test_sources_are_not_executable():
    assert not [ident(path) for path in SOURCES if path.stat().st_mode & 0o111]
