# SPDX-License-Identifier: MIT
# Qt must not be imported where it cannot work.
from __future__ import annotations

import math
import sys
from dataclasses import replace

import pytest

from roller_host.dashboard import requirements

if problem := requirements.import_problem():
    pytest.skip(problem, allow_module_level=True)

import numpy as np
from hand_fed import REAL, SIMULATED, Clock, Session
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage
from PySide6.QtWidgets import QLabel, QMessageBox, QToolTip, QWidget

from firmware_protocol.zones import PLACES
from roller_host.cues.words import COMFORT
from roller_host.dashboard import faceshape, run, theme, words
from roller_host.dashboard.facemap import FaceMap
from roller_host.dashboard.force import share_of
from roller_host.dashboard.playhead import Playhead
from roller_host.dashboard.session import Snapshot
from roller_host.dashboard.strip import Ring, StripBand, StripPlot
from roller_host.dashboard.strokes import sentence
from roller_host.dashboard.surface import Pill
from roller_host.dashboard.window import MainWindow
from roller_host.link.states import LinkPhase, LinkState
from roller_host.signal.comfort import STARTING_BANDS, Comfort
from roller_host.signal.estimates import Estimates, Stroke

pytestmark = pytest.mark.qt_log_level_fail("WARNING")

STREAMING = LinkState(LinkPhase.STREAMING, device="Simulated roller")
UP_OUT = Stroke(
    begin_s=0.0,
    end_s=1.2,
    decided_s=1.25,
    length_m=0.08,
    length_sigma_m=0.003,
    direction_deg=34.0,
    direction_sigma_deg=3.0,
    confidence=0.99,
    outward_deg=34.0,
    speed_m_s=0.06,
    speed_peak_m_s=0.08,
    force_n=1.6,
    force_peak_n=2.0,
    force_sigma_n=0.1,
    in_band_ratio=0.9,
    zone="cheek",
    side="left",
    zone_confidence=0.9,
)


def estimates(comfort=Comfort.COMFORTABLE, t_s=0.0, n=6, force_n=1.6, side="left", **more):
    fields = {
        "t_s": t_s + np.arange(n) / 104.0,
        "force_n": np.full(n, force_n),
        "force_sigma_n": np.full(n, 0.2),
        "contact": np.full(n, comfort is not Comfort.NO_CONTACT),
        "speed_m_s": np.full(n, -0.06),
        "direction_deg": np.full(n, 34.0),
        "comfort": (comfort,) * n,
        "places": (PLACES.index(("cheek", side)),) * n,
        "zone": "cheek",
        "side": side,
    }
    return Estimates(**{**fields, **more})


@pytest.fixture
def shown(qtbot, qapp):
    """Window on a hand-filled session with a hand-moved clock."""
    theme.prepare(qapp)
    session, clock = Session(), Clock()
    window = MainWindow(session, "dark")
    qtbot.addWidget(window)
    window.show()
    window.presenter.stop()
    window.presenter._clock = clock
    return window, session, clock


@pytest.fixture
def live(shown):
    """The same, streaming."""
    window, session, clock = shown
    session.mailbox.append(STREAMING)
    window.presenter.tick()
    assert window.pages.currentWidget() is window.live
    return window, session, clock


def mean_difference(a: QImage, b: QImage) -> float:
    def pixels(image):
        image = image.convertToFormat(QImage.Format.Format_RGB32)
        return np.frombuffer(image.constBits(), np.uint8).astype(float)

    return float(np.abs(pixels(a) - pixels(b)).mean())


# What the machine must have


def test_missing_display_is_told_in_one_line(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    told = requirements.missing_display()
    assert "roller-host demo --headless" in told
    assert "\n" not in told
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert requirements.missing_display() is None
    monkeypatch.delenv("WAYLAND_DISPLAY")
    monkeypatch.setattr(sys, "platform", "win32")
    assert requirements.missing_display() is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModuleNotFoundError("No module named 'PySide6'", name="PySide6"), "pip install '.[dashboard]'"),
        (ImportError("libGL.so.1: cannot open shared object file"), "libxcb-cursor0"),
    ],
)
def test_import_problem_says_what_to_install(monkeypatch, error, told):
    def fail(name):
        raise error

    monkeypatch.setattr(requirements.importlib, "import_module", fail)
    assert told in requirements.import_problem()


