# SPDX-License-Identifier: MIT
"""Sessions faster than real time: the dialogue that a real host holds with a device, and every payload of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from firmware_protocol import codec, layout, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator.firmware.device import Device

STEP_US = 20_000
MTU = 247
LINGER_S = 60
LOG_CHUNK = 500
LOG_PACE_S = 0.03
"""Time that the device needs for one log packet, s."""


class Payload(NamedTuple):
    """One payload as a capture holds it."""

    t_s: float
    source: str
    """Characteristic: INFO, CONTROL, STREAM or STATUS."""
    direction: str
    """``"in"`` from the roller, ``"out"`` to it."""
    payload: bytes


class Dialogue:
    """A host's side of the conversation with a device.

    Parameters
    ----------
    device : Device
        Nobody else may drive it.
    take : callable
        Gets every payload in the order in which a host would see it.
    """

    def __init__(self, device: Device, take: Callable[[Payload], None]) -> None:
        self.device = device
        self.now_us = 0
        self._take = take
        self._tag = 0
        self._mtu = MTU
        self._newest = -1
        """Number of the last live packet that came."""

    def note(self, source: str, payload: bytes, direction: str = "in") -> None:
        """Hand on a payload that crosses the link now."""
        self._take(Payload(self.now_us * 1e-6, source, direction, payload))

    def ask(self, name: str, *args: int | bytes) -> Any:
        """Send a request; returns the decoded response, whatever its status."""
        self._tag = (self._tag + 1) & 0xFF
        request = codec.encode_request(name, self._tag, *args)
        self.note("CONTROL", request, "out")
        payload = self.device.request(request, self.now_us)
        self.pass_time(self.device.answer_after_s)
        self.note("CONTROL", payload)
        return codec.decode_response(payload)

    def connect(self, mtu: int = MTU) -> None:
        """Connect, read who it is and what its numbers mean."""
        self._mtu = mtu
        self._link()
        for stream_id in self.ask("STREAM_LIST").reply.ids:
            self.ask("STREAM_INFO", stream_id)
        for page in (0, 1):
            self.ask("CAL_READ", page)
        for page in (0, 1):
            self.ask("GEOMETRY_READ", 0, page)

    def _link(self) -> None:
        self.device.connected(self._mtu, self.now_us)
        self.note("INFO", self.device.info_payload())
        self.note("STATUS", self.device.status_payload())
        self.device.subscribed(True, self.now_us)

    def start(
        self,
        streams: tuple[str, ...] = reference.DEFAULT_STREAMS,
        flush_ms: int = reference.FLUSH_MS,
        linger_s: int = 0,
    ) -> Any:
        """Ask for a session."""
        self._newest = -1
        return self.ask("START", sum(1 << codec.STREAM_ID[name] for name in streams), flush_ms, linger_s)

    @staticmethod
    def refusal(response: Any) -> str:
        """Why a request was refused; empty when it was not."""
        return "" if response.status == 0 else codec.STATUS_NAME[response.status]

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and take the packets that come."""
        for _ in range(round(seconds * 1e6 / STEP_US)):
            self.now_us += STEP_US
            for payload in self.device.advance(self.now_us):
                self.deliver(payload)

    def deliver(self, payload: bytes) -> None:
        """Take a notification of STREAM."""
        self.note("STREAM", payload)
        if payload[0] == layout.PTYPE_LIVE:
            self._newest = max(self._newest, int.from_bytes(payload[2:6], "little"))

    def fetch_log(self) -> None:
        """Fetch what was recorded without a host, then let the device free it."""
        log = self.ask("LOG_INFO").reply
        if log.used:
            for index in range(log.sessions):
                self.ask("LOG_SESSION", index)
            for first in range(log.first, log.last + 1, LOG_CHUNK):
                self.ask("LOG_READ", first, min(LOG_CHUNK, log.last + 1 - first))
                self.pass_time(LOG_CHUNK * LOG_PACE_S)
            self.ask("LOG_ADVANCE", log.last + 1)

    def lose(self, seconds: float) -> None:
        """Lose the link for a while."""
        self.device.disconnected(self.now_us)
        self.pass_time(seconds)

    def resume(self) -> None:
        """Connect again, go on with the session and fetch what was missed; a device that restarted begins anew."""
        self._link()
        session = self.ask("SESSION").reply
        if session.session_id == 0 or session.state != 1:
            self.start(linger_s=LINGER_S)
            return
        first = max(self._newest + 1, session.first_available)
        if first < session.next_seq:
            self.ask("BACKFILL", first, session.next_seq - 1)


def record_alone(device: Device, seconds: float, until_us: int) -> None:
    """Let a device record without a host for ``seconds`` that end at ``until_us``."""
    begin_us = until_us - round(seconds * 1e6)
    device.press(0.2, begin_us)
    for now_us in range(begin_us, until_us, STEP_US):
        device.advance(now_us)
    device.press(0.2, until_us)


def generate(device: Device, seconds: float, mtu: int = MTU) -> Iterator[Payload]:
    """Connect, ask, START, stream, STOP.

    Parameters
    ----------
    device : Device
        Fresh or stopped; afterwards disconnected.
    seconds : float
        Streaming time, s.
    mtu : int, default MTU
        ATT MTU of the connection, B.

    Yields
    ------
    Payload
        In the order in which a host would see them; time is zero at START.
    """
    payloads: list[Payload] = []
    host = Dialogue(device, payloads.append)
    host.connect(mtu)
    host.start()
    for _ in range(round(seconds * 1e6 / STEP_US)):
        host.pass_time(STEP_US * 1e-6)
        yield from payloads
        payloads.clear()
    host.ask("STOP")
    device.disconnected(host.now_us)
    yield from payloads
