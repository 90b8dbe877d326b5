# SPDX-License-Identifier: MIT
"""Scrolling strip of the last 10 seconds in a pyqtgraph frame.

The curve is not redrawn: its picture moves left by whole pixels and only the new samples are stroked, so a smooth 2 px
line costs no more than a jagged 1 px line redrawn. The comfort band scrolls along: every moment keeps the thresholds
that held then.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QLinearGradient, QPainter, QPen, QPixmap, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QWidget

from roller_host.dashboard import theme

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PySide6.QtWidgets import QStyleOptionGraphicsItem

SPAN_S = 10.0
_MARGIN = 7
"""Room right of the newest sample for the dot, px."""
_N_KEPT = 4096
"""Samples kept: 10 s at up to 400 Hz."""
_BELOW = 0.05
"""Room below zero, as a share of the height: a curve at zero is not cut."""
_FADE_PX = 40
_EDGE_PX = 4
_TOP_PX, _FRAME_PX = 8, 32
"""Room above the plot, and above and below it, px."""
_TICK_PX = 16
"""Least distance of the numbers on the value scale, px."""
_HOLE_S = 0.05
"""Samples further apart than this are not joined, s."""


Heights = tuple[tuple[float, float], ...]
"""Heights that a value scale may take, rising, each with its step between ticks."""


class StripBand(NamedTuple):
    """What is drawn behind the curve."""

    low: float
    high: float
    limit: float


class Ring:
    """Last samples in one contiguous view: everything is written twice, nothing is ever rolled."""

    def __init__(self, n_rows: int, n_samples: int) -> None:
        self._n = n_samples
        self._rows = np.full((n_rows, 2 * n_samples), np.nan)
        self.n_written = 0

    def extend(self, rows: NDArray[np.float64]) -> None:
        """Append samples, shape (n_rows, n)."""
        rows = rows[:, -self._n :]
        at = (self.n_written + np.arange(rows.shape[1])) % self._n
        self._rows[:, at] = rows
        self._rows[:, at + self._n] = rows
        self.n_written += rows.shape[1]

    def newest(self, n_samples: int) -> NDArray[np.float64]:
        """View of the newest samples, shape (n_rows, up to ``n_samples``), oldest first."""
        n = min(n_samples, self._n, self.n_written)
        end = (self.n_written - 1) % self._n + 1 + self._n if self.n_written else self._n
        return self._rows[:, end - n : end]

    def clear(self) -> None:
        """Forget everything."""
        self.n_written = 0


class Trace(pg.GraphicsObject):
    """The picture that scrolls, in the coordinates of the plot: x from -10 to 0 s, y in the unit of the strip."""

    def __init__(self, look: theme.Look) -> None:
        super().__init__()
        self.look = look
        self.band: StripBand | None = None
        self.top = 1.0
        self._ring = Ring(6, _N_KEPT)
        self._image: QPixmap | None = None
        self._fade = QPixmap()
        self._width = self._height = 0
        self._origin = 0
        self._drawn = 0
        self._now_s = -math.inf

    def boundingRect(self) -> QRectF:
        """The whole plot."""
        return QRectF(-SPAN_S, -_BELOW * self.top, SPAN_S, (1.0 + _BELOW) * self.top)

    def extend(self, t_s: NDArray[np.float64], value: NDArray[np.float64], alert: NDArray[np.bool_]) -> None:
        """Append samples; those with ``alert`` get the warning colour. They show when `advance` reaches them.

        Samples that are not newer than the newest are left out.
        """
        new = t_s > self.newest_s()
        t_s, value, alert = t_s[new], value[new], alert[new]
        band = self.band or (math.nan,) * 3
        self._ring.extend(np.stack([t_s, value, alert.astype(float), *(np.full(t_s.size, edge) for edge in band)]))

    def newest_s(self) -> float:
        """Time of the newest sample, s; minus infinity when there is none."""
        newest = self._ring.newest(1)
        return float(newest[0, 0]) if newest.size else -math.inf

    def highest(self) -> float:
        """Highest value or limit in the last 10 s, 0 when there is none."""
        rows = self._ring.newest(_N_KEPT)
        seen = rows[[1, 5]][:, rows[0] > self._now_s - SPAN_S]
        seen = seen[np.isfinite(seen)]
        return float(seen.max()) if seen.size else 0.0

    def clear(self) -> None:
        """Forget everything."""
        self._ring.clear()
        self._drawn = 0
        self._now_s = -math.inf
        self.redraw()

    def redraw(self) -> None:
        """Forget the picture; the next frame draws it from the samples."""
        self._image = None
        self.update()

    def advance(self, now_s: float) -> None:
        """Move the right end of the strip to ``now_s`` and draw what is new."""
        if now_s <= self._now_s:
            return
        self._now_s = now_s
        if self._image is None:
            self.update()
            return
        self._scroll(self._image)
        # Left and bottom edge never change; leaving them out keeps the axes beside them from being painted again.
        per_px = self.boundingRect().height() / max(self._height, 1)
        self.update(self.boundingRect().adjusted(_EDGE_PX * SPAN_S / self._width, _EDGE_PX * per_px, 0.0, 0.0))

    def _px_per_s(self) -> float:
        return (self._width - _MARGIN) / SPAN_S

    def _origin_at(self, now_s: float) -> int:
        return math.floor(now_s * self._px_per_s()) - (self._width - _MARGIN) if math.isfinite(now_s) else 0

    def _scroll(self, image: QPixmap) -> None:
        origin = self._origin_at(self._now_s)
        k = origin - self._origin
        if k > self._width // 2:
            self.redraw()
            return
        if k > 0:
            image.scroll(-k, 0, image.rect())
            self._origin = origin
        with QPainter(image) as p:
            if k > 0:
                self._paint_ground(p, self._width - k, self._width, self.band)
            self._paint_new(p)

    def _paint_ground(self, p: QPainter, left: float, right: float, band: StripBand | None) -> None:
        p.fillRect(QRectF(left, 0, right - left, self._height), self.look.tone("card"))
        if band is not None:
            top, bottom = self._row(band.high), self._row(band.low)
            p.fillRect(QRectF(left, top, right - left, bottom - top), self.look.tone("band"))
            limit = QRectF(left, round(self._row(band.limit)), right - left, round(self._ratio()))
            p.fillRect(limit, theme.faded(self.look.tone("bad"), 0.75))

    def _paint_ground_of_samples(self, p: QPainter) -> None:
        """Ground of the whole picture, each part with the band of its samples."""
        rows = self._ring.newest(_N_KEPT)
        rows = rows[:, rows[0] > self._now_s - 1.1 * SPAN_S]
        edges = np.nan_to_num(rows[3:], nan=-1.0)
        changes = np.flatnonzero(np.any(np.diff(edges, axis=1, prepend=-2.0) != 0, axis=0))
        self._paint_ground(p, 0, self._width, self.band)
        for i in changes.tolist():
            left = round(rows[0, i] * self._px_per_s()) - self._origin if i else 0
            self._paint_ground(p, left, self._width, StripBand(*edges[:, i].tolist()) if edges[0, i] >= 0 else None)

    def _row(self, value: float) -> float:
        return self._height * (1.0 - value / self.top) / (1.0 + _BELOW)

    def _paint_new(self, p: QPainter) -> None:
        n_new = self._ring.n_written - self._drawn
        t_s, value, alert = self._ring.newest(n_new + 1 if self._drawn else n_new)[:3]
        n_shown = int(np.searchsorted(t_s, self._now_s, side="right"))
        if n_shown < 2:
            return
        self._drawn += n_shown - (1 if self._drawn else 0)
        x = t_s[:n_shown] * self._px_per_s() - self._origin
        y = self._height * (1.0 - np.clip(value[:n_shown] / self.top, -_BELOW, 1.2)) / (1.0 + _BELOW)
        joined = (np.diff(t_s[:n_shown]) < _HOLE_S) & np.isfinite(y[1:]) & np.isfinite(y[:-1])
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        kind = np.where(joined, 1 + (alert[1:n_shown] > 0), 0)
        starts = np.flatnonzero(np.diff(kind, prepend=-1))
        for begin, end in zip(starts, [*starts[1:], kind.size], strict=True):
            if kind[begin]:
                self._stroke(p, x[begin : end + 1], y[begin : end + 1], "bad" if kind[begin] == 2 else "trace")

    def _stroke(self, p: QPainter, x: NDArray[np.float64], y: NDArray[np.float64], tone: str) -> None:
        width = 2.0 * self._ratio()
        p.setPen(
            QPen(self.look.tone(tone), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
        )
        p.drawPolyline(QPolygonF([QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]))

    def _ratio(self) -> float:
        view = self.getViewWidget()
        return view.devicePixelRatioF() if view is not None else 1.0

    def _draw_all(self, width: int, height: int) -> QPixmap:
        self._width, self._height = width, height
        self._image = QPixmap(width, height)
        self._fade = _fade(self.look.tone("card"), height)
        self._origin = self._origin_at(self._now_s)
        with QPainter(self._image) as p:
            self._paint_ground_of_samples(p)
            self._drawn = max(self._ring.n_written - _N_KEPT + 1, 0)
            self._paint_new(p)
        return self._image

    def paint(self, p: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        """Blit the picture, fade its old end and mark the newest sample."""
        del option, widget
        ratio = self._ratio()
        box = p.worldTransform().mapRect(self.boundingRect()).toAlignedRect()
        width, height = round(box.width() * ratio), round(box.height() * ratio)
        if width < 2 * _MARGIN or height < 2:
            return
        image = self._image
        if image is None or (image.width(), image.height()) != (width, height):
            image = self._draw_all(width, height)
        p.save()
        p.resetTransform()
        p.drawPixmap(box, image)
        p.drawPixmap(QRect(box.left(), box.top(), _FADE_PX, box.height()), self._fade)
        self._paint_dot(p, box, ratio)
        p.restore()

    def _paint_dot(self, p: QPainter, box: QRect, ratio: float) -> None:
        t_s, value, alert = self._ring.newest(64)[:3]
        n_shown = int(np.searchsorted(t_s, self._now_s, side="right"))
        if not n_shown or self._now_s - t_s[n_shown - 1] > 2 * _HOLE_S or not math.isfinite(value[n_shown - 1]):
            return
        y = box.top() + self._row(min(value[n_shown - 1], self.top)) / ratio
        x = box.left() + (float(t_s[n_shown - 1]) * self._px_per_s() - self._origin) / ratio
        tone = self.look.tone("bad" if alert[n_shown - 1] else "trace")
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(theme.faded(tone, 0.28))
        p.drawEllipse(QPointF(x, y), 6.5, 6.5)
        p.setBrush(tone)
        p.drawEllipse(QPointF(x, y), 3.2, 3.2)


def _fade(colour: QColor, height: int) -> QPixmap:
    """From ``colour`` at the left to nothing."""
    out = QPixmap(_FADE_PX, height)
    out.fill(Qt.GlobalColor.transparent)
    gradient = QLinearGradient(QPointF(0, 0), QPointF(_FADE_PX, 0))
    gradient.setColorAt(0, colour)
    gradient.setColorAt(1, theme.faded(colour, 0.0))
    with QPainter(out) as p:
        p.fillRect(out.rect(), QBrush(gradient))
    return out


class StripPlot(pg.PlotWidget):
    """Frame of one strip: axes with a fixed time scale, and a value scale that takes one of a few heights."""

    def __init__(self, heights: Heights, parent: QWidget | None = None) -> None:
        # pyqtgraph makes most methods of a PlotItem at run time, out of sight of a type checker.
        self._frame: Any = pg.PlotItem()
        self._scale = heights[0]
        super().__init__(parent, plotItem=self._frame)
        self._heights = heights
        self._look = theme.DARK
        self.trace = Trace(self._look)
        item = self._frame
        item.hideButtons()
        item.setMenuEnabled(False)
        item.setMouseEnabled(x=False, y=False)
        item.disableAutoRange()
        item.getViewBox().setDefaultPadding(0.0)
        item.layout.setContentsMargins(0, _TOP_PX, 0, 0)
        item.getAxis("left").setWidth(34)
        item.getAxis("bottom").setHeight(_FRAME_PX - _TOP_PX)
        item.addItem(self.trace, ignoreBounds=True)
        for widget in (self, self.viewport()):
            widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setMinimumHeight(60)
        self._set_top(*self._scale)
        self.set_look(self._look)

    def set_look(self, look: theme.Look) -> None:
        """Take a colour scheme."""
        self._look = self.trace.look = look
        self.setBackground(look.card)
        for name in ("left", "bottom"):
            axis = self._frame.getAxis(name)
            axis.setPen(QPen(look.tone("line"), 1))
            axis.setTextPen(look.tone("dim"))
            axis.setStyle(tickLength=0, tickFont=theme.font(theme.SMALL), tickTextOffset=6)
        self.trace.redraw()

    def resizeEvent(self, ev: QResizeEvent | None) -> None:
        """Keep the word at the right end inside the frame, and the numbers at the left apart."""
        super().resizeEvent(ev)
        self._set_ticks()
        now_s = 15 * SPAN_S / max(self.width() - 34, 100)
        ticks = [*((-x, f"{x} s ago") for x in (8, 6, 4, 2)), (-now_s, "now")]
        self._frame.getAxis("bottom").setTicks([ticks])

    def close(self) -> None:
        """Close like any widget; pyqtgraph's own way deletes items that are still referred to, and crashes."""
        QWidget.close(self)

    def fit(self, need: float) -> None:
        """Take the first height that holds ``need``."""
        top, step = next((height for height in self._heights if need <= height[0]), self._heights[-1])
        if top != self.trace.top:
            self._set_top(top, step)

    def _set_top(self, top: float, step: float) -> None:
        self.trace.prepareGeometryChange()
        self.trace.top, self._scale = top, (top, step)
        self._frame.setRange(xRange=(-SPAN_S, 0.0), yRange=(-_BELOW * top, top), padding=0.0)
        self._set_ticks()
        self.trace.redraw()

    def _set_ticks(self) -> None:
        """Numbers from zero to the top, as many as there is room for at even distances."""
        top, step = self._scale
        n = round(top / step)
        room_px = (self.height() - _FRAME_PX) / (1 + _BELOW)
        every = next(k for k in range(1, n + 1) if n % k == 0 and (k == n or room_px * k / n >= _TICK_PX))
        ticks = [(k * step, f"{k * step:g}") for k in range(0, n + 1, every)]
        self._frame.getAxis("left").setTicks([ticks])