def test_void_calls_keep_references(qtbot):
    label = QLabel()
    qtbot.addWidget(label)
    before = sys.getrefcount(None), sys.getrefcount(True)
    for _ in range(1000):
        label.setText("a")
        label.setEnabled(True)
    after = sys.getrefcount(None), sys.getrefcount(True)
    assert all(abs(b - a) < 500 for a, b in zip(before, after, strict=True))


# Colours


@pytest.mark.parametrize("look", [theme.DARK, theme.LIGHT], ids=lambda look: look.name)
def test_contrast(look):
    card = look.tone("card")
    for name in ("ink", "dim", "good", "low", "firm", "bad", "accent"):
        assert theme.contrast(look.tone(name), card) >= 4.5, name
        if name in {"ink", "dim"}:
            assert theme.contrast(look.tone(name), look.tone("page")) >= 4.5, name
    assert theme.contrast(look.tone("dim"), look.tone("raised")) >= 4.5
    assert theme.contrast(look.tone("on_accent"), look.tone("accent")) >= 4.5
    assert theme.contrast(look.tone("trace"), look.tone("band")) >= 3.0
    for tone in ("good", "low", "firm", "bad"):
        ground = theme.mixed(card, look.tone(tone), 0.13)
        assert theme.contrast(look.tone(tone), ground) >= 4.5, tone


@pytest.mark.parametrize("look", [theme.DARK, theme.LIGHT], ids=lambda look: look.name)
def test_ramp_is_monotone_and_its_numbers_legible(look):
    steps = [look.filled(share) for share in np.linspace(0, 1, 41)]
    rises = np.diff([theme.luminance(step) for step in steps])
    assert np.all(rises > 0) or np.all(rises < 0)
    assert min(theme.contrast(theme.legible_on(step), step) for step in steps) >= 4.5


def test_signs_of_trouble_differ_without_colour(qtbot):
    pill = Pill("Link")
    qtbot.addWidget(pill)
    pill.resize(120, 30)
    pill.set_look(replace(theme.DARK, good="#888888", low="#888888", bad="#888888"))
    pictures = []
    for tone in ("good", "low", "bad"):
        pill.set_state("Streaming", tone)
        pictures.append(pill.grab().toImage())
    good, low, bad = pictures
    assert min(mean_difference(a, b) for a, b in ((good, low), (low, bad), (good, bad))) > 0.1


# Words


def test_every_state_has_words_and_a_sign_of_its_own():
    sayings = [COMFORT[comfort] for comfort in Comfort]
    assert len({saying.words for saying in sayings}) == len(Comfort)
    assert set(words.PHASE_TONE) == set(LinkPhase)


@pytest.mark.parametrize(
    ("direction_deg", "side", "told"),
    [
        (34, "left", "up and out"),
        (-34, "right", "up and out"),
        (34, "right", "up and in"),
        (5, "left", "up"),
        (90, "left", "out"),
        (-170, "left", "down"),
        (34, "", "up and left"),
        (-80, "", "right"),
        (math.nan, "left", ""),
    ],
)
def test_heading(direction_deg, side, told):
    assert words.heading(direction_deg, side) == told


def test_down_and_inward_are_advised_against():
    assert words.advised(34, "left")
    assert words.advised(-34, "right")
    assert words.advised(math.nan, "")
    assert not words.advised(-160, "")
    assert not words.advised(-67, "left")
    assert not words.advised(67, "right")
    assert words.advised(67, "")


# Face map


def test_face_map_has_all_places_and_left_is_left(qtbot):
    assert set(faceshape.places()) == set(PLACES)
    face = FaceMap()
    qtbot.addWidget(face)
    face.resize(480, 720)
    for place in PLACES:
        at = face._to_widget().map(faceshape.label_at(*place))
        assert face.place_at(at) == place
        if place[1]:
            assert (at.x() < face.width() / 2) == (place[1] == "left")
    assert face.place_at(QPointF(2, 2)) is None


def test_places_do_not_overlap():
    items = list(faceshape.places().items())
    for i, (a, path) in enumerate(items):
        for b, other in items[i + 1 :]:
            assert not path.intersects(other), (a, b)


