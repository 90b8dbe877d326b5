# SPDX-License-Identifier: MIT
"""Rules of the code base that no other test would notice being broken."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert "4 kept, 0 broken" in done.stdout


def test_there_are_sources():
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=ident)
def test_file_begins_with_its_licence(path):
    assert path.read_text("utf-8").startswith("# SPDX-License-Identifier: MIT\n")


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"], ids=ident)
def test_package_imports_nothing(path):
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    assert not [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("name", PACKAGES)
def test_package_is_marked_as_typed(name):
    assert (ROOT / name / "py.typed").exists()


@pytest.mark.skipif(os.name == "nt", reason="no permission bits")
def test_sources_are_not_executable():
    assert not [ident(path) for path in SOURCES if path.stat().st_mode & 0o111]
