# SPDX-License-Identifier: MIT
"""Loads pytest-qt only where Qt can be imported: elsewhere its tests are skipped by name, and the others run."""

from __future__ import annotations

import os

from roller_host.dashboard import requirements

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYTEST_QT_API", "pyside6")
if requirements.import_problem() is None:
    pytest_plugins = ["pytestqt.plugin"]
