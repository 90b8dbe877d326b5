# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""A Bluetooth adapter for the Linux kernel on the virtual air, so that BlueZ meets the simulated roller."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from bumble import hci
from bumble.transport.vhci import open_vhci_transport

from simulator.bluetooth.air import AirController

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from simulator.bluetooth.air import Air

DEVICE: Final = "/dev/vhci"
ADDRESS: Final = "00:AA:01:00:00:42"
"""Public address of the adapter."""
_LONGEST_B: Final = 251
"""Payload of one link-layer packet with the data length extension."""


class VhciController(AirController):
    """Controller for a kernel: as `AirController`, but it offers only what the virtual air does for a Linux host.

    With LL_PRIVACY or the 2M PHY, Linux sends commands and waits for events that Bumble's controller does not know.
    """

    le_features = (
        hci.LeFeatureMask.LE_ENCRYPTION
        | hci.LeFeatureMask.EXTENDED_REJECT_INDICATION
        | hci.LeFeatureMask.PERIPHERAL_INITIATED_FEATURE_EXCHANGE
        | hci.LeFeatureMask.LE_PING
        | hci.LeFeatureMask.LE_DATA_PACKET_LENGTH_EXTENSION
    )
    supported_max_tx_octets = supported_max_rx_octets = suggested_max_tx_octets = _LONGEST_B


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
