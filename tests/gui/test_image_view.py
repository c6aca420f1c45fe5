"""Linked panes: zoom, position, cross-hair, read-out, invalid pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from lingbot_live.colormap import NAMES, DepthRange, colorize, table
from ui.shell.view_link import ViewLink
from ui.views.depth_view import DepthView
from ui.views.image_view import ImageView
from ui.views.lines import paint_cross


def gradient(height, width):
    """RGB that names its own place: red is the column, green the row."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.arange(width)
    rgb[..., 1] = np.arange(height)[:, None]
    return rgb


@pytest.fixture
def link(qapp):
    return ViewLink()


@pytest.fixture
def view(show, link):
    view = show(ImageView("Colour", link))
    view.set_image(gradient(90, 120))
    return view


def wheel(view, position, steps=1):
    event = QWheelEvent(
        position,
        view.mapToGlobal(position),
        QPoint(),
        QPoint(0, 120 * steps),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)


def hover(view, x, y):
    """Move the mouse over the centre of pixel (x, y) of the view's own image."""
    rect, size = view.image_rect(), view.image_size
    spot = QPointF(
        rect.x() + (x + 0.5) * rect.width() / size[0],
        rect.y() + (y + 0.5) * rect.height() / size[1],
    )
    QTest.mouseMove(view, spot.toPoint())
    QApplication.processEvents()


def color_at(view, place):
    """Return what stands on the screen at a place of the image."""
    shown = view.grab().toImage().pixelColor(view.position_of(place).toPoint())
    return shown.red(), shown.green(), shown.blue()


def test_the_image_is_fitted_with_its_aspect_kept(view):
    rect, pane = view.image_rect(), view.picture_rect()
    assert rect.width() / rect.height() == pytest.approx(120 / 90)
    assert rect.height() == pytest.approx(pane.height())
    assert rect.center().x() == pytest.approx(view.width() / 2, abs=1)
    assert color_at(view, QPointF(30.5 / 120, 20.5 / 90)) == (30, 20, 0)


def test_the_caller_may_reuse_the_array(view):
    pixels = np.full((90, 120, 3), 200, np.uint8)
    view.set_image(pixels)
    pixels[:] = 0
    assert color_at(view, QPointF(0.5, 0.5)) == (200, 200, 200)


def test_a_slice_of_a_larger_image_is_shown_right(view):
    view.set_image(gradient(200, 240)[10:100, ::2])
    assert color_at(view, QPointF(30.5 / 120, 20.5 / 90)) == (60, 30, 0)


def test_the_wheel_zooms_at_the_cursor_in_every_view(show, link, view):
    other = show(DepthView("Raw depth", link), 500, 260)
    other.set_depth(np.ones((45, 60), np.float32))
    spot = QPointF(220, 130)
    place = view.place_at(spot)
    wheel(view, spot, 4)
    assert link.zoom == pytest.approx(4)
    assert (view.position_of(place) - spot).manhattanLength() < 1e-6
    assert view.place_at(QPointF(view.picture_rect().center())).x() == pytest.approx(
        other.place_at(QPointF(other.picture_rect().center())).x(), abs=0.01
    )
    assert other.image_rect().width() == pytest.approx(4 * 4 / 3 * other.picture_rect().height())


def test_zoom_has_limits_and_the_image_stays_in_sight(link, view):
    wheel(view, QPointF(200, 150), -5)
    assert link.zoom == 1
    wheel(view, QPointF(200, 150), 100)
    assert link.zoom == 64
    link.pan_by(QPointF(9, -9))
    assert 0 < link.center.y() < link.center.x() < 1


def test_dragging_moves_what_lies_under_the_mouse(link, view):
    wheel(view, QPointF(200, 150), 4)
    place = view.place_at(QPointF(200, 150))
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 150))
    QTest.mouseMove(view, QPoint(230, 140))
    QApplication.processEvents()
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(230, 140))
    assert (view.position_of(place) - QPointF(230, 140)).manhattanLength() < 1e-6
    QTest.mouseMove(view, QPoint(100, 100))
    QApplication.processEvents()
    assert (view.position_of(place) - QPointF(230, 140)).manhattanLength() < 1e-6


def test_a_double_click_fits_again(link, view):
    wheel(view, QPointF(20, 50), 4)
    QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 150))
    assert (link.zoom, link.center) == (1, QPointF(0.5, 0.5))


def test_magnified_pixels_stay_sharp(link, view):
    link.show_at(QPointF(0.5, 0.5), 32)
    left, right = (color_at(view, QPointF((60 + part) / 120, 45.5 / 90)) for part in (0.1, 0.9))
    assert left == right == (60, 45, 0)


def test_the_cross_hair_is_in_all_views_even_of_other_size(show, link, view):
    other = show(DepthView("Raw depth", link), 300, 300)
    other.set_depth(np.full((180, 240), 2.0, np.float32))
    empty = [w.grab().toImage() for w in (view, other)]
    hover(view, 30, 20)
    assert view.cursor_pixel() == (30, 20)
    assert other.cursor_pixel() in {(60 + i, 40 + j) for i in (0, 1) for j in (0, 1)}
    for widget, before in zip((view, other), empty, strict=True):
        after = widget.grab().toImage()
        at = widget.position_of(link.cursor).toPoint()
        for dot in (QPoint(at.x(), at.y() - 20), QPoint(at.x() + 30, at.y())):
            assert after.pixel(dot) != before.pixel(dot)
        far = QPoint(at.x() + 30, at.y() + 30)
        assert after.pixel(far) == before.pixel(far)


