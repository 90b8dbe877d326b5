# SPDX-License-Identifier: MIT
"""The seam between the window and whatever feeds it: values that arrive, intents that leave."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from roller_host.signal.comfort import STARTING_BANDS, Band

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping, Sequence

    from roller_host.guide.step import Shown
    from roller_host.link.states import LinkState
    from roller_host.signal.estimates import Estimates
    from roller_host.signal.limits import Answer, Place


@dataclass(frozen=True)
class RollerChoice:
    """One roller that a person can choose, real or simulated."""

    key: str
    """Names it for the program; unique in a list of choices, and the same from search to search."""
    title: str
    """Name given by its owner, else the advertised one."""
    detail: str = ""
    """What else tells it from the others: advertised name and end of the device id; what a simulated one will do."""
    simulated: bool = False
    scenario: str = ""
    """What a simulated roller plays; those of one search share a row and differ in this."""
    known: bool = False
    """Connected before: it can be renamed, forgotten, and connected to at the start."""
    at_start: bool = False
    """To be connected to when the program starts; true for one roller at most."""
    taken: bool = False
    """Another program is connected to it."""
    seen_s: float | None = None
    """When it was heard last, s of ``time.monotonic``; None when not in this run of the program."""
    rssi_dbm: int | None = None
    """Signal strength then, dBm; None with ``seen_s`` set: the system holds it connected."""
    last_used: str = ""
    """When a known one was connected last, ISO 8601 with its time zone; empty when that is not known."""
    security_mode: int = 0
    """What a known one asks for, see ``layout.SECURITY_MODES``."""


@dataclass(frozen=True)
class Rollers:
    """The rollers to choose from, after a search found one or an intent changed one."""

    choices: tuple[RollerChoice, ...]
    problem: str = ""
    """Why a search or an intent cannot go on, and what to do; empty when it can."""
    note: str = ""
    """What was done: ``"Roller-3F2A blinks and buzzes now."``; empty when there is nothing to tell."""


@dataclass(frozen=True)
class Interrupted:
    """A session that was cut off with the program, and that a person may want to go on with."""

    key: str
    """Names it for the program."""
    roller: str
    """Title of the roller."""
    began: str
    """ISO 8601 with its time zone."""
    age_s: float
    """Since it was cut off, s."""


@dataclass(frozen=True)
class Snapshot:
    """Slow facts about the running session, posted about four times a second, also while nothing arrives."""

    elapsed_s: float
    """Since the first sample, s."""
    rate_hz: float
    """Measured sample rate, Hz."""
    lost_packets: int = 0
    """Packets that did not come, and were not fetched since either."""
    gaps: int = 0
    strokes: int = 0
    contact_s: float = 0.0
    """Time in contact with the skin, s."""
    battery_percent: float | None = None
    recording: str = ""
    """Path of the recording, empty when nothing is recorded."""
    contact_s_by_place: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    """Time in contact by (zone, side), s."""
    band: Band = STARTING_BANDS[""]
    """Thresholds where the roller is now, N."""
    calibrated: bool = False
    """Whether force comes from a calibration of this roller."""
    recording_problem: str = ""
    """Why recording stopped, in a sentence; empty while it goes on."""
    rate_now_hz: float = 0.0
    """Samples that arrived live in the last 2 s, per second: 0 when nothing comes, Hz."""
    loss_share: float = 0.0
    """Share of the live packets of the last 5 s that did not come at once, 0 to 1."""
    missing_packets: int = 0
    """Packets that the roller still holds and that are being fetched."""
    backfilled_packets: int = 0
    """Packets of this session that were missing and came later."""
    muted: bool = False
    """Whether nothing is played but the stop signal."""
    haptics: bool = True
    """Whether the roller warns of limits by itself; of the ceiling it always does."""
    cue_problems: tuple[str, ...] = ()
    """Why nothing is heard or the roller does not warn by itself, in a sentence each, where that is so."""
    n_moves: int = 0
    """How often the person was told to move on."""
    bands: Mapping[tuple[str, str], Band] = field(default_factory=dict[tuple[str, str], Band])
    """Personal thresholds by (zone, side); with them `cues.words.explain` explains a cue."""
    log_fetched: int = 0
    """Packets fetched so far of what the roller recorded by itself."""
    log_packets: int = 0
    """Packets of it in all; 0 when there is nothing to fetch, or all of it is here."""
    enough: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """Places that have had enough for today, by (zone, side), with the reason."""


class Flow(enum.Enum):
    """A guided flow."""

    START = "start"
    """Head, hand, posture and start pose."""
    FORCE = "force"
    """Counts to newtons, by weights that hang on the roller."""
    SCALE = "scale"
    """The same, by pressing on a scale."""
    COMFORT = "comfort"
    """Thresholds of a person."""


class Guided(NamedTuple):
    """What a guided flow shows now."""

    flow: Flow
    shown: Shown


class Standing(NamedTuple):
    """How a calibration stands."""

    words: str
    tone: str = "dim"
    """Name of a colour of `theme.Look`."""
    tip: str = ""
    """More of it."""


class Rolled(NamedTuple):
    """A place that was rolled."""

    place: Place
    contact_s: float
    """How long, s."""
    steps: Mapping[Answer, str]
    """What each answer does to the band of the place, in words."""


class Question(NamedTuple):
    """How a session felt, to be asked of a person."""

    person: str
    """Who is asked; empty when nobody's bands hold."""
    places: tuple[Rolled, ...] = ()
    """About which places; none when there is nothing to ask."""


