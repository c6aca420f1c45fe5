"""Points clicked in colour pictures are followed: trails in pictures and 3D view, numbers."""

from __future__ import annotations

import itertools
import os
import sys
import threading

import numpy as np
import pytest
from gui_wait import wait_for
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest

from lingbot_live.calibration.rig import Rig, move_of
from lingbot_live.colormap import point_colors
from lingbot_live.config import RefinerConfig
from lingbot_live.perception.tracks import Lifted, Tracked
from lingbot_live.recording.recording import Recording
from ui.controllers.trails import Step, TrailPicture, Trails
from ui.shell.files import RecordChoices
from ui.shell.view_link import ViewLink
from ui.views.image_view import ImageView


def opened(window, *addresses):
    window.stage.refiner = RefinerConfig("none")
    window.stage.open(addresses)
    wait_for(
        lambda: (
            len(window.panels) == len(addresses)
            and all(panel.refined.has_image for panel in window.panels)
        ),
        60,
    )
    return window


@pytest.fixture
def table(window):
    return opened(window, "synthetic:table")


def position(panel, x, y):
    return panel.color.position_of(QPointF(x, y)).toPoint()


def click(window, x, y, camera=0):
    panel = window.panels[camera]
    QTest.mouseClick(panel.color, Qt.MouseButton.LeftButton, pos=position(panel, x, y))


def trails(window, camera=0):
    return window.perceiving.tracking.trails(window.panels[camera])


def test_clicked_points_are_followed(table):
    tracking = table.perceiving.tracking
    click(table, 0.5, 0.8)
    assert not trails(table).steps, "not before it is on"
    table.actions_["follow"].trigger()
    assert tracking.bar.isVisibleTo(table)
    click(table, 0.5, 0.8)
    wait_for(lambda: len(trails(table).steps) > 3)
    click(table, 0.3, 0.85)
    wait_for(lambda: len(trails(table).distance_m) == 2 and len(trails(table).steps) > 3)
    step = trails(table).steps[-1]
    assert step.tracked.visible.all()
    start = np.array([[0.5 * 640, 0.8 * 480], [0.3 * 640, 0.85 * 480]])
    assert np.abs(step.tracked.pixels - start).max() < 3, "the table stands still"
    assert (step.lifted.points_m[:, 2] > 0.4).all()
    wait_for(lambda: "2 of 2 points seen" in tracking.bar.words.text())
    assert table.panels[0].color.above
    wait_for(lambda: len({rgb for _, _, rgb in table.cloud.view.lines}) == 2)
    colors = {tuple(rgb) for rgb in point_colors(np.arange(2)).tolist()}
    assert {rgb for _, _, rgb in table.cloud.view.lines} == colors, "as in files"
    wait_for(lambda: tracking.bar.plot is not None)
    table.actions_["follow"].trigger()
    assert not table.panels[0].color.above
    assert not table.cloud.view.lines
    assert not trails(table).steps


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority there alone")
def test_following_gives_way_to_capture_and_pictures(table):
    table.actions_["follow"].trigger()
    click(table, 0.5, 0.8)
    wait_for(lambda: len(trails(table).steps) > 1)
    following = [thread for thread in threading.enumerate() if thread.name == "tracks"]
    assert [nice(thread.native_id) > nice(0) for thread in following] == [True]
    table.actions_["follow"].trigger()


def nice(thread):
    return os.getpriority(os.PRIO_PROCESS, thread)


def test_trails_of_several_cameras_stand_in_one_frame(window):
    opened(window, "synthetic:table", "synthetic:tof")
    names = [panel.view.feed.name for panel in window.panels]
    pose = move_of((5.0, 0.0, 0.0))
    window.rows.set_rig(Rig.of(names).with_camera(names[1], pose=pose))
    window.actions_["follow"].trigger()
    click(window, 0.5, 0.8)
    click(window, 0.4, 0.8, camera=1)
    wait_for(lambda: all(len(trails(window, camera).steps) > 3 for camera in (0, 1)), 30)

    def far_apart():
        first = np.array([line[0] for line in window.cloud.view.lines]).reshape(-1, 3)
        return (np.abs(first[:, 0]) < 2).any() and (np.abs(first[:, 0] - 5) < 2).any()

    wait_for(far_apart, 30)
    wait_for(lambda: "of 2 points seen" in window.perceiving.tracking.bar.words.text())
    assert all(panel.color.above for panel in window.panels)
    gone = window.panels[1]
    window.stage.remove(gone.view.feed)
    wait_for(lambda: gone not in window.panels)
    assert trails(window).steps, "the other's are followed on"
    wait_for(lambda: "of 1 points seen" in window.perceiving.tracking.bar.words.text())
    window.actions_["follow"].trigger()


