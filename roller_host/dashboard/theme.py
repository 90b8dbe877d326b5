# SPDX-License-Identifier: MIT
"""Colours, type and style of the dashboard, dark and light, the same on every system."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

MODES = ("system", "light", "dark")
FAMILIES = ("Inter", "Segoe UI", "SF Pro Text", "Noto Sans", "DejaVu Sans")

HUGE, LARGE, TITLE, BODY, SMALL = 44, 20, 17, 14, 12
"""Type sizes, px."""
CARD_RADIUS = 14


@dataclass(frozen=True)
class Look:
    """One colour scheme; every value is an sRGB hex string."""

    name: str
    page: str
    card: str
    raised: str
    """Buttons, tracks and other quiet surfaces on a card."""
    line: str
    ink: str
    dim: str
    accent: str
    on_accent: str
    trace: str
    good: str
    low: str
    firm: str
    bad: str
    band: str
    """Comfort band behind a trace, on ``card``."""
    grid: str
    skin: str
    shade: str
    """Skin in shadow: neck, ears, folds."""
    hair: str
    headband: str
    lips: str
    feature: str
    """Lines of the face."""
    ramp: tuple[str, ...]
    """Sequential, monotone in lightness, from nothing to full."""

    def tone(self, name: str) -> QColor:
        """Colour of a field by its name."""
        return QColor(getattr(self, name))

    def filled(self, share: float) -> QColor:
        """Colour of the ramp at ``share`` from 0 to 1."""
        place = min(max(share, 0.0), 1.0) * (len(self.ramp) - 1)
        i = min(int(place), len(self.ramp) - 2)
        return mixed(QColor(self.ramp[i]), QColor(self.ramp[i + 1]), place - i)


DARK = Look(
    name="dark",
    page="#0e1217",
    card="#171d24",
    raised="#242c35",
    line="#29323c",
    ink="#eef2f6",
    dim="#9aa7b4",
    accent="#8cc8ff",
    on_accent="#0b1a28",
    trace="#8cc8ff",
    good="#3fd6a6",
    low="#f2b84b",
    firm="#e3c565",
    bad="#ff7b72",
    band="#17453c",
    grid="#262f39",
    skin="#5b4e48",
    shade="#483d39",
    hair="#342b28",
    headband="#5d6f78",
    lips="#935f5b",
    feature="#c3ab9f",
    ramp=("#2b3a55", "#2c5078", "#31708f", "#3f9192", "#79b183", "#bccb72", "#f2e27a"),
)
LIGHT = Look(
    name="light",
    page="#f5f1ee",
    card="#ffffff",
    raised="#f0ebe7",
    line="#e6dfda",
    ink="#1d232a",
    dim="#5f6872",
    accent="#0a6cb0",
    on_accent="#ffffff",
    trace="#0a6cb0",
    good="#086f4d",
    low="#9a5b00",
    firm="#6c5b00",
    bad="#b3261e",
    band="#d3efe3",
    grid="#ece6e1",
    skin="#f6e9e0",
    shade="#ead7cb",
    hair="#8c766a",
    headband="#b7cfcb",
    lips="#d9a59d",
    feature="#8f7468",
    ramp=("#dfe8ee", "#bcd5e6", "#8fbbd9", "#5d9bc6", "#357aab", "#1f5788", "#143a63"),
)


def mixed(a: QColor, b: QColor, share: float) -> QColor:
    """Colour ``share`` of the way from ``a`` to ``b``."""
    return QColor.fromRgbF(
        a.redF() + (b.redF() - a.redF()) * share,
        a.greenF() + (b.greenF() - a.greenF()) * share,
        a.blueF() + (b.blueF() - a.blueF()) * share,
    )


def faded(colour: QColor, alpha: float) -> QColor:
    """The same colour with opacity ``alpha`` from 0 to 1."""
    out = QColor(colour)
    out.setAlphaF(alpha)
    return out


def luminance(colour: QColor) -> float:
    """Relative luminance after WCAG 2.2, 0 to 1."""

    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(colour.redF()) + 0.7152 * linear(colour.greenF()) + 0.0722 * linear(colour.blueF())


def contrast(a: QColor, b: QColor) -> float:
    """Contrast ratio after WCAG 2.2, 1 to 21."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def legible_on(ground: QColor) -> QColor:
    """Near-black or white, whichever is easier to read on ``ground``."""
    black, white = QColor("#030405"), QColor("#ffffff")
    return black if contrast(black, ground) >= contrast(white, ground) else white


def font(px: float, *, bold: bool = False, strong: bool = False) -> QFont:
    """The dashboard's font; digits all have the same width, so that numbers do not jump."""
    out = QFont()
    out.setFamilies(list(FAMILIES))
    out.setPixelSize(max(round(px), 1))
    out.setWeight(QFont.Weight.Bold if bold else QFont.Weight.DemiBold if strong else QFont.Weight.Normal)
    out.setFeature(QFont.Tag("tnum"), 1)
    return out


