"""Themes and assets."""

from __future__ import annotations

import dataclasses

import pytest
from PySide6.QtGui import QColor, QImage, QPalette
from PySide6.QtWidgets import QLabel

from lingbot_live.errors import ConfigError
from ui.shell import theme
from ui.shell.notice import Notice
from ui.views.image_view import ImageView


@pytest.fixture(autouse=True)
def plain_again(qapp):
    yield
    theme.apply_theme(qapp, "dark")


def contrast(one, other):
    """Contrast ratio of two colours (WCAG 2.2)."""
    light = sorted((_luminance(one), _luminance(other)))
    return (light[1] + 0.05) / (light[0] + 0.05)


def _luminance(color):
    channels = QColor(color).getRgbF()[:3]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(c * w for c, w in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


@pytest.mark.parametrize("name", theme.THEMES)
def test_every_text_can_be_read(name):
    look = theme.THEMES[name]
    for ground in (look.window, look.panel, look.field, look.view):
        assert contrast(look.text, ground) >= 7
        assert contrast(look.dim, ground) >= 4.2
    assert contrast(look.text, look.warning_fill) >= 7
    assert contrast(look.on_accent, look.accent) >= 4.5
    assert contrast(look.warning, look.window) >= 3


@pytest.mark.parametrize("name", theme.THEMES)
def test_applying_a_theme_reaches_palette_and_own_painting(qapp, show, name):
    look = theme.apply_theme(qapp, name)
    assert theme.current() == look == theme.THEMES[name]
    assert QLabel().palette().color(QPalette.ColorRole.WindowText) == QColor(look.text)
    view = show(ImageView("Colour"))
    assert view.grab().toImage().pixelColor(1, 1) == QColor(look.panel)
    assert view.grab().toImage().pixelColor(view.rect().center()) == QColor(look.view)
    notice = Notice()
    notice.show_error("text")
    show(notice)
    assert notice.grab().toImage().pixelColor(1, 5) == QColor(look.warning)


def test_an_open_view_follows_a_change_of_theme(qapp, show):
    theme.apply_theme(qapp, "dark")
    view = show(ImageView("Colour"))
    theme.apply_theme(qapp, "light")
    qapp.processEvents()
    assert view.grab().toImage().pixelColor(1, 1) == QColor(theme.LIGHT.panel)


def test_digits_have_one_width(qapp):
    theme.apply_theme(qapp)
    metrics = QLabel().fontMetrics()
    assert len({metrics.horizontalAdvance(digit * 8) for digit in "0123456789\u2007"}) == 1


def test_every_colour_is_a_colour():
    for look in theme.THEMES.values():
        values = [v for k, v in dataclasses.asdict(look).items() if k != "name"]
        assert all(QColor(v).isValid() for v in values)


def test_an_unknown_theme_names_the_known_ones(qapp):
    with pytest.raises(ConfigError, match="dark, light"):
        theme.apply_theme(qapp, "blue")


def test_assets_are_found_or_missed_by_name():
    icon = QImage(str(theme.asset_path("icon.png")))
    assert (icon.width(), icon.height()) == (256, 256)
    assert theme.asset_path("icon.svg").read_text(encoding="utf-8").startswith("<svg")
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        theme.asset_path("nothing.png")


@pytest.mark.parametrize("name", theme.THEMES)
def test_cameras_have_colours_of_their_own(name):
    colors = [theme.camera_color(index).name() for index in range(6)]
    assert len(set(colors)) == 6
    assert theme.camera_color(6).name() == colors[0]
    assert not {theme.THEMES[name].accent, theme.THEMES[name].warning} & set(colors)
