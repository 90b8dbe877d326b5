# SPDX-License-Identifier: MIT
"""What the dashboard gets from the composition root, with the simulated roller and without Qt."""

import threading
from collections import deque
from pathlib import Path

import pytest

from roller_host.app import DEMO, Options
from roller_host.dashboard.session import Rollers, Snapshot
from roller_host.feed import DashboardSession
from roller_host.link.states import LinkPhase, LinkState
from roller_host.sessions.source import open_source
from roller_host.signal.estimates import Estimates


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
