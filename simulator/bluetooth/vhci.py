# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""A Bluetooth adapter for the Linux kernel on the virtual air, so that BlueZ meets the simulated roller."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from bumble import hci
from bumble.transport.vhci import open_vhci_transport

from simulator.bluetooth.air import AirController

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bumble import ll
    from bumble.controller import Connection
    from bumble.core import PhysicalTransport

    from simulator.bluetooth.air import Air

DEVICE: Final = "/dev/vhci"
ADDRESS: Final = "00:AA:01:00:00:42"
"""Public address of the adapter."""
DELAY_S: Final = 7.5e-3
"""The shortest connection interval."""
_LONGEST_B: Final = 251
"""Payload of one link-layer packet with the data length extension."""


class VhciController(AirController):
    """Controller for a kernel: as `AirController`, but it offers only what the virtual air does for a Linux host.

    With LL_PRIVACY or the 2M PHY, Linux sends commands and waits for events that Bumble's controller does not know.
    Whatever comes over the air comes `DELAY_S` later: a link-layer answer within the same instant makes bluetoothd see
    the ATT channel before the connection, and end it.
    """

    le_features = (
        hci.LeFeatureMask.LE_ENCRYPTION
        | hci.LeFeatureMask.EXTENDED_REJECT_INDICATION
        | hci.LeFeatureMask.PERIPHERAL_INITIATED_FEATURE_EXCHANGE
        | hci.LeFeatureMask.LE_PING
        | hci.LeFeatureMask.LE_DATA_PACKET_LENGTH_EXTENSION
    )
    supported_max_tx_octets = supported_max_rx_octets = suggested_max_tx_octets = _LONGEST_B

    def __init__(self, name: str, air: Air) -> None:
        super().__init__(name, air)
        self._coming: deque[Callable[[], None]] = deque()

    def receive_control(self, connection: Connection, packet: ll.ControlPdu) -> None:
        """Take a link-layer PDU, after a while."""
        self._take_later(partial(super().receive_control, connection, packet))

    def on_link_acl_data(self, sender_address: hci.Address, transport: PhysicalTransport, data: bytes) -> None:
        """Take an L2CAP PDU, after a while, unless the connection ended meanwhile."""
        connection = self.le_connections.get(sender_address)
        take = super().on_link_acl_data

        def arrive() -> None:
            if self.le_connections.get(sender_address) is connection:
                take(sender_address, transport, data)

        self._take_later(arrive)

    def _take_later(self, take: Callable[[], None]) -> None:
        # Timers of the same moment come in any order; the queue keeps it.
        self._coming.append(take)
        asyncio.get_running_loop().call_later(DELAY_S, self._take)

    def _take(self) -> None:
        self._coming.popleft()()


@asynccontextmanager
async def open_vhci(air: Air, device: str = DEVICE) -> AsyncGenerator[AirController]:
    """Give this machine's kernel a Bluetooth adapter in range of the rollers, for as long as the context lasts.

    Parameters
    ----------
    air : Air
        Where the adapter lives.
    device : str, default DEVICE
        Linux' virtual HCI device; to open it takes root and the kernel module ``hci_vhci``.

    Raises
    ------
    OSError
        When the device cannot be opened; the message says what to do.
    """
    try:
        transport = await open_vhci_transport(device)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot open {device}: {error.strerror}. It takes Linux, root, and the kernel module: modprobe hci_vhci",
        ) from error
    controller = VhciController("kernel", air)
    controller.public_address = hci.Address(ADDRESS, hci.Address.PUBLIC_DEVICE_ADDRESS)
    controller.host = transport.sink
    transport.source.set_packet_sink(controller)
    try:
        yield controller
    finally:
        air.remove(controller)
        await transport.close()
