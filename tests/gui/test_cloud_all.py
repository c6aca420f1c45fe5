"""Several cameras in one cloud: places, switches, colours, and the tools that measure there."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import numpy as np
import pytest
from gui_wait import pass_time, wait_for
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from rgbd_folder import write_examples

from lingbot_live.calibration.rig import Rig, RigCamera, move_of
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Calibration, Extrinsics, Frame, Intrinsics, RefinedFrame, RefinerInfo
from lingbot_live.quality.ruler import Box
from ui.cloud.link import CloudProcess, CloudState
from ui.cloud.memory import Ask
from ui.cloud.scene import Coloring, Layer, Orbit, ViewSettings
from ui.cloud.tools import Tool
from ui.cloud.view import CloudView
from ui.shell import theme

K = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
BACKGROUND = (10, 20, 30)
BLUE, ORANGE = (80, 160, 240), (240, 160, 20)
ASIDE = move_of((0.9, 0.0, 0.0))  # the second camera stands 0.9 m to the right of the first


def wall(camera, depth_m=1.0, grey=255):
    """Return a flat wall across the view."""
    color = np.full((120, 160, 3), grey, np.uint8)
    raw = np.full((120, 160), round(1000 * depth_m), np.uint16)
    depth = np.full((120, 160), depth_m, np.float32)
    frame = Frame(camera, 0, 0, 0, color, raw, 0.001, Calibration(K))
    return RefinedFrame(frame, depth, depth > 0, RefinerInfo("none"), 0, 0)


def layers(*shown, pose=ASIDE):
    return (Layer(shown[0], BLUE), Layer(shown[1], ORANGE, pose))


def view(**changes):
    known = {"width": 320, "height": 160, "point_size_px": 5, "background_rgb": BACKGROUND,
             "coloring": Coloring.CAMERA, "layers": layers(True, True)}  # fmt: skip
    return ViewSettings(**{**known, **changes})


@contextlib.contextmanager
def running():
    """Two walls side by side: the first camera's at the left, the second's at the right."""
    made = CloudProcess(view(), max_fps=60)
    made.submit(wall("a"), 0)
    made.submit(wall("b"), 1)
    made.start()
    wait_for(lambda: made.pid is not None)
    yield made
    pid = made.pid
    made.close()
    assert pid is None or not os.path.exists(f"/proc/{pid}")


@pytest.fixture(scope="module")
def process(qapp):
    """One for all tests that only look."""
    with running() as made:
        yield made


def picture(process, **changes):
    count = process.status.pictures
    wanted = view(**changes, home=count + 1)
    process.set_view(wanted)
    wait_for(lambda: process.status.view == wanted)
    return process.latest_image()


def shades(image):
    """Return the colours of the middles of the left and the right half."""
    return [tuple(int(n) for n in image[80, x]) for x in (70, 250)]


def lit(rgb):
    return tuple(int(min(255, 1.15 * n)) for n in rgb)


def test_each_camera_stands_at_its_place_in_its_colour(process):
    image = picture(process)
    assert process.status.points == 2 * 160 * 120
    left, right = shades(image)
    np.testing.assert_allclose(left, lit(BLUE), atol=2)
    np.testing.assert_allclose(right, lit(ORANGE), atol=2)


def test_each_camera_can_be_switched_off(process):
    image = picture(process, layers=layers(True, False))
    assert process.status.points == 160 * 120
    assert tuple(image[80, 160]) != BACKGROUND
    picture(process, layers=layers(False, True))
    assert process.status.points == 160 * 120
    picture(process, layers=layers(True, True)[:1])
    assert process.status.points == 160 * 120, "no layer, no cloud"
    assert (picture(process, layers=layers(False, False)) == BACKGROUND).all()


def test_true_and_depth_colours_hold_for_all(process):
    for image in (picture(process, coloring=Coloring.RGB),):
        assert shades(image) == [(255, 255, 255)] * 2
    near, far = shades(picture(process, coloring=Coloring.DEPTH))
    assert near == far != (255, 255, 255)


def test_a_forgotten_camera_goes_and_comes_again(process):
    picture(process)
    process.forget(1)
    wait_for(lambda: process.status.points == 160 * 120)
    process.submit(wall("b"), 1)
    wait_for(lambda: process.status.points == 2 * 160 * 120)


@pytest.mark.skipif(sys.platform != "linux", reason="sends SIGKILL")
def test_a_killed_child_draws_all_cameras_again():
    with running() as process:
        picture(process)
        os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: process.status.restarts == 1)
        wait_for(lambda: process.status.state is CloudState.RUNNING)
        assert process.status.points == 2 * 160 * 120
        np.testing.assert_allclose(shades(process.latest_image())[1], lit(ORANGE), atol=2)


def answer(process, ask):
    count = process.status.answers
    process.ask(ask)
    wait_for(lambda: process.status.answers > count)
    return process.status.answer


def test_a_place_of_the_picture_is_a_point_of_one_camera(process):
    picture(process)
    found = answer(process, Ask("look", (250.0, 80.0)))
    assert found.ask.purpose == "look"
    assert found.slot == 1
    assert found.point_m[2] == pytest.approx(1.0, abs=1e-6)
    assert found.point_m[0] > 0.9 - 79.5 / 150
    picture(process, orbit=Orbit(zoom=0.4))
    assert answer(process, Ask("look", (2.0, 2.0))).point_m is None


def test_a_rectangle_gives_a_plane_for_each_camera_and_a_box(process):
    picture(process)
    tilted = move_of((0.9, 0.0, 0.02), (0.0, 3.0, 0.0))
    picture(process, layers=layers(True, True, pose=tilted))
    found = answer(process, Ask("plane", (60.0, 60.0), (260.0, 100.0)))
    (_, first), (_, second) = found.planes
    assert [slot for slot, _ in found.planes] == [0, 1]
    assert first.rms_mm < 1e-3
    assert first.distance_m == pytest.approx(1.0, abs=1e-6)
    assert second.tilt_deg == pytest.approx(3.0, abs=0.01)
    assert found.box.low_m[0] < 0 < 0.9 < found.box.high_m[0]


def test_a_box_hides_what_lies_outside(process):
    picture(process, box=Box((-2, -2, 0.5), (0.0, 2, 1.5)))
    assert process.status.points == 80 * 120
    picture(process, box=Box((-2, -2, 1.5), (2, 2, 2.5)))
    assert process.status.points == 0


def test_more_cameras_than_fit_are_refused():
    with pytest.raises(ConfigError, match="at most 4"):
        ViewSettings(layers=(Layer(),) * 5)


# ---- the pane ------------------------------------------------------------------------------------


@pytest.fixture
def pane(qapp):
    made = CloudView(process=CloudProcess(max_fps=60))
    made.resize(500, 400)
    made.show()
    made.set_layers(layers(True, True))
    made.show_frame(wall("a"), 0)
    made.show_frame(wall("b", 1.2), 1)
    wait_for(lambda: made.process.status.points == 2 * 160 * 120)
    wait_for(lambda: made.canvas.text == "")
    yield made
    made.stop()
    made.close()
    made.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def at(pane, x, y):
    rect = pane.canvas.picture_rect()
    return (rect.topLeft() + QPointF(rect.width() * x, rect.height() * y)).toPoint()


def click(pane, x, y):
    count = pane.process.status.answers
    QTest.mouseClick(pane.canvas, Qt.MouseButton.LeftButton, pos=at(pane, x, y))
    wait_for(lambda: pane.process.status.answers > count)
    pass_time(50)


def drag(pane, first, last):
    count = pane.process.status.answers
    QTest.mousePress(pane.canvas, Qt.MouseButton.LeftButton, pos=at(pane, *first))
    QTest.mouseMove(pane.canvas, at(pane, *last))
    pass_time(20)
    QTest.mouseRelease(pane.canvas, Qt.MouseButton.LeftButton, pos=at(pane, *last))
    wait_for(lambda: pane.process.status.answers > count)
    pass_time(50)


def test_two_clicks_measure_a_distance(pane):
    pane.tools.choose_length()
    click(pane, 0.3, 0.5)
    assert "click the second point" in pane.tools.label.text()
    click(pane, 0.7, 0.5)
    (mark,) = pane.canvas.marks
    far_mm = 1000 * np.linalg.norm(np.subtract(*mark.points_m))
    assert f"{far_mm:.1f} mm" in pane.tools.label.text()
    assert far_mm > 100
    pane.tools.end()
    assert not pane.canvas.marks
    assert pane.tools.isHidden()


def test_a_drag_fits_planes_and_says_how_they_differ(pane):
    pane.tools.choose_plane()
    orbit = pane.view.orbit
    drag(pane, (0.3, 0.35), (0.7, 0.65))
    text = pane.tools.label.text()
    assert text.count("RMS 0.00 mm") == 2
    assert "2 against 1: +200.0 mm, 0.00° apart" in text
    assert pane.view.orbit == orbit, "a drag that chooses a region does not orbit"
    control, left = Qt.KeyboardModifier.ControlModifier, Qt.MouseButton.LeftButton
    QTest.mousePress(pane.canvas, left, control, QPoint(100, 100))
    QTest.mouseMove(pane.canvas, QPoint(150, 100))
    pass_time(20)
    QTest.mouseRelease(pane.canvas, left, control, QPoint(150, 100))
    assert pane.view.orbit.yaw_deg == pytest.approx(20.0)


def test_the_crop_box_stays_while_measuring_and_goes_at_the_end(pane):
    pane.tools.choose_crop()
    drag(pane, (0.3, 0.3), (0.6, 0.7))
    wait_for(lambda: 0 < pane.process.status.points < 2 * 160 * 120)
    assert pane.view.box is not None
    pane.tools.choose_length()
    assert pane.view.box is not None
    pane.tools.end()
    wait_for(lambda: pane.process.status.points == 2 * 160 * 120)


def test_a_point_shows_what_the_owner_knows_of_it_and_keeps_it_new(pane):
    seen = []

    def values(point_m):
        seen.append(point_m)
        return [(0, f"value {len(seen)}"), (1, "other <b>")]

    pane.tools.values = values
    pane.tools.choose_point()
    click(pane, 0.3, 0.5)
    assert "value 1" in pane.tools.label.text()
    assert "other &lt;b&gt;" in pane.tools.label.text()
    pane.tools.refresh()
    assert "value 2" in pane.tools.label.text()
    assert seen[0] == seen[1]
    click(pane, 0.01, 0.01)
    assert "Nothing there" in pane.tools.label.text()
    pane.tools.choose_point()
    assert pane.tools.tool is Tool.NONE, "chosen again, it ends"


def test_marks_are_drawn_where_their_points_are(pane):
    pane.tools.choose_length()
    click(pane, 0.25, 0.5)
    image = pane.canvas.grab().toImage()
    place = at(pane, 0.25, 0.5)
    ring = [image.pixelColor(place + QPoint(dx, 0)).lightness() for dx in range(-8, 9)]
    assert max(ring) > 240


# ---- the window ----------------------------------------------------------------------------------


@pytest.fixture
def window(window, tmp_path):
    window.docks.cloud.show()
    folders = [f"folder:{write_examples(tmp_path / name, 2)}" for name in ("one", "two")]
    window.stage.open(tuple(folders))
    wait_for(lambda: len(window.panels) == 2 and all(p.refined.has_image for p in window.panels))
    return window


def test_the_window_gives_each_camera_its_layer_and_switch(window):
    cloud = window.cloud
    wait_for(lambda: len(cloud.view.layers) == 2 and cloud.view.coloring is Coloring.CAMERA)
    first, second = cloud.view.layers
    assert QTest.qWaitForWindowExposed(window)
    assert first.color_rgb == theme.camera_color(0).getRgb()[:3]
    assert first.pose == second.pose == Extrinsics()
    assert "no rig tells its place" in cloud.chips.buttons[1].toolTip()
    addresses = window.stage.addresses
    window.rigging.use(Rig((RigCamera(addresses[0]), RigCamera(addresses[1], ASIDE))))
    assert cloud.view.layers[1].pose == ASIDE
    assert "no rig" not in cloud.chips.buttons[1].toolTip()
    cloud.chips.buttons[0].click()
    assert [layer.is_shown for layer in cloud.view.layers] == [False, True]
    window.rows.select(window.panels[1])
    window.rows.remove_selected()
    wait_for(lambda: len(cloud.view.layers) == 1)
    assert cloud.view.coloring is Coloring.RGB
    assert not cloud.chips.buttons[0].isVisible()


def test_a_point_tells_every_cameras_depth(window):
    addresses = window.stage.addresses
    window.rigging.use(Rig((RigCamera(addresses[0]), RigCamera(addresses[1], ASIDE))))
    frame = window.panels[0].view.refined
    height, width = frame.depth_m.shape
    v, u = height // 2, width // 2
    k = frame.frame.intrinsics
    z = float(frame.depth_m[v, u]) or 1.0
    point = ((u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z)
    (one, first), (two, second) = window.cloud.tools.values(point)
    assert (one, two) == (0, 1)
    assert first.startswith(f"{z:.3f} m away, raw ")
    assert second.startswith((f"{z:.3f} m away, raw ", "outside its picture"))
    behind = window.cloud.tools.values((0.0, 0.0, -1.0))
    assert {text for _, text in behind} == {"outside its picture"}


def test_rigs_are_loaded_saved_and_complained_about(window, tmp_path):
    path = tmp_path / "rig.toml"
    rig = Rig((RigCamera(window.stage.addresses[0]), RigCamera(window.stage.addresses[1], ASIDE)))
    window.rigging.save(rig, path)
    window.rigging.load(path)
    assert window.rows.rig.camera(window.stage.addresses[1]).pose == ASIDE
    path.write_text("version = 9")
    window.rigging.load(path)
    assert "version 9" in window.message.text
    window.rigging.save(rig, tmp_path / "no" / "rig.toml")
    assert "not written" in window.message.text
    (tmp_path / "notes.txt").write_text("mine")
    window.rigging.save(rig, tmp_path / "notes.txt")
    assert "this app did not write it" in window.message.text
    assert (tmp_path / "notes.txt").read_text() == "mine"
    window.rigging.forget()
    assert window.rows.rig is None
