# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""The roller as a Bluetooth peripheral: a Bumble GATT server around a `Device`."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bumble import core, hci
from bumble.device import Connection, DeviceConfiguration
from bumble.device import Device as BumbleDevice
from bumble.host import Host

from simulator.bluetooth.advertising import advertise
from simulator.bluetooth.air import ENDED_HERE, AirController
from simulator.bluetooth.bonds import Bonds
from simulator.bluetooth.gatt import RollerServer
from simulator.bluetooth.outbox import Outbox
from simulator.bluetooth.radio import SUPERVISION_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable

    from simulator.bluetooth.air import Air
    from simulator.bluetooth.radio import Radio
    from simulator.firmware.device import Device

logger = logging.getLogger(__name__)

TICK_S: Final = 0.02
"""How often a connected device is asked for packets, s."""
IDLE_TICK_S: Final = 0.1
"""How often a device without a host gets to know what time it is, s."""
REPORT_S: Final = 1.0
"""Shortest time between two STATUS notifications, s."""
LOOK_S: Final = 0.1
"""How often STATUS is looked at for a change, s."""
DISTANCE_M: Final = 1.0
WANTED_INTERVAL_MS: Final = (15, 30)
"""Shortest and longest connection interval that the firmware asks for when the central chose a longer one."""
WANTED_TIMEOUT_MS: Final = 4000
POWER_OFF: Final = int(hci.HCI_ErrorCode.REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_POWER_OFF_ERROR)
LEFT: Final = int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)
CLOSE_S: Final = 1.0
MAX_MTU: Final = 517

_REASONS: Final = {
    SUPERVISION_TIMEOUT: "supervision timeout",
    LEFT: "it disconnected",
    ENDED_HERE: "it did not confirm a response",
}


def monotonic_us() -> int:
    """Microseconds of the monotonic clock."""
    return time.monotonic_ns() // 1000


def random_address(device_id: bytes) -> hci.Address:
    """Make the static random address of a device: the same one for the same device id."""
    octets = bytearray(device_id[-6:])
    octets[5] |= 0xC0
    return hci.Address(bytes(octets), hci.Address.RANDOM_DEVICE_ADDRESS)


@dataclass
class Manners:
    """How the firmware fails to do what the protocol says; nothing is wrong by default."""

    response_late_s: float = 0.0
    response_missing: bool = False
    response_garbage: bool = False


