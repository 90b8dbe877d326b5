# SPDX-License-Identifier: MIT
"""How a part of the device says no to a request."""

from firmware_protocol import codec


class RefusalError(Exception):
    """A request that is answered with a status other than OK.

    Parameters
    ----------
    status : str
        Name in ``layout.RESPONSE_STATUS``.
    """

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = codec.STATUS_CODE[status]
