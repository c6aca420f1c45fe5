"""The quality dock: numbers as they are, in the right columns, and regions drawn by hand."""

from __future__ import annotations

import pytest
from gui_wait import wait_for
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtTest import QTest
from rgbd_folder import write_examples

from lingbot_live.calibration.rig import Rig, RigCamera
from lingbot_live.config import RefinerConfig
from lingbot_live.frame import Extrinsics
from lingbot_live.quality.meter import QualitySnapshot
from ui.panels.quality_table import ROWS


@pytest.fixture
def folders(tmp_path):
    return tuple(f"folder:{write_examples(tmp_path / name, 1)}" for name in ("one", "two"))


@pytest.fixture
def window(window):
    window.refining.use(RefinerConfig("guided"))
    return window


def cell(window, key: str, column: int) -> str:
    item = window.quality.table.item(ROWS.index(key), column)
    return item.text() if item is not None else ""


def test_numbers_of_raw_and_refined_stand_side_by_side(window, folders):
    window.stage.open(folders)
    wait_for(lambda: len(window.panels) == 2 and all(p.refined.has_image for p in window.panels))
    window.docks.quality.show()
    window.quality.region_box.setCurrentText("100%")
    window.quality._on_percent()
    wait_for(lambda: cell(window, "roi_fill_share", 2) == "97.7")
    assert cell(window, "fill_share", 1) == "100.0"
    assert cell(window, "filled_share", 0) == "", "raw depth was not refined"
    assert float(cell(window, "filled_share", 1)) > 1
    heads = [window.quality.table.horizontalHeaderItem(i).text() for i in range(4)]
    assert heads == ["1  raw", "1  refined", "2  raw", "2  refined"]
    wait_for(lambda: window.quality.plot is not None and window.quality.plot._lines)
    stats = window.stats()["ui"]["metrics"]
    assert stats["cameras"] == 2
    assert stats["cost_ms"] > 0
    assert 0 < stats["core_share"] < 1
    window.rows.remove_selected()
    wait_for(lambda: window.quality.table.columnCount() == 2)
    assert window.docks.quality.isVisible(), "what is open stays open"


def test_a_given_distance_gives_the_accuracy(window, folders):
    window.stage.open((folders[0],))
    window.docks.quality.show()
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    window.panels[0].regionDrawn.emit(QRectF(0.3, 0.4, 0.15, 0.2), True)
    wait_for(lambda: cell(window, "plane_distance_mm", 0) == "800.0")
    assert cell(window, "z_error_mm", 0) == "n/a"
    window.quality.distance_box.setValue(0.79)
    wait_for(lambda: cell(window, "z_error_mm", 0) == "10.0")


def test_a_region_drawn_in_one_picture_shows_in_all_of_its_camera(window, folders):
    window.stage.open(folders)
    wait_for(lambda: len(window.panels) == 2 and all(p.refined.has_image for p in window.panels))
    window.docks.quality.show()
    first, second = window.panels
    centred = QRectF(0.3, 0.3, 0.4, 0.4)
    assert first.region == second.region == centred
    window.quality.draw_button.click()
    assert window.link.is_drawing
    start, end = (first.raw.position_of(QPointF(*at)).toPoint() for at in ((0.3, 0.4), (0.5, 0.7)))
    QTest.mousePress(first.raw, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(first.raw, end)
    QTest.mouseRelease(first.raw, Qt.MouseButton.LeftButton, pos=end)
    assert not window.link.is_drawing
    assert not window.quality.draw_button.isChecked()
    assert first.region.left() == pytest.approx(0.3, abs=0.02)
    assert second.region == centred, "it is not known where the second camera stands"
    assert window.quality.region_box.currentText() == "drawn"
    window.quality.region_box.setCurrentText("20%")
    window.quality._on_percent()
    assert first.region == QRectF(0.4, 0.4, 0.2, 0.2)
    window.docks.quality.hide()
    assert first.region is None


def test_where_cameras_stand_is_known_a_region_is_the_same_place_in_space(window, folders):
    window.stage.open(folders)
    wait_for(lambda: len(window.panels) == 2 and all(p.refined.has_image for p in window.panels))
    window.docks.quality.show()
    names = [panel.view.feed.name for panel in window.panels]
    aside = Extrinsics(translation_m=(0.1, 0.0, 0.0))  # of the second camera, to the right
    window.rows.set_rig(Rig((RigCamera(names[0]), RigCamera(names[1], aside))))
    window.panels[0].regionDrawn.emit(QRectF(0.3, 0.4, 0.15, 0.2), True)
    moved = window.panels[1].region
    assert moved.left() == pytest.approx(0.3 - 0.1 / 0.8 * 150 / 160, abs=0.01)
    assert moved.width() == pytest.approx(0.15, abs=0.02)


def test_a_scale_that_disagrees_is_warned_of(window, folders):
    window.stage.open((folders[0],))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image)
    view = window.panels[0].view
    from ui.panels.quality_work import Measured

    text = "refined depth is 1.100 times the raw depth"
    snapshot = QualitySnapshot({}, {}, {"scale_ratio": 1.1}, 1, 1.0, (text,))
    window.quality._show(Measured({view.number: snapshot}, 1.0, 0.1))
    assert window.quality.warning.text() == f"{view.title}: {text}"
    assert not window.quality.warning.isHidden()
    window.quality._show(Measured({view.number: QualitySnapshot({}, {}, {}, 1, 1.0)}, 1.0, 0.1))
    assert window.quality.warning.isHidden()
