# SPDX-License-Identifier: MIT
"""A dispenser of virtual Bluetooth dongles: whoever opens the TCP port gets a controller of its own on the air."""

from __future__ import annotations

import asyncio
import itertools
import logging
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from bumble.core import InvalidPacketError
from bumble.transport.common import PacketParser

from simulator.bluetooth.air import AirController

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from simulator.bluetooth.air import Air

logger = logging.getLogger(__name__)

STUCK_B: Final = 0x40000
"""Bytes that may wait for a host that does not read, about 100 s of streaming; more count as a lost link."""


class Hub:
    """Sockets and their controllers.

    Parameters
    ----------
    air : Air
        Where the controllers live.
    """

    def __init__(self, air: Air) -> None:
        self.air = air
        self.host = ""
        self.port = 0
        self._numbers = itertools.count(1)
        self._plugs: set[_Plug] = set()

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Start accepting sockets; ``port`` 0 takes any free one.

        Raises
        ------
        OSError
            When the address cannot be had; the message says which and why.
        """
        try:
            server = await asyncio.get_running_loop().create_server(lambda: _Plug(self), host, port)
        except OSError as error:
            why = (error.strerror or str(error)).rpartition(": ")[2]
            raise OSError(error.errno, f"cannot listen on {host}:{port}: {why}") from error
        self.host, self.port = server.sockets[0].getsockname()[:2]
        return server

    def plug_in(self, plug: _Plug) -> AirController:
        """Give a new socket its controller."""
        self._plugs.add(plug)
        controller = AirController(f"dongle {next(self._numbers)}", self.air)
        controller.on_unplugged = plug.abort
        return controller

    def pull_out(self, plug: _Plug, controller: AirController) -> None:
        """Note that a socket ended: its controller is gone now, its peers notice after their supervision timeouts."""
        self._plugs.discard(plug)
        self.air.remove(controller)

    def close(self) -> None:
        """End all sockets; they take their controllers off the air in the next turn of the loop."""
        for plug in list(self._plugs):
            plug.abort()


class _Plug(asyncio.Protocol):
    """One accepted socket, HCI packets both ways."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._parser = PacketParser(self)
        self._transport: asyncio.Transport | None = None
        self._controller: AirController | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server hands out
        self._transport = transport
        self._controller = self._hub.plug_in(self)
        self._controller.host = _Socket(transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except InvalidPacketError as error:
            self._refuse(error)

    def on_packet(self, packet: bytes) -> None:
        """Give one HCI packet of the host to the controller."""
        if self._controller is None:
            return
        try:
            self._controller.on_packet(packet)
        except (ValueError, LookupError, struct.error) as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        logger.info("a client sent something that is not HCI: %s", error)
        self.abort()

    def abort(self) -> None:
        """End the socket at once."""
        if self._transport:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._controller:
            self._hub.pull_out(self, self._controller)
            self._controller = None


class _Socket:
    """The host end of a controller: packets leave over TCP."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def on_packet(self, packet: bytes) -> None:
        if self._transport.get_write_buffer_size() > STUCK_B:
            self._transport.abort()
        elif not self._transport.is_closing():
            self._transport.write(packet)


@asynccontextmanager
async def open_hub(air: Air, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[Hub]:
    """Serve controllers on a TCP port for as long as the context lasts.

    Parameters
    ----------
    air : Air
        Where the controllers live.
    host, port : str, int
        Address to listen on; port 0 takes any free one, which ``Hub.port`` then tells.

    Raises
    ------
    OSError
        When the address cannot be had.
    """
    hub = Hub(air)
    server = await hub.listen(host, port)
    try:
        yield hub
    finally:
        server.close()
        hub.close()
        await asyncio.sleep(0)