def test_face_map_says_where_the_roller_is(qtbot):
    face = FaceMap()
    qtbot.addWidget(face)
    face.set_seconds({("cheek", "left"): 61.9, ("jaw", "right"): 3.0})
    assert face.full_s() == 120
    assert face.tip(("cheek", "left")) == "Left cheek: 1:01 min"
    assert face.tip(("neck", "left")) == "Left neck: not rolled yet"
    face.set_active("cheek", "left")
    assert face.accessibleDescription() == "rolling left cheek"
    face.set_active("", "")
    assert "not known" in face.accessibleDescription()


@pytest.mark.qt_log_ignore("This plugin does not support raise")
def test_pointing_at_a_place_shows_its_time(qtbot, qapp):
    face = FaceMap()
    qtbot.addWidget(face)
    face.resize(480, 720)
    face.show()
    face.set_seconds({("cheek", "left"): 75.0})
    at = face._to_widget().map(faceshape.label_at("cheek", "left")).toPoint()
    qapp.sendEvent(face, QHelpEvent(QEvent.Type.ToolTip, at, face.mapToGlobal(at)))
    assert QToolTip.text() == "Left cheek: 1:15 min"
    qapp.sendEvent(face, QHelpEvent(QEvent.Type.ToolTip, QPoint(1, 1), face.mapToGlobal(QPoint(1, 1))))
    qtbot.waitUntil(lambda: not QToolTip.isVisible())


def test_active_place_is_painted_on_its_side(qtbot):
    face = FaceMap()
    qtbot.addWidget(face)
    face.resize(480, 720)
    plain = face.grab().toImage()
    face.set_active("cheek", "left")
    marked = face.grab().toImage()
    half = plain.width() // 2
    left = mean_difference(plain.copy(0, 0, half, 720), marked.copy(0, 0, half, 720))
    right = mean_difference(plain.copy(half, 0, half, 720), marked.copy(half, 0, half, 720))
    assert left > 0.1
    assert right < left / 10


# Strips


def test_ring_keeps_the_newest_in_order():
    ring = Ring(1, 8)
    for begin in range(0, 30, 3):
        ring.extend(np.arange(begin, begin + 3, dtype=float)[None])
        got = ring.newest(5)[0]
        assert np.array_equal(got, np.arange(max(begin - 2, 0), begin + 3))
    assert ring.newest(100).shape == (1, 8)


def test_scrolled_strip_equals_a_fresh_one(qtbot):
    plot = StripPlot(((4.0, 1.0),))
    qtbot.addWidget(plot)
    plot.resize(560, 220)
    plot.show()
    plot.trace.band = StripBand(0.8, 2.5, 3.0)
    fs_hz, n = 104.0, 6
    for i in range(220):
        t_s = (i * n + np.arange(n)) / fs_hz + (0.4 if i > 150 else 0.0)
        if i == 120:
            plot.trace.band = StripBand(0.2, 0.6, 1.0)
        value = 1.6 + 1.2 * np.sin(t_s * 3) + 0.1 * np.sin(t_s * 60)
        plot.trace.extend(t_s, value, value > 2.5)
        plot.trace.advance(float(t_s[-1]))
        if i == 20:
            plot.grab()
    scrolled = plot.grab().toImage()
    plot.trace.redraw()
    assert mean_difference(scrolled, plot.grab().toImage()) < 4.0


def test_gap_stays_a_hole(qtbot):
    plot = StripPlot(((4.0, 1.0),))
    qtbot.addWidget(plot)
    plot.resize(560, 220)
    t_s = np.arange(1000) / 104.0
    t_s[500:] += 1.0
    plot.trace.extend(t_s, np.full(1000, 2.0), np.zeros(1000, bool))
    plot.trace.advance(float(t_s[-1]))
    image = plot.grab().toImage()
    box = plot.trace.mapRectToScene(plot.trace.boundingRect()).toAlignedRect()
    trace = QColor(theme.DARK.trace)
    near = [
        any(_alike(image.pixelColor(x, y), trace) for y in range(box.top(), box.bottom()))
        for x in range(box.left() + 50, box.right() - 8)
    ]
    assert near.count(False) == pytest.approx(box.width() / 10.0, abs=4)


