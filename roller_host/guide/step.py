# SPDX-License-Identifier: MIT
"""What every guided flow shows and asks for; the window, the command line and the demo's hand read the same values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Task(enum.Enum):
    """What hands are asked to do with the roller."""

    REST = "rest"
    """Hold it still in the air, or lay it down; nothing touches the head."""
    POSE = "pose"
    """Hold it still before the face: the start pose of `signal.face`."""
    TUMBLE = "tumble"
    """Turn it slowly through all positions in the air."""
    LOAD = "load"
    """Hang or press a known mass on the head, along its axis."""
    RAMP = "ramp"
    """Press slowly harder on a place, until the person has marked both points."""
    BUTTON = "button"
    """Press the button on the roller."""


class Order(NamedTuple):
    """A task with its amounts."""

    task: Task
    mass_kg: float = 0.0
    """Of `Task.LOAD`."""
    zone: str = ""
    """Of `Task.RAMP`."""
    side: str = ""
    rate_n_s: float = 1.0
    """How fast a ramp rises, N/s."""


@dataclass(frozen=True)
class Choice:
    """Something that a person can do now."""

    key: str
    """Names it for `Guide.act`."""
    label: str
    """On its button."""
    primary: bool = False
    """What Enter does; one at most."""
    enabled: bool = True
    hint: str = ""
    """Why it is not enabled, or what it will do."""


@dataclass(frozen=True)
class Shown:
    """What a flow looks like at a moment. Flows add fields of their own."""

    step: str
    """Names the step for the program."""
    i_step: int
    """From 0."""
    n_steps: int
    title: str
    text: str
    """What to do, in a sentence or two."""
    choices: tuple[Choice, ...] = ()
    progress: float | None = None
    """Of the step, 0 to 1; None when it has no length."""
    problem: str = ""
    """What is wrong and what to do about it; empty when nothing is."""
    note: str = ""
    """What was just done."""
    order: Order | None = None
    """The same as ``text`` for a hand that cannot read: a new value is a new order."""
    over: bool = False
    """The flow has ended, well or not."""


class Guide(Protocol):
    """A flow that is led by samples that arrive and by what the person does. It reads no clock and owns no thread."""

    @property
    def shown(self) -> Shown:
        """What to show now; a new object after every change."""
        ...

    def act(self, key: str, value: str = "") -> None:
        """Do what the person chose.

        Parameters
        ----------
        key : str
            Of a `Choice` in ``shown``; others are left alone.
        value : str, default ""
            What was typed with it.
        """
        ...


class Assistant(Protocol):
    """Hands that do what a guide asks, so that the demo needs nobody."""

    def obey(self, order: Order) -> None:
        """Begin to do it, instead of what was being done."""
        ...

    def release(self) -> None:
        """Go back to what the hands did before the first order."""
        ...
