# SPDX-License-Identifier: MIT
"""What a recording remembers of how it was made."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import roller_host
from roller_host.sessions.source import params_json

if TYPE_CHECKING:
    from roller_host.signal.core import SignalParams


def provenance(radio: str, params: SignalParams) -> dict[str, str]:
    """Radio, parameters, and versions of everything that the numbers depend on."""
    found = {"program": roller_host.__version__, "python": platform.python_version(), "system": platform.platform()}
    for name in ("numpy", "scipy", "vqf", "bleak", "bumble"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return {"radio": radio, **found, "params": params_json(params)}