def look_for(mode: str) -> Look:
    """Colour scheme of a mode; ``system`` follows the desktop, and is dark when the desktop does not say."""
    if mode == "system":
        light = QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Light
        return LIGHT if light else DARK
    return LIGHT if mode == "light" else DARK


def prepare(app: QApplication) -> None:
    """Load the bundled font and set the style that all pictures agree on. Harmless when repeated."""
    if "Inter" not in QFontDatabase.families():
        for file in resources.files("roller_host.dashboard").joinpath("fonts").iterdir():
            if file.name.endswith(".otf"):
                QFontDatabase.addApplicationFontFromData(file.read_bytes())
    app.setStyle(QStyleFactory.create("Fusion"))
    app.setFont(font(BODY))


def palette(look: Look) -> QPalette:
    """Qt palette of a colour scheme, for everything that no style sheet reaches."""
    out = QPalette()
    role = QPalette.ColorRole
    for where, name in (
        (role.Window, "page"),
        (role.WindowText, "ink"),
        (role.Base, "card"),
        (role.AlternateBase, "raised"),
        (role.Text, "ink"),
        (role.Button, "raised"),
        (role.ButtonText, "ink"),
        (role.Highlight, "accent"),
        (role.HighlightedText, "on_accent"),
        (role.PlaceholderText, "dim"),
        (role.ToolTipBase, "raised"),
        (role.ToolTipText, "ink"),
        (role.Mid, "line"),
    ):
        out.setColor(where, look.tone(name))
    return out


def _table_style(look: Look) -> str:
    return f"""
    QTableWidget {{
        background: transparent; border: none; outline: none; font-size: 13px;
        selection-background-color: {look.raised}; selection-color: {look.ink};
    }}
    QTableWidget::item {{ padding: 0 4px; border-bottom: 1px solid {look.line}; }}
    QTableWidget:focus {{ border: 2px solid {look.accent}; border-radius: 6px; }}
    QHeaderView {{ background: transparent; }}
    QHeaderView::section {{
        background: transparent; color: {look.dim}; border: none; border-bottom: 1px solid {look.dim};
        padding: 4px 6px; font-size: 12px;
    }}
    """


def style_sheet(look: Look) -> str:
    """Style sheet of the window for a colour scheme."""
    return f"""
    QWidget {{ color: {look.ink}; }}
    QMainWindow, QMessageBox, QWidget#page {{ background: {look.page}; }}
    QLabel, QWidget#plain {{ background: transparent; }}
    QLabel[role="dim"] {{ color: {look.dim}; }}
    QLabel[role="problem"] {{ color: {look.bad}; }}
    QPushButton {{
        background: {look.raised}; border: 1px solid {look.line}; border-radius: 9px; padding: 6px 14px;
    }}
    QPushButton:hover {{ border-color: {look.dim}; }}
    QPushButton:focus {{ border: 2px solid {look.accent}; padding: 5px 13px; }}
    QPushButton[role="chip"], QPushButton[role="chip"]:focus {{ padding: 5px 2px; }}
    QPushButton:disabled {{ color: {look.dim}; }}
    QPushButton[role="primary"] {{
        background: {look.accent}; color: {look.on_accent}; border-color: {look.accent}; font-weight: 600;
    }}
    QPushButton[role="primary"]:focus {{ border: 2px solid {look.ink}; }}
    QPushButton[role="primary"]:disabled {{ background: {look.raised}; color: {look.dim}; border-color: {look.line}; }}
    Banner QPushButton {{ background: {look.card}; border-color: {look.dim}; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0 0 0 4px; }}
    QScrollBar::handle:vertical {{ background: {look.dim}; border-radius: 3px; min-height: 36px; }}
    QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0; }}
    QScrollBar::add-page:vertical, QScrollBar::sub-page:vertical {{ background: transparent; }}
    QLineEdit {{
        background: {look.card}; border: 1px solid {look.line}; border-radius: 9px; padding: 6px 10px;
        selection-background-color: {look.accent}; selection-color: {look.on_accent};
    }}
    QLineEdit:focus {{ border: 2px solid {look.accent}; padding: 5px 9px; }}
    QLabel:disabled {{ color: {look.dim}; }}
    QComboBox QAbstractItemView {{
        background: {look.card}; border: 1px solid {look.dim}; outline: none;
        selection-background-color: {look.raised}; selection-color: {look.ink};
    }}
    QListWidget {{ background: transparent; border: none; outline: none; }}
    {_table_style(look)}
    QToolTip {{
        background: {look.raised}; color: {look.ink}; border: 1px solid {look.line}; padding: 5px; font-size: 13px;
    }}
    """