class LiveSession(Protocol):
    """What the window asks of its feed. Every method returns at once; what follows from it arrives in ``mailbox``."""

    mailbox: deque[Estimates | LinkState | Snapshot | Rollers | Guided | Question]
    """Appended by the link's thread, drained by the window."""

    def choices(self) -> Sequence[RollerChoice]:
        """Rollers known now, the simulated ones always among them, the usual scenario first."""
        ...

    def interrupted(self) -> Interrupted | None:
        """The session that was cut off last, if somebody may want to go on with it; asked once, at the start."""
        ...

    def scan(self) -> None:
        """Look for rollers nearby; finds arrive as `Rollers`."""
        ...

    def connect(self, choice: RollerChoice) -> None:
        """Connect and stream."""
        ...

    def go_on(self, offer: Interrupted) -> None:
        """Connect to the roller of a session that was cut off, and go on with it in the same recording."""
        ...

    def leave_it(self, offer: Interrupted) -> None:
        """End a session that was cut off as it is, and offer it no more."""
        ...

    def identify(self, choice: RollerChoice) -> None:
        """Let a roller blink and buzz, so that it can be told from another; ends in `Rollers` with a note or problem.

        Connects for the moment when there is no link; the states are those of a link, without streaming, then off.
        """
        ...

    def rename(self, choice: RollerChoice, name: str) -> None:
        """Give a known roller a name, 40 characters at most; an empty one takes it away. Ends in `Rollers`."""
        ...

    def forget(self, choice: RollerChoice) -> None:
        """Know a roller no longer, and drop its keys where the system lets a program do so. Ends in `Rollers`."""
        ...

    def pair_again(self, choice: RollerChoice) -> None:
        """Drop the keys of a roller and connect to it as to a new one; its name stays."""
        ...

    def connect_at_start(self, choice: RollerChoice | None) -> None:
        """Remember which roller to connect to when the program starts; None for none. Ends in `Rollers`."""
        ...

    def type_passkey(self, passkey: int) -> None:
        """Answer a state that wants a passkey; to answer it otherwise, disconnect."""
        ...

    def mute(self, on: bool) -> None:
        """Play nothing but the stop signal, or everything again; holds for later sessions as well."""
        ...

    def warn_of_limits(self, on: bool) -> None:
        """Let the roller warn of limits by itself, or of the ceiling alone; holds for later sessions as well."""
        ...

    def standing(self, flow: Flow) -> Standing:
        """How what a flow finds stands now; empty words when there is nothing to tell."""
        ...

    def people(self) -> Sequence[str]:
        """Names of those who have comfort bands."""
        ...

    def person(self) -> str:
        """Whose comfort is calibrated, and whose bands hold from the next session on where there are some."""
        ...

    def set_person(self, name: str) -> None:
        """Take another person, known or new."""
        ...

    def ask_feel(self) -> None:
        """Ask how the present session feels so far, or how the last one did; a `Question` arrives.

        One with places arrives by itself when the session of a person ends and no other one follows.
        """
        ...

    def feel(self, answers: Mapping[Place, Answer]) -> None:
        """Take answers to the newest `Question` into the person's profile; ends in `Rollers`."""
        ...

    def start_guide(self, flow: Flow) -> None:
        """Begin a guided flow with the roller that streams, or go on with it where it was left; see `Guided`."""
        ...

    def act(self, key: str, value: str = "") -> None:
        """Do in the flow that is open what the person chose; see `guide.step.Guide.act`."""
        ...

    def leave_guide(self) -> None:
        """Let the open flow rest: what it has found is kept, and the roller is only rolled again."""
        ...

    def disconnect(self) -> None:
        """Leave the roller; harmless when there is none."""
        ...

    def close(self) -> None:
        """End everything; the window is about to go."""
        ...
