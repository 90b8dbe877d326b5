# SPDX-License-Identifier: MIT
"""Faults in a generated session: what a host would have seen of them, without a radio and faster than real time."""

from __future__ import annotations

import heapq
import itertools
import random
from typing import TYPE_CHECKING, Any, Final

from firmware_protocol import layout
from simulator.bluetooth.faults import Fault
from simulator.bluetooth.mishaps import CHARGED_PERCENT, FaultError
from simulator.firmware.device import BOOT_US
from simulator.generate import LINGER_S, STEP_US, Dialogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.firmware.device import Device
    from simulator.generate import Payload
    from simulator.scenario import Incident

BACK_ON_AIR_S: Final = BOOT_US * 1e-6 + 0.1
FASTEST_MS: Final = 350.0
"""Connection interval up to which the transmit queue keeps up, ms."""
DEAF_S: Final = 0.2
"""What a reconnection takes at least, s."""


class Disturbed(Dialogue):
    """A dialogue in which things go wrong on time.

    Parameters
    ----------
    device : Device
        Nobody else may drive it.
    take : callable
        See `Dialogue`.
    incidents : iterable of Incident
        What goes wrong; times count from START.
    seed : int
        Draws which notifications are hit.

    Raises
    ------
    FaultError
        When an incident needs a radio.
    """

    def __init__(
        self, device: Device, take: Callable[[Payload], None], incidents: tuple[Incident, ...], seed: int
    ) -> None:
        super().__init__(device, take)
        self._incidents = incidents
        self._random = random.Random(seed)
        self._order = itertools.count()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._shares: dict[Fault, float] = {}
        """Share of notifications that are hit."""
        self._late_s = 0.0
        self._absent = False
        """While the host is away nothing else happens: it waits for its turn."""
        if unfit := {incident.fault.title for incident in incidents if incident.fault not in _EFFECTS}:
            raise FaultError(f"{min(unfit)} needs a radio and cannot be generated: use roller-sim run")

    def start(self, *arguments: Any, **keywords: Any) -> Any:
        """Ask for a session; with the first one the incidents begin."""
        for incident in self._incidents:
            self._later(incident.at_s, lambda it=incident: self._suffer(it.fault, it.arguments))
        self._incidents = ()
        return super().start(*arguments, **keywords)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_us + round(seconds * 1e6), next(self._order), act))

    def pass_time(self, seconds: float) -> None:
        """Let time pass with everything that happens in it; it may take longer than asked for."""
        for _ in range(round(seconds * 1e6 / STEP_US)):
            while self._due and self._due[0][0] <= self.now_us and not self._absent:
                heapq.heappop(self._due)[2]()
            super().pass_time(STEP_US * 1e-6)

    def deliver(self, payload: bytes) -> None:
        """Take a notification, unless something happens to it."""
        if payload[0] == layout.PTYPE_LIVE and self._hit(Fault.SLOW_PARAMETERS):
            self.device.dropped(1)
        elif self._hit(Fault.LATE_NOTIFICATIONS):
            self._later(self._late_s, lambda: super(Disturbed, self).deliver(payload))
        elif self._hit(Fault.GARBAGE_NOTIFICATIONS):
            self.note("STREAM", self._random.randbytes(len(payload)))
        elif not self._hit(Fault.LOST_NOTIFICATIONS):
            for _ in range(1 + self._hit(Fault.DUPLICATE_NOTIFICATIONS)):
                super().deliver(payload)

    def _hit(self, fault: Fault) -> bool:
        return self._random.random() < self._shares[fault] if fault in self._shares else False

    def _suffer(self, fault: Fault, arguments: dict[str, float]) -> None:
        self._absent = fault in _ABSENCES
        _EFFECTS[fault](self, fault, arguments)
        self._absent = False

    def away(self, _fault: Fault, arguments: dict[str, float]) -> None:
        """The host is alone for a while, then goes on."""
        self.lose(max(arguments["seconds"], DEAF_S))
        if not self.device.on_air:
            # It fell asleep meanwhile, and its owner presses the button.
            self.device.wake(self.now_us)
            self.lose(BACK_ON_AIR_S)
        self.resume()

    def off(self, fault: Fault, arguments: dict[str, float]) -> None:
        """The roller is off, asleep or booting, and begins anew."""
        device = self.device
        if fault is Fault.REBOOT:
            device.reboot(self.now_us)
        elif fault is Fault.SLEEP:
            device.sleep(self.now_us)
        elif fault is Fault.BATTERY_EMPTY:
            device.battery(0.0, self.now_us)
        else:
            device.power(False, self.now_us)
        self.lose(arguments.get("seconds", 0.0))
        if fault is Fault.BATTERY_EMPTY:
            device.battery(CHARGED_PERCENT, self.now_us)
        device.wake(self.now_us)
        device.power(True, self.now_us)
        self.lose(BACK_ON_AIR_S)
        self.resume()

    def charge(self, _fault: Fault, arguments: dict[str, float]) -> None:
        """USB power ends the session; the host asks for another one afterwards."""
        self.device.plug(True, self.now_us)
        self.note("STATUS", self.device.status_payload())
        super().pass_time(arguments["seconds"])
        self.device.plug(False, self.now_us)
        self.note("STATUS", self.device.status_payload())
        self.start(linger_s=LINGER_S)

    def hit_some(self, fault: Fault, arguments: dict[str, float]) -> None:
        """A share of the notifications suffers."""
        self._shares[fault] = arguments.get("share", 1 - FASTEST_MS / max(arguments.get("interval_ms", 0), FASTEST_MS))
        self._late_s = arguments.get("by_s", self._late_s)
        self._later(arguments["seconds"], lambda: self._recover(fault))

    def _recover(self, fault: Fault) -> None:
        self._shares.pop(fault, None)

    def discharge(self, _fault: Fault, arguments: dict[str, float]) -> None:
        """The battery falls to a charge."""
        self.device.battery(arguments["percent"], self.now_us)

    def fail(self, fault: Fault, arguments: dict[str, float]) -> None:
        """A part of the roller fails and recovers."""
        part = fault.name.removesuffix("_FAULT")
        self.device.fail(part, True, self.now_us)
        self._later(arguments["seconds"], lambda: self.device.fail(part, False, self.now_us))


_EFFECTS: Final[dict[Fault, Callable[[Disturbed, Fault, dict[str, float]], None]]] = {
    **dict.fromkeys((Fault.LINK_LOSS, Fault.OUT_OF_RANGE, Fault.ADAPTER_OFF), Disturbed.away),
    **dict.fromkeys((Fault.REBOOT, Fault.SLEEP, Fault.POWER_OFF, Fault.POWER_CUT, Fault.BATTERY_EMPTY), Disturbed.off),
    **dict.fromkeys(
        (
            Fault.SLOW_PARAMETERS,
            Fault.LOST_NOTIFICATIONS,
            Fault.DUPLICATE_NOTIFICATIONS,
            Fault.LATE_NOTIFICATIONS,
            Fault.GARBAGE_NOTIFICATIONS,
        ),
        Disturbed.hit_some,
    ),
    **dict.fromkeys((fault for fault in Fault if fault.name.endswith("_FAULT")), Disturbed.fail),
    Fault.BATTERY_LOW: Disturbed.discharge,
    Fault.USB_PLUGGED: Disturbed.charge,
}
"""What can be generated; everything else is about the radio itself."""
_ABSENCES: Final = frozenset(
    fault for fault, act in _EFFECTS.items() if act in (Disturbed.away, Disturbed.off, Disturbed.charge)
)
