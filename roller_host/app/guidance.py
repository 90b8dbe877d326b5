# SPDX-License-Identifier: MIT
"""Leads one guided flow beside a session: samples and clicks go in, what it shows and orders comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from roller_host.guide.step import Assistant, Guide, Order, Shown
    from roller_host.signal.estimates import Estimates


class Guidance:
    """One flow that is open.

    Parameters
    ----------
    guide : Guide
        The flow.
    take : callable
        Hands the flow what a packet added.
    on_shown : callable
        Told what to show, now and after every change.
    assistant : Assistant, optional
        Hands that do what the flow orders.
    """

    def __init__(
        self,
        guide: Guide,
        take: Callable[[Estimates], None],
        on_shown: Callable[[Shown], None],
        assistant: Assistant | None = None,
    ) -> None:
        self._guide, self._take, self._on_shown = guide, take, on_shown
        self._assistant = assistant
        self._shown: Shown | None = None
        self._order: Order | None = None
        self.show()

    def take(self, estimates: Estimates) -> None:
        """Hand on what a packet added."""
        self._take(estimates)
        self._follow()

    def act(self, key: str, value: str = "") -> None:
        """Do what the person chose."""
        self._guide.act(key, value)
        self._follow()

    def show(self) -> None:
        """Show the flow as it stands, also when nothing has changed."""
        self._shown = None
        self._follow()

    def close(self) -> None:
        """Let the hands go; the flow keeps what it knows."""
        self._order = None
        if self._assistant is not None:
            self._assistant.release()

    def _follow(self) -> None:
        shown = self._guide.shown
        if shown is self._shown:
            return
        self._shown = shown
        if self._assistant is not None and shown.order != self._order:
            self._order = shown.order
            if shown.order is None:
                self._assistant.release()
            else:
                self._assistant.obey(shown.order)
        self._on_shown(shown)
