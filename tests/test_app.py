# SPDX-License-Identifier: MIT
"""What the dashboard gets from the composition root, with the simulated roller and without Qt."""

import asyncio
import gc
import json
import sqlite3
import threading
from collections import deque
from contextlib import closing
from pathlib import Path

import pytest
from hosted import roller

from firmware_protocol.zones import PLACES, place_name
from roller_host.app.live import LiveRun, Options
from roller_host.app.world import DEMO, open_world
from roller_host.dashboard.session import Rollers, Snapshot
from roller_host.feed import DashboardSession
from roller_host.link.states import Found, LinkPhase, LinkState, TakenError
from roller_host.pipeline import Pipeline
from roller_host.sessions import people
from roller_host.sessions.errors import SessionError
from roller_host.sessions.person import Person, PlaceBand
from roller_host.sessions.source import open_source, params_json
from roller_host.sessions.store import Recorder, open_recording
from roller_host.signal.comfort import Band
from roller_host.signal.core import SignalParams
from roller_host.signal.dose import Dose
from roller_host.signal.estimates import Estimates
from roller_host.signal.limits import Origin
from simulator.bluetooth.air import Air
from simulator.bluetooth.hub import open_hub
from simulator.bluetooth.peripheral import open_peripheral
from simulator.firmware.device import Device


class Mailbox(deque):
    """A mailbox that can be waited for."""

    def __init__(self):
        super().__init__()
        self._changed = threading.Condition()

    def append(self, item):
        with self._changed:
            super().append(item)
            self._changed.notify_all()

    def first(self, wanted):
        """Wait for the first item of which ``wanted`` is true."""
        with self._changed:
            found = self._changed.wait_for(lambda: [item for item in self if wanted(item)], 30)
        assert found, list(self)
        return found[0]


def in_phase(phase):
    return lambda item: isinstance(item, LinkState) and item.phase is phase


@pytest.fixture(autouse=True)
def data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))


def opened(**options):
    session = DashboardSession(Options(**options))
    session.mailbox = Mailbox()
    return session


@pytest.fixture
def dashboard(data_folder):
    session = opened(radio=DEMO, seed=3)
    yield session
    session.close()


def simulated(session):
    return session.choices()[0]


def test_simulated_roller_is_the_first_choice(dashboard):
    assert simulated(dashboard).simulated
    assert simulated(dashboard).key == DEMO


def test_connected_dashboard_gets_states_estimates_and_snapshots(dashboard):
    dashboard.connect(simulated(dashboard))
    dashboard.mailbox.first(in_phase(LinkPhase.STREAMING))
    dashboard.mailbox.first(lambda item: isinstance(item, Estimates))
    snapshot = dashboard.mailbox.first(lambda item: isinstance(item, Snapshot) and item.elapsed_s > 0.5)
    assert 90 < snapshot.rate_hz < 120
    assert (snapshot.gaps, snapshot.lost_packets) == (0, 0)
    assert snapshot.battery_percent == 90
    assert snapshot.calibrated
    dashboard.disconnect()
    dashboard.mailbox.first(in_phase(LinkPhase.OFF))
    records, _, recording = open_source(Path(snapshot.recording))
    assert len(list(records)) > 20
    assert recording.meta["radio"] == DEMO


def test_closing_in_mid_session_ends_the_recording_in_good_order():
    session = opened(radio=DEMO, seed=3)
    session.connect(simulated(session))
    snapshot = session.mailbox.first(lambda item: isinstance(item, Snapshot))
    session.close()
    recording = Path(snapshot.recording)
    assert [path.name for path in recording.parent.iterdir()] == [recording.name]
    assert open_source(recording)[2].estimates["packets"] > 0


def test_connecting_again_begins_a_new_recording(dashboard):
    dashboard.connect(simulated(dashboard))
    first = dashboard.mailbox.first(lambda item: isinstance(item, Snapshot)).recording
    dashboard.connect(simulated(dashboard))
    assert dashboard.mailbox.first(lambda item: isinstance(item, Snapshot) and item.recording != first)


def test_no_place_to_record_to_is_said(dashboard, tmp_path):
    (tmp_path / "recordings").write_text("in the way")
    dashboard.connect(simulated(dashboard))
    state = dashboard.mailbox.first(lambda item: in_phase(LinkPhase.OFF)(item) and "recordings" in item.reason)
    assert state.action


def test_search_without_a_radio_is_answered():
    session = opened(radio="tcp:127.0.0.1:1")
    session.scan()
    answer = session.mailbox.first(lambda item: isinstance(item, Rollers))
    session.close()
    assert "127.0.0.1:1" in answer.problem
    assert answer.choices[0].simulated


