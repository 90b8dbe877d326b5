# SPDX-License-Identifier: MIT
"""In which order places are rolled: a hidden Markov model of the sequence of contacts, free-hand or along a routine.

A step of a routine is several states in a row, so that the number of its contacts spreads about the one asked for
(a semi-Markov model by the method of stages, Cox and Miller, The Theory of Stochastic Processes, 1965). A step is left
at its end, for the next one mostly, so that what is seen between decides little and what is seen there much.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmware_protocol.zones import PLACES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from firmware_protocol.routine import Routine

N_PLACES = len(PLACES)
ELSEWHERE = N_PLACES
"""Index of a contact that fits no place."""


_COUNTED, _BY_CLOCK = 0.25, 0.5
"""Spread of contacts where strokes are counted, and where the person's pace makes their number."""


class GuidedPlace(NamedTuple):
    """One place of a routine."""

    place: int
    """Index in ``PLACES``."""
    contacts: float
    """About how often the roller will touch down there."""
    spread: float = _COUNTED
    """Standard deviation of that, as a share."""


CONTACT_S = 1.6
"""From one touch-down to the next in a step by the clock, about, s."""


def guided(routine: Routine) -> tuple[GuidedPlace, ...]:
    """Places of a routine in their order."""
    return tuple(
        GuidedPlace(PLACES.index(place), float(step.strokes), _COUNTED)
        if step.strokes
        else GuidedPlace(PLACES.index(place), (step.seconds or 0.0) / CONTACT_S, _BY_CLOCK)
        for step in routine.steps
        for place in step.places
    )


class Chain(NamedTuple):
    """Hidden Markov model of the sequence of contacts."""

    place: NDArray[np.int64]
    """Place of each state: those of the routine first, then every place, then elsewhere."""
    first: NDArray[np.float64]
    """Probabilities of the first contact."""
    transition: NDArray[np.float64]
    """From row to column."""


@functools.lru_cache(maxsize=8)
def chain_of(stay: float, elsewhere: float, routine: tuple[GuidedPlace, ...]) -> Chain:
    """Model of a sequence of contacts.

    Parameters
    ----------
    stay, elsewhere : float
        As in `placing.PlacingParams`.
    routine : tuple of GuidedPlace
        Places that the person is asked to roll, one after the other; a person who strays is found again. Empty:
        free-hand.
    """
    n_free = N_PLACES + 1
    phases = [_phases(step) for step in routine]
    begins = np.cumsum([0, *phases]).tolist()
    n_guided = begins[-1]
    steps = np.repeat([step.place for step in routine], phases).astype(np.int64)
    place = np.concatenate([steps, np.arange(n_free)])
    free = np.full(n_free, (1 - elsewhere) / N_PLACES)
    free[ELSEWHERE] = elsewhere
    first, transition = np.zeros(len(place)), np.zeros((len(place), len(place)))
    transition[n_guided:, n_guided:] = stay * np.eye(n_free) + (1 - stay) * free
    first[n_guided:] = free
    if routine:
        first *= _STRAY_FIRST
        first[begins[:-1]] = (1 - _STRAY_FIRST) * _falling(len(routine))
        transition[n_guided:] *= 1 - _RETURN
        transition[n_guided:, begins[:-1]] = _RETURN / len(routine)
    for i, step in enumerate(routine):
        transition[begins[i] : begins[i + 1]] = _onward(begins, i, step.contacts, free)
    return Chain(place, first, transition)


_STRAY, _EARLY, _RETURN, _STRAY_FIRST = 0.0005, 0.002, 0.1, 0.1
"""Probabilities to leave the routine, to leave a step before its end, and to come back to the routine, at each contact,
and to begin outside it."""
_OTHER = 0.1
"""Probability that a step is left for another one than the next."""


def _phases(step: GuidedPlace) -> int:
    """States in a row that a step is: a number of contacts that is left by chance from each of them spreads so much."""
    return max(round(1 / (step.spread**2 + 1 / max(step.contacts, 1.0))), 1)


def _onward(begins: list[int], i: int, contacts: float, free: NDArray[np.float64]) -> NDArray[np.float64]:
    """Transitions from the states of step ``i``: stay, go on in it, to another step, rarely off the routine."""
    n_phases, n_guided = begins[i + 1] - begins[i], begins[-1]
    away = np.zeros(n_guided + len(free))
    away[begins[i + 1 : -1][:1] or [n_guided - 1]] = 1 - _OTHER
    others = [j for j in range(len(begins) - 1) if j not in (i, i + 1)]
    near = np.power(3.0, -np.abs(np.array(others, dtype=np.float64) - (i + 1)))
    away[[begins[j] for j in others]] = _OTHER * (near / max(near.sum(), 1e-300) + 1 / max(len(others), 1)) / 2
    away /= away.sum()
    onward = _EARLY * np.tile(away, (n_phases, 1))
    onward[:, n_guided:] = _STRAY * free
    going = 1 - _STRAY - _EARLY
    leave = min(n_phases / max(contacts, 1.0), 0.9)
    onward[np.arange(n_phases), begins[i] + np.arange(n_phases)] += going * (1 - leave)
    onward[np.arange(n_phases - 1), begins[i] + 1 + np.arange(n_phases - 1)] += going * leave
    onward[-1] += going * leave * away
    return onward


def _falling(n: int) -> NDArray[np.float64]:
    """Probabilities of n things of which each is a third as likely as the one before, but none unlikely."""
    weights = np.power(3.0, -np.arange(n, dtype=np.float64))
    return 0.9 * weights / weights.sum() + 0.1 / n
