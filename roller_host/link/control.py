# SPDX-License-Identifier: MIT
"""Control requests: one at a time, each with its answer or a reason why there is none."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol import codec, layout
from roller_host.link.states import LinkLostError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

_MEANING: Final = {name: meaning for _, name, meaning in layout.RESPONSE_STATUS}
_ACTION: Final = {
    "UNKNOWN_OP": "Update the roller's firmware.",
    "BAD_LENGTH": "Roller and program do not understand each other: update both.",
    "BAD_PARAM": "Roller and program do not understand each other: update both.",
    "BAD_STATE": "Switch the roller off and on, then try again.",
    "BUSY": "Wait a moment, then try again.",
    "MTU_TOO_SMALL": "This Bluetooth adapter or its driver is too old for streaming: try another one.",
    "NOT_PERMITTED": "Pair with the roller in the system's Bluetooth settings, or press its button, then try again.",
    "HW_FAULT": "Switch the roller off and on; if that does not help, it needs repair.",
    "UNSTABLE": "Lay the roller down so that nothing touches its head, then try again.",
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
        super().__init__(
            f"The roller refused {name}: {self.status} ({meaning}). {_ACTION.get(self.status, '')}".rstrip()
        )


class Control:
    """The CONTROL characteristic as calls.

    Parameters
    ----------
    write : callable
        Writes one request, with response.
    timeout_s : float
        Longest time from a request to its response, s.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]], timeout_s: float) -> None:
        self._write = write
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._tag = 0
        self._expected: tuple[int, int] | None = None
        self._answer: asyncio.Future[codec.Response] | None = None
        self.n_strays = 0
        """Indications that were no answer to the request under way."""

    async def request(self, name: str, *args: Any) -> Any:
        """Send the request called ``name`` and wait for its reply.

        Parameters
        ----------
        name : str
            Name in ``layout.REQUESTS``.
        *args
            Its fields.

        Returns
        -------
        namedtuple
            Fields of the reply.

        Raises
        ------
        RequestError
            When the roller refused.
        LinkLostError
            When no response came in time.
        """
        async with self._turn:
            self._tag = (self._tag + 1) & 0xFF
            self._expected = codec.OP[name], self._tag
            self._answer = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._write(codec.encode_request(name, self._tag, *args))
                    response = await self._answer
            except TimeoutError as error:
                raise LinkLostError(
                    f"The roller did not answer {name} within {self._timeout_s:g} s. It may be out of range or its "
                    "firmware stuck: bring it closer or switch it off and on, then try again."
                ) from error
            finally:
                self._expected = self._answer = None
        if response.status != codec.STATUS_CODE["OK"]:
            raise RequestError(name, response.status)
        return response.reply

    def on_indication(self, payload: bytes) -> None:
        """Take what the roller indicated; strays and garbage are counted and otherwise ignored."""
        try:
            response = codec.decode_response(payload)
        except codec.ProtocolError as error:
            self.n_strays += 1
            logger.info("undecodable indication: %s", error)
            return
        if self._answer and not self._answer.done() and (response.op, response.tag) == self._expected:
            self._answer.set_result(response)
        else:
            self.n_strays += 1
