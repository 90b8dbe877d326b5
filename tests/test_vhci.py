# SPDX-License-Identifier: MIT
"""An adapter for the kernel on the virtual air, with a pseudo-terminal in place of /dev/vhci."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager

import pytest
from bumble import hci

from simulator.bluetooth.air import Air
from simulator.bluetooth.peripheral import open_peripheral
from simulator.bluetooth.vhci import ADDRESS, open_vhci
from simulator.firmware.device import Device

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")


class Kernel:
    """The end of the kernel: sends commands, and sorts what comes back."""

    def __init__(self, fd):
        self._fd = fd
        self._buffer = b""
        self._packets = asyncio.Queue()
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self):
        self._buffer += os.read(self._fd, 65536)
        # The vendor packet that opens the device, then events: type, code, length, parameters.
        while self._buffer and len(self._buffer) >= (size := 2 if self._buffer[0] == 0xFF else 3 + self._buffer[2]):
            packet, self._buffer = self._buffer[:size], self._buffer[size:]
            self._packets.put_nowait(packet)

    async def next(self):
        async with asyncio.timeout(5):
            return await self._packets.get()

    async def event(self, kind):
        while not isinstance(event := hci.HCI_Packet.from_bytes(await self.next()), kind):
            pass
        return event

    def send(self, command):
        os.write(self._fd, bytes(command))

    def close(self):
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)


@asynccontextmanager
async def kernel(air):
    import tty  # noqa: PLC0415 - not on Windows

    ours, theirs = os.openpty()
    tty.setraw(theirs)
    seen = Kernel(ours)
    async with open_vhci(air, os.ttyname(theirs)):
        assert await seen.next() == b"\xff\x00"
        yield seen
    seen.close()
    os.close(theirs)


def test_the_kernel_gets_an_adapter_with_an_address_and_without_privacy_that_bumble_lacks():
    async def main():
        async with kernel(Air()) as linux:
            linux.send(hci.HCI_Read_BD_ADDR_Command())
            reply = await linux.event(hci.HCI_Command_Complete_Event)
            assert str(reply.return_parameters.bd_addr) == f"{ADDRESS}/P"
            linux.send(hci.HCI_LE_Read_Local_Supported_Features_Command())
            reply = await linux.event(hci.HCI_Command_Complete_Event)
            features = hci.LeFeatureMask(int.from_bytes(reply.return_parameters.le_features, "little"))
            assert hci.LeFeatureMask.LE_ENCRYPTION in features
            assert not features & (hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)

    asyncio.run(main())


def test_the_adapter_hears_the_roller():
    async def main():
        air = Air()
        async with open_peripheral(air, Device(seed=1)) as peripheral, kernel(air) as linux:
            linux.send(hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=1, filter_duplicates=0))
            report = (await linux.event(hci.HCI_LE_Advertising_Report_Event)).reports[0]
            assert report.address.to_string(with_type_qualifier=False) == peripheral.address
            assert report.rssi < 0

    asyncio.run(main())


def test_commands_that_are_not_known_are_refused_at_once():
    # Linux waits two seconds for each answer that never comes.
    async def main():
        async with kernel(Air()) as linux:
            for command in (
                hci.HCI_LE_Set_Data_Length_Command(connection_handle=1, tx_octets=251, tx_time=2120),
                hci.HCI_LE_Set_PHY_Command(connection_handle=1, all_phys=0, tx_phys=2, rx_phys=2, phy_options=0),
            ):
                linux.send(command)
                answer = hci.HCI_Packet.from_bytes(await linux.next())
                assert answer.command_opcode == command.op_code
                status = getattr(answer, "status", None)
                if isinstance(answer, hci.HCI_Command_Complete_Event):
                    status = answer.return_parameters.status
                assert status == hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR

    asyncio.run(main())


def test_without_the_device_the_error_says_what_it_takes(tmp_path):
    async def main():
        with pytest.raises(FileNotFoundError, match=r"none: No such file.* modprobe hci_vhci"):
            async with open_vhci(Air(), str(tmp_path / "none")):
                pass

    asyncio.run(main())
