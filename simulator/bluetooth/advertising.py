# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""What the roller advertises: its service, its name, and whether it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bumble import data_types
from bumble.core import UUID, AdvertisingData
from bumble.device import AdvertisingType

from firmware_protocol import codec

if TYPE_CHECKING:
    from bumble.core import DataType
    from bumble.device import Device as BumbleDevice

INTERVAL_MS: Final = 100.0


async def advertise(host: BumbleDevice, name: str, *, taken: bool) -> None:
    """Start to advertise, or go on in another way.

    Parameters
    ----------
    host : BumbleDevice
        Bluetooth host of the roller, powered on.
    name : str
        Its name.
    taken : bool
        Whether a host is connected: then nobody else can connect, and the scan response says so.
    """
    flags = AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE | AdvertisingData.Flags.BR_EDR_NOT_SUPPORTED
    service = data_types.CompleteListOf128BitServiceUUIDs([UUID(codec.uuid_of("SERVICE"))])
    answer: list[DataType] = [data_types.CompleteLocalName(name)]
    if taken:
        # "Incomplete", because the service is in the advertisement; name and UUID fill the 31 bytes.
        answer.insert(0, data_types.IncompleteListOf128BitServiceUUIDs([UUID(codec.uuid_of("TAKEN"))]))
    kind = AdvertisingType.UNDIRECTED_SCANNABLE if taken else AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE
    await host.start_advertising(
        advertising_type=kind,
        advertising_data=bytes(AdvertisingData([data_types.Flags(flags), service])),
        scan_response_data=bytes(AdvertisingData(answer)),
        advertising_interval_min=INTERVAL_MS,
        advertising_interval_max=INTERVAL_MS,
    )
