# SPDX-License-Identifier: MIT
"""Personal comfort: which places, how fast the person reacts, the ramps, and the bands that come out."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from firmware_protocol.zones import PLACES, place_name
from roller_host.dashboard.calibrate.options import OptionRow
from roller_host.dashboard.calibrate.panel import Panel
from roller_host.dashboard.calibrate.places import ALL_PLAIN, Kind, Mark, Place, PlaceMap, PlaceTicks
from roller_host.dashboard.calibrate.ramp import RampChart, RampView
from roller_host.dashboard.calibrate.reaction import ReactionSign
from roller_host.dashboard.surface import CARD_PADDING, HEADING_HEIGHT, Card, plain, side_by_side
from roller_host.signal.limits import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roller_host.guide.comfort_shown import ComfortShown
    from roller_host.sessions.person import PlaceBand

REASONS = ("irritated skin", "recent procedure", "rather not")
_KINDS = {Origin.MEASURED: Kind.MEASURED, Origin.INFERRED: Kind.INFERRED, Origin.START: Kind.START}


class BandTable(Card):
    """Thresholds by place, in N and in kPa, with where they come from."""

    _COLUMNS = "Place", "Band", "Limit", "kPa", "Stop", "From"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Your bands", parent)
        self.table = QTableWidget(0, len(self._COLUMNS))
        self.table.setAccessibleName("Your bands")
        self.table.setHorizontalHeaderLabels(self._COLUMNS)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setTabKeyNavigation(False)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        header.setHighlightSections(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, HEADING_HEIGHT - 2, 10, 10)
        layout.addWidget(self.table)
        self.setMinimumWidth(404)

    def set_bands(self, bands: Mapping[Place, PlaceBand], excluded: tuple[Place, ...], patch_area_m2: float) -> None:
        """Take the bands; places that are left out say so."""
        self.set_note(f"N; kPa on a patch of {patch_area_m2 * 1e4:.1f} cm²")
        rows = {place: _row(place, bands[place], patch_area_m2) for place in PLACES if place in bands}
        rows.update({place: (place_name(*place).capitalize(), "", "", "", "", "left out") for place in excluded})
        self.table.setRowCount(len(rows))
        for i, place in enumerate(sorted(rows, key=PLACES.index)):
            for j, text in enumerate(rows[place]):
                item = QTableWidgetItem(text)
                item.setToolTip(_spread_words(bands.get(place)))
                if 0 < j < len(self._COLUMNS) - 1:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(i, j, item)


def _row(place: Place, one: PlaceBand, patch_area_m2: float) -> tuple[str, ...]:
    band = one.band
    return (
        place_name(*place).capitalize(),
        f"{band.low_n:.1f}\N{EN DASH}{band.firm_n:.1f}",
        f"{band.limit_n:.1f}",
        f"{band.limit_n / patch_area_m2 / 1000:.0f}",
        f"{band.ceiling_n:g}",
        one.origin.value,
    )


def _spread_words(one: PlaceBand | None) -> str:
    if one is None or one.spread is None:
        return ""
    return f"{one.ramps} ramps, which lie {one.spread * 100:.0f} % apart"


class ComfortPanel(Panel):
    """A page for each step: form, exclude, reaction, ramps, result."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picked: set[Place] = set()
        self._excluded: tuple[Place, ...] = ()
        self.pick_map, self.pick_ticks = PlaceMap("Some places"), PlaceTicks("Measure", self._pick)
        self.pick_map.clicked.connect(self._pick)
        self.leave_map, self.leave_ticks = PlaceMap("Places to leave out"), PlaceTicks("Leave out", self._exclude)
        self.leave_map.clicked.connect(self._exclude)
        self.reason = OptionRow("Why", self._give_reason, upright=True)
        self.reason.set_options([(reason, reason.capitalize()) for reason in REASONS])
        self._give_reason(REASONS[0])
        self.sign = ReactionSign()
        self.chart, self.where = RampChart(), PlaceMap("Where")
        self.result_map, self.table = PlaceMap("Limits, N"), BandTable()
        self._pages = {
            "form": side_by_side((self.pick_map, 58), (self.pick_ticks, 42)),
            "exclude": side_by_side((self.leave_map, 55), (self._reasons_and_ticks(), 45)),
            "reaction": side_by_side((self.sign, 1)),
            "ramps": side_by_side((self.chart, 64), (self.where, 36)),
            "result": side_by_side((self.result_map, 30), (self.table, 70)),
        }
        for page in self._pages.values():
            self.addWidget(page)
        self._marks_s: list[float] = []

    takes = frozenset({"exclude"})
    hints = MappingProxyType({"places": "those that are ticked"})

    def _reasons_and_ticks(self) -> QWidget:
        why = Card("Why")
        inner = QVBoxLayout(why)
        inner.setContentsMargins(CARD_PADDING, HEADING_HEIGHT, CARD_PADDING, CARD_PADDING)
        inner.addWidget(self.reason)
        both = plain()
        layout = QVBoxLayout(both)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(14)
        layout.addWidget(why)
        layout.addWidget(self.leave_ticks, 1)
        return both

    def set_shown(self, shown: ComfortShown) -> None:
        """Take what the flow shows now."""
        self._excluded = shown.excluded
        page = self._pages.get(shown.step, self._pages["form"])
        self.setCurrentWidget(page)
        match shown.step:
            case "exclude":
                self.leave_ticks.set_ticked(shown.excluded)
                self.leave_map.set_marks({**ALL_PLAIN, **dict.fromkeys(shown.excluded, Mark(Kind.EXCLUDED))})
            case "reaction":
                self.sign.set_sign(shown.sign, shown.taps_s)
            case "ramps":
                self._show_ramp(shown)
            case "result":
                self._show_result(shown)
            case _:
                self._show_picked()

    def value(self, key: str) -> str:
        """Names of the places that were picked."""
        return ", ".join(place_name(*place) for place in PLACES if place in self._picked) if key == "places" else ""

    def _pick(self, place: Place) -> None:
        self._picked ^= {place}
        self._show_picked()

    def _show_picked(self) -> None:
        self.pick_ticks.set_ticked(self._picked)
        excluded = dict.fromkeys(self._excluded, Mark(Kind.EXCLUDED))
        self.pick_map.set_marks({**ALL_PLAIN, **excluded, **dict.fromkeys(self._picked, Mark(Kind.PICKED))})

    def _exclude(self, place: Place) -> None:
        self.acted.emit("exclude", f"{place_name(*place)}: {self._reason}")

    def _give_reason(self, reason: str) -> None:
        self._reason = reason
        self.reason.choose(reason)

    def _show_ramp(self, shown: ComfortShown) -> None:
        pressing = shown.phase == "press" and shown.pace_n_s > 0
        t_s = shown.target_n / shown.pace_n_s if pressing else math.nan
        # When it was marked is not shown, only at which force: the moment at which that was seen first will do.
        self._marks_s = [*self._marks_s, *[t_s] * len(shown.marks_n)][: len(shown.marks_n)]
        self.chart.set_view(
            RampView(
                f"{place_name(*shown.place)}, ramp {shown.i_ramp + 1}" if shown.place else "",
                _waiting_words(shown),
                t_s,
                shown.force_n,
                shown.target_n if pressing else math.nan,
                shown.pace_n_s or 1.0,
                shown.ceiling_n or 8.0,
                tuple(zip(self._marks_s, shown.marks_n, strict=True)),
                tuple((one.pleasant_n, one.firmest_n) for one in shown.marks.get(shown.place or ("", ""), ())),
            )
        )
        marks = dict(ALL_PLAIN)
        for place in shown.places:
            done = shown.marks.get(place, ())
            marks[place] = Mark(Kind.MEASURED if len(done) >= 3 else Kind.WAITING, str(len(done)) if done else "")
        marks |= dict.fromkeys(shown.skipped, Mark(Kind.PLAIN)) | dict.fromkeys(shown.excluded, Mark(Kind.EXCLUDED))
        self.where.set_marks(marks, shown.place)

    def _show_result(self, shown: ComfortShown) -> None:
        marks = dict(ALL_PLAIN)
        for place, one in shown.bands.items():
            marks[place] = Mark(_KINDS[one.origin], f"{one.band.limit_n:.1f}")
        self.result_map.set_marks(marks | dict.fromkeys(shown.excluded, Mark(Kind.EXCLUDED)))
        self.table.set_bands(shown.bands, shown.excluded, shown.patch_area_m2)


def _waiting_words(shown: ComfortShown) -> str:
    if shown.phase == "rest":
        return f"Rest {math.ceil(shown.rest_s)} s" if shown.rest_s > 0 else "Rest"
    return "Paused" if shown.phase == "paused" else "Touch and press"
