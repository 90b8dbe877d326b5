# SPDX-License-Identifier: MIT
"""Host program for a Bluetooth facial roller; `open_roller` is the way in for scripts."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roller_host.app.script import open_roller

__version__ = "0.1.0"
__all__ = ["__version__", "open_roller"]


def __getattr__(name: str) -> Any:
    # numpy, scipy and the rest are loaded when they are needed, not with the first import.
    if name == "open_roller":
        from roller_host.app.script import open_roller  # noqa: PLC0415

        return open_roller
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
