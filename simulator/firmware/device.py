# SPDX-License-Identifier: MIT
"""The roller's firmware as a state machine: requests in, responses and stream packets out.

It has no clock of its own: whoever drives it says what time it is, in microseconds that never run backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from firmware_protocol import codec, layout, reference
from simulator.body.hand import Hand
from simulator.firmware.answers import ANSWERS
from simulator.firmware.memory import Log
from simulator.firmware.records import info_record, status_record
from simulator.firmware.refusal import RefusalError
from simulator.firmware.senses import Senses
from simulator.firmware.stream import OnSamples, Stream
from simulator.hardware.power import LOW_PERCENT, Battery

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.body.hand import Habits
    from simulator.body.truth import Truth
    from simulator.hardware.sensors import Flaws

BOOT_US: Final = 400_000
GOODBYE_US: Final = 100_000
"""Time for the response before the radio goes off, us."""
LONG_PRESS_S: Final = 3.0
AUTO_SLEEP_US: Final = 1_800_000_000
"""Without a host and with nothing to do the device sleeps after this time, us."""
FATAL: Final = frozenset({"IMU", "ADC"})
"""Faults without which nothing can be measured."""


@dataclass(frozen=True)
class Build:
    """What is built into one device, and how it is found."""

    security_mode: int = 0
    """See ``layout.SECURITY_MODES``."""
    fusion: bool = False
    """It computes its orientation itself and offers QUAT."""
    battery_percent: float = 90.0
    calibrated: bool = True
    """Its maker calibrated it with weights; else its record is the nominal one."""


class Device:
    """A reference device in somebody's hand.

    The person holds the roller still until a host says START, 2.5 s longer, and then begins to massage; after STOP they
    finish and wait again.

    Parameters
    ----------
    seed : int, default 1
        Draws device, person and massage. The same seed and the same calls give the same bytes.
    habits, flaws : optional
        How the person rolls, and how imperfect the device is.
    on_truth : callable, optional
        Is handed each stretch of truth as the massage reaches it.
    build : Build, optional
        Variant of the device.
    hand : Hand, optional
        Who holds it; by default a person with ``habits`` and a massage without end.
    on_samples : callable, optional
        Is told of each batch of IMU samples that goes into packets: true times as in `Truth`, the device's clock and
        the number of the session, see `OnSamples`.
    """

    firmware = "1.0.0-sim"

    def __init__(
        self,
        seed: int = 1,
        habits: Habits | None = None,
        flaws: Flaws | None = None,
        on_truth: Callable[[Truth], None] | None = None,
        *,
        build: Build | None = None,
        hand: Hand | None = None,
        on_samples: OnSamples | None = None,
    ) -> None:
        self.build = build or Build()
        self.faults: set[str] = set()
        self.hand = hand or Hand(seed, habits)
        """Who holds it."""
        self.senses = Senses(seed, self.hand, flaws, on_truth, self.faults)
        self._on_samples = on_samples
        self._n_sessions = 0
        self._rng = rng = np.random.default_rng([seed, 3])
        self.device_id = rng.bytes(8)
        self.boot_id = int(rng.integers(1, 2**32))
        self._skew = 1 + rng.normal(0, 20e-6)
        self._boot_clock_us = int(rng.integers(2**31, 2**33))
        self._booted_us = 0
        self._ids = int(rng.integers(1, 2**31))
        self.cell = Battery(self.build.battery_percent)
        self.log = Log()
        if not self.build.calibrated:
            self.senses.calibration = reference.CALIBRATION
        self.stored_calibration = self.senses.calibration
        self.on_factory_reset: Callable[[], None] = lambda: None
        """Called when bonds are to be forgotten."""
        self.answer_after_s = 0.0
        """How long the firmware is busy with the latest request, s."""
        self._now_us: int | None = None
        self._off = self.asleep = False
        self._low_told = False
        self._forget_ram()

    def _forget_ram(self) -> None:
        """State of a device that has just booted."""
        self.stream = Stream(self.senses, self.log, self.clock_us, self._on_samples)
        self.mtu = layout.MTU_MIN
        self.linked = self._hears = False
        self._linger_until_us: int | None = None
        self._restart_us: int | None = None
        self._farewell: tuple[int, Callable[[int], None]] | None = None
        self._button_until_us = 0
        self.halves: dict[int, bytes] = {}
        self.wall: tuple[int, int] | None = None
        """Time of day, us since 1970, and the driver's clock at that moment."""
        self.led: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._idle_us: int | None = None

    # --- Identity ---------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Advertised name."""
        return f"Roller-{self.device_id[-2:].hex().upper()}"

    @property
    def security_mode(self) -> int:
        """See ``layout.SECURITY_MODES``."""
        return self.build.security_mode

    @property
    def imu_rate_hz(self) -> float:
        """True sample rate of IMU and encoder by the device's own clock, Hz."""
        return self.senses.sensors.imu_rate_hz / self._skew

    @property
    def force_rate_hz(self) -> float:
        """True sample rate of the load cell by the device's own clock, Hz."""
        return self.senses.sensors.force_rate_hz / self._skew

    @property
    def battery_percent(self) -> int:
        """Charge left, percent."""
        return round(self.cell.charge_percent)

    @property
    def state(self) -> str:
        """Name in ``layout.STATES``."""
        if self.streaming:
            return "streaming"
        if self.stream.logging:
            return "offline log"
        if self.cell.usb:
            return "charging"
        return "fault" if self.faults & FATAL else "idle"

    @property
    def state_code(self) -> int:
        """Number of the state on the wire."""
        return next(code for code, name in layout.STATES if name == self.state)

    @property
    def streams(self) -> tuple[int, ...]:
        """Ids of the streams that this device has."""
        return tuple(i for i in sorted(reference.STREAM_INFO) if self.build.fusion or i != codec.STREAM_ID["QUAT"])

    @property
    def on_air(self) -> bool:
        """Whether the radio is on: not while off, asleep or booting."""
        return not (self._off or self.asleep or self._restart_us is not None)

    def info_payload(self) -> bytes:
        """INFO record."""
        return info_record(self)

    def status_payload(self) -> bytes:
        """STATUS record."""
        return status_record(self)

    @property
    def button_window(self) -> bool:
        """Whether protected requests are allowed for the moment."""
        return (self._now_us or 0) < self._button_until_us

    # --- Link -------------------------------------------------------------------------------------------------------

    def connected(self, mtu: int, now_us: int) -> None:
        """A central connected; nobody can while the radio is off."""
        self._elapse(now_us)
        if not self.on_air:
            return
        self.linked, self.mtu = True, mtu
        self._linger_until_us = None

    def mtu_changed(self, mtu: int) -> None:
        """The ATT MTU of the connection was agreed on."""
        self.mtu = mtu

    def subscribed(self, on: bool, now_us: int) -> None:
        """The central switched notifications of STREAM on or off; packets made meanwhile go to the ring alone."""
        self._elapse(now_us)
        self._hears = on and self.linked

    def disconnected(self, now_us: int) -> None:
        """The central is gone: streaming goes on into the ring for the time that START named."""
        self._elapse(now_us)
        if not self.linked:
            return
        self.linked = self._hears = False
        self.mtu = layout.MTU_MIN
        self.stream.end_transfer()
        if self.streaming and self.stream.linger_s:
            self._linger_until_us = now_us + self.stream.linger_s * 1_000_000
        elif self.streaming:
            self.halt(now_us)

    def dropped(self, n: int) -> None:
        """The transmit queue threw ``n`` live packets away; they stay in the ring."""
        self.stream.n_dropped = min(self.stream.n_dropped + n, 0xFFFFFFFF)
        self.stream.flag("DROPPED_BEFORE")

    def request(self, payload: bytes, now_us: int) -> bytes:
        """Answer one control request; any bytes get a response, which is due after `answer_after_s`."""
        self._elapse(now_us)
        self.answer_after_s = 0.0
        op, tag = (*payload[:2], 0, 0)[:2]
        try:
            request = codec.decode_request(payload)
        except codec.ProtocolError:
            return codec.encode_response(op, tag, codec.STATUS_CODE["BAD_LENGTH"])
        if request.args is None:
            return codec.encode_response(op, tag, codec.STATUS_CODE["UNKNOWN_OP"])
        try:
            reply = ANSWERS[codec.OP_NAME[request.op]](self, now_us, *request.args)
        except RefusalError as refusal:
            return codec.encode_response(op, tag, refusal.status)
        return codec.encode_response(op, tag, codec.STATUS_CODE["OK"], *reply)

    # --- Sessions ---------------------------------------------------------------------------------------------------

    @property
    def streaming(self) -> bool:
        """Whether a session is under way, with or without a link."""
        return self.stream.streaming

    def start(self, mask: int, flush_ms: int, linger_s: int, now_us: int) -> None:
        """Begin a session; the arguments are sound."""
        self._ids = self._ids % 0xFFFFFFFF + 1
        self._low_told = False
        self._n_sessions += 1
        self.stream.start(self._ids, self._n_sessions, mask, flush_ms, linger_s, now_us)

    def halt(self, now_us: int, *, over: bool = True) -> None:
        """End session or recording; ``over`` when the person notices and ends the massage."""
        self.stream.halt(now_us, over=over)
        self._linger_until_us = None

    def clock_us(self, now_us: float) -> int:
        """Device clock, us since boot."""
        return round(self._boot_clock_us + (now_us - self._booted_us) * self._skew)

    def _unix_us(self, now_us: int) -> int:
        return self.wall[0] + now_us - self.wall[1] if self.wall else 0

    # --- Time -------------------------------------------------------------------------------------------------------

    def advance(self, now_us: int, room: int = 8) -> list[bytes]:
        """Let time pass.

        Parameters
        ----------
        now_us : int
            The driver's clock.
        room : int, default 8
            Resent packets that the transmit queue can take; one for each live packet is returned whatever it says.

        Returns
        -------
        list of bytes
            Stream packets to send now.
        """
        self._elapse(now_us)
        if not self.on_air:
            return []
        live = self.stream.flush(now_us, self.mtu, self.faults, connected=self.linked)
        if self.senses.take_press():
            self._button_until_us = now_us + layout.BUTTON_WINDOW_S * 1_000_000
        return live + self.stream.resend(now_us, len(live), room) if self._hears else []

    def _elapse(self, now_us: int) -> None:
        """Battery, boots and everything else that happens by itself."""
        before_us = now_us if self._now_us is None else self._now_us
        self._now_us = now_us
        state = "asleep" if self.asleep or self._off else self.state
        self.cell.drain((now_us - before_us) * 1e-6, state)
        if self._farewell is not None and now_us >= self._farewell[0]:
            _, go = self._farewell
            self._farewell = None
            go(now_us)
        if self._restart_us is not None and now_us >= self._restart_us:
            self._forget_ram()
            self._now_us = now_us
        if self._linger_until_us is not None and now_us >= self._linger_until_us:
            self.halt(self._linger_until_us)
        self._watch_battery(now_us)
        self._watch_idleness(now_us)

    def _watch_battery(self, now_us: int) -> None:
        percent = self.cell.charge_percent
        if percent < LOW_PERCENT and not self._low_told:
            self.senses.note("LOW_BATTERY", self.battery_percent)
        self._low_told = percent < LOW_PERCENT
        if percent <= 0 and not self._off and not self.cell.usb:
            self._switch_off(now_us)

    def _watch_idleness(self, now_us: int) -> None:
        busy = self.linked or self.stream.active or self.cell.usb
        self._idle_us = now_us if busy or self._idle_us is None else self._idle_us
        if self.on_air and now_us - self._idle_us > AUTO_SLEEP_US:
            self._fall_asleep(now_us)

    # --- What a person or fate does to it ---------------------------------------------------------------------------

    def press(self, seconds: float, now_us: int) -> None:
        """Press the button: wakes; opens the button window; without a host, begins or ends an offline recording."""
        self._elapse(now_us)
        if self.asleep:
            self.wake(now_us)
            return
        if not self.on_air:
            return
        self._button_until_us = now_us + layout.BUTTON_WINDOW_S * 1_000_000
        self.senses.press(self.senses.life_at(now_us))
        self._idle_us = now_us
        if self.stream.logging:
            self.halt(now_us)
        elif self.linked or self.streaming or seconds >= LONG_PRESS_S:
            return
        elif not self.cell.usb and not self.faults & (FATAL | {"STORAGE"}):
            self.stream.record(self._unix_us(now_us), now_us)

    def plug(self, usb: bool, now_us: int) -> None:
        """Plug USB power in or out: a roller that charges is not used on the face."""
        self._elapse(now_us)
        self.cell.usb = usb
        if usb:
            self.halt(now_us)

    def battery(self, percent: float, now_us: int) -> None:
        """Set the charge."""
        self._elapse(now_us)
        self.cell.charge_percent = min(max(percent, 0.0), 100.0)

    def fail(self, name: str, on: bool, now_us: int) -> None:
        """Let a part fail or recover; ``name`` as in ``layout.FAULTS``.

        Raises
        ------
        KeyError
            When there is no such part.
        """
        self._elapse(now_us)
        position = codec.bit(layout.FAULTS, name).bit_length() - 1
        if on != (name in self.faults):
            self.faults ^= {name}
            self.senses.note("FAULT", position, int(on))
        if name == "CAL_CRC":
            self.senses.calibration = reference.CALIBRATION if on else self.stored_calibration
            self.stream.flag("TARE_CHANGED")
        elif name == "ADC":
            self.senses.contact = self.senses.overload = False
        elif name == "HAPTIC":
            self.senses.haptics.halt()
        elif name == "STORAGE" and self.stream.logging:
            self.halt(now_us)

    def power(self, on: bool, now_us: int) -> None:
        """Switch the device off or on."""
        self._elapse(now_us)
        if on and self._off:
            self._off = False
            self.reboot(now_us)
        elif not on:
            self._switch_off(now_us)

    def _switch_off(self, now_us: int) -> None:
        self._leave_air(now_us, over=False)
        self._off = True

    def _leave_air(self, now_us: int, *, over: bool) -> None:
        """End what is under way and the link with it."""
        self.halt(now_us, over=over)
        self.linked = self._hears = False
        self._farewell = None

    def reboot(self, now_us: int) -> None:
        """Restart: the radio is gone for a moment, RAM and clock begin anew, flash stays."""
        self._elapse(now_us)
        self._leave_air(now_us, over=False)
        self.senses.reset()
        self.senses.sensors.configure(reference.IMU_RATE_HZ, 0, reference.FORCE_RATE_HZ)
        self.boot_id = int(self._rng.integers(1, 2**32))
        self._boot_clock_us, self._booted_us = 0, now_us
        self.asleep = False
        self._restart_us = now_us + BOOT_US

    def sleep(self, now_us: int) -> None:
        """Fall asleep: the button wakes it."""
        self._elapse(now_us)
        self._fall_asleep(now_us)

    def _fall_asleep(self, now_us: int) -> None:
        self._leave_air(now_us, over=True)
        self.asleep = True

    def wake(self, now_us: int) -> None:
        """Wake up, which is a boot: RAM was off."""
        self._elapse(now_us)
        if self.asleep:
            self.reboot(now_us)

    # --- Once a response is out ---------------------------------------------------------------------------------------

    def leave(self, now_us: int, how: Callable[[int], None]) -> None:
        """Sleep or reboot once the response is out."""
        self._farewell = now_us + GOODBYE_US, how
