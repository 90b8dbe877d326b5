# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""Who may talk to the roller: pairing, bonds, and what each security mode demands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bumble import att, gatt, pairing
from bumble.gatt import Characteristic, Descriptor
from bumble.pairing import PairingDelegate

if TYPE_CHECKING:
    from bumble.device import Connection
    from bumble.device import Device as BumbleDevice
    from bumble.keys import PairingKeys

    from simulator.firmware.device import Device

ENCRYPTED, BONDED, AUTHENTICATED = 1, 2, 3
"""Security modes above "open", see ``layout.SECURITY_MODES``."""
HIGHEST_PASSKEY: Final = 999_999


def passkey_of(device_id: bytes) -> int:
    """Six digits that belong to a device, 1 to 999999: printed on a label, since there is no display."""
    return 1 + int.from_bytes(device_id, "little") % HIGHEST_PASSKEY


class _Label(PairingDelegate):
    """Answers pairing requests as a device with a printed passkey does, or with nothing but a radio."""

    def __init__(self, bonds: Bonds, device: Device) -> None:
        self._bonds = bonds
        authenticates = device.security_mode == AUTHENTICATED
        super().__init__(self.DISPLAY_OUTPUT_ONLY if authenticates else self.NO_OUTPUT_NO_INPUT)

    async def accept(self) -> bool:
        return not self._bonds.refusing

    async def generate_passkey(self) -> int:
        return self._bonds.passkey % HIGHEST_PASSKEY + 1 if self._bonds.wrong_passkey else self._bonds.passkey


class Bonds:
    """Pairing of one roller with its hosts.

    Parameters
    ----------
    device : Device
        Says which security mode holds.
    host : BumbleDevice
        Its Bluetooth host.
    """

    refusing = False
    """Whether every pairing is refused."""
    wrong_passkey = False
    """Whether the roller expects another passkey than the printed one."""

    def __init__(self, device: Device, host: BumbleDevice) -> None:
        self._device = device
        self._host = host
        self.passkey = passkey_of(device.device_id)
        host.pairing_config_factory = self._pairing

    def _pairing(self, _connection: Connection) -> pairing.PairingConfig:
        # Bonds are looked up under the address that is on the air.
        return pairing.PairingConfig(
            mitm=self._device.security_mode == AUTHENTICATED,
            delegate=_Label(self, self._device),
            identity_address_type=pairing.PairingConfig.AddressType.RANDOM,
        )

    async def forget(self) -> None:
        """Forget all hosts."""
        if self._host.keystore:
            await self._host.keystore.delete_all()

    async def _keys(self, connection: Connection) -> PairingKeys | None:
        return await self._host.keystore.get(str(connection.peer_address)) if self._host.keystore else None

    async def require(self, connection: Connection) -> None:
        """Check that a host may use the protected attributes.

        Raises
        ------
        att.ATT_Error
            0x0F when it is paired but did not encrypt the connection; 0x05 when it has to pair (better).
        """
        mode = self._device.security_mode
        if mode < ENCRYPTED:
            return
        keys = await self._keys(connection)
        if not connection.encryption:
            raise att.ATT_Error(
                att.ATT_INSUFFICIENT_ENCRYPTION_ERROR if keys else att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR
            )
        bonded = keys is not None and keys.ltk is not None
        authenticated = keys is not None and keys.ltk is not None and keys.ltk.authenticated
        if (mode >= BONDED and not bonded) or (mode >= AUTHENTICATED and not authenticated):
            raise att.ATT_Error(att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR)

    def guarded_cccd(self, characteristic: Characteristic[bytes]) -> Descriptor:
        """Make the CCCD of a protected characteristic."""

        async def read(bearer: att.Bearer) -> bytes:
            return self._host.gatt_server.read_cccd(bearer, characteristic)

        async def write(bearer: att.Bearer, value: bytes) -> None:
            connection = bearer.connection if att.is_enhanced_bearer(bearer) else bearer
            await self.require(connection)
            self._host.gatt_server.write_cccd(bearer, characteristic, value)

        return Descriptor(
            gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
            att.Attribute.READABLE | att.Attribute.WRITEABLE,
            att.AttributeValueV2(read, write),
        )
