# SPDX-License-Identifier: MIT
"""What a person hears, as pure synthesis: a soft tone that follows the force, and signals that need no eyes.

Pitch says how firm: a fifth of its range lies below the comfort band, the band is an octave, and above it the tone goes
on rising until the limit. There it gives way to signals, each with a rhythm and a melody of its own, so that they are
told apart by a laptop's loudspeaker and by people who hear high notes badly: *ease off* falls, *stop* hammers, *move
on* rises, *no data* falls slowly and low.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from roller_host.signal.comfort import STARTING_BANDS, Band, Comfort

if TYPE_CHECKING:
    from numpy.typing import NDArray

FS_HZ: Final = 48000
"""Sample rate: what sound hardware runs at by itself."""


@dataclass(frozen=True)
class SoundParams:
    """Levels, pitches and times. All are ours, chosen by ear and arithmetic; amplitudes are shares of full scale."""

    lightest_hz: float = 220.0
    """Pitch at the first touch, Hz."""
    low_hz: float = 262.0
    """Pitch at the low end of the band (C4), Hz: small loudspeakers give less and less below."""
    firm_hz: float = 523.0
    """Pitch at the firm end of the band, an octave higher, Hz."""
    limit_hz: float = 784.0
    """Pitch at the limit, another fifth higher, Hz."""
    faint: float = 0.015
    """Amplitude of the tone at the first touch."""
    soft: float = 0.08
    """Amplitude at the firm end of the band; between the two in proportion to the force. Raising it tires."""
    signal: float = 0.35
    """Amplitude of the signals."""
    follow_s: float = 0.03
    """Time constant with which pitch and level follow, s. Raising it calms, and delays what the force says."""
    release_s: float = 0.03
    """How fast a signal fades that is over or gives way to another, s."""
    stale_s: float = 0.5
    """Without news for this long nothing is known, s: as for the comfort states."""


class Signal(enum.Enum):
    """A sound that means one thing."""

    EASE_OFF = "ease off"
    STOP = "stop"
    MOVE_ON = "move on"
    NO_DATA = "no data"


class _Note(NamedTuple):
    begin_s: float
    length_s: float
    hz: float
    attack_s: float = 0.006


class _Melody(NamedTuple):
    notes: tuple[_Note, ...]
    every_s: float = math.inf
    """Begins anew after so long, while it holds; infinity for once."""


_MELODIES = {
    Signal.EASE_OFF: _Melody((_Note(0.0, 0.16, 880.0), _Note(0.17, 0.30, 587.0)), 0.9),
    Signal.STOP: _Melody(tuple(_Note(0.1 * i, 0.075, 1318.0, 0.004) for i in range(3)), 0.45),
    Signal.MOVE_ON: _Melody(tuple(_Note(0.16 * i, 0.2, hz, 0.012) for i, hz in enumerate((523.0, 659.0, 784.0)))),
    Signal.NO_DATA: _Melody((_Note(0.0, 0.25, 196.0, 0.03), _Note(0.25, 0.45, 147.0, 0.03))),
}
_HARMONICS = ((1, 0.75), (2, 0.19), (3, 0.06))
"""Multiples of the pitch and their shares: a loudspeaker that swallows the pitch itself still gives its octave."""


class Heard(NamedTuple):
    """What the sound is to tell; replaced as a whole by another thread whenever there is news."""

    comfort: Comfort = Comfort.NO_CONTACT
    force_n: float = 0.0
    band: Band = STARTING_BANDS[""]
    """Thresholds where the roller is."""
    n_moves: int = 0
    """How often the person was told to move on so far: one more is one signal."""
    muted: bool = False
    """Only the stop signal is heard."""


class _Voice(NamedTuple):
    """One signal that sounds."""

    signal: Signal
    age: int = 0
    """Since it began, samples."""
    fading: int | None = None
    """Since it began to fade, samples; None while it does not."""


class SoundState(NamedTuple):
    """Memory between blocks."""

    heard: Heard | None = None
    """What was told last; None before anything was."""
    waited: int = 0
    """Samples since then."""
    known: bool = False
    """Whether that still held in the last block."""
    n_moved: int = 0
    """How often the signal to move on has sounded."""
    tone: tuple[float, float, float] = (0.0, SoundParams.lightest_hz, 0.0)
    """Phase, turns, pitch, Hz, and amplitude of the tone."""
    voices: tuple[_Voice, ...] = ()

    @property
    def signal(self) -> Signal | None:
        """Signal that sounds now."""
        return next((voice.signal for voice in self.voices if voice.fading is None), None)


_WHILE = {Comfort.TOO_HARD: Signal.EASE_OFF, Comfort.STOP: Signal.STOP}
"""Signals that last as long as their state."""
_WITH_TONE = (Comfort.TOO_LIGHT, Comfort.COMFORTABLE, Comfort.FIRM)
_SILENT: Final = 1e-5
"""Amplitudes below are none."""
_FALL: Final = 0.5
"""Share of a note in which it fades."""


def sound_step(
    params: SoundParams, state: SoundState, heard: Heard | None, n: int
) -> tuple[NDArray[np.float32], SoundState]:
    """Make the next samples.

    Parameters
    ----------
    params : SoundParams
        Levels, pitches, times.
    state : SoundState
        Memory from the block before.
    heard : Heard or None
        The newest news, the same object as before when there is none; None before the first.
    n : int
        How many samples.

    Returns
    -------
    samples : ndarray, shape (n,)
        -1 to 1, at `FS_HZ`.
    state : SoundState
        Memory for the next block.
    """
    waited = state.waited if heard is state.heard else 0
    known = heard is not None and heard.comfort is not Comfort.STALE and waited < params.stale_s * FS_HZ
    wanted = _wanted(state, heard, known=known) if heard else None
    muted = heard is not None and heard.muted
    if muted and wanted is not Signal.STOP:
        wanted = None
    voices = _voices(state, wanted)
    audible = known and wanted is None and not muted
    samples, tone = _tone(params, state.tone, heard if audible else None, n)
    for voice in voices:
        samples += _sung(params, voice, n)
    left = tuple(one for voice in voices if (one := _later(params, voice, n)))
    n_moved = heard.n_moves if heard and (muted or wanted is Signal.MOVE_ON) else state.n_moved
    return samples.astype(np.float32), SoundState(heard, waited + n, known, n_moved, tone, left)


def _wanted(state: SoundState, heard: Heard, *, known: bool) -> Signal | None:
    """Signal that is to sound now."""
    if not known:
        # Once: eyes may be closed, and silence alone says that the roller is in the air.
        return Signal.NO_DATA if state.known or state.signal is Signal.NO_DATA else None
    if heard.comfort in _WHILE:
        return _WHILE[heard.comfort]
    moves = heard.n_moves > state.n_moved or state.signal is Signal.MOVE_ON
    return Signal.MOVE_ON if moves else None


def _voices(state: SoundState, wanted: Signal | None) -> tuple[_Voice, ...]:
    """Signals of this block: the one that is wanted, and others that fade."""
    goes_on = state.signal is wanted
    voices = tuple(voice if voice.fading is not None or goes_on else voice._replace(fading=0) for voice in state.voices)
    return voices if goes_on or wanted is None else (*voices, _Voice(wanted))


def _later(params: SoundParams, voice: _Voice, n: int) -> _Voice | None:
    """A voice ``n`` samples later; None when it is over."""
    signal, age, fading = voice
    age, fading = age + n, None if fading is None else fading + n
    notes, every_s = _MELODIES[signal]
    over = every_s == math.inf and age >= (notes[-1].begin_s + notes[-1].length_s) * FS_HZ
    faded = fading is not None and fading >= params.release_s * FS_HZ
    return None if over or faded else _Voice(signal, age, fading)


def _sung(params: SoundParams, voice: _Voice, n: int) -> NDArray[np.float64]:
    """Samples of one voice."""
    notes, every_s = _MELODIES[voice.signal]
    t_s = (voice.age + np.arange(n)) / FS_HZ
    if every_s < math.inf:
        t_s %= every_s
    samples = np.zeros(n)
    for note in notes:
        u_s = t_s - note.begin_s
        inside = (u_s >= 0) & (u_s < note.length_s)
        if inside.any():
            rise = _ease(u_s / note.attack_s)
            fall = _ease((note.length_s - u_s) / (_FALL * note.length_s))
            samples += np.where(inside, rise * fall * _timbre(note.hz * u_s), 0.0)
    if voice.fading is not None:
        samples *= _ease(1.0 - (voice.fading + np.arange(n)) / (params.release_s * FS_HZ))
    return params.signal * samples


def tone_of(params: SoundParams, force_n: float, band: Band) -> tuple[float, float]:
    """Pitch, Hz, and amplitude of the tone for a force."""
    forces_n = (0.0, band.low_n, band.firm_n, band.limit_n)
    pitches_hz = (params.lightest_hz, params.low_hz, params.firm_hz, params.limit_hz)
    hz = 2.0 ** float(np.interp(force_n, forces_n, np.log2(pitches_hz)))
    return hz, float(np.interp(force_n, (0.0, band.firm_n), (params.faint, params.soft)))


def _tone(
    params: SoundParams, tone: tuple[float, float, float], heard: Heard | None, n: int
) -> tuple[NDArray[np.float64], tuple[float, float, float]]:
    """Samples of the tone that follows the force, and what it has come to; silent without a ``heard``."""
    phase, hz, amplitude = tone
    aim_hz, aim = hz, 0.0
    if heard is not None and heard.comfort in _WITH_TONE:
        aim_hz, aim = tone_of(params, heard.force_n, heard.band)
    if amplitude < _SILENT:
        # A touch begins at its own pitch.
        hz, amplitude = aim_hz, 0.0
        if aim < _SILENT:
            return np.zeros(n), (0.0, hz, 0.0)
    left = np.exp(-np.arange(1, n + 1) / (params.follow_s * FS_HZ))
    amplitudes = aim + (amplitude - aim) * left
    pitches_hz = aim_hz + (hz - aim_hz) * left
    turns = phase + np.cumsum(pitches_hz) / FS_HZ
    return amplitudes * _timbre(turns), (
        float(turns[-1] % 1.0),
        float(pitches_hz[-1]),
        float(amplitudes[-1]),
    )


def _timbre(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """A note of amplitude 1 at most, by the turns of its pitch."""
    samples = np.zeros(len(turns))
    for multiple, share in _HARMONICS:
        samples += share * np.sin(2 * np.pi * multiple * turns)
    return samples


def _ease(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rise from 0 to 1 over shares of a time, without a corner at either end."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(u, 0.0, 1.0))
