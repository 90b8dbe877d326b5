# SPDX-License-Identifier: MIT
"""Feeds the dashboard: searches, holds one roller, and puts what happens into the window's mailbox."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from roller_host.app.choices import roller_choices, roller_of
from roller_host.app.felt import Felt
from roller_host.app.flows import Flows
from roller_host.app.live import LiveRun, Options
from roller_host.app.past import complete
from roller_host.app.standing import person_standing, usual_person
from roller_host.app.world import is_demo, open_world
from roller_host.dashboard.session import Flow, Guided, Interrupted, Question, RollerChoice, Rollers, Snapshot, Standing
from roller_host.link.race import InterruptedByEventError, race
from roller_host.link.radio import Radio, open_radio
from roller_host.link.states import BadRadioError, Found, LinkError, LinkPhase, LinkState
from roller_host.link.thread import LinkThread
from roller_host.link.visit import IDENTIFY_S, forget_keys, identify
from roller_host.prompt import PasskeyPrompt
from roller_host.sessions import people, rollers
from roller_host.sessions.errors import SessionError
from roller_host.sessions.folder import data_folder
from roller_host.sessions.unfinished import latest_unfinished
from roller_host.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
    from concurrent.futures import Future

    from roller_host.guide.step import Assistant
    from roller_host.signal.estimates import Estimates
    from roller_host.signal.limits import Answer, Place

logger = logging.getLogger(__name__)

SCAN_S: Final = 8.0


class DashboardSession:
    """Feeds the window from the link's thread; see ``dashboard.session.LiveSession`` for the contract.

    Parameters
    ----------
    options : Options
        Radio to use beside the demo, the roller named by the person, where to record to.
    """

    def __init__(self, options: Options) -> None:
        self.mailbox: deque[Estimates | LinkState | Snapshot | Rollers | Guided | Question] = deque(maxlen=4096)
        self._options = options
        wanted = rollers.target_of(options.device)
        named = wanted and not any(roller.device_id == wanted for roller in rollers.load())
        self._named = (RollerChoice(wanted, wanted, "named on the command line"),) if wanted and named else ()
        self._found: dict[str, Found] = {}
        self._stop = asyncio.Event()
        """Ends the newest link, running or still waiting for the one before it to end."""
        self._one_link = asyncio.Lock()
        self._live: LiveRun | None = None
        self._flows: Flows | None = None
        self._felt: Felt | None = None
        """Of the present session, or of the last one."""
        self._person = options.person or ""
        self._searching = False
        self._prompt = PasskeyPrompt(self._ask)
        self._thread = LinkThread()
        self._thread.start()

    # --- Choices ----------------------------------------------------------------------------------------------------

    def choices(self) -> Sequence[RollerChoice]:
        """Known rollers, those nearby, the simulated ones."""
        return roller_choices(self._found.values(), self._named)

    def interrupted(self) -> Interrupted | None:
        """The session that was cut off last, if somebody may want to go on with it."""
        found = latest_unfinished()
        return Interrupted(str(found.path), roller_of(found.path), found.began, found.age_s) if found else None

    def scan(self) -> None:
        """Look for real rollers; finds arrive in the mailbox."""
        self._begin(self._scan())

    async def _scan(self) -> None:
        def note(found: Found) -> None:
            self._found[found.address] = found
            self._tell()

        if self._searching:
            return
        self._searching = True
        problem = ""
        self._found = {}
        self._note_search(LinkPhase.SCANNING)
        try:
            async with open_radio(self._real_radio(), claims=data_folder() / "claims") as radio:
                await radio.scan(SCAN_S, on_found=note)
        except LinkError as error:
            problem = str(error)
        finally:
            self._searching = False
        self._note_search(LinkPhase.OFF)
        nobody = "" if self._found else "No roller was seen. Switch it on and bring it near, then search again."
        self._tell(problem=problem or nobody)

    def _note_search(self, phase: LinkPhase) -> None:
        # While a link is held, the window shows that link and not a search beside it.
        if not self._one_link.locked():
            self.mailbox.append(LinkState(phase))

    def _tell(self, *, problem: str = "", note: str = "") -> None:
        self.mailbox.append(Rollers(tuple(self.choices()), problem, note))

    # --- What a person does to a roller -----------------------------------------------------------------------------

    def identify(self, choice: RollerChoice) -> None:
        """Let a roller blink and buzz."""
        self._begin(self._try(self._identify(choice)))

    async def _identify(self, choice: RollerChoice) -> None:
        if self._live is not None and self._live.control is not None:
            await self._live.control.identify(IDENTIFY_S)
        else:
            stop = self._supersede()
            async with self._one_link, self._opened(*self._world(choice)) as radio:
                try:
                    await race(identify(radio, self._target(choice), on_state=self.mailbox.append), stop)
                except InterruptedByEventError:
                    return
        self._tell(note=f"{choice.title} blinks and buzzes now.")

    def rename(self, choice: RollerChoice, name: str) -> None:
        """Give a known roller a name of its own."""
        self._begin(self._try(self._edit(lambda: rollers.rename(choice.key, name))))

    def connect_at_start(self, choice: RollerChoice | None) -> None:
        """Remember which roller to connect to when the program starts."""
        self._begin(self._try(self._edit(lambda: rollers.connect_at_start(choice.key if choice else None))))

    async def _edit(self, change: Callable[[], None]) -> None:
        change()
        self._tell()

    def forget(self, choice: RollerChoice) -> None:
        """Know a roller no longer, and drop its keys."""
        self._begin(self._try(self._forget(choice)))

    async def _forget(self, choice: RollerChoice) -> None:
        rest = ""
        if choice.security_mode and not await self._forget_keys(choice):
            rest = " Remove it from the system's Bluetooth settings as well."
        rollers.forget(choice.key)
        self._prompt.forget()
        self._tell(note=f"{choice.title} is forgotten.{rest}")

    async def _forget_keys(self, choice: RollerChoice) -> bool:
        async with self._one_link, open_world(*self._world(choice)) as (radio, _):
            return await forget_keys(radio, choice.key)

    def pair_again(self, choice: RollerChoice) -> None:
        """Drop the keys of a roller and connect to it as to a new one."""
        self._begin(self._pair_again(choice))

    async def _pair_again(self, choice: RollerChoice) -> None:
        await self._disconnect()
        self._prompt.forget()
        if not choice.simulated:  # Those are made anew for each connection.
            with suppress(LinkError):
                await self._forget_keys(choice)
        await self._connect(choice)

    async def _try(self, work: Awaitable[None]) -> None:
        """Do what a person asked for; what stands in the way is told beside the list."""
        try:
            await work
        except (LinkError, SessionError) as error:
            self._tell(problem=str(error))

    # --- The link ---------------------------------------------------------------------------------------------------

    def connect(self, choice: RollerChoice) -> None:
        """Connect and stream; what happens arrives in the mailbox."""
        self._begin(self._connect(choice))

    def type_passkey(self, passkey: int) -> None:
        """Answer a link that waits for the digits of its roller."""
        self._begin(self._type_passkey(passkey))

    async def _type_passkey(self, passkey: int) -> None:
        self._prompt.answer(passkey)

    def go_on(self, offer: Interrupted) -> None:
        """Go on with a session that was cut off."""
        options = replace(self._options, radio=self._real_radio(), device=None, resume=Path(offer.key))
        self._begin(self._connect_with(options))

    def leave_it(self, offer: Interrupted) -> None:
        """End a session that was cut off as it is."""
        self._begin(self._try(asyncio.to_thread(complete, Path(offer.key))))

    def mute(self, on: bool) -> None:
        """Play nothing but the stop signal, or everything again."""
        self._options = replace(self._options, muted=on)
        if self._live is not None:
            self._live.mute(on)

    def warn_of_limits(self, on: bool) -> None:
        """Let the roller warn of limits by itself, or of the ceiling alone."""
        self._options = replace(self._options, haptics=on)
        if self._live is not None:
            self._live.warn_of_limits(on)

    def standing(self, flow: Flow) -> Standing:
        """How what a flow finds stands now."""
        try:
            if flow is Flow.COMFORT:
                return person_standing(self.person())
            return self._flows.standing(flow) if self._flows is not None else Standing("")
        except SessionError as error:
            return Standing("Cannot be read", "bad", str(error))

    def people(self) -> Sequence[str]:
        """Names of those who have comfort bands."""
        return [person.name for person in people.load_all()]

    def person(self) -> str:
        """Whose comfort is calibrated, and whose bands hold from the next session on where there are some."""
        return self._person or usual_person()

    def set_person(self, name: str) -> None:
        """Take another person, known or new."""
        self._person = name

    def start_guide(self, flow: Flow) -> None:
        """Begin a guided flow, or go on with it; what it shows arrives in the mailbox."""
        if self._flows is not None:
            self._begin(self._try(self._flows.open(flow)))

    def act(self, key: str, value: str = "") -> None:
        """Do in the open flow what the person chose."""
        if self._flows is not None:
            self._begin(self._flows.act(key, value))

    def leave_guide(self) -> None:
        """Let the open flow rest."""
        if self._flows is not None:
            self._begin(self._flows.leave())

    def ask_feel(self) -> None:
        """Ask how the present session feels so far, or how the last one did."""
        self._begin(self._try(self._ask_feel(Question(""))))

    async def _ask_feel(self, otherwise: Question | None = None) -> None:
        question = self._felt.question() if self._felt is not None else otherwise
        if question is not None and (question.places or otherwise is not None):
            self.mailbox.append(question)

    def feel(self, answers: Mapping[Place, Answer]) -> None:
        """Take answers to the newest question into the person's profile."""
        self._begin(self._try(self._feel(answers)))

    async def _feel(self, answers: Mapping[Place, Answer]) -> None:
        if self._felt is not None:
            self._tell(note=self._felt.keep(answers))

    def disconnect(self) -> None:
        """Leave the roller in good order."""
        self._begin(self._disconnect())

    def close(self) -> None:
        """Leave the roller, close the recording, end the thread."""
        # The thread may be gone already: closing twice is harmless.
        with suppress(TimeoutError, RuntimeError):
            self._thread.run(self._disconnect()).result(10.0)
        self._thread.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start work on the link's thread; a mistake of ours in it must reach the person too."""

        def tell(done: Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None:
                logger.error("the link's thread failed", exc_info=error)
                text = f"Something went wrong: {error!r}"
                self.mailbox.append(LinkState(LinkPhase.LOST, text, "Connect again.", over=True))

        self._thread.run(work).add_done_callback(tell)

    async def _connect(self, choice: RollerChoice) -> None:
        spec, _, _ = self._world(choice)
        # A file named by the person is for the first session; later ones get names of their own.
        person = self.person() if self.person() in self.people() else None
        options = replace(self._options, radio=spec, device=self._target(choice), seconds=None, person=person)
        self._options = replace(self._options, out=None)
        await self._connect_with(options)

    async def _connect_with(self, options: Options) -> None:
        stop = self._supersede()
        async with self._one_link:
            if not stop.is_set():
                await self._hold(options, stop)

    def _ask(self, state: LinkState) -> None:
        self.mailbox.append(state)

    def _supersede(self) -> asyncio.Event:
        """End what was begun last; gives what ends the next."""
        self._stop.set()
        self._stop = asyncio.Event()
        return self._stop

    @asynccontextmanager
    async def _opened(
        self, spec: str, seed: int, passkey: int | None, on_hands: Callable[[Assistant], None] = lambda _: None
    ) -> AsyncGenerator[Radio]:
        """A radio that asks the person for what was not given on the command line."""
        async with open_world(spec, seed, passkey, on_hands) as (radio, _):
            if passkey is None:
                self._prompt.serve(radio, simulated=is_demo(spec))
            yield radio

    async def _disconnect(self) -> None:
        self._stop.set()
        async with self._one_link:
            pass

    def _world(self, choice: RollerChoice) -> tuple[str, int, int | None]:
        """Radio, seed and passkey for a roller."""
        return choice.key if choice.simulated else self._real_radio(), self._options.seed, self._options.passkey

    def _target(self, choice: RollerChoice) -> str | None:
        return None if choice.simulated else choice.key

    def _real_radio(self) -> str:
        return "native" if is_demo(self._options.radio) else self._options.radio

    async def _hold(self, options: Options, stop: asyncio.Event) -> None:
        """Keep a link to the roller until told to stop; its end, good or bad, reaches the window as a state."""
        watch = Watch(self.mailbox)
        live = self._live = watch.live = LiveRun(
            options, watch.take, self.mailbox.append, watch.take_battery, watch.take_log
        )
        flows = watch.flows = self._flows = Flows(live, self.mailbox.append, self.person)
        felt = self._felt = Felt(options.person, flows.rolled_s) if options.person else None
        posting = asyncio.create_task(watch.post())
        try:
            async with self._opened(options.radio, options.seed, options.passkey, flows.take_hands) as radio:
                await live.run(radio, stop, lambda text: self.mailbox.append(LinkState(LinkPhase.CONNECTING, text)))
        except SessionError as error:
            text = "Choose another place, or free some space."
            self.mailbox.append(LinkState(LinkPhase.OFF, str(error), text, over=True))
        except BadRadioError as error:
            self.mailbox.append(LinkState(LinkPhase.OFF, error.reason, error.action, over=True))
        except LinkError:
            logger.debug("the link ended with an error; its state has told the window")
        finally:
            self._live = self._flows = None
            posting.cancel()
            if felt is not None:
                felt.end()
        if stop is self._stop:
            # No other session follows at once.
            await self._try(self._ask_feel())
