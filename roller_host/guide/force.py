# SPDX-License-Identifier: MIT
"""Calibration of the load cell, step by step: zero, tumble, known loads, result, store.

Samples lead it (`ForceGuide.take`) and what the person does (`ForceGuide.act`). It has no clock: time is that of the
samples. What was read stays until the flow is over, through pauses, losses of the link and steps back; nothing is in
use before the person says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from roller_host.guide.loads import LoadParams, Loads
from roller_host.guide.step import Choice, Order, Task
from roller_host.guide.tumbling import Tumbling, TumblingParams
from roller_host.guide.weighing import STEPS, Draft, ForceShown, Found, mass_of
from roller_host.sessions.errors import SessionError
from roller_host.signal.calibration import FORCE_RAW, DeviceModel, Samples
from roller_host.signal.steady import SteadyParams, SteadyState, steady_step
from roller_host.signal.tumble import TumbleError, calibrated
from roller_host.signal.weights import WeightError, with_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_protocol import codec
    from roller_host.signal.steady import Plateau


@dataclass(frozen=True)
class ForceGuideParams:
    """How patient the flow is, and what it asks for."""

    steady: SteadyParams = field(default_factory=SteadyParams)
    tumble: TumblingParams = field(default_factory=TumblingParams)
    loads: LoadParams = field(default_factory=LoadParams)
    still_s: float = 2.0
    """How long the roller is held still at first, s."""


class ForceGuide:
    """The flow.

    Parameters
    ----------
    keep : callable
        Stores what was found and takes it into use; returns where. `SessionError` or `OSError` say why it cannot.
    unix_s : callable
        Time of day, s since 1970.
    write : callable, optional
        Begins to write a record to the roller, and calls its second argument with what went wrong once it is over,
        empty when the roller gave the same record back.
    pressed : bool, default False
        The roller is pressed on a scale; masses are what that shows.
    draft : Draft, optional
        What was read in an earlier flow.
    params : ForceGuideParams, optional
    """

    def __init__(
        self,
        keep: Callable[[Found], str],
        unix_s: Callable[[], int],
        write: Callable[[codec.Calibration, Callable[[str], None]], None] | None = None,
        *,
        pressed: bool = False,
        draft: Draft | None = None,
        params: ForceGuideParams | None = None,
    ) -> None:
        self._keep, self._unix_s, self._write = keep, unix_s, write
        self._pressed, self._params = pressed, params or ForceGuideParams()
        draft = draft or Draft()
        self._bias_rad_s, self._tumble = draft.gyro_rad_s, draft.tumble
        self._loads = Loads(self._params.loads, pressed=pressed, readings=draft.readings)
        self._tumbling = Tumbling(self._params.tumble)
        self._model = DeviceModel()
        self._temp_c: float | None = None
        self._steady, self._plateau = SteadyState(), None
        self._since_s: float | None = None
        """Since when the roller was steady in this step."""
        self._found: Found | None = None
        self._stored = self._problem = self._note = ""
        self._paused = self._writing = self._over = False
        self._step = "tare" if self._bias_rad_s is None else "weights" if self._tumble else "tumble"
        self._shown = self._show()

    _plateau: Plateau | None

    @property
    def shown(self) -> ForceShown:
        """What to show now."""
        return self._shown

    @property
    def draft(self) -> Draft:
        """What was read so far."""
        return Draft(self._bias_rad_s, self._tumble, self._loads.readings)

    # --- Samples ----------------------------------------------------------------------------------------------------

    def take(self, model: DeviceModel, samples: Samples, temp_c: float | None = None) -> None:
        """Take in the next samples.

        Parameters
        ----------
        model : DeviceModel
            With its zero and sensitivity ``samples`` were made; the same through the whole flow.
        samples : Samples
            Those of the pipeline, block after block.
        temp_c : float, optional
            Temperature of the load cell, degrees C.
        """
        if self._over or self._paused:
            return
        if FORCE_RAW not in model.streams:
            self._problem = "The roller sends no raw readings of its load cell (FORCE_RAW): update its firmware."
            self._shown = self._show()
            return
        if model.calibration != self._model.calibration:
            self._steady = SteadyState()
        self._model, self._temp_c = model, temp_c
        self._plateau, self._steady = steady_step(
            self._params.steady, model, self._steady, samples, self._loads.zero_counts()
        )
        steady = self._plateau is not None and self._plateau.steady
        now_s = float(samples.t_s[-1])
        self._since_s = (now_s if self._since_s is None else self._since_s) if steady else None
        {"tare": self._hold_still, "tumble": self._turn, "weights": self._weigh}.get(self._step, _nothing)(samples)
        self._shown = self._show()

    def _held_s(self) -> float:
        return 0.0 if self._since_s is None else float(self._steady.t_s[-1]) - self._since_s

    def _hold_still(self, _: Samples) -> None:
        if self._plateau and self._held_s() >= self._params.still_s:
            self._bias_rad_s = self._plateau.gyro_rad_s
            self._enter("tumble", "That was still enough.")

    def _turn(self, samples: Samples) -> None:
        tumbling = self._tumbling
        tumbling.take(samples)
        if not tumbling.complete:
            return
        try:
            self._tumble = tumbling.judge(self._model, self._bias_rad_s)
        except TumbleError as error:
            self._tumbling, self._problem = Tumbling(self._params.tumble), _sentence(error)
        else:
            self._enter("weights", "Head mass and force axis are found.")

    def _weigh(self, _: Samples) -> None:
        if self._plateau and self._loads.see(self._tumbled(), self._plateau, self._model.calibration):
            self._problem = _sentence(self._loads.problem)

    # --- What the person does -----------------------------------------------------------------------------------------

    def act(self, key: str, value: str = "") -> None:
        """Do what the person chose.

        Parameters
        ----------
        key : str
            Of a choice in `shown`; others are left alone. ``add`` takes a mass, ``remove`` the index of a reading.
        value : str, default ""
            What was typed with it: a mass as in ``0.5``, ``0.5 kg``, ``500 g`` or ``4.9 N``.
        """
        acts = {
            "pause": lambda: self._pause(on=True),
            "go_on": lambda: self._pause(on=False),
            "cancel": self._cancel,
            "skip": lambda: self._enter("weights", "Head mass and force axis stay as they were."),
            "add": lambda: self._ask_for(value),
            "take": self._take_load,
            "undo": lambda: self._remove(self._loads.last),
            "remove": lambda: self._remove(int(value) if value.isdecimal() else -1),
            "finish": self._finish,
            "back": lambda: self._enter("weights", ""),
            "keep": self._store,
            "write": self._begin_writing,
            "done": self._end,
        }
        if key in [choice.key for choice in self._choices() if choice.enabled]:
            self._problem = self._note = ""
            acts[key]()
        self._shown = self._show()

    def _enter(self, step: str, note: str) -> None:
        self._step, self._note, self._problem = step, note, ""
        self._since_s = None
        self._tumbling = Tumbling(self._params.tumble)
        if step == "weights":
            self._loads.asked_kg, self._loads.wants_empty = None, True

    def _pause(self, *, on: bool) -> None:
        self._paused, self._steady, self._plateau, self._since_s = on, SteadyState(), None, None
        self._tumbling = Tumbling(self._params.tumble)

    def _cancel(self) -> None:
        self._over, self._note = True, "Nothing was changed."

    def _end(self) -> None:
        self._over = True

    def _ask_for(self, text: str) -> None:
        try:
            self._loads.ask(mass_of(text), self._model.range_n)
        except WeightError as error:
            self._problem = _sentence(error)

    def _take_load(self) -> None:
        if self._plateau is None:
            return
        try:
            reading = self._loads.take(self._tumbled(), self._plateau, self._model.calibration)
        except WeightError as error:
            self._problem = _sentence(error)
        else:
            self._note, self._problem = f"{reading.mass_kg:g} kg is read.", _sentence(self._loads.problem)

    def _remove(self, i: int) -> None:
        self._loads.remove(i, self._model.calibration)
        self._problem = _sentence(self._loads.problem)

    def _finish(self) -> None:
        before, fit = self._model.calibration, self._loads.fit
        if fit is None:
            return
        temp_c = math.nan if self._temp_c is None else self._temp_c
        record = with_weights(before, self._tumbled().calibration, fit, self._unix_s(), temp_c)
        self._found = Found(before, record, fit, self._loads.readings, self._tumble, self._temp_c, self._pressed)
        self._enter("result", "")

    def _store(self) -> None:
        if self._found is None:
            return
        try:
            self._stored = self._keep(self._found)
        except (SessionError, OSError) as error:
            self._problem = _sentence(error)
        else:
            self._enter("store", f"Stored in {self._stored}.")

    def _begin_writing(self) -> None:
        if self._found and self._write:
            self._writing = True
            self._write(self._found.record, self._note_written)

    def _note_written(self, problem: str) -> None:
        self._writing, self._problem = False, problem
        self._note = "" if problem else "The roller has it, and gave the same record back."
        self._shown = self._show()

    # --- What it looks like -------------------------------------------------------------------------------------------

    def _tumbled(self) -> DeviceModel:
        """The device with what the tumble found, by the old sensitivity."""
        record, tumble = self._model.calibration, self._tumble
        return replace(self._model, calibration=calibrated(record, tumble) if tumble else record)

    def _order(self) -> Order | None:
        if self._over or self._paused:
            return None
        if self._step == "weights" and self._loads.asked_kg is not None:
            return Order(Task.LOAD, self._loads.asked_kg)
        if self._step == "store":
            return Order(Task.BUTTON) if self._writing else None
        return Order(Task.TUMBLE if self._step == "tumble" else Task.REST)

    def _progress(self) -> float | None:
        params = self._params
        if self._step == "tare":
            return min(self._held_s() / params.still_s, 1.0)
        if self._step == "tumble":
            return self._tumbling.progress
        return None

    def _choices(self) -> tuple[Choice, ...]:
        cancel = Choice("cancel", "Cancel", hint="Nothing changes.")
        if self._over:
            return ()
        if self._paused:
            return Choice("go_on", "Go on", primary=True), cancel
        pause = Choice("pause", "Pause", hint="What was read stays.")
        if self._step == "tumble":
            return Choice("skip", "Skip", hint="Head mass and force axis stay as they were."), pause, cancel
        if self._step == "weights":
            return *self._weighing(), pause, cancel
        if self._step == "result":
            return Choice("keep", "Use it", primary=True), Choice("back", "More weights"), cancel
        if self._step == "store":
            return self._storing()
        return pause, cancel

    def _weighing(self) -> tuple[Choice, ...]:
        loads = self._loads
        hanging, fits = loads.asked_kg is not None, loads.fit is not None
        ready = self._plateau is not None and loads.is_on(self._tumbled(), self._plateau)
        lacking = "Needs the empty roller and two different weights or more that agree."
        return (
            Choice("take", "Take reading", primary=hanging, enabled=ready, hint="Once it hangs still."),
            Choice("add", "Add a weight", primary=not (hanging or fits), hint="Its mass, as in 0.5 kg."),
            Choice("undo", "Undo the last weight", enabled=loads.last >= 0),
            Choice("remove", "Remove a reading", enabled=bool(loads.readings)),
            Choice("finish", "Finish", primary=fits and not hanging, enabled=fits, hint="" if fits else lacking),
        )

    def _storing(self) -> tuple[Choice, ...]:
        done = Choice("done", "Done", primary=True, enabled=not self._writing)
        if self._write is None:
            return (done,)
        hint = "Press the button on the roller when it asks for it."
        return done, Choice("write", "Write to the roller", enabled=not self._writing, hint=hint)

    def _show(self) -> ForceShown:
        plateau, loads, before = self._plateau, self._loads, self._model.calibration
        k, fit, mass_kg = loads.n_per_count(self._model), loads.fit, None
        if self._tumble and fit:
            mass_kg = self._tumble.head_mass_kg * abs(fit.n_per_count / before.n_per_count)
        title, text = self._words()
        return ForceShown(
            self._step, STEPS.index(self._step), len(STEPS), title, text,
            choices=self._choices(),
            progress=self._progress(),
            problem=self._problem,
            note=self._note,
            order=self._order(),
            over=self._over,
            counts=plateau.counts if plateau else None,
            load_n=loads.load_n(self._tumbled(), plateau) if plateau else None,
            noise_n=plateau.noise_counts * abs(k) if plateau else None,
            steady=plateau is not None and plateau.steady,
            trouble=plateau.trouble if plateau else "",
            sides=self._tumbling.sides,
            wants_empty=self._step == "weights" and loads.wants_empty and loads.asked_kg is None,
            readings=loads.readings,
            residuals_n=fit.residuals_n if fit else (),
            suspects=loads.suspects,
            fit=fit,
            tumble=self._tumble,
            head_mass_kg=mass_kg,
            found=self._found,
            stored=self._stored,
        )  # fmt: skip

    def _words(self) -> tuple[str, str]:
        """Title and text."""
        if self._paused:
            return "Paused", "What was read so far stays. Go on when you like."
        if self._step == "weights":
            return "Known weights", self._weighing_words()
        return _WORDS[self._step]

    def _weighing_words(self) -> str:
        asked_kg, n_lacking = self._loads.asked_kg, self._loads.n_lacking
        if asked_kg is not None and self._pressed:
            return f"Press the roller on the scale until it shows {asked_kg:g} kg, hold it, and take the reading."
        if asked_kg is not None:
            return (
                f"Hang {asked_kg:g} kg on the roller with a loop over its head, pressing side up, let it come to rest, "
                f"and take the reading."
            )
        if self._loads.wants_empty:
            return (
                "Take everything off the roller and hold it still, pressing side up: the empty reading comes by itself."
            )
        more = f"{n_lacking} more different ones are needed." if n_lacking else "Add more, or finish."
        return f"Say which weight comes next, in any order; repeats are welcome. {more}"


_WORDS = {
    "tare": ("Hold still", "Hold the roller still in the air, or lay it down so that nothing touches its head."),
    "tumble": (
        "Turn it about",
        "Turn the roller slowly in the air for 20 seconds, every side down once. Nothing may touch its head.",
    ),
    "result": ("Result", "This is how far each reading is off the line. Use the new calibration?"),
    "store": (
        "Stored",
        (
            "The calibration is kept on this computer, for this roller. It can be written to the roller as well, for "
            "use with other computers: press the button on the roller to allow it."
        ),
    ),
}


def _sentence(reason: object) -> str:
    text = str(reason).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _nothing(_: Samples) -> None:
    pass