def _alike(a: QColor, b: QColor) -> bool:
    return abs(a.red() - b.red()) + abs(a.green() - b.green()) + abs(a.blue() - b.blue()) < 60


def test_playhead_runs_evenly_between_bursts():
    head = Playhead(delay_s=0.1)
    shown = [head.step(k * 0.016, math.floor(k * 0.016 / 0.06) * 0.06) for k in range(400)]
    steps = np.diff(shown[100:])
    assert steps.min() > 0.012
    assert steps.max() < 0.020
    assert head.step(6.5, 30.0) == pytest.approx(29.9)
    head.clear()
    assert head.step(7.0, 1.0) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("height", "shown"), [(220, ["0", "1", "2", "3", "4"]), (90, ["0", "2", "4"]), (60, ["0", "4"])]
)
def test_a_low_strip_has_fewer_numbers(qtbot, height, shown):
    plot = StripPlot(((4.0, 1.0),))
    qtbot.addWidget(plot)
    plot.resize(300, height)
    plot.show()
    (ticks,) = plot._frame.getAxis("left")._tickLevels
    assert [text for _, text in ticks] == shown


# Gauge


@pytest.mark.parametrize("band", STARTING_BANDS.values())
def test_bar_shows_the_same_thresholds_at_the_same_places(band):
    shares = [share_of(force_n, band) for force_n in (0.0, *band, 99.0)]
    assert shares == pytest.approx([0.0, 0.20, 0.52, 0.74, 0.93, 1.0])
    assert np.all(np.diff([share_of(f, band) for f in np.linspace(0, band.ceiling_n, 50)]) > 0)


# Presenter


@pytest.mark.parametrize("comfort", [c for c in Comfort if c is not Comfort.STALE])
def test_state_is_shown_in_words(live, comfort):
    window, session, _ = live
    session.mailbox.append(estimates(comfort))
    window.presenter.tick()
    assert not session.mailbox
    assert window.live.gauge.words() == COMFORT[comfort].words
    assert window.live.gauge.accessibleDescription() == COMFORT[comfort].words
    touching = comfort is not Comfort.NO_CONTACT
    assert (window.live.face._active == ("cheek", "left")) == touching


def test_no_data_is_shown_after_half_a_second(live):
    window, session, clock = live
    session.mailbox.append(estimates())
    window.presenter.tick()
    clock.now_s += 0.45
    window.presenter.tick()
    assert window.live.gauge.words() == "Comfortable"
    clock.now_s += 0.1
    window.presenter.tick()
    assert window.live.gauge.words() == "No data"
    assert window.live.face._active is None
    session.mailbox.append(estimates(t_s=1.0))
    window.presenter.tick()
    assert window.live.gauge.words() == "Comfortable"


def test_strokes_reach_list_and_compass(live):
    window, session, _ = live
    session.mailbox.append(estimates(strokes=(UP_OUT, replace_stroke(direction_deg=-175.0))))
    window.presenter.tick()
    assert "advised against" in window.live.strokes.accessibleDescription()
    assert "down" in window.live.strokes.accessibleDescription()
    assert window.live.compass.words() == "Up and out"
    window.grab()


def replace_stroke(**change):
    return UP_OUT._replace(**change)


def test_snapshot_reaches_header_timer_and_map(live):
    window, session, clock = live
    seconds = {("jaw", "left"): 12.0}
    snapshot = Snapshot(229.0, 104.02, 3, 1, 42, 151.0, 15, "/sessions/evening.roller", seconds, rate_now_hz=101.6)
    session.mailbox.append(snapshot)
    clock.now_s += 1
    window.presenter.tick()
    header = window.live.header
    assert header.link.words() == "Streaming 102 Hz"
    assert "104.0 Hz by the roller's clock" in header.link.toolTip()
    assert header.loss.words() == "3 lost"
    assert "charge soon" in header.battery.toolTip()
    assert header.recording.words() == "Rec evening.roller"
    assert window.live.face.tip(("jaw", "left")) == "Left jaw: 0:12 min"
    assert window.live.timer.accessibleDescription() == "3 minutes of 10 to 15"
    session.mailbox.append(replace(snapshot, elapsed_s=901.0, recording="", battery_percent=None))
    clock.now_s += 1
    window.presenter.tick()
    assert "rest" in window.live.timer.accessibleDescription()
    assert not header.recording.isVisible()
    assert not header.battery.isVisible()