def test_a_grid_and_a_region_are_followed(table):
    tracking = table.perceiving.tracking
    table.actions_["follow"].trigger()
    tracking.bar.region_button.click()
    assert table.link.is_drawing
    panel = table.panels[0]
    first, last = position(panel, 0.4, 0.6), position(panel, 0.6, 0.9)
    QTest.mousePress(panel.color, Qt.MouseButton.LeftButton, pos=first)
    QTest.mouseMove(panel.color, last)
    QTest.mouseRelease(panel.color, Qt.MouseButton.LeftButton, pos=last)
    assert not table.link.is_drawing
    assert not tracking.bar.region_button.isChecked()
    wait_for(lambda: len(trails(table).distance_m) == 25)
    u, v = (trails(table).steps[0].tracked.pixels / (640, 480)).T
    assert (np.ptp(u), np.ptp(v)) == pytest.approx((0.16, 0.24), abs=0.03)
    assert (u.mean(), v.mean()) == pytest.approx((0.5, 0.75), abs=0.03)
    tracking.bar.grid_button.click()
    wait_for(lambda: len(trails(table).distance_m) == 25 + 36)
    tracking.bar.grid_button.click()
    assert "64 points are followed at most" in table.desk.news.text
    tracking.bar.region_button.click()
    table.actions_["follow"].trigger()
    assert not table.link.is_drawing


def test_trails_begin_anew_where_a_recording_does():
    kept, place = Trails(), np.zeros((1, 3), np.float32)
    tracked = Tracked(np.zeros((1, 2), np.float32), np.ones(1, bool))
    for time_s in (4.0, 5.0, 0.5, 0.6):
        lifted = Lifted(place + np.float32(time_s), place, np.ones(1, np.float32))
        kept.add(Step(time_s, tracked, lifted))
    assert [step.time_s for step in kept.steps] == [0.5, 0.6]
    assert [told[0] for told in kept.history] == [0.5, 0.6]
    assert kept.distance_m[0] == pytest.approx(0.1 * np.sqrt(3), abs=1e-4)


def test_trails_end_in_dots_where_points_are_also_where_the_picture_moved(show):
    view = show(ImageView("Colour", ViewLink()))
    view.set_image(np.zeros((90, 120, 3), np.uint8))
    none, paths = (
        np.zeros((2, 3), np.float32),
        np.array([[[20, 30], [80, 60], [0, 80]], [[30, 60], [90, 20], [-5, 80]]]),
    )
    visible, lifted = np.array([True, False, True]), Lifted(none, none, np.ones(3, np.float32))
    steps = [Step(0.0, Tracked(places.astype(np.float32), visible), lifted) for places in paths]
    picture = TrailPicture(steps, (120, 90), view.plan())
    view.above["trails"] = lambda painter: picture.paint(painter, view)
    outside = view.position_of(QPointF(-4.5 / 120, 80.5 / 90))
    grabbed = view.grab().toImage()
    ratio = grabbed.devicePixelRatio()
    assert grabbed.pixelColor((outside * ratio).toPoint()) == QColor(view.plan().ground)
    for zoom in (1.0, 1.5):
        view.link.zoom_at(QPointF(0.5, 0.5), zoom)
        shown = view.grab().toImage()
        ratio = shown.devicePixelRatio()
        brightest = []
        for x, y in paths[-1, :2]:
            at = view.position_of(QPointF((x + 0.5) / 120, (y + 0.5) / 90)) * ratio
            brightest.append(shown.pixelColor(at.toPoint()).value())
            beside = at + QPointF(9, 0) * ratio
            assert shown.pixelColor(beside.toPoint()).value() == 0
        assert brightest[0] > 240
        assert 60 < brightest[1] < 120, "hidden"


def test_stopping_forgets_points(table):
    table.actions_["follow"].trigger()
    click(table, 0.5, 0.8)
    wait_for(lambda: trails(table).steps)
    panel = table.panels[0]
    table.stage.stop()
    assert not table.perceiving.tracking.trails(panel).steps
    table.actions_["follow"].trigger()


