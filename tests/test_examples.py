# SPDX-License-Identifier: MIT
"""The examples run as they stand in the docs."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from roller_host import open_roller
from roller_host.link.states import LinkError

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


def run(tmp_path, name, *arguments):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_strokes_are_printed(tmp_path):
    assert " N" in run(tmp_path, "strokes.py", "demo", 6)


def test_a_heavy_hand_is_told(tmp_path):
    assert "ease off" in run(tmp_path, "ease_off.py", "demo:heavy_hand", 9)


def test_every_example_is_run_here_and_named_in_the_readme():
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {"strokes.py", "ease_off.py", "two_rollers.py"}
    readme = (EXAMPLES.parent.parent / "README.md").read_text(encoding="utf-8")
    assert all(name in readme for name in names)


def test_the_readme_shows_a_script_that_runs(tmp_path):
    readme = (EXAMPLES.parent.parent / "README.md").read_text(encoding="utf-8")
    script = readme.split("<!-- example -->\n```python\n")[1].split("```")[0].replace("seconds=30", "seconds=5")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")
    assert " N" in done.stdout


def test_a_radio_that_does_not_exist_is_told_by_the_iteration():
    async def main():
        async with open_roller("smoke signals") as roller:
            with pytest.raises(LinkError, match="known are"):
                async for _ in roller:
                    pass

    asyncio.run(main())