@pytest.mark.parametrize(
    ("figures", "told", "tip"),
    [
        ({}, "No loss", "Missing: 0 packets"),
        ({"backfilled_packets": 8}, "No loss", "came late: 8"),
        ({"backfilled_packets": 8, "loss_share": 0.3}, "No loss", "came late: 8"),
        ({"lost_packets": 3, "backfilled_packets": 5}, "3 lost", "Missing: 3 packets; came late: 5"),
        ({"lost_packets": 1, "missing_packets": 1}, "Fetching 1 packet", "Missing: 1 packets"),
        ({"lost_packets": 8, "loss_share": 0.04}, "Loss 4 %", "The distance is large."),
        ({"lost_packets": 8, "loss_share": 0.04, "missing_packets": 7}, "Fetching 7 packets", "Missing: 8 packets"),
    ],
)
def test_loss_is_told_with_its_cause_and_what_became_of_it(live, figures, told, tip):
    window, session, clock = live
    reason = "the distance is large" if figures.get("lost_packets") == 8 else ""
    session.mailbox.append(LinkState(LinkPhase.STREAMING, reason))
    session.mailbox.append(Snapshot(9.0, 104.0, **figures))
    clock.now_s += 1
    window.presenter.tick()
    assert window.live.header.loss.words() == told
    assert tip in window.live.header.loss.toolTip()
    assert tip in window.live.header.loss.accessibleDescription()


@pytest.mark.parametrize(("elapsed_s", "told"), [(0.3, "Streaming"), (9.0, "Streaming 0 Hz")])
def test_no_rate_is_told_before_there_can_be_one(live, elapsed_s, told):
    window, session, clock = live
    session.mailbox.append(Snapshot(elapsed_s, 104.0, rate_now_hz=0.0))
    clock.now_s += 1
    window.presenter.tick()
    assert window.live.header.link.words() == told


def test_nobody_knows_the_loss_while_the_roller_is_away(live):
    window, session, clock = live
    session.mailbox.extend([Snapshot(9.0, 104.0), LinkState(LinkPhase.OUT_OF_RANGE)])
    clock.now_s += 1
    window.presenter.tick()
    assert window.live.header.loss.words() == "Loss not known"


def test_an_earlier_session_leaves_no_figures(live):
    window, session, clock = live
    session.mailbox.append(Snapshot(9.0, 104.0, 5, battery_percent=10, recording="/a.sqlite"))
    clock.now_s += 1
    window.presenter.tick()
    window.leave()
    window.connect_to(REAL)
    session.mailbox.append(STREAMING)
    window.presenter.tick()
    header = window.live.header
    assert [pill.words() for pill in (header.loss, header.battery, header.recording)] == ["", "", ""]
    assert header.title.text() == REAL.title


def test_timer_is_fast_only_while_samples_flow(live):
    window, session, clock = live
    presenter = window.presenter
    presenter.start()
    session.mailbox.append(estimates())
    presenter.tick()
    assert presenter._timer.interval() == 16
    clock.now_s += 1
    presenter.tick()
    assert presenter._timer.interval() == 100
    presenter.stop()


# Window


def test_leaving_goes_back_to_the_choice(live, qtbot):
    window, session, _ = live
    qtbot.mouseClick(window.live.header.disconnect_button, Qt.MouseButton.LeftButton)
    assert session.asked == ["disconnect", "scan"]
    assert window.pages.currentWidget() is window.picker


def test_theme_changes_and_changes_back(live, qtbot):
    window, _, _ = live
    assert window.look is theme.DARK
    dark = window.grab().toImage()
    qtbot.mouseClick(window.live.header.theme_button, Qt.MouseButton.LeftButton)
    assert window.look is theme.LIGHT
    assert mean_difference(dark, window.grab().toImage()) > 60
    window.toggle_theme()
    assert window.grab().toImage().pixelColor(3, 3) == QColor(theme.DARK.page)


