# SPDX-License-Identifier: MIT
"""The world that a session takes place in: a radio and, for the demo, a simulated roller that it hears.

The only module that names the simulator.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from roller_host.guide.step import Task
from roller_host.link.connection import AUTHENTICATED
from roller_host.link.radio import open_radio
from roller_host.link.states import BadRadioError
from roller_host.sessions.folder import data_folder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from roller_host.guide.step import Assistant, Order
    from roller_host.link.radio import Radio
    from simulator.bluetooth.peripheral import Peripheral
    from simulator.body.pressing import PressingHand

logger = logging.getLogger(__name__)

DEMO: Final = "demo"


def is_demo(spec: str) -> bool:
    """Whether a radio is the simulator's, ``demo`` or ``demo:SCENARIO``."""
    return spec.partition(":")[0] == DEMO


def demo_scenarios() -> dict[str, str]:
    """Scenarios of the demo: name -> what happens in it; none without the simulator."""
    try:
        from simulator.scenario import scenarios  # noqa: PLC0415 - only for the demo
    except ModuleNotFoundError:
        return {}
    return scenarios()


@asynccontextmanager
async def open_world(
    spec: str, seed: int, passkey: int | None = None, on_hands: Callable[[Assistant], None] = lambda _: None
) -> AsyncGenerator[tuple[Radio, dict[str, Any]]]:
    """Open a radio; for ``demo``, a simulated roller with it.

    Parameters
    ----------
    spec : str
        ``demo``, ``demo:SCENARIO`` or what `link.radio.open_radio` takes.
    seed : int
        Person and device of the demo.
    passkey : int, optional
        Six digits on the label of a roller that wants them.
    on_hands : callable, optional
        Gets the hands of the demo's person, who do what a guided flow orders.

    Yields
    ------
    radio : Radio
    truth : dict
        What the simulator knows about itself, for comparison; empty for real rollers.

    Raises
    ------
    BadRadioError
        When there is no such radio, or the simulator is not installed.
    """
    if is_demo(spec):
        async with _open_demo(spec, seed, passkey, on_hands) as demo:
            yield demo
    else:
        async with open_radio(spec, passkey=passkey, claims=data_folder() / "claims") as radio:
            yield radio, {}


@asynccontextmanager
async def _open_demo(
    spec: str, seed: int, passkey: int | None, on_hands: Callable[[Assistant], None]
) -> AsyncGenerator[tuple[Radio, dict[str, Any]]]:
    try:
        from simulator.bluetooth.air import Air, AirController  # noqa: PLC0415 - only for the demo, and heavy
        from simulator.bluetooth.peripheral import monotonic_us, open_peripheral  # noqa: PLC0415
        from simulator.body.pressing import PressingHand  # noqa: PLC0415
        from simulator.firmware.device import Device  # noqa: PLC0415
        from simulator.generate import record_alone  # noqa: PLC0415
        from simulator.live import Rollers  # noqa: PLC0415
        from simulator.scenario import Radio as Antenna  # noqa: PLC0415
        from simulator.scenario import ScenarioError, load_scenario  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise BadRadioError(
            f"The demo needs {error.name}, which is not installed.", "pip install '.[demo]' in the project's folder"
        ) from error
    name = spec.partition(":")[2]
    try:
        plan = load_scenario(name) if name else None
    except ScenarioError as error:
        raise BadRadioError(f"There is no such demo: {error}.") from error
    hand = partial(PressingHand, slips=plan.slips) if plan else PressingHand
    device = plan.device(seed, hand=hand) if plan else Device(seed, hand=hand(seed))
    # The shortest connection interval that there is: nobody waits for the demo to connect.
    air = Air(interval_s=7.5e-3)
    antenna = plan.radio if plan else Antenna()
    if plan and plan.log_s:
        record_alone(device, plan.log_s, monotonic_us())
    async with open_peripheral(air, device, max_mtu=antenna.max_mtu) as roller:
        controller, incidents = AirController("host", air), plan.incidents if plan else ()
        roller.radio.place(antenna.distance_m)
        on_hands(_Hands(roller))
        fate = asyncio.create_task(Rollers([roller], logger.info).follow(roller, incidents))
        try:
            async with open_radio(spec, controller=controller, passkey=passkey or _passkey_of(roller)) as radio:
                sensors = device.senses.sensors
                truth = {"n_per_count": sensors.n_per_count, "head_mass_g": 1e3 * sensors.head_mass_kg}
                yield radio, {"imu_rate_hz": device.imu_rate_hz, "seed": seed, **truth}
        finally:
            fate.cancel()
        air.remove(controller)


def _passkey_of(roller: Peripheral) -> int | None:
    """What stands on the label of a simulated roller; None when it does not want it."""
    return roller.bonds.passkey if roller.device.security_mode == AUTHENTICATED else None


class _Hands:
    """The demo's person does what a guided flow orders; see `guide.step.Assistant`."""

    def __init__(self, roller: Peripheral) -> None:
        self._roller = roller

    @property
    def _hand(self) -> PressingHand:
        return cast("PressingHand", self._roller.device.hand)

    def obey(self, order: Order) -> None:
        match order.task:
            case Task.REST:
                self._hand.still()
            case Task.POSE:
                self._hand.pose()
            case Task.TUMBLE:
                self._hand.tumble()
            case Task.LOAD:
                self._hand.hang(order.mass_kg)
            case Task.BUTTON:
                self._hand.tap(self._roller.device.senses.life_at(self._roller.now_us()))
            case Task.RAMP:
                self._hand.press(order.zone, order.side, order.rate_n_s)

    def release(self) -> None:
        self._hand.release()