class Peripheral:
    """GATT server, advertising and pace of one roller. Made by `open_peripheral`.

    Parameters
    ----------
    device : Device
        The state machine behind the server.
    host : BumbleDevice
        Bluetooth host, powered on by `open_peripheral`.
    controller : AirController
        Its controller.
    clock : callable
        Time of the device, us.
    on_event : callable
        Called with a line of text when something happens that a person may want to know.
    """

    serving: asyncio.Task[None]
    """Ends by itself only when the device fails."""

    def __init__(
        self,
        device: Device,
        host: BumbleDevice,
        controller: AirController,
        clock: Callable[[], int],
        on_event: Callable[[str], None],
    ) -> None:
        self.device = device
        self.controller = controller
        self.manners = Manners()
        self.bonds = Bonds(device, host)
        self.now_us = clock
        self.connection: Connection | None = None
        """The host that is connected, if one is."""
        self._host = host
        self._on_event = on_event
        self._gone = ""
        self._told_streaming = False
        self._awake = asyncio.Event()
        self._awake.set()
        self._boot_id, self._was_on_air = device.boot_id, device.on_air
        self._requests: asyncio.Queue[bytes] = asyncio.Queue()
        self._advertising_changed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._visit: list[asyncio.Task[Any]] = []
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gatt = RollerServer(device, host.gatt_server, self.bonds, self._on_request, self._on_subscription)
        self._outbox = Outbox(self._send, device.dropped)
        device.on_factory_reset = self.forget_hosts
        host.on(host.EVENT_CONNECTION, self._on_connection)

    # --- What it is -------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Bluetooth address, upper case with colons."""
        return self._host.random_address.to_string(with_type_qualifier=False)

    @property
    def radio(self) -> Radio:
        """The antenna, and what goes wrong on the air."""
        return self.controller.radio

    @property
    def max_mtu(self) -> int:
        """Longest ATT MTU that the roller agrees to on later connections, 23 to 517 B."""
        return self._host.gatt_server.max_mtu

    @max_mtu.setter
    def max_mtu(self, mtu: int) -> None:
        self._host.gatt_server.max_mtu = mtu

    # --- Time -------------------------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside everything else, until the roller is closed; a failure ends the roller."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)

    def later(self, knob: Hashable, seconds: float, act: Callable[[], None]) -> None:
        """Turn a knob back after a time, s, unless the roller is closed before; replaces what was due for that knob."""
        if due := self._timers.get(knob):
            due.cancel()
        self._timers[knob] = asyncio.get_running_loop().call_later(seconds, act)

    def hang(self, seconds: float) -> None:
        """Let the firmware do nothing for a time, s, while its radio keeps the link; then it catches up."""
        self._awake.clear()
        self.later("hang", seconds, self._awake.set)

    async def run(self) -> None:
        """Serve hosts, one after the other, until cancelled or the device fails."""
        self._outbox.attach(self._host.host)
        self.spawn(self._tick())
        self.spawn(self._advertise())
        try:
            await self._failed
        finally:
            for timer in self._timers.values():
                timer.cancel()
            # Before Python 3.12, asyncio.wait_for (used by Bumble) may swallow a cancellation.
            while self._tasks:
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(set(self._tasks), timeout=TICK_S)

    async def close(self) -> None:
        """Switch the roller off; a connected host is told so."""
        self.serving.cancel()
        await asyncio.wait([self.serving])
        await self._disconnect(POWER_OFF)

    async def _tick(self) -> None:
        """Let the device live: hand over the packets that are due, and follow what it does to its radio."""
        while True:
            await self._awake.wait()
            self._outbox.put(self.device.advance(self.now_us(), self._outbox.room))
            self._follow()
            await asyncio.sleep(TICK_S if self.connection else IDLE_TICK_S)

    def _follow(self) -> None:
        """Tell what became of the device, and switch its radio."""
        if self.device.streaming != self._told_streaming:
            self._told_streaming = self.device.streaming
            streaming = f"streaming, IMU at {self.device.imu_rate_hz:.2f} Hz"
            self._on_event(streaming if self._told_streaming else "streaming stopped")
        if self.device.on_air == self._was_on_air:
            return
        self._was_on_air = self.device.on_air
        self._advertising_changed.set()
        if self._was_on_air:
            self._boot_id = self.device.boot_id
        elif self.device.boot_id != self._boot_id:
            # A restart gives no time for good-byes.
            self.controller.end_links()
        else:
            self.spawn(self._disconnect(POWER_OFF))

    async def _disconnect(self, reason: int) -> None:
        """End the connection, if there is one; the host gets the reason, an HCI error code."""
        if self.connection:
            with suppress(TimeoutError, core.BaseBumbleError, hci.HCI_Error):
                async with asyncio.timeout(CLOSE_S):
                    await self.connection.disconnect(reason)

    # --- Advertising ------------------------------------------------------------------------------------------------

    async def _advertise(self) -> None:
        """Advertise as the state of the roller demands: not at all, for everybody, or as taken."""
        told = "advertising again"
        while True:
            self._advertising_changed.clear()
            gone, self._gone = self._gone, ""
            if not self.device.on_air:
                await self._host.stop_advertising()
                now, gone = f"off the air: {self._why_off()}", ""
            elif self.connection:
                await advertise(self._host, self.device.name, taken=True)
                now = ""
            else:
                await advertise(self._host, self.device.name, taken=False)
                now = f"host gone ({gone}), advertising again" if gone else "advertising again"
            if now and (gone or now != told):
                self._on_event(now)
            told = now
            await self._advertising_changed.wait()

    def _why_off(self) -> str:
        if self.device.asleep:
            return "asleep; press wakes it"
        if self.device.boot_id != self._boot_id:
            return "restarting"
        return "switched off" if self.device.battery_percent else "battery empty"

    # --- A host's visit ---------------------------------------------------------------------------------------------

    def _on_connection(self, connection: Connection) -> None:
        self.connection = connection
        self._requests = asyncio.Queue()
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)
        connection.on(connection.EVENT_CONNECTION_ATT_MTU_UPDATE, self._on_mtu)
        self.device.connected(connection.att_mtu, self.now_us())
        self._visit = [self.spawn(self._respond(connection)), self.spawn(self._report(connection))]
        if connection.parameters.connection_interval > WANTED_INTERVAL_MS[1]:
            self.want_usual_parameters()
        self._advertising_changed.set()
        self._on_event("host connected")

    def change_parameters(self, shortest_ms: float, longest_ms: float, timeout_ms: float) -> None:
        """Ask the connected host for another connection interval and supervision timeout."""
        if self.connection:
            self.spawn(self._update(self.connection, shortest_ms, longest_ms, timeout_ms))

    def want_usual_parameters(self) -> None:
        """Ask the connected host for what the firmware likes best."""
        self.change_parameters(*WANTED_INTERVAL_MS, WANTED_TIMEOUT_MS)

    def forget_hosts(self) -> None:
        """Forget the bonds with all hosts."""
        self.spawn(self.bonds.forget())

    async def _update(self, connection: Connection, shortest_ms: float, longest_ms: float, timeout_ms: float) -> None:
        with suppress(core.BaseBumbleError, hci.HCI_Error):
            await connection.cancel_on_disconnection(
                connection.update_parameters(shortest_ms, longest_ms, 0, timeout_ms)
            )

    def _on_mtu(self) -> None:
        if self.connection:
            self.device.mtu_changed(self.connection.att_mtu)

    def _on_subscription(self, on: bool) -> None:
        self.device.subscribed(on, self.now_us())

    def _on_disconnection(self, reason: int) -> None:
        self.connection = None
        for task in self._visit:
            task.cancel()
        self._outbox.clear()
        self.device.disconnected(self.now_us())
        self._gone = _REASONS.get(reason, f"reason {reason:#04x}")
        self._advertising_changed.set()

    def _on_request(self, payload: bytes) -> None:
        self._requests.put_nowait(payload)

    async def _respond(self, connection: Connection) -> None:
        """Answer requests with indications, in order."""
        while self.connection is connection:
            request = await self._requests.get()
            await self._awake.wait()
            response = self.device.request(request, self.now_us())
            self._follow()
            if wait_s := self.device.answer_after_s + self.manners.response_late_s:
                await asyncio.sleep(wait_s)
            if self.manners.response_garbage:
                response = bytes(byte ^ 0xA5 for byte in response)
            if not self.manners.response_missing and not await self._gatt.indicate(connection, response):
                # This ends the visit and thereby this task, so another one has to do it.
                self.spawn(self._disconnect(LEFT))
                return

    def _send(self, payload: bytes) -> None:
        if self.connection:
            self._gatt.notify(self.connection, "STREAM", payload)

    async def _report(self, connection: Connection) -> None:
        """Notify STATUS and battery when they changed."""
        told = (b"", b"")
        while True:
            status, battery = now = self.device.status_payload(), bytes([self.device.battery_percent])
            if status != told[0]:
                self._gatt.notify(connection, "STATUS", status)
            if battery != told[1]:
                self._gatt.notify(connection, "Battery Level", battery)
            await asyncio.sleep(LOOK_S if now == told else REPORT_S)
            told = now


