# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""The virtual air: Bluetooth controllers that hear each other without real antennas."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from typing import TYPE_CHECKING, Any, Final

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser
from bumble.core import PhysicalTransport
from bumble.device import AdvertisingType
from bumble.link import LocalLink

from simulator.bluetooth.radio import SUPERVISION_TIMEOUT, LinkEnd, Radio

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_UNIT_S: Final = 1.25e-3
TIMEOUT_UNIT_S: Final = 10e-3
ADVERTISING_UNIT_S: Final = 0.625e-3
ADVERTISING_DELAY_S: Final = 0.01
"""Longest random addition to each advertising interval."""
ENDED_HERE: Final = int(hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)
"""Reason 0x16: the own side ended the connection."""

_Event = hci.HCI_LE_Advertising_Report_Event.EventType
_REPORTED_AS: Final = {
    int(AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE): _Event.ADV_IND,
    int(AdvertisingType.UNDIRECTED_SCANNABLE): _Event.ADV_SCAN_IND,
    int(AdvertisingType.UNDIRECTED): _Event.ADV_NONCONN_IND,
}


@dataclasses.dataclass
class _Advert(ll.AdvInd):
    """An advertisement of any undirected type, with what its advertiser answers to a scan request."""

    event_type: _Event = _Event.ADV_IND
    scan_response: bytes = b""
    rssi_dbm: int = 0


class _Advertiser(LegacyAdvertiser):
    """Legacy advertising with all undirected types and with real intervals; Bumble's knows connectable only."""

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        delay_s = self.advertising_interval_min * ADVERTISING_UNIT_S + random.uniform(0, ADVERTISING_DELAY_S)
        self.timer_handle = asyncio.get_running_loop().call_later(delay_s, self._on_timer_fired)

    def send_advertising_data(self) -> None:
        """Advertise once."""
        event_type = _REPORTED_AS.get(int(self.advertising_type))
        if self.enabled and event_type is not None:
            scannable = event_type is not _Event.ADV_NONCONN_IND
            scan_response = bytes(self.scan_response_data) if scannable else b""
            self.controller.send_advertising_pdu(
                _Advert(self.address, bytes(self.advertising_data), event_type, scan_response)
            )

    @property
    def connectable(self) -> bool:
        """Whether a connection would be accepted."""
        return self.enabled and _REPORTED_AS.get(int(self.advertising_type)) is _Event.ADV_IND


