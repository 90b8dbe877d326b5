# SPDX-License-Identifier: MIT
"""How a session felt: which places are asked about, what each answer does, and the answers in the profile."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from firmware_protocol.zones import PLACES
from roller_host.dashboard.session import Question, Rolled
from roller_host.sessions import people
from roller_host.signal.limits import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roller_host.signal.limits import Place

LEAST_S: Final = 5.0
"""A place that was rolled for less is not asked about, s (ours)."""


class Felt:
    """Asks the person of one session.

    Parameters
    ----------
    name : str
        Whose bands hold in the session.
    rolled_s : callable
        Gives the contact by place so far, s.
    """

    def __init__(self, name: str, rolled_s: Callable[[], Mapping[Place, float]]) -> None:
        self._name, self._rolled_s = name, rolled_s
        self._answered: set[Place] = set()

    def end(self) -> None:
        """Take what was rolled until now as all of it, and let go of the session."""
        rolled_s = self._rolled_s()
        self._rolled_s = lambda: rolled_s

    def question(self) -> Question:
        """What is to be asked: places with enough contact, once in a session, none that is left out.

        Raises
        ------
        SessionError
            When the profile cannot be read.
        """
        person, now, rolled_s = people.find(self._name), _now(), self._rolled_s()
        places = [
            Rolled(place, rolled_s[place], {answer: person.felt(place, answer, now)[1] for answer in Answer})
            for place in PLACES
            if rolled_s.get(place, 0.0) >= LEAST_S and place not in self._answered and place not in person.excluded
        ]
        return Question(person.name, tuple(places))

    def keep(self, answers: Mapping[Place, Answer]) -> str:
        """Take answers into the profile; returns what was done, in a sentence.

        Raises
        ------
        SessionError
            When the profile cannot be read or written.
        """
        person, now = people.find(self._name), _now()
        before = person.bands
        for place, answer in answers.items():
            person, _ = person.felt(place, answer, now)
        people.save(person)
        self._answered |= answers.keys()
        n_moved = sum(before.get(place) != person.bands.get(place) for place in answers)
        moved = f"{n_moved} band{'' if n_moved == 1 else 's'} moved" if n_moved else "no band moved"
        return f"Noted for {person.name}: {moved}. Bands hold from the next session on."


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
