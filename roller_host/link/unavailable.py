# SPDX-License-Identifier: MIT
"""Why there is no working Bluetooth, and what to do about it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from roller_host.link import bluez
from roller_host.link.states import NoBluetoothError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SWITCHED_OFF: Final = ("Bluetooth is switched off.", "Switch it on in the system's settings, or try --radio demo.")
"""Reason and action."""
SCAN_START_S: Final = 10.0
"""Longest time that the system may take to begin a scan, s."""
_HELP: Final = "Plug one in, switch Bluetooth on and, on Linux, start bluetoothd; or try --radio demo."
_DENIED_HELP: Final = "Allow it in the system's privacy settings (on Linux: group bluetooth); or try --radio demo."


class NobodyListensError(NoBluetoothError):
    """The simulator's port is closed: unlike an adapter, that does not come back by itself."""


@asynccontextmanager
async def explained(spec: str, *, is_system: bool) -> AsyncGenerator[None]:
    """Turn what bleak and the systems raise without a working adapter into one error that says what to do.

    Parameters
    ----------
    spec : str
        The radio as the person named it.
    is_system : bool
        Whether it is the system's own Bluetooth.

    Raises
    ------
    NoBluetoothError
        In place of everything else.
    """
    from bleak.exc import BleakBluetoothNotAvailableError, BleakError  # noqa: PLC0415 - slow

    try:
        yield
    except TimeoutError as error:
        raise NoBluetoothError(f"Bluetooth did not answer within {SCAN_START_S:g} s.", _HELP) from error
    except BleakBluetoothNotAvailableError as error:
        listens = not (spec.startswith("tcp:") and error.reason.name == "NO_BLUETOOTH")
        kind = NoBluetoothError if listens else NobodyListensError
        raise kind(*_unavailable(spec, error.args[0], error.reason.name, is_system=is_system)) from error
    except BleakError as error:
        if bluez.is_switched_off(error):
            raise NoBluetoothError(*SWITCHED_OFF) from error
        raise NoBluetoothError(f"Bluetooth does not work: {str(error).rstrip('.')}.", _HELP) from error
    except PermissionError as error:
        raise NoBluetoothError(f"Bluetooth may not be used: {error}.", _DENIED_HELP) from error
    except (FileNotFoundError, ConnectionError) as error:
        raise NoBluetoothError("No Bluetooth adapter was found (no system D-Bus).", _HELP) from error
    except (OSError, EOFError) as error:
        raise NoBluetoothError(f"No Bluetooth adapter was found ({error}).", _HELP) from error


def gone(spec: str, *, is_system: bool) -> NoBluetoothError:
    """Make the error for an adapter that was there a moment ago."""
    return NoBluetoothError(*_unavailable(spec, "it is gone", "UNKNOWN", is_system=is_system))


def _unavailable(spec: str, text: str, reason: str, *, is_system: bool) -> tuple[str, str]:
    """Reason and action when there is no Bluetooth."""
    if spec.startswith("tcp:"):
        address = spec.removeprefix("tcp:")
        what = f"Nothing listens on {address}." if reason == "NO_BLUETOOTH" else f"No simulator answers on {address}."
        return what, f"Start the simulator with roller-sim run --listen {address}"
    if not is_system:
        return (
            f"The Bluetooth controller {spec} cannot be used ({text}).",
            "Check that it is plugged in and free.",
        )
    if reason == "POWERED_OFF":
        return SWITCHED_OFF
    if reason.startswith("DENIED"):
        return f"Bluetooth may not be used by this program ({text}).", _DENIED_HELP
    return f"No Bluetooth adapter was found ({text}).", _HELP