def test_the_cross_hair_goes_when_the_mouse_leaves(link, view):
    hover(view, 30, 20)
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    assert link.cursor is None
    hover(view, 30, 20)
    QTest.mouseMove(view, QPoint(200, 3))
    QApplication.processEvents()
    assert link.cursor is None


@pytest.mark.parametrize("pixel", [(0, 0), (119, 89), (57, 33)])
@pytest.mark.parametrize("zoom", [1.0, 7.0])
def test_the_read_out_is_asked_for_the_pixel_under_the_mouse(link, view, pixel, zoom):
    link.show_at(QPointF((pixel[0] + 0.5) / 120, (pixel[1] + 0.5) / 90), zoom)
    view.set_readout(lambda x, y: f"{x}, {y}")
    hover(view, *pixel)
    assert view.readout_text == f"{pixel[0]}, {pixel[1]}"


def test_the_read_out_follows_new_depth_under_a_resting_mouse(show, link):
    view = show(DepthView("Raw depth", link))
    depth = np.zeros((90, 120), np.float32)
    view.set_depth(depth)
    hover(view, 50, 40)
    assert view.readout_text == "no reading"
    newer = depth.copy()
    newer[40, 50] = 1.482
    view.set_depth(newer)
    assert view.readout_text == "1.482 m"
    before = view.grab().toImage()
    view.set_readout(lambda x, y: "something longer")
    assert view.grab().toImage() != before


@pytest.mark.parametrize("name", NAMES)
def test_invalid_depth_is_a_pattern_of_no_data_colour(show, name):
    view = show(DepthView("Raw depth"), 400, 348)
    view.set_colormap(name)
    view.set_depth(np.zeros((300, 400), np.float32))
    pane = view.picture_rect().adjusted(2, 2, -2, -2)
    image = view.grab(pane).toImage()
    seen = {image.pixel(x, y) & 0xFFFFFF for x in range(64) for y in range(64)}
    assert len(seen) > 1
    colors = np.array([[c >> 16, c >> 8 & 255, c & 255] for c in seen])
    assert colors.max() < 80
    distance = np.abs(colors[:, None] - table(name)[1:].astype(int)).max(axis=-1)
    assert distance.min() > 2


def test_depth_is_shown_in_the_colours_of_range_and_scale(show):
    view = show(DepthView("Raw depth"))
    depth = np.linspace(0.5, 3.5, 120, dtype=np.float32)[None].repeat(90, 0).copy()
    view.set_depth(depth)
    place = QPointF(80.5 / 120, 0.5)
    for scale, name in ((DepthRange(), "viridis"), (DepthRange(1, 3), "turbo")):
        view.set_range(scale)
        view.set_colormap(name)
        assert color_at(view, place) == tuple(colorize(depth, scale, name)[45, 80])


def test_without_an_image_the_placeholder_stands_there(show, view):
    view.set_placeholder("Waiting for the camera…")
    with_image = view.grab().toImage()
    view.set_image(None)
    words = view.grab().toImage()
    view.set_placeholder("")
    nothing = view.grab().toImage()
    assert with_image != words != nothing
    hover_spot = QPoint(200, 150)
    QTest.mouseMove(view, hover_spot)
    QApplication.processEvents()
    assert view.link.cursor is None
    assert view.readout_text == ""


def test_a_shrunk_image_keeps_its_mean_instead_of_skipping_pixels(show):
    stripes = np.zeros((600, 800, 3), np.uint8)
    stripes[:, ::4] = 240
    view = show(ImageView("Colour"), 160, 168)
    view.set_image(stripes)
    rect = view.image_rect().toRect().adjusted(4, 4, -4, -4)
    image = view.grab(rect).toImage()
    values = [image.pixelColor(x, 20).red() for x in range(image.width())]
    assert 40 < min(values) <= max(values) < 130


def test_a_long_header_stays_inside_a_narrow_pane(show, view):
    view.set_stat("kept 78 changed 3 filled 18 %" * 5)
    view.resize(view.minimumSize())
    image = view.grab().toImage()
    assert (image.width(), image.height()) == (160, 120)
    assert view.picture_rect().height() >= 64


def test_title_and_stat_are_shown_and_named(show, view):
    before = view.grab().toImage()
    view.set_stat("fill 81.4 %")
    assert view.grab().toImage() != before
    view.set_title("Raw depth")
    assert view.accessibleName() == "Raw depth"


@pytest.mark.parametrize(
    "at", [QPointF(-30, 40), QPointF(230, 40), QPointF(60, -30), QPointF(60, 150)]
)
def test_a_cross_hair_beside_the_pane_reaches_across_it(qapp, at):
    image = QImage(200, 120, QImage.Format.Format_RGB32)
    image.fill(QColor(0, 0, 0))
    painter = QPainter(image)
    paint_cross(painter, image.rect(), at)
    painter.end()
    inside = image.rect().contains(at.toPoint().x(), 60)
    ends = [(round(at.x()), 0), (round(at.x()), 119)] if inside else [(0, 40), (199, 40)]
    assert all(image.pixelColor(*end).value() > 100 for end in ends)
