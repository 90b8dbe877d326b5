# SPDX-License-Identifier: MIT
"""The drawn face: outlines of a person at the mirror and of the 15 places, in drawing units, no colours.

The drawing is a mirror view: x is 0 on the midline, negative on the left of the picture, which is the person's own
left. y grows downward.
Only the half with positive x is written down, the other half is its mirror image.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainterPath, QTransform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FRAME = QRectF(-182, -22, 364, 532)
"""Everything that is drawn lies inside."""

Points = tuple[tuple[float, float], ...]

_FACE: Points = (
    (0, 36), (34, 39), (70, 56), (95, 92), (106, 138), (109, 176),
    (105, 214), (95, 250), (75, 284), (46, 311), (20, 323), (0, 325),
)  # fmt: skip
_HAIR: Points = (
    (0, -14), (46, -8), (88, 16), (113, 58), (121, 108), (118, 152), (110, 170), (98, 168),
)  # fmt: skip
_EAR: Points = ((108, 156), (119, 148), (126, 158), (124, 184), (116, 208), (106, 212))
_BODY: Points = (
    (0, 270), (56, 274), (61, 310), (62, 342), (68, 370), (88, 391),
    (126, 406), (156, 422), (174, 450), (181, 490), (184, 560), (0, 560),
)  # fmt: skip

_ZONES: dict[str, Points] = {
    "forehead": ((0, 42), (32, 45), (62, 58), (78, 80), (80, 104), (62, 112), (38, 113), (16, 121), (0, 124)),
    "temple": ((86, 84), (98, 104), (105, 138), (105, 172), (97, 180), (87, 170), (84, 142), (83, 110)),
    "eye": ((14, 163), (24, 144), (46, 136), (69, 142), (81, 161), (73, 185), (50, 198), (25, 188)),
    "cheek": (
        (33, 205), (54, 206), (78, 198), (99, 188), (103, 204),
        (97, 231), (80, 247), (59, 247), (43, 236), (33, 220),
    ),
    "jaw": (
        (0, 289), (22, 287), (40, 276), (52, 259), (70, 257), (90, 246),
        (93, 252), (84, 270), (66, 290), (40, 310), (16, 319), (0, 320),
    ),
    "under_chin": ((0, 335), (22, 332), (42, 322), (56, 305), (58, 320), (46, 342), (24, 354), (0, 357)),
    "neck": (
        (16, 364), (36, 358), (57, 342), (60, 368), (72, 390),
        (84, 402), (58, 406), (30, 412), (20, 410), (15, 388),
    ),
}  # fmt: skip
_DECOLLETAGE: Points = (
    (0, 441), (26, 431), (76, 425), (126, 427), (152, 440), (163, 466), (160, 488), (126, 497), (60, 499), (0, 499),
)  # fmt: skip
_BAND: Points = (
    (0, 2), (42, 7), (84, 29), (113, 72), (120, 104), (105, 106), (94, 86), (70, 56), (34, 39), (0, 36),
)  # fmt: skip
_EYE_HOLE: Points = ((24, 162), (34, 152), (48, 149), (62, 153), (71, 163), (62, 173), (48, 177), (33, 173))
_MIDLINE_GAP = 2.6
"""Half of the skin left free between two halves that meet on the midline."""

LABEL_AT: Mapping[str, tuple[float, float]] = {
    "forehead": (40, 83), "temple": (94.5, 138), "eye": (48, 188), "cheek": (70, 221), "jaw": (56, 278),
    "under_chin": (32, 339), "neck": (44, 383), "decolletage": (0, 472),
}  # fmt: skip
"""Where the number of a zone stands, on the half with positive x."""


class Features(NamedTuple):
    """Parts of the face that carry no value."""

    hair: QPainterPath
    headband: QPainterPath
    face: QPainterPath
    ears: QPainterPath
    body: QPainterPath
    shadow: QPainterPath
    """Shadow of the chin on the neck."""
    brows: QPainterPath
    lids: QPainterPath
    """Lines of the closed eyes, with lashes."""
    nose: QPainterPath
    """Lines of the nose."""
    upper_lip: QPainterPath
    lower_lip: QPainterPath
    lines: QPainterPath
    """Fine lines: collarbones, inner ear."""


def smooth(points: Sequence[tuple[float, float]], *, closed: bool, tension: float = 0.5) -> QPainterPath:
    """Curve through points (Catmull-Rom as cubic Beziers).

    Parameters
    ----------
    points : sequence of (x, y)
        At least three.
    closed : bool
        Whether the last point joins the first.
    tension : float
        0 gives straight lines, 0.5 a round curve.
    """
    n = len(points)

    def at(i: int) -> QPointF:
        return QPointF(*(points[i % n] if closed else points[min(max(i, 0), n - 1)]))

    path = QPainterPath(at(0))
    for i in range(n if closed else n - 1):
        a, b, c, d = (at(i + k) for k in (-1, 0, 1, 2))
        path.cubicTo(b + (c - a) * (tension / 3 * 2 / 2), c - (d - b) * (tension / 3 * 2 / 2), c)
    if closed:
        path.closeSubpath()
    return path


def mirrored(path: QPainterPath) -> QPainterPath:
    """The same path on the other side of the midline."""
    return QTransform(-1, 0, 0, 1, 0, 0).map(path)


def _whole(half: Points) -> QPainterPath:
    """Closed curve from its half; the half begins and ends on the midline."""
    other = tuple((-x, y) for x, y in reversed(half) if x > 0)
    return smooth(half + other, closed=True)


def _both(path: QPainterPath) -> QPainterPath:
    out = QPainterPath(path)
    out.addPath(mirrored(path))
    return out


def _half_zone(zone: str) -> QPainterPath:
    """Zone on the half with positive x, cut back from the midline."""
    points = _ZONES[zone]
    if points[0][0] == 0:
        # Drawn as part of a whole, so that the curve crosses the midline level; the other half is cut away.
        whole = smooth(points + tuple((-x, y) for x, y in reversed(points) if x > 0), closed=True)
        half = QPainterPath()
        half.addRect(QRectF(_MIDLINE_GAP, -50, 300, 700))
        return whole.intersected(half)
    path = smooth(points, closed=True)
    return path.subtracted(smooth(_EYE_HOLE, closed=True)) if zone == "eye" else path


@cache
def places() -> Mapping[tuple[str, str], QPainterPath]:
    """Outline of each of the 15 places by (zone, side)."""
    out: dict[tuple[str, str], QPainterPath] = {}
    for zone in _ZONES:
        half = _half_zone(zone)
        out[zone, "right"] = half
        out[zone, "left"] = mirrored(half)
    out["decolletage", ""] = _whole(_DECOLLETAGE)
    return out


@cache
def outlines() -> Mapping[tuple[str, str], QPainterPath]:
    """Outer edge of each place: as `places`, but with nothing cut out for the eyes."""
    rim = smooth(_ZONES["eye"], closed=True)
    return {**places(), ("eye", "right"): rim, ("eye", "left"): mirrored(rim)}


def label_at(zone: str, side: str) -> QPointF:
    """Where the number of a place stands."""
    x, y = LABEL_AT[zone]
    return QPointF(-x if side == "left" else x, y)


def _lids() -> QPainterPath:
    path = smooth(((29, 163), (38, 168), (49, 170), (60, 167), (68, 161)), closed=False)
    for (x0, y0), (x1, y1) in (((66, 163), (71, 166)), ((60, 167), (64, 171.5)), ((53, 169.5), (55.5, 174.5))):
        path.moveTo(x0, y0)
        path.lineTo(x1, y1)
    return _both(path)


def _nose() -> QPainterPath:
    path = _both(smooth(((17, 213), (22, 219), (20, 227), (13, 228)), closed=False))
    path.addPath(smooth(((-8, 230), (0, 233.5), (8, 230)), closed=False))
    path.addPath(smooth(((9, 152), (7.5, 172), (9, 192), (13, 206)), closed=False))
    return path


def _lines() -> QPainterPath:
    path = smooth(((113, 162), (119, 160), (119, 176), (114, 192)), closed=False)
    path.addPath(smooth(((12, 428), (40, 418), (84, 413), (124, 415)), closed=False))
    return _both(path)


@cache
def features() -> Features:
    """All parts that carry no value."""
    brow = smooth(
        ((20, 130), (38, 121), (58, 119), (78, 128), (58, 124.5), (38, 127), (20, 136)), closed=True, tension=0.4
    )
    upper = smooth(((-0.6, 254), (7, 250.5), (20, 254.5), (32, 261.5)), closed=False)
    upper.connectPath(smooth(((32, 261.5), (16, 260.5), (-0.6, 262)), closed=False))
    lower = smooth(((32, 262.5), (18, 273.5), (-0.6, 276.5)), closed=False)
    lower.connectPath(smooth(((-0.6, 263.5), (16, 262), (32, 262.5)), closed=False))
    face = _whole(_FACE)
    frame = QPainterPath()
    frame.addRoundedRect(FRAME.adjusted(0, 0, 0, -4), 14, 14)
    body = _whole(_BODY).intersected(frame)
    return Features(
        hair=smooth(_HAIR + tuple((-x, y) for x, y in reversed(_HAIR) if x > 0), closed=True),
        headband=_whole(_BAND),
        face=face,
        ears=_both(smooth(_EAR, closed=True)),
        body=body,
        shadow=face.translated(0, 16).intersected(body),
        brows=_both(brow),
        lids=_lids(),
        nose=_nose(),
        upper_lip=upper.united(mirrored(upper)),
        lower_lip=lower.united(mirrored(lower)),
        lines=_lines(),
    )