def test_closing_twice_is_harmless():
    session = opened()
    session.close()
    session.close()


# --- A roller that wants its passkey ----------------------------------------------------------------------------------


def asked(session):
    """The next state that asks for a passkey, and the digits on the label of the simulated roller."""
    state = session.mailbox.first(lambda item: isinstance(item, LinkState) and item.wants_passkey)
    session.mailbox.clear()
    return state, int(state.reason[-6:])


def with_passkey(session):
    return next(choice for choice in session.choices() if choice.scenario == "passkey")


def test_the_person_is_asked_for_the_passkey_until_it_is_right_and_then_no_more(dashboard):
    roller = with_passkey(dashboard)
    dashboard.connect(roller)
    state, label = asked(dashboard)
    assert state.phase is LinkPhase.PAIRING
    assert "wants the six digits on its label" in state.reason
    dashboard.type_passkey(label % 999_999 + 1)
    state, label = asked(dashboard)
    assert "did not accept these digits" in state.reason
    dashboard.type_passkey(label)
    dashboard.mailbox.first(in_phase(LinkPhase.STREAMING))
    dashboard.disconnect()
    dashboard.mailbox.first(in_phase(LinkPhase.OFF))
    dashboard.mailbox.clear()
    dashboard.connect(roller)
    dashboard.mailbox.first(in_phase(LinkPhase.STREAMING))
    assert not any(isinstance(item, LinkState) and item.wants_passkey for item in dashboard.mailbox)
    dashboard.pair_again(roller)
    assert asked(dashboard)[0].device == state.device


@pytest.mark.parametrize("intent", ["connect", "identify"])
def test_a_passkey_need_not_be_typed(dashboard, intent):
    getattr(dashboard, intent)(with_passkey(dashboard))
    asked(dashboard)
    dashboard.disconnect()
    dashboard.mailbox.first(in_phase(LinkPhase.OFF))
    # Nothing is in the way of the next one.
    dashboard.connect(simulated(dashboard))
    dashboard.mailbox.first(in_phase(LinkPhase.STREAMING))
    dashboard.type_passkey(1)


def test_a_passkey_of_the_command_line_is_used_unasked():
    session = opened(radio=DEMO, passkey=1)
    session.connect(with_passkey(session))
    end = session.mailbox.first(lambda item: isinstance(item, LinkState) and item.over)
    session.close()
    assert end.unpaired


def test_a_roller_that_another_program_has_claimed_is_taken():
    async def main():
        air = Air()
        async with open_hub(air) as hub, open_peripheral(air, Device(seed=1)) as peripheral:
            spec = f"tcp:{hub.host}:{hub.port}"
            async with open_world(spec, seed=1) as (other, _), open_world(spec, seed=1) as (radio, _):
                claim = other.claim(Found("", peripheral.address, None))
                assert claim.take()
                live = LiveRun(Options(radio=spec), lambda _: None, lambda _: None, lambda _: None)
                with pytest.raises(TakenError, match="taken by another program"):
                    await live.run(radio, asyncio.Event())
                claim.release()

    asyncio.run(main())


def test_memory_is_tidied_up_while_it_streams_and_no_longer(monkeypatch):
    monkeypatch.setattr("roller_host.app.live.TIDY_S", 0.05)
    full = []

    def note(phase, about):
        if phase == "start" and about["generation"] == 2:
            full.append(about)

    async def main():
        async with roller() as session:
            # Python itself looks through everything far less often.
            gc.callbacks.append(note)
            await streamed(session, Options(recorded=False), until=10)
            n_while = len(full)
            await asyncio.sleep(0.3)
            gc.callbacks.remove(note)
            assert n_while >= 5
            assert len(full) <= n_while + 1

    asyncio.run(main())


# --- A session that was cut off ---------------------------------------------------------------------------------------


