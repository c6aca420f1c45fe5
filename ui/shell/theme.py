"""How the window looks: two neutral themes, one accent colour, one warning colour, an 8 px grid."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QPoint
from PySide6.QtGui import QBrush, QColor, QFont, QFontDatabase, QImage, QPainter, QPalette, QPen
from PySide6.QtWidgets import QApplication

from lingbot_live.colormap import INVALID_RGB
from lingbot_live.errors import ConfigError

GRID_PX = 8
_HATCH_RGB = (50, 53, 60)


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one look, as #rrggbb."""

    name: str
    window: str  # behind everything
    panel: str  # headers, tool bars, buttons
    view: str  # behind the images
    field: str  # text entry
    line: str  # thin separators
    text: str
    dim: str  # secondary text
    accent: str
    on_accent: str
    warning: str
    warning_fill: str


DARK = Theme(
    name="dark",
    window="#1b1d20",
    panel="#24272b",
    view="#121315",
    field="#17191c",
    line="#383c42",
    text="#e4e6e9",
    dim="#9aa1aa",
    accent="#4c9aff",
    on_accent="#0b1320",
    warning="#f2a33a",
    warning_fill="#3a2c17",
)
LIGHT = Theme(
    name="light",
    window="#f1f2f4",
    panel="#e5e7ea",
    view="#d3d6db",
    field="#ffffff",
    line="#c2c6cc",
    text="#1d2125",
    dim="#5a626b",
    accent="#0b62d6",
    on_accent="#ffffff",
    warning="#a85a00",
    warning_fill="#ffeccf",
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}

# Told apart on dark and light alike, also with red-green blindness (after Okabe and Ito, 2008);
# none is the accent or the warning colour.
_CAMERA_COLORS = ("#56b4e9", "#e69f00", "#00a878", "#d67ab1", "#c8b900", "#8f7ee7")


def current() -> Theme:
    """Return the theme last applied, the dark one before that."""
    app = QApplication.instance()
    return THEMES[str(app.property("theme") or DARK.name)] if app else DARK


def camera_color(index: int) -> QColor:
    """Return the colour of the session's feed number ``index``: the same in every pane."""
    return QColor(_CAMERA_COLORS[index % len(_CAMERA_COLORS)])


def apply_theme(app: QApplication, name: str = "dark") -> Theme:
    """Give the whole application the look ``name``; safe to call again at any time.

    Raises:
        ConfigError: no theme has this name.
    """
    if name not in THEMES:
        raise ConfigError(f"theme {name!r}; known: {', '.join(THEMES)}")
    theme = THEMES[name]
    app.setProperty("theme", name)
    app.setStyle("Fusion")
    app.setFont(tabular(QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)))
    app.setPalette(_palette(theme))
    app.setStyleSheet(_stylesheet(theme))
    return theme


def tabular(font: QFont) -> QFont:
    """Return ``font`` with digits of one width, so that changing numbers do not jump."""
    out = QFont(font)
    if hasattr(out, "setFeature"):  # since Qt 6.7
        out.setFeature(QFont.Tag.fromString("tnum"), 1)
    return out


def asset_path(name: str) -> Path:
    """Return the path of a file of assets, in an installed wheel or in a checkout.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "assets", here.parent / "assets"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"asset {name} is missing from {here / 'assets'}; reinstall the app")


@functools.cache
def invalid_brush() -> QBrush:
    """Return the quiet dark hatch that stands for "no depth", in every theme."""
    tile = QImage(GRID_PX, GRID_PX, QImage.Format.Format_RGB32)
    tile.fill(QColor(*INVALID_RGB))
    painter = QPainter(tile)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(*_HATCH_RGB), 1.5))
    for shift in (-GRID_PX, 0, GRID_PX):
        painter.drawLine(QPoint(shift - 1, GRID_PX + 1), QPoint(shift + GRID_PX + 1, -1))
    painter.end()
    return QBrush(tile)


def _palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    colors = {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.field,
        role.AlternateBase: theme.panel,
        role.Text: theme.text,
        role.PlaceholderText: theme.dim,
        role.Button: theme.panel,
        role.ButtonText: theme.text,
        role.BrightText: theme.warning,
        role.Highlight: theme.accent,
        role.HighlightedText: theme.on_accent,
        role.Link: theme.accent,
        role.ToolTipBase: theme.panel,
        role.ToolTipText: theme.text,
        role.Mid: theme.line,
    }
    for key, value in colors.items():
        palette.setColor(key, QColor(value))
    for key in (role.WindowText, role.Text, role.ButtonText):
        faded = QColor(theme.dim)
        faded.setAlpha(140)
        palette.setColor(QPalette.ColorGroup.Disabled, key, faded)
    return palette


def _stylesheet(theme: Theme) -> str:
    return f"""
QToolTip {{ color: {theme.text}; background: {theme.panel}; border: 1px solid {theme.line};
  padding: 4px; }}
QToolBar {{ background: {theme.panel}; border: 0; padding: 4px 8px; spacing: 8px; }}
QStatusBar {{ background: {theme.panel}; color: {theme.dim}; }}
QStatusBar::item {{ border: 0; }}
QSplitter::handle, QMainWindow::separator {{ background: {theme.window}; width: 4px; height: 4px; }}
QDockWidget::title {{ background: {theme.panel}; padding: 4px 8px 0 8px; text-align: top left; }}
QToolButton {{ padding: 4px 8px; border: 1px solid transparent; border-radius: 4px; }}
QToolButton#qt_toolbar_ext_button {{ background: {theme.accent}; padding: 0; }}
QToolButton[popupMode="2"] {{ padding-right: 20px; }}
DepthScale QToolButton, CompareView QToolButton, QualityPanel QToolButton {{
  border-color: {theme.line}; }}
QToolButton:hover {{ background: {theme.line}; }}
QToolButton:checked {{ color: {theme.accent}; border-color: {theme.accent}; }}
QToolButton:focus {{ border-color: {theme.accent}; }}
QToolButton:disabled {{ color: {theme.dim}; }}
QCheckBox::indicator {{ width: 13px; height: 13px; border: 1px solid {theme.dim};
  border-radius: 2px; background: {theme.field}; }}
QCheckBox::indicator:checked {{ background: {theme.accent}; border-color: {theme.accent}; }}
QLabel#peek {{ color: {theme.text}; background: {theme.panel}; border: 1px solid {theme.line}; }}
QFrame#notice {{ background: {theme.warning_fill}; border: 0;
  border-left: 4px solid {theme.warning}; }}
QFrame#message {{ background: {theme.panel}; border: 0; border-left: 4px solid {theme.accent}; }}
QFrame#news {{ background: {theme.panel}; border: 1px solid {theme.accent}; border-radius: 4px; }}
"""
