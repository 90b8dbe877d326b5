# SPDX-License-Identifier: MIT
"""What the device notices: its sensors in somebody's hand, and what its own logic makes of them at once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from firmware_protocol import codec, layout, reference
from simulator.firmware.haptics import SOURCES, Haptics
from simulator.firmware.refusal import RefusalError
from simulator.hardware.sensors import Readings, Sensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from simulator.body.hand import Hand
    from simulator.body.truth import Truth
    from simulator.hardware.sensors import Flaws

CONTACT_ON_N, CONTACT_OFF_N = 0.15, 0.10
TARE_NOISE_N: Final = 0.02
"""A tare with noisier readings is refused as UNSTABLE."""
TARE_TURN_RAD_S: Final = 0.2
"""So is one while the handle turns faster."""
REST_S: Final = 2.5
REACT_S: Final = 0.01
"""How often the haptic rules look at the sensors, s."""
LONGEST_PAUSE_S: Final = 60.0
"""Through a shorter pause of the sensors the hand goes on with its massage, unseen."""


class Senses:
    """Sensors, contact, zero and haptic rules, on the time that passes in the hand.

    That time stands still while nothing measures: the person holds the roller still until a session begins.

    Parameters
    ----------
    seed : int
        Draws device, person and massage.
    hand : Hand
        Who holds the roller.
    flaws : Flaws or None
        How imperfect the sensors are.
    on_truth : callable or None
        Is handed each stretch of truth as the massage reaches it.
    faults : set of str
        Parts that do not work right now, names in ``layout.FAULTS``; looked at, never changed.
    """

    def __init__(
        self,
        seed: int,
        hand: Hand,
        flaws: Flaws | None,
        on_truth: Callable[[Truth], None] | None,
        faults: AbstractSet[str],
    ) -> None:
        self._hand = hand
        self._faults = faults
        self._on_truth = on_truth
        self._massaging, self._at_rest = False, True
        self.sensors = Sensors(seed, self._life(), flaws)
        self.haptics = Haptics()
        self.calibration = self.sensors.calibration
        self.zero_counts = self.calibration.zero_counts
        self.tared = self.contact = self.overload = False
        self.events: deque[tuple[float, tuple[int, int, int]]] = deque(maxlen=64)
        """What happened and is not told yet; the oldest give way."""
        self._pressed = False
        self._clipped = 0
        self.temp_c = 29.0
        self.life_s = 0.0
        self._zero_us = 0.0
        self._paused_us: int | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=320)

    # --- Time -------------------------------------------------------------------------------------------------------

    def begin(self, now_us: int) -> None:
        """Start measuring: a massage that was interrupted a moment ago has gone on, any other begins at rest."""
        if self._massaging:
            pause_s = (now_us - (self._paused_us or now_us)) * 1e-6
            self._skip(min(pause_s, LONGEST_PAUSE_S))
        else:
            while not self._at_rest:
                self._skip(0.5)
        self._massaging = True
        self._zero_us = now_us - self.life_s * 1e6
        # What happened while nothing was measured has no place in time; only the zero still matters.
        zeros = [(self.life_s, sample) for _, sample in self.events if sample[0] == codec.EVENT_CODE["TARE"]]
        self.events = deque(zeros[-1:], maxlen=64)
        self._recent.clear()
        self.haptics.halt()

    def pause(self, now_us: int, *, over: bool) -> None:
        """Stop measuring; ``over`` when the person knows that the session has ended."""
        self._paused_us = now_us
        self._massaging = self._massaging and not over
        self.contact = self.overload = False

    def reset(self) -> None:
        """Forget what was in RAM: rules, zero, readings, untold events."""
        self.haptics.reset()
        self.zero_counts, self.tared = self.calibration.zero_counts, False
        self.events.clear()
        self._recent.clear()

    def true_us(self, t_s: float) -> float:
        """Time of the driver's clock at which a sample of the present session was taken, us."""
        return self._zero_us + t_s * 1e6

    def _skip(self, seconds: float) -> None:
        self.life_s += seconds
        self.sensors.read(self.life_s)

    def _life(self) -> Iterator[Truth]:
        for truth in self._script():
            if self._on_truth:
                self._on_truth(truth)
            yield truth

    def _script(self) -> Iterator[Truth]:
        """What the person does: waits for a session, holds still, massages, goes back to waiting."""
        while True:
            self._at_rest = True
            while not self._massaging:
                yield self._hand.rest(0.5)
            self._at_rest = False
            yield self._hand.rest(REST_S)
            while self._massaging:
                yield self._hand.visit()
            yield self._hand.home()

    # --- Measuring --------------------------------------------------------------------------------------------------

    def read(self, now_us: int, *, connected: bool) -> Readings:
        """Take all samples that are due, and notice what the device itself reacts to."""
        until_s = (now_us - self._zero_us) * 1e-6
        parts: list[Readings] = []
        while self.life_s < until_s:
            step_s = REACT_S if self.haptics.has_work else until_s - self.life_s
            self.life_s = until_s if until_s - self.life_s <= step_s else self.life_s + step_s
            if strength := self.haptics.strength_at(self.life_s - step_s / 2):
                self.sensors.haptic(self.life_s - step_s, self.life_s, strength)
            parts.append(self.sensors.read(self.life_s))
            self._notice(parts[-1], connected=connected)
            for press_s in self._hand.presses(self.life_s):
                self.press(press_s)
                self._pressed = True
        return parts[0] if len(parts) == 1 else Readings(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def note(self, code: str, arg: int = 0, value: int = 0) -> None:
        """Remember an event that happens now."""
        self.events.append((self.life_s, (codec.EVENT_CODE[code], arg, value)))

    def life_at(self, now_us: int) -> float:
        """Time of the hand at a time of the driver's clock, s; the last that was measured while nothing measures."""
        return max((now_us - self._zero_us) * 1e-6, self.life_s) if self._massaging else self.life_s

    def press(self, t_s: float) -> None:
        """Notice the button, pressed at a time of the hand."""
        self.events += [(t_s, (codec.EVENT_CODE["BUTTON"], pressed, 0)) for pressed in (1, 0)]

    def take_press(self) -> bool:
        """Whether the hand has pressed the button since this was asked last."""
        pressed, self._pressed = self._pressed, False
        return pressed

    def take_events(self) -> list[tuple[float, tuple[int, int, int]]]:
        """What happened up to the last reading and is not told yet."""
        due = [event for event in self.events if event[0] <= self.life_s]
        self.events = deque((event for event in self.events if event[0] > self.life_s), maxlen=64)
        return due

    def take_flags(self, begin_s: float, end_s: float) -> int:
        """Packet flags of a span of time; what clipped is told once."""
        flags, self._clipped = self._clipped, 0
        if self.contact:
            flags |= codec.bit(layout.PACKET_FLAGS, "CONTACT")
        if self.haptics.runs_in(begin_s, end_s):
            flags |= codec.bit(layout.PACKET_FLAGS, "HAPTIC")
        return flags

    def _notice(self, readings: Readings, *, connected: bool) -> None:
        force_n, spin_rad_s, tilt_rad = self._felt(readings)
        if "ADC" not in self._faults:
            self._notice_contact(readings.force_s, force_n)
            if len(readings.temp):
                self.temp_c = float(readings.temp[-1]) * 0.01
        self._notice_clipping(readings)
        if self.haptics.has_work:
            self._react(readings.force_s, force_n, spin_rad_s, tilt_rad, connected=connected)

    def _notice_contact(self, t_s: NDArray[np.float64], force_n: NDArray[np.float64]) -> None:
        for t, newtons in zip(t_s.tolist(), force_n.tolist(), strict=True):
            if newtons > CONTACT_ON_N if not self.contact else newtons < CONTACT_OFF_N:
                self.contact = not self.contact
                self.events.append((t, (codec.EVENT_CODE["CONTACT_ON" if self.contact else "CONTACT_OFF"], 0, 0)))

    def _felt(self, readings: Readings) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Force without the weight of the head, rate and tilt of the handle at the samples of the load cell."""
        calibration = self.calibration
        counts = readings.force.astype(np.float64)
        spin = np.zeros(len(counts))
        tilt = np.zeros(len(counts))
        if len(readings.imu):
            near = np.clip(np.searchsorted(readings.imu_s, readings.force_s), 0, len(readings.imu) - 1)
            rad_s, m_s2 = reference.imu_scales(self.sensors.imu_range)
            imu = readings.imu[near].astype(np.float64)
            acc = imu[:, 3:] * m_s2
            spin = np.sqrt((imu[:, :3] ** 2).sum(axis=1)) * rad_s
            size = np.sqrt((acc**2).sum(axis=1))
            tilt = np.arccos(np.clip(acc[:, 1] / np.maximum(size, 1e-6), -1, 1))
            pull = calibration.axis_x * acc[:, 0] + calibration.axis_y * acc[:, 1] + calibration.axis_z * acc[:, 2]
            counts = counts - calibration.head_mass_kg * pull / calibration.n_per_count
        self._recent.extend(zip(counts.tolist(), spin.tolist(), strict=True))
        return (counts - self.zero_counts) * calibration.n_per_count, spin, tilt

    def _notice_clipping(self, readings: Readings) -> None:
        if "IMU" not in self._faults and np.abs(readings.imu).max(initial=0) >= 32767:
            self._clipped |= codec.bit(layout.PACKET_FLAGS, "IMU_CLIPPED")
        if "ADC" in self._faults or not len(readings.force):
            return
        newtons = (readings.force - self.zero_counts) * self.calibration.n_per_count
        over = bool(newtons.max() >= self.calibration.max_force_n)
        if over:
            self._clipped |= codec.bit(layout.PACKET_FLAGS, "FORCE_CLIPPED")
        if over != self.overload:
            self.overload = over
            self.note("OVERLOAD", int(over))

    def _react(
        self,
        t_s: NDArray[np.float64],
        force_n: NDArray[np.float64],
        spin_rad_s: NDArray[np.float64],
        tilt_rad: NDArray[np.float64],
        *,
        connected: bool,
    ) -> None:
        if "HAPTIC" in self._faults:
            return
        columns: dict[int, list[float]] = {}
        if "ADC" not in self._faults:
            columns[SOURCES["FORCE"]] = (force_n * 1000).tolist()
        if "IMU" not in self._faults:
            columns[SOURCES["RATE"]] = (np.degrees(spin_rad_s) * 10).tolist()
            columns[SOURCES["TILT"]] = (np.degrees(tilt_rad) * 10).tolist()
        for i, t in enumerate(t_s.tolist()):
            values = {source: column[i] for source, column in columns.items()}
            self.events += self.haptics.sense(t, values, connected=connected)

    # --- Zero -------------------------------------------------------------------------------------------------------

    def tare(self, samples: int, *, measuring: bool) -> tuple[int, int]:
        """Average the newest readings as the new zero; returns it and their noise, counts.

        Raises
        ------
        RefusalError
            UNSTABLE when there are too few readings, the cell is noisy or the handle turns.
        """
        if not measuring:
            self.life_s += (samples + 1) / self.sensors.force_rate_hz
            self._notice(self.sensors.read(self.life_s), connected=True)
        recent = np.array(self._recent)[-samples:]
        if len(recent) < samples:
            raise RefusalError("UNSTABLE")
        noise = float(recent[:, 0].std())
        if noise * abs(self.calibration.n_per_count) > TARE_NOISE_N or recent[:, 1].max() > TARE_TURN_RAD_S:
            raise RefusalError("UNSTABLE")
        self.set_zero(round(float(recent[:, 0].mean())))
        self.tared = True
        return self.zero_counts, min(round(noise), 0xFFFF)

    def set_zero(self, counts: int) -> None:
        """Take a new zero and tell it."""
        self.zero_counts = min(max(counts, -(2**23)), 2**23 - 1)
        self.events.append((self.life_s, codec.tare_event(self.zero_counts)))
