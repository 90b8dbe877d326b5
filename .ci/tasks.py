# SPDX-License-Identifier: MIT
"""The one task list of CI, git hook and person: ``python .ci/tasks.py [TASK ...]``, all of them without a name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
PACKAGES = ("firmware_protocol", "roller_host", "simulator")

TASKS = {
    "format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "lint": [PYTHON, "-m", "ruff", "check", "."],
    "spell": [PYTHON, "-m", "codespell_lib", *PACKAGES, "tests", "benchmarks", "docs", "hardware", ".ci", "README.md"],
    "types": [PYTHON, "-m", "pyright", "--pythonpath", PYTHON],
    "contracts": [str(Path(PYTHON).with_name("lint-imports"))],
    "test": [PYTHON, "-m", "pytest", "-n", "4"],
}


def main(names: list[str]) -> int:
    """Run the tasks named, all of them even when one fails; returns 1 when any failed."""
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        print(f"no such task: {', '.join(unknown)}; known are {', '.join(TASKS)}", file=sys.stderr)
        return 2
    failed: list[str] = []
    for name in names or TASKS:
        print(f"--- {name}", flush=True)
        env = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        if subprocess.run(TASKS[name], cwd=ROOT, env=env, check=False).returncode:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all tasks passed", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
