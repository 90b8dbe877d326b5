# SPDX-License-Identifier: MIT
"""Why a control request brought no reply, in words that a person can use."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from firmware_protocol import codec, layout
from roller_host.link.states import LinkLostError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator

_T = TypeVar("_T")

_MEANING: Final = {name: meaning for _, name, meaning in layout.RESPONSE_STATUS}
_UPDATE: Final = "Roller and program do not understand each other: update both."
_ACTION: Final = {
    "UNKNOWN_OP": "Update the roller's firmware.",
    "BAD_LENGTH": _UPDATE,
    "BAD_PARAM": _UPDATE,
    "BAD_STATE": "Switch the roller off and on, then try again.",
    "BUSY": "Wait a moment, then try again.",
    "MTU_TOO_SMALL": "This Bluetooth adapter or its driver is too old for streaming: try another one.",
    "NOT_PERMITTED": "Pair with the roller in the system's Bluetooth settings, or press its button, then try again.",
    "HW_FAULT": "Switch the roller off and on; if that does not help, it needs repair.",
    "STORAGE": "Fetch what the roller has recorded; if that does not help, it needs repair.",
    "BAD_CRC": "Try again.",
    "UNSTABLE": "Hold the roller still so that nothing touches its head, then try again.",
}


class RequestError(RefusedError):
    """The roller answered a request with a status other than OK.

    Parameters
    ----------
    name : str
        Name of the request.
    status : int
        Status of the response.
    """

    def __init__(self, name: str, status: int) -> None:
        self.name = name
        self.status = codec.STATUS_NAME.get(status, f"status {status}")
        meaning = _MEANING.get(self.status, "this program does not know what that means")
        super().__init__(f"The roller refused {name}: {self.status} ({meaning}).", _ACTION.get(self.status, ""))


class BadRecordError(RefusedError):
    """A CALIBRATION or GEOMETRY record of the roller is damaged or makes no sense."""


async def if_known(asking: Awaitable[_T]) -> _T | None:
    """What a request brings; None when the roller does not have that request."""
    try:
        return await asking
    except RequestError as error:
        if error.status in ("NOT_SUPPORTED", "UNKNOWN_OP"):
            return None
        raise


def no_answer(name: str, wait_s: float, garbage: str, *, asked_again: bool) -> LinkLostError:
    """The error for a request that was not answered within ``wait_s``, or only with ``garbage``."""
    if garbage:
        return LinkLostError(
            f"The roller answered {name} with garbage ({garbage}).",
            "Switch it off and on, then try again; if that does not help, update its firmware and this program.",
        )
    again = ", nor when asked again" if asked_again else ""
    return LinkLostError(
        f"The roller did not answer {name} within {wait_s:g} s{again}.",
        "It may be out of range or its firmware stuck: bring it closer or switch it off and on, then try again.",
    )


@contextmanager
def damage_told() -> Generator[None]:
    """Tell a record that cannot be decoded as `BadRecordError`."""
    try:
        yield
    except codec.ProtocolError as error:
        raise BadRecordError(
            f"The roller sent a record that cannot be used ({error}).",
            "Try again; if that does not help, calibrate the roller anew or update its firmware.",
        ) from error
