# SPDX-License-Identifier: MIT
# pyright: reportUnknownMemberType=false
"""The virtual air: Bluetooth controllers without radios that hear each other, without loss and without delay."""

from __future__ import annotations

import dataclasses
from typing import Final

from bumble import hci, ll
from bumble.controller import Connection, Controller
from bumble.link import LocalLink

SUPERVISION_TIMEOUT: Final = int(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
"""Reason 0x08: the peer was not heard any more."""
RSSI_DBM: Final = -50
"""Signal strength that every scanner reports."""


@dataclasses.dataclass
class _Advert(ll.AdvInd):
    """A connectable advertisement together with what its advertiser answers to a scan request."""

    scan_response: bytes = b""


class Air(LocalLink):
    """All controllers in range of each other."""

    def drop_link(self, controller: Controller, reason: int = SUPERVISION_TIMEOUT) -> None:
        """Break every connection of ``controller``: both ends are told, nothing is sent over the air.

        Parameters
        ----------
        controller : Controller
            One end of the connections.
        reason : int, default SUPERVISION_TIMEOUT
            HCI error code that both hosts get.
        """
        for connection in list(controller.le_connections.values()):
            peer = self.find_le_controller(connection.peer_address)
            controller.on_le_disconnected(connection, reason)
            if peer and (other_end := peer.le_connections.get(connection.self_address)):
                peer.on_le_disconnected(other_end, reason)

    def remove(self, controller: Controller) -> None:
        """Take ``controller`` out of the air for good; its peers notice a supervision timeout."""
        self.drop_link(controller)
        controller.le_legacy_advertiser.stop()
        controller.host = None
        self.controllers.discard(controller)


class AirController(Controller):
    """Bumble's virtual controller with legacy advertising and the behaviour of a real one where Bumble's differs.

    Parameters
    ----------
    name : str
        Appears in debug logs only.
    air : Air
        The air to join.
    """

    # The defaults of 27 bytes would cut one notification into nine HCI packets.
    le_acl_data_packet_length = 251
    # Extended advertising is left out because Bumble routes no scan response data for it.
    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )

    def __init__(self, name: str, air: Air) -> None:
        super().__init__(name, link=air)
        self.air = air

    def send_advertising_pdu(self, packet: ll.AdvertisingPdu) -> None:
        """Put an advertising PDU on the air, with the scan response where there is one."""
        if isinstance(packet, ll.AdvInd):
            scan_response = bytes(self.le_legacy_advertiser.scan_response_data)
            packet = _Advert(packet.advertiser_address, packet.data, scan_response)
        super().send_advertising_pdu(packet)

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        """Report an advertisement when scanning, and connect when that is what the host waits for."""
        if self.le_scan_enable:
            self._report(pdu, hci.HCI_LE_Advertising_Report_Event.EventType.ADV_IND, pdu.data)
            if self.le_scan_type and isinstance(pdu, _Advert):
                self._report(pdu, hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP, pdu.scan_response)
        pending = self.pending_le_connection
        if pending and pending.peer_address == pdu.advertiser_address:
            self.create_le_connection(pdu.advertiser_address)

    def _report(self, pdu: ll.AdvInd | ll.AdvExtInd, event_type: int, data: bytes) -> None:
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=event_type,
            address_type=pdu.advertiser_address.address_type,
            address=pdu.advertiser_address,
            data=data,
            rssi=RSSI_DBM,
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        """Accept a connection and tell the host the parameters that the central chose."""
        before = set(self.le_connections)
        super().on_le_connect_ind(packet)
        if packet.initiator_address in set(self.le_connections) - before:
            self.send_hci_packet(
                hci.HCI_LE_Connection_Update_Complete_Event(
                    status=hci.HCI_ErrorCode.SUCCESS,
                    connection_handle=self.le_connections[packet.initiator_address].handle,
                    connection_interval=packet.interval,
                    peripheral_latency=packet.latency,
                    supervision_timeout=packet.timeout,
                )
            )

    def on_le_disconnected(self, connection: Connection, reason: int) -> None:
        """Forget a connection, once: its two ends may both report the same loss."""
        if self.le_connections.get(connection.peer_address) is connection:
            super().on_le_disconnected(connection, reason)

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

    def on_hci_reset_command(self, _command: hci.HCI_Command) -> hci.HCI_StatusReturnParameters:
        """Stop everything: a controller may serve one host after the other."""
        self.air.drop_link(self)
        self.le_scan_enable = False
        self.pending_le_connection = None
        self.le_legacy_advertiser.stop()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)
