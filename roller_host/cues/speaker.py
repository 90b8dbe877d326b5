# SPDX-License-Identifier: MIT
"""Plays the sound on the computer, wherever there is something to play it on; where there is not, says so once."""

from __future__ import annotations

import ctypes
import importlib
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

from roller_host.cues.sound import FS_HZ, Heard, SoundParams, SoundState, sound_step

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import numpy as np
    from numpy.typing import NDArray

    Render = Callable[[int], NDArray[np.float32]]

PERIOD_MS: Final = 10
"""Samples are asked for this often, ms: less is more than some systems do, more is later."""
PERIODS: Final = 3
"""So many wait to be played: the interpreter may be busy for the time of two."""
LOST_S: Final = 3.0
"""A device that asks for nothing for so long is gone, s. PulseAudio lets two seconds pass after it was opened."""
RETRY_S: Final = 5.0
"""How often a device is looked for, s."""
_WATCH_S: Final = 0.25
_CLOSE_S: Final = 1.0
NOT_INSTALLED: Final = "No sound: the audio library is not installed. pip install '.[audio]' in the project's folder."


class NoSoundError(Exception):
    """There is nothing to play on; the text says why."""


class Stream(Protocol):
    """A device that plays."""

    def close(self) -> None:
        """Stop playing; waits for the callback to return, never fails."""
        ...


def is_installed() -> bool:
    """Whether the extra ``audio`` is installed."""
    return find_spec("miniaudio") is not None


def open_stream(render: Render, *, null: bool = False) -> Stream:
    """Play on the system's default device, and follow it where the system moves it.

    Parameters
    ----------
    render : callable
        Gives so many samples, (n,), float32 at `FS_HZ`; called on a thread of the audio library.
    null : bool, default False
        Play to nowhere, in real time.

    Raises
    ------
    NoSoundError
        When there is no library, no device, or it does not open.
    """
    try:
        miniaudio: Any = importlib.import_module("miniaudio")
    except ImportError as error:
        raise NoSoundError(NOT_INSTALLED) from error
    _hush_alsa()

    def play() -> Generator[Any, int]:
        n = yield b""
        while True:
            n = yield render(n)

    samples = play()
    next(samples)
    backends = [miniaudio.Backend.NULL] if null else None
    try:
        device = miniaudio.PlaybackDevice(
            miniaudio.SampleFormat.FLOAT32, 1, FS_HZ, PERIOD_MS, callback_periods=PERIODS, backends=backends,
            app_name="roller-host",
        )  # fmt: skip
        device.start(samples)
    except miniaudio.MiniaudioError as error:
        raise NoSoundError("No sound: no sound device opens on this computer.") from error
    return device


_ALSA_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
_silent = _ALSA_HANDLER(lambda *_: None)
"""Kept for as long as the library may call it."""


def _hush_alsa() -> None:
    """Keep ALSA from writing thirty lines of its own when there is no sound card."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_silent)


class Speaker:
    """Sound of one session, from a thread of its own: nobody waits for a sound device.

    Whatever goes wrong with the device is told in a line and tried again; it never raises.

    Parameters
    ----------
    on_note : callable
        Gets that line; on the speaker's thread.
    open_device : callable, default `open_stream`
        Opens what plays.
    params : SoundParams, optional
        Levels, pitches, times.
    """

    def __init__(
        self,
        on_note: Callable[[str], None],
        open_device: Callable[[Render], Stream] = open_stream,
        params: SoundParams | None = None,
    ) -> None:
        self.heard: Heard | None = None
        """What to tell; set as a whole, from any thread."""
        self.state = SoundState()
        """Of the newest block; belongs to the audio thread, others only look."""
        self._on_note, self._open, self._params = on_note, open_device, params or SoundParams()
        self.problem = ""
        """Why nothing is heard, in a sentence; empty when nothing stands in the way."""
        self._asked_s = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sound", daemon=True)
        self._thread.start()

    def _render(self, n: int) -> NDArray[np.float32]:
        self._asked_s = time.monotonic()
        samples, self.state = sound_step(self._params, self.state, self.heard, n)
        return samples

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                stream = self._open(self._render)
            except NoSoundError as error:
                self._note(str(error))
                if str(error) == NOT_INSTALLED:
                    return
            else:
                if self.problem:
                    self.problem = ""
                    self._on_note("Sound is back.")
                self._watch()
                stream.close()
            self._closing.wait(RETRY_S)

    def _watch(self) -> None:
        """Wait until the device is gone, or the session over."""
        self._asked_s = time.monotonic()
        while not self._closing.wait(_WATCH_S):
            if time.monotonic() - self._asked_s > LOST_S:
                self._note("No sound: the sound device is gone; it is looked for.")
                return

    def _note(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._on_note(problem)

    def close(self) -> None:
        """Fall silent; takes a moment."""
        self._closing.set()
        self._thread.join(_CLOSE_S)