@asynccontextmanager
async def open_peripheral(
    air: Air,
    device: Device,
    *,
    clock: Callable[[], int] = monotonic_us,
    on_event: Callable[[str], None] = logger.info,
    max_mtu: int = MAX_MTU,
) -> AsyncGenerator[Peripheral]:
    """Put a roller on the air for as long as the context lasts.

    Parameters
    ----------
    air : Air
        Where to advertise.
    device : Device
        The roller's state machine.
    clock : callable, default `monotonic_us`
        Time of the device, us; must not run backwards.
    on_event : callable, default ``logger.info``
        Called with a line of text when something happens that a person may want to know.
    max_mtu : int, default MAX_MTU
        Longest ATT MTU that the roller agrees to, 23 to 517 B; a shorter one makes packets shorter.

    Raises
    ------
    Exception
        At the end, whatever made the device fail meanwhile. ``Peripheral.serving`` is done as soon as that happens.
    """
    controller = AirController(device.name, air, DISTANCE_M)
    host = Host()
    host.controller = controller
    config = DeviceConfiguration(name=device.name, address=random_address(device.device_id))
    bluetooth = BumbleDevice(config=config, host=host)
    peripheral = Peripheral(device, bluetooth, controller, clock, on_event)
    peripheral.max_mtu = max_mtu
    await bluetooth.power_on()
    peripheral.serving = asyncio.create_task(peripheral.run())
    try:
        yield peripheral
    finally:
        await peripheral.close()
        air.remove(controller)
        await bluetooth.power_off()
        if not peripheral.serving.cancelled():
            peripheral.serving.result()