class Air(LocalLink):
    """All controllers of one place.

    Parameters
    ----------
    interval_s : float, optional
        Connection interval that every central begins with, s, in steps of 1.25 ms; without it, the longest that its
        host allows, 30 ms for Bumble's.
    """

    controllers: set[AirController]  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, interval_s: float | None = None) -> None:
        super().__init__()
        self.interval_s = interval_s

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        """Bring an advertising PDU to those who listen and are in range."""
        assert isinstance(sender_controller, AirController)  # noqa: S101 - only such join
        loop = asyncio.get_running_loop()
        for receiver in self.controllers:
            listens = isinstance(packet, ll.ConnectInd) or receiver.le_scan_enable or receiver.pending_le_connection
            if receiver is not sender_controller and listens and receiver.radio.hears(sender_controller.radio):
                if isinstance(packet, _Advert):
                    rssi_dbm = receiver.radio.rssi_dbm(sender_controller.radio)
                    packet = dataclasses.replace(packet, rssi_dbm=rssi_dbm)
                loop.call_soon(receiver.on_ll_advertising_pdu, packet)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """Bring a link-layer PDU to the other end of a connection, if that is in range."""
        sender, receiver = self.find_le_controller(sender_address), self.find_le_controller(receiver_address)
        if isinstance(sender, AirController) and isinstance(receiver, AirController):
            connection = receiver.le_connections.get(sender_address)
            if connection and receiver.radio.hears(sender.radio):
                asyncio.get_running_loop().call_soon(receiver.receive_control, connection, packet)

    def send_acl_data(
        self, sender_controller: Controller, destination_address: hci.Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        """Bring an L2CAP PDU to the other end of a connection."""
        del transport
        assert isinstance(sender_controller, AirController)  # noqa: S101 - only such join
        connection = sender_controller.le_connections.get(destination_address)
        if connection and (far := self.far_end(connection)):
            sender_controller.radio.send(data, far[0].receiver_of(far[1]))

    def far_end(self, connection: Connection) -> tuple[AirController, Connection] | None:
        """Peer of a connection and its end of it; None when the peer does not have it (any more)."""
        peer = self.find_le_controller(connection.peer_address)
        if isinstance(peer, AirController) and (far := peer.le_connections.get(connection.self_address)):
            return peer, far
        return None

    def review(self) -> None:
        """Look again which ends of connections hear their peers."""
        for controller in self.controllers:
            for connection in controller.le_connections.values():
                controller.ends[connection.handle].supervise(self.connected(controller, connection))

    def connected(self, controller: AirController, connection: Connection) -> bool:
        """Whether a controller hears the peer of one of its connections."""
        far = self.far_end(connection)
        return bool(far and controller.radio.hears(far[0].radio))

    def drop_link(self, controller: Controller, reason: int = SUPERVISION_TIMEOUT) -> None:
        """Break every connection of ``controller`` at once: both ends are told, nothing is sent over the air.

        Parameters
        ----------
        controller : Controller
            One end of the connections.
        reason : int, default SUPERVISION_TIMEOUT
            HCI error code that both hosts get.
        """
        for connection in list(controller.le_connections.values()):
            far = self.far_end(connection)
            controller.on_le_disconnected(connection, reason)
            if far:
                far[0].on_le_disconnected(far[1], reason)

    def remove(self, controller: AirController) -> None:
        """Take ``controller`` off the air for good; its peers notice a supervision timeout."""
        controller.host = None
        controller.fall_silent()
        self.controllers.discard(controller)
        self.review()


class AirController(Controller):
    """Bumble's virtual controller with the behaviour of a real one where Bumble's differs.

    Parameters
    ----------
    name : str
        Appears in debug logs, and draws the fading of the signal.
    air : Air
        The air to join.
    distance_m : float, default 0
        Distance from the place where the hosts are, m.
    """

    # The defaults of 27 bytes would cut one notification into nine HCI packets; few buffers, as real controllers have,
    # make a host feel at once that nothing gets through.
    le_acl_data_packet_length = 251
    total_num_le_acl_data_packets = 8
    # Extended advertising is left out because Bumble routes no scan response data for it.
    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )

    def __init__(self, name: str, air: Air, distance_m: float = 0.0) -> None:
        super().__init__(name, link=air)
        self.air = air
        self.radio = Radio(name, distance_m, air.review)
        self.ends: dict[int, LinkEnd] = {}
        self.on_unplugged: Callable[[], None] | None = None
        """What unplugging does beyond the silence: where the controller hangs on a socket, closes that."""
        self.le_legacy_advertiser = self._advertiser = _Advertiser(self)

    def on_hci_command(self, command: hci.HCI_Command) -> Any:
        """Refuse a command that is not known, so that no host waits for an answer; Bumble refuses some only."""
        refusal = hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR
        if isinstance(command, hci.HCI_SyncCommand):
            return hci.HCI_StatusReturnParameters(refusal)
        self.send_hci_packet(
            hci.HCI_Command_Status_Event(status=refusal, num_hci_command_packets=1, command_opcode=command.op_code)
        )
        return None

    # --- Advertising, scanning, connecting --------------------------------------------------------------------------

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        """Report an advertisement when scanning, and connect when that is what the host waits for."""
        if not isinstance(pdu, _Advert):
            return
        if self.le_scan_enable:
            self._report(pdu, pdu.event_type, pdu.data)
            if self.le_scan_type and pdu.event_type is not _Event.ADV_NONCONN_IND:
                self._report(pdu, _Event.SCAN_RSP, pdu.scan_response)
        pending = self.pending_le_connection
        if pending and pending.peer_address == pdu.advertiser_address and pdu.event_type is _Event.ADV_IND:
            self.create_le_connection(pdu.advertiser_address)

    def _report(self, pdu: _Advert, event_type: int, data: bytes) -> None:
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=event_type,
            address_type=pdu.advertiser_address.address_type,
            address=pdu.advertiser_address,
            data=data,
            rssi=pdu.rssi_dbm,
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def on_hci_le_create_connection_command(self, command: hci.HCI_LE_Create_Connection_Command) -> None:
        """Begin to connect, with the interval that centrals choose here."""
        interval_s = self.air.interval_s
        # Bumble takes the shortest interval that the host allows; most controllers take the longest.
        interval = command.connection_interval_max if interval_s is None else round(interval_s / INTERVAL_UNIT_S)
        command.connection_interval_min = max(interval, 1)
        super().on_hci_le_create_connection_command(command)

    def on_hci_le_extended_create_connection_command(
        self, command: hci.HCI_LE_Extended_Create_Connection_Command
    ) -> None:
        """Refuse what belongs to extended advertising."""
        self.on_hci_command(command)

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """Ask an advertiser for a connection."""
        command = self.pending_le_connection
        assert isinstance(command, hci.HCI_LE_Create_Connection_Command)  # noqa: S101 - no extended ones are offered
        super().create_le_connection(peer_address)
        connection = self.le_connections[peer_address]
        self._begin(connection, command.connection_interval_min, command.supervision_timeout)
        # The advertiser's answer comes first.
        asyncio.get_running_loop().call_soon(self.air.review)

    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        """Accept a connection, with the parameters that the central chose, unless nobody was invited."""
        if packet.advertiser_address != self._advertiser.address or not self._advertiser.connectable:
            return
        self._advertiser.stop()
        connection = Connection(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=hci.Role.PERIPHERAL,
            self_address=packet.advertiser_address,
            peer_address=packet.initiator_address,
            link=self.air,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
        )
        self.le_connections[packet.initiator_address] = connection
        self._begin(connection, packet.interval, packet.timeout)
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.SUCCESS,
                connection_handle=connection.handle,
                role=connection.role,
                peer_address_type=packet.initiator_address.address_type,
                peer_address=packet.initiator_address,
                connection_interval=packet.interval,
                peripheral_latency=packet.latency,
                supervision_timeout=packet.timeout,
                central_clock_accuracy=0,
            )
        )

    def on_hci_le_create_connection_cancel_command(self, _command: hci.HCI_Command) -> hci.HCI_StatusReturnParameters:
        """Give up a pending connection; the host gets the completion that a real controller sends."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address.address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    # --- Connections ------------------------------------------------------------------------------------------------

    def _begin(self, connection: Connection, interval: int, timeout: int) -> None:
        """Give a new connection its pace; both in the units of HCI."""
        self.ends[connection.handle] = LinkEnd(
            connection,
            interval * INTERVAL_UNIT_S,
            timeout * TIMEOUT_UNIT_S,
            lambda: self.radio.held or not self.air.connected(self, connection),
        )

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """Take a packet of the host; one for a connection that just ended is nobody's."""
        if end := self.ends.get(packet.connection_handle):
            end.send(packet)

    def receiver_of(self, connection: Connection) -> Callable[[bytes], None]:
        """Return what takes the PDUs of a connection as long as that lasts, and while its peer is in range."""

        def receive(pdu: bytes) -> None:
            if self.le_connections.get(connection.peer_address) is connection and self.air.connected(self, connection):
                self.on_link_acl_data(connection.peer_address, PhysicalTransport.LE, pdu)

        return receive

    def receive_control(self, connection: Connection, packet: ll.ControlPdu) -> None:
        """Take a link-layer PDU of a connection, unless that ended meanwhile."""
        if self.le_connections.get(connection.peer_address) is connection:
            if isinstance(packet, ll.ConnectionUpdateInd):
                self._update(connection.handle, packet.interval, packet.timeout)
            self.on_ll_control_pdu(connection.peer_address, packet)

    def on_hci_le_connection_update_command(self, command: hci.HCI_LE_Connection_Update_Command) -> None:
        """Change the parameters of a connection at both ends."""
        self._update(command.connection_handle, command.connection_interval_max, command.supervision_timeout)
        super().on_hci_le_connection_update_command(command)

    def _update(self, handle: int, interval: int, timeout: int) -> None:
        if end := self.ends.get(handle):
            end.update(max(interval, 1) * INTERVAL_UNIT_S, timeout * TIMEOUT_UNIT_S)

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """End a connection: the peer gets the host's reason, the host itself 0x16; Bumble gives both the same."""
        if connection := self.find_le_connection_by_handle(command.connection_handle):
            status = hci.HCI_ErrorCode.SUCCESS
            self.send_hci_packet(
                hci.HCI_Command_Status_Event(status=status, num_hci_command_packets=1, command_opcode=command.op_code)
            )
            connection.send_ll_control_pdu(ll.TerminateInd(command.reason))
            self.on_le_disconnected(connection, ENDED_HERE)
        else:
            super().on_hci_disconnect_command(command)

    def on_le_disconnected(self, connection: Connection, reason: int) -> None:
        """Forget a connection, once: its two ends may both report the same loss."""
        if self.le_connections.get(connection.peer_address) is connection:
            self.ends.pop(connection.handle).close()
            super().on_le_disconnected(connection, reason)
            self.air.review()

    def end_links(self, reason: int = SUPERVISION_TIMEOUT) -> None:
        """End all connections without a word to the peers, which notice it after their supervision timeout."""
        for connection in list(self.le_connections.values()):
            self.on_le_disconnected(connection, reason)

    def fall_silent(self) -> None:
        """Stop advertising, scanning, connecting and all connections, without a word to anybody."""
        self._advertiser.stop()
        self.le_scan_enable = False
        self.pending_le_connection = None
        self.end_links(ENDED_HERE)

    def unplug(self) -> None:
        """Switch off, as a person does who pulls a dongle; the own host sees its connections end."""
        self.fall_silent()
        self.radio.silence(True)
        if self.on_unplugged:
            self.on_unplugged()

    def on_hci_reset_command(self, _command: hci.HCI_Command) -> hci.HCI_StatusReturnParameters:
        """Stop everything: a controller may serve one host after the other."""
        self.fall_silent()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)
