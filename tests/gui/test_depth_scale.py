"""The shared colour bar: drag, type, menu, Auto."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDoubleSpinBox, QToolButton

from lingbot_live.colormap import NAMES, DepthRange, table
from lingbot_live.errors import ConfigError
from ui.views.depth_scale import ColorBar, DepthScale

ORIENTATIONS = [Qt.Orientation.Horizontal, Qt.Orientation.Vertical]


@pytest.fixture(params=ORIENTATIONS, ids=["horizontal", "vertical"])
def scale(request, show):
    across = request.param == Qt.Orientation.Horizontal
    return show(DepthScale(request.param), 600 if across else 96, 56 if across else 500)


@pytest.fixture
def heard(scale):
    """What the three signals said, in order."""
    said = []
    scale.rangeChanged.connect(said.append)
    scale.colormapChanged.connect(said.append)
    scale.autoChanged.connect(said.append)
    return said


def spot(bar, fraction):
    """Return the position on the bar that is ``fraction`` of the way from near to far."""
    if bar.width() > bar.height():
        return QPoint(round(bar.width() * fraction), 8)
    return QPoint(8, round(bar.height() * (1 - fraction)))


def drag(scale, start, end):
    bar = scale.findChild(ColorBar)
    QTest.mousePress(bar, Qt.MouseButton.LeftButton, pos=spot(bar, start))
    for fraction in ((start + end) / 2, end):
        QTest.mouseMove(bar, spot(bar, fraction))
        QApplication.processEvents()
    QTest.mouseRelease(bar, Qt.MouseButton.LeftButton, pos=spot(bar, end))


def boxes(scale):
    return scale.findChildren(QDoubleSpinBox)


def type_into(box, text):
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def auto_button(scale):
    return next(b for b in scale.findChildren(QToolButton) if b.text() == "Auto")


def test_dragging_the_far_end_moves_it_alone(scale, heard):
    scale.set_range(DepthRange(1.0, 3.0))
    drag(scale, 0.9, 0.65)
    assert scale.range.near_m == 1.0
    assert scale.range.far_m == pytest.approx(2.5, abs=0.02)
    assert heard[-1] == scale.range


def test_dragging_the_near_end_moves_it_alone(scale):
    scale.set_range(DepthRange(1.0, 3.0))
    drag(scale, 0.1, 0.35)
    assert scale.range.near_m == pytest.approx(1.5, abs=0.02)
    assert scale.range.far_m == 3.0


def test_dragging_the_middle_moves_both_but_not_below_zero(scale):
    scale.set_range(DepthRange(1.0, 3.0))
    drag(scale, 0.5, 0.75)
    assert scale.range.near_m == pytest.approx(1.5, abs=0.02)
    assert scale.range.far_m == pytest.approx(3.5, abs=0.02)
    scale.set_range(DepthRange(0.2, 2.2))
    drag(scale, 0.7, 0.3)
    assert scale.range.near_m == 0
    assert scale.range.far_m == pytest.approx(2.0)


def test_the_ends_cannot_cross(scale):
    scale.set_range(DepthRange(1.0, 3.0))
    drag(scale, 0.05, 1.0)
    drag(scale, 0.95, 0.0)
    assert scale.range.far_m > scale.range.near_m >= 1.0


def test_an_end_can_be_typed(scale, heard):
    near, far = boxes(scale)
    type_into(near, "0.5")
    assert (scale.range, heard) == (DepthRange(0.5, 5.0), [DepthRange(0.5, 5.0)])
    type_into(far, "2.25")
    assert scale.range == DepthRange(0.5, 2.25)


def test_typing_an_end_past_the_other_pushes_it(scale):
    near, far = boxes(scale)
    type_into(near, "6")
    assert scale.range.near_m == 6
    assert scale.range.far_m > 6
    type_into(far, "2")
    assert scale.range.far_m == 2
    assert scale.range.near_m < 2
    assert near.value() == pytest.approx(scale.range.near_m, abs=0.005)


def test_typing_one_end_keeps_the_digits_of_the_other(scale):
    scale.set_range(DepthRange(0.3217, 2.0))
    type_into(boxes(scale)[1], "3")
    assert scale.range == DepthRange(0.3217, 3.0)


def test_setting_the_same_again_says_nothing(scale, heard):
    scale.set_range(scale.range)
    scale.set_colormap(scale.colormap)
    scale.set_auto(False)
    assert heard == []


def test_auto_follows_the_scene_until_someone_takes_over(scale, heard):
    depth = np.random.default_rng(0).uniform(1.0, 2.0, (120, 160)).astype(np.float32)
    scale.offer(depth)
    assert heard == []
    QTest.mouseClick(auto_button(scale), Qt.MouseButton.LeftButton)
    assert heard == [True]
    for _ in range(60):
        scale.offer(depth)
    assert scale.range.near_m == pytest.approx(1.02, abs=0.05)
    assert scale.range.far_m == pytest.approx(1.98, abs=0.05)
    resting = len(heard)
    scale.offer(depth)
    assert len(heard) == resting
    drag(scale, 0.9, 0.8)
    assert not scale.is_auto
    assert False in heard


def test_auto_moves_gently(scale):
    scale.set_auto(True)
    scale.offer(np.full((120, 160), 9.0, np.float32))
    assert 4.0 < scale.range.far_m < 6.0


def test_auto_keeps_its_range_without_any_depth(scale, heard):
    scale.set_auto(True)
    scale.offer(np.zeros((120, 160), np.float32))
    assert heard == [True]


def test_the_menu_sets_ranges_auto_and_colours(scale, heard):
    menu = scale.build_menu()
    actions = {action.text(): action for action in menu.actions()}
    next(action for text, action in actions.items() if text.startswith("Hall")).trigger()
    assert scale.range == DepthRange(0.5, 10.0)
    actions["inferno"].trigger()
    assert scale.colormap == "inferno"
    actions["Auto, follow the scene"].trigger()
    assert scale.is_auto
    assert heard == [DepthRange(0.5, 10.0), "inferno", True]
    menu.deleteLater()


def test_the_bar_shows_near_to_far_in_the_chosen_colours(scale):
    bar = scale.findChild(ColorBar)
    for name in NAMES:
        scale.set_colormap(name)
        image = bar.grab().toImage()
        for fraction in (0.02, 0.5, 0.98):
            found = image.pixelColor(spot(bar, fraction))
            wanted = table(name)[1 + round(fraction * 1023)].astype(int)
            assert np.abs(wanted - [found.red(), found.green(), found.blue()]).max() <= 12


def test_an_unknown_colour_scale_is_refused(scale, heard):
    with pytest.raises(ConfigError, match="jet"):
        scale.set_colormap("jet")
    assert heard == []


@pytest.mark.parametrize("ends", [(0.3, 4.0), (0.0, 0.05), (1.0, 1.5), (0.5, 90.0)])
def test_ticks_are_round_and_inside(scale, ends):
    scale.set_range(DepthRange(*ends))
    ticks = scale.findChild(ColorBar).ticks_m()
    assert 2 <= len(ticks) <= 12
    assert ends[0] < ticks[0] < ticks[-1] < ends[1]
    step = ticks[1] - ticks[0]
    assert float(f"{step:.1g}") == pytest.approx(step)


def test_wider_and_narrower_keep_the_near_end(scale):
    scale.set_range(DepthRange(1.0, 3.0))
    scale.scale_far(0.5)
    assert scale.range == DepthRange(1.0, 2.0)
    scale.scale_far(1e9)
    assert scale.range == DepthRange(1.0, 100.0)