def cut_off(path):
    """Take its end away from a recording, as when the program is killed."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM estimates")


async def streamed(session, options, until, *, killed=False):
    """Stream until so many packets came; killed means that nobody says goodbye."""
    live = LiveRun(options, lambda _: None, lambda _: None, lambda _: None)
    stop = asyncio.Event()
    async with session.radio() as radio:
        task = asyncio.create_task(live.run(radio, stop))
        await session.until(lambda: task.done() or live.pipeline.totals.packets >= until)
        if killed:
            session.air.drop_link(session.controller("host"))
            task.cancel()
        stop.set()
        await asyncio.wait([task])
    return live


def test_a_session_that_was_cut_off_goes_on_in_its_recording_and_lacks_nothing(tmp_path):
    path = tmp_path / "a.sqlite"

    async def main():
        async with roller() as session:
            await streamed(session, Options(radio="in process", out=path), 20, killed=True)
            cut_off(path)
            return await streamed(session, Options(radio="in process", resume=path), 60)

    live = asyncio.run(main())
    summary = live.summary()
    assert summary["recording"] == str(path)
    assert (summary["packets"] >= 60, summary["lost_packets"], live.bookmark.ledger.n_missing) == (True, 0, 0)
    assert open_recording(path).estimates["packets"] == summary["packets"]
    replayed = Pipeline()
    for record in open_recording(path).records():
        replayed.feed(record)
    assert replayed.summary() == live.pipeline.summary()


@pytest.mark.parametrize("what", ["complete", "empty"])
def test_what_cannot_be_gone_on_with_is_refused_in_words(tmp_path, what):
    path = tmp_path / "a.sqlite"
    path.touch()
    Recorder(path, {"params": params_json(SignalParams())}, pytest.fail).close({} if what == "complete" else None)

    async def main():
        async with roller() as session, session.radio() as radio:
            live = LiveRun(Options(resume=path), lambda _: None, lambda _: None, lambda _: None)
            with pytest.raises(SessionError, match="Begin a new session"):
                await live.run(radio, asyncio.Event())

    asyncio.run(main())


def test_sound_and_motor_can_be_switched_while_it_streams_and_stay_so(dashboard):
    dashboard.connect(simulated(dashboard))
    dashboard.mailbox.first(lambda item: isinstance(item, Snapshot) and item.haptics and not item.muted)
    dashboard.mute(True)
    dashboard.warn_of_limits(False)
    first = dashboard.mailbox.first(lambda item: isinstance(item, Snapshot) and item.muted and not item.haptics)
    dashboard.disconnect()
    dashboard.connect(simulated(dashboard))
    again = dashboard.mailbox.first(lambda item: isinstance(item, Snapshot) and item.recording != first.recording)
    assert (again.muted, again.haptics) == (True, False)
    with closing(sqlite3.connect(first.recording)) as db:
        choices = db.execute("SELECT action, detail FROM actions").fetchall()
    assert ("sound", "muted") in choices
    assert ("haptics", "ceiling") in choices


# --- Whose session it is ----------------------------------------------------------------------------------------------


async def demo_session(**options):
    """A short session of the demo: what was measured, and the moment on its timeline beside the newest sample."""
    moments = []

    def take(estimates):
        moments.append((live.session_s(), float(estimates.t_s[-1])))

    live = LiveRun(Options(radio=DEMO, seed=3, **options), take, lambda _: None, lambda _: None)
    async with open_world(DEMO, 3) as (radio, _):
        await live.run(radio, asyncio.Event())
    return live, moments


def test_thresholds_of_a_person_are_in_the_recording_and_replay_agrees(tmp_path):
    band = Band(0.3, 0.9, 1.4, 8.0)
    anna = Person("Anna", {("jaw", "left"): PlaceBand(band, Origin.MEASURED, 1.6)}, {("cheek", "left"): "sore"})
    people.save(anna)
    live, _ = asyncio.run(demo_session(seconds=6.0, person="anna"))
    assert live.recorder is not None
    recording = open_recording(live.recorder.path)
    assert recording.meta["person"] == "Anna"
    records, params, _ = open_source(live.recorder.path)
    assert params.bands == anna.in_use()
    again = Pipeline(params)
    for record in records:
        again.feed(record)
    assert json.loads(json.dumps(again.summary())) == recording.estimates
    assert live.summary()["person"] == "Anna"


def test_a_person_nobody_knows_is_refused_before_connecting():
    with pytest.raises(SessionError, match="there is no profile of 'Zoe'"):
        asyncio.run(demo_session(seconds=1.0, person="Zoe"))


def test_enough_for_today_counts_what_was_recorded_this_week():
    people.save(Person("Anna", doses=dict.fromkeys(PLACES, Dose(0.1, 0.2))))
    live, _ = asyncio.run(demo_session(seconds=8.0, person="Anna"))
    (place, *_) = live.pipeline.totals.dose_n_s_by_place
    assert "in this session" in live.enough()[place]
    assert place_name(*place) in live.summary()["enough_for_today"]
    people.save(Person("Anna", doses=dict.fromkeys(PLACES, Dose(1000.0, 0.1))))
    live, _ = asyncio.run(demo_session(seconds=8.0, person="Anna"))
    assert "in seven days" in live.enough()[place]


def test_the_present_moment_is_a_little_ahead_of_the_newest_sample():
    _, moments = asyncio.run(demo_session(seconds=3.0, recorded=False))
    ahead_s = [now_s - newest_s for now_s, newest_s in moments[10:] if now_s is not None]
    assert len(ahead_s) > 20
    assert 0 < sorted(ahead_s)[len(ahead_s) // 2] < 0.5