WORST = (
    LinkState(LinkPhase.LOST, "The roller is out of range.", "Bring it nearer.", "Roller"),
    LinkState(LinkPhase.RETRYING, "The roller was seen but accepted no connection.", "Wait.", retry_s=4.0),
    LinkState(LinkPhase.REFUSED, "The roller has forgotten this computer. " * 2, unpaired=True, over=True),
    LinkState(LinkPhase.PAIRING, "Roller-3F2A wants the six digits on its label", "Now.", "Roller", wants_passkey=True),
)


@pytest.mark.parametrize("size", [(930, 600), (1000, 680), (1360, 800), (1920, 1080)])
@pytest.mark.parametrize("state", WORST, ids=lambda state: state.phase.name)
def test_nothing_overlaps(live, size, state):
    window, session, clock = live
    window.resize(*size)
    session.mailbox.append(Snapshot(1.0, 104.0, 10000, 100, battery_percent=100, recording="/x/" + "long name " * 9))
    session.mailbox.append(state)
    clock.now_s += 1
    window.presenter.tick()
    window.grab()
    page = window.live
    assert (window.width(), window.height()) == size
    for parent in (page, page.header):
        parts = [
            w for w in parent.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly) if w.isVisible()
        ]
        for i, part in enumerate(parts):
            assert parent.rect().contains(part.geometry()), part
            assert part.width() >= part.minimumWidth()
            assert part.height() >= part.minimumHeight()
            assert not any(part.geometry().intersects(other.geometry()) for other in parts[i + 1 :])


def test_closing_ends_the_session(shown):
    window, session, _ = shown
    window.close()
    assert session.asked == ["close"]


def test_run_connects_closes_and_tells_errors(qapp, monkeypatch):
    session = Session()
    before = sys.excepthook
    told = []
    monkeypatch.setattr(QMessageBox, "open", lambda box: told.append(box.text()))

    def connect(choice):
        session.asked.append(choice)
        for _ in range(2):
            sys.excepthook(ValueError, ValueError("the sky fell"), None)

    monkeypatch.setattr(session, "connect", connect)
    assert run.run(lambda: session, theme="light", autoconnect="demo", seconds=0.05) == 0
    assert session.asked == [SIMULATED, "close"]
    assert told == ["Something went wrong: the sky fell"]
    assert sys.excepthook is before


def test_new_timeline_and_late_samples(live):
    window, session, clock = live
    trace = window.live.force_strip.plot.trace
    session.mailbox.extend([estimates(t_s=50.0), estimates(t_s=49.99), estimates(t_s=51.0)])
    window.presenter.tick()
    assert np.all(np.diff(trace._ring.newest(100)[0]) > 0)
    session.mailbox.append(estimates(t_s=0.0))
    clock.now_s += 0.016
    window.presenter.tick()
    assert trace.newest_s() < 1.0
    assert trace._now_s < 1.0


def test_band_of_the_past_survives_a_redraw(qtbot):
    plot = StripPlot(((4.0, 1.0),))
    qtbot.addWidget(plot)
    plot.resize(560, 220)
    t_s = np.arange(1100) / 104.0
    for begin, band in ((0, None), (400, StripBand(0.8, 2.5, 3.0)), (800, StripBand(0.2, 0.6, 1.0))):
        part = slice(begin, begin + 400)
        plot.trace.band = band
        plot.trace.extend(t_s[part], np.zeros(t_s[part].size), np.zeros(t_s[part].size, bool))
    plot.trace.advance(float(t_s[-1]))
    image = plot.grab().toImage()
    box = plot.trace.mapRectToScene(plot.trace.boundingRect()).toAlignedRect()
    middle = box.top() + round(box.height() * (1 - 2.0 / 4.0) / 1.05)
    kinds = [image.pixelColor(round(box.left() + box.width() * share), middle).name() for share in (0.15, 0.5, 0.9)]
    assert kinds == [theme.DARK.card, theme.DARK.band, theme.DARK.card]


def test_a_stroke_without_a_length_says_so():

    unknown = UP_OUT._replace(length_m=math.nan, speed_m_s=math.nan)
    assert "length not known" in sentence(unknown)
    assert "nan" not in sentence(unknown._replace(direction_deg=math.nan, outward_deg=math.nan))
    assert "8 centimetres" in sentence(UP_OUT)
