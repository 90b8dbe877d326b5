# SPDX-License-Identifier: MIT
"""What banners say: a state, an offer or a transfer as a title, a sentence or two, and what can be done by a button."""

from __future__ import annotations

import enum
import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from roller_host.dashboard import words
from roller_host.link.states import PHASE_HELP, LinkPhase

if TYPE_CHECKING:
    from roller_host.dashboard.session import Interrupted, Snapshot
    from roller_host.link.states import LinkState


class Action(enum.Enum):
    """What a button of a banner does; the value is its label."""

    AGAIN = "Try again"
    PAIR_AGAIN = "Forget and pair again"
    OTHER = "Choose another roller"
    GO_ON = "Go on"
    LEAVE = "Leave it"


class Message(NamedTuple):
    """Content of a banner."""

    title: str
    text: str
    tone: str
    """Name of a colour of `theme.Look`; it also decides the sign."""
    actions: tuple[Action, ...] = ()
    share: float | None = None
    """How much of a transfer is done, 0 to 1; None when there is none."""
    passkey_of: str = ""
    """Name of the roller whose passkey is to be typed; empty when none is."""
    spoken: str = ""
    """For screen readers, where the title counts down; else empty."""


def counted_down(state: LinkState, waited_s: float) -> LinkState:
    """A state with what is left of its pause ``waited_s`` after it came; the last second counts as one to its end."""
    if state.retry_s is None:
        return state
    return replace(state, retry_s=max(math.ceil(state.retry_s - waited_s), 1))


def link_message(state: LinkState) -> Message | None:
    """What to say about the link; None when all is well.

    Parameters
    ----------
    state : LinkState
        The newest state, counted down.
    """
    if state.phase in (LinkPhase.OFF, LinkPhase.STREAMING) and not state.reason:
        return None
    known = PHASE_HELP[state.phase]
    text = f"{words.sentence(state.reason or known.meaning)} {words.sentence(state.action or known.action)}"
    tone = "low" if state.phase is LinkPhase.STREAMING else words.PHASE_TONE[state.phase]
    passkey_of = state.device if state.wants_passkey else ""
    spoken = words.opening(state.phase.value)
    return Message(words.opening(state.words), text, tone, _actions(state), passkey_of=passkey_of, spoken=spoken)


def held_message(state: LinkState) -> Message | None:
    """What to say beside the choice of rollers while one of them streams; None while none does."""
    if state.phase is not LinkPhase.STREAMING:
        return None
    title = f"{state.device or 'The roller'} is connected"
    return Message(title, "The session goes on while you look around here.", "good")


def _actions(state: LinkState) -> tuple[Action, ...]:
    if state.phase is LinkPhase.STREAMING or state.wants_passkey:
        return ()
    if not state.over:
        return (Action.OTHER,)
    return (*((Action.PAIR_AGAIN,) if state.unpaired else ()), Action.AGAIN, Action.OTHER)


def session_message(snapshot: Snapshot) -> Message | None:
    """What to say about the session while all is well with the link: recording stopped, old recordings come."""
    if snapshot.recording_problem:
        return Message("Recording stopped", words.sentence(snapshot.recording_problem), "bad")
    if snapshot.log_fetched >= snapshot.log_packets:
        return None
    share = snapshot.log_fetched / snapshot.log_packets
    return Message(
        f"Fetching recordings {share * 100:.0f} %",
        "The roller recorded them without a computer. Roll on: they become sessions of their own.",
        "accent",
        share=share,
        spoken="Fetching recordings",
    )


def offer_message(offer: Interrupted) -> Message:
    """Offer to go on with a session that was cut off."""
    return Message(
        f"A session with {offer.roller} was cut off {words.ago(offer.age_s)}",
        "Go on in the same recording: what the roller kept is fetched.",
        "accent",
        (Action.GO_ON, Action.LEAVE),
    )
