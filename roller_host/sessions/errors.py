# SPDX-License-Identifier: MIT
"""The one error of recordings."""


class SessionError(Exception):
    """A recording cannot be written or read. The message says what happened, why, and what to do."""