def test_the_axes_of_the_plot_stay_while_the_numbers_move(window):
    import pyqtgraph

    bar, changes = window.perceiving.tracking.bar, []
    bar.make_plot(pyqtgraph)
    trails, none = Trails(), np.zeros((1, 3), np.float32)
    tracked = Tracked(np.zeros((1, 2), np.float32), np.ones(1, bool))
    box = bar.plot.getViewBox()
    for number in range(40):
        if number == 20:
            box.sigRangeChanged.connect(lambda *_: changes.append(box.viewRange()))
        speed = np.full((1, 3), 0.35 + 0.01 * (number % 7), np.float32)
        trails.add(Step(number / 10, tracked, Lifted(none, speed, np.ones(1, np.float32))))
        bar.show_trails([trails])
    assert not changes
    (left, right), (low, high) = box.viewRange()
    assert (left, right, low, high) == (-20, 0, 0, 1), "fastest 0.71 m/s"
    faster = np.full((1, 3), 2.0, np.float32)
    trails.add(Step(4.0, tracked, Lifted(none, faster, np.ones(1, np.float32))))
    bar.show_trails([trails])
    assert box.viewRange()[1] == [0, 5]


def test_the_number_at_the_end_of_the_axis_is_seen_whole(window):
    import pyqtgraph

    bar, none = window.perceiving.tracking.bar, np.zeros((1, 3), np.float32)
    bar.make_plot(pyqtgraph)
    bar.show()
    trails, speed = Trails(), np.full((1, 3), 1.1, np.float32)
    tracked = Tracked(np.zeros((1, 2), np.float32), np.ones(1, bool))
    trails.add(Step(0.0, tracked, Lifted(none, speed, np.ones(1, np.float32))))
    bar.show_trails([trails])
    axis = bar.plot.getAxis("left")
    wait_for(lambda: axis.geometry().height() > 40)
    above = bar.plot.mapFromScene(axis.mapToScene(0, 0)).y()
    assert above >= bar.plot.fontMetrics().height() // 2, "half of it stands above the axis"
    grey = bar.plot.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
    numbers = [
        any(grey.pixelColor(x, y).lightness() > 70 for x in range(int(axis.width()) - 6))
        for y in range(bar.plot.height())
    ]
    assert not numbers[0], "nothing is cut off"
    starts = sum(not before and now for before, now in itertools.pairwise(numbers))
    assert starts == 3, "0, 1, 2"


def test_a_recording_holds_points_and_grasps(table, tmp_path):
    table.saving.use(RecordChoices(folder=str(tmp_path / "out"), name="a"))
    table.actions_["follow"].trigger()
    click(table, 0.5, 0.8)
    wait_for(lambda: trails(table).steps)
    table.actions_["record"].trigger()
    wait_for(lambda: table.recording.stats() is not None)
    at = len(trails(table).history)
    wait_for(lambda: len(trails(table).history) > at + 3)
    click(table, 0.3, 0.85)
    wait_for(lambda: len(trails(table).distance_m) == 2 and len(trails(table).steps) > 3)
    table.actions_["follow"].trigger()
    table.actions_["grasps"].trigger()
    wait_for(lambda: table.perceiving.grasping.scene is not None, 60)
    table.actions_["follow"].trigger()
    click(table, 0.5, 0.8)
    wait_for(lambda: len(trails(table).steps) > 1)
    shown = len(table.perceiving.grasping.scene.grasps)
    table.actions_["record"].trigger()
    wait_for(lambda: "written" in table.message.text)
    for command in ("grasps", "follow"):
        table.actions_[command].trigger()
    with Recording(tmp_path / "out" / "a.mcap") as recording:
        rows = [recording.points(number) for number in range(len(recording))]
        grasps = [recording.grasps(number) for number in range(len(recording))]
        texts = [event.text for event in recording.events if event.kind == "marker"]
    one, two = (f"tracking of {count} points begins" for count in (1, 2))
    end = "tracking ends"
    assert texts == [one, two, end, one, end], "the last one with the recording"
    pairs = [row for row in rows if row is not None and len(row["id"]) == 2]
    assert pairs
    for row in pairs:
        np.testing.assert_allclose(row["u"], (320, 192), atol=3)
        assert (row["z"] > 0.4).all()
    kept = [poses for poses in grasps if poses is not None]
    assert kept
    assert max(map(len, kept)) >= shown // 2 > 0
