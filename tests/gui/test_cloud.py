"""The point cloud: where points land, and that its child process always ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from cloud_pictures import (
    BACKGROUND,
    BLUE,
    GREEN,
    INTRINSICS,
    RED,
    YELLOW,
    is_alive,
    points_of,
    quadrants,
    refined_frame,
    running,
    show,
    until,
    view,
)
from gui_wait import pass_time

from lingbot_live.errors import ConfigError
from lingbot_live.frame import Intrinsics
from lingbot_live.perception.trust import trust_map, trust_picture
from ui.cloud.link import CloudProcess, CloudState
from ui.cloud.memory import MAX_FRAME_PX, Ask, CloudMemory
from ui.cloud.points import RAW_TINT_RGB, Cloud, Scene, pick
from ui.cloud.process import CloudRenderer
from ui.cloud.scene import (
    Coloring,
    Home,
    Layer,
    Orbit,
    Which,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def process():
    """A process of the test's own, to be mistreated."""
    with running() as process:
        yield process


@pytest.fixture(scope="module")
def painter():
    """One process for all tests that only look at pictures."""
    with running() as process:
        until(lambda: process.pid is not None)
        yield process


def test_points_land_where_geometry_says_not_mirrored(painter):
    image = show(painter, refined_frame())
    height, width = image.shape[:2]
    assert (height, width) == (240, 320)
    assert not image.flags.writeable
    found = [[tuple(image[y, x]) for x in (width // 4, 3 * width // 4)] for y in (60, 180)]
    assert found == [[RED, GREEN], [BLUE, YELLOW]]


def test_a_small_object_is_seen_at_its_own_place(painter):
    """A near patch in the upper right of the camera's picture stays there, in its size."""
    depth = np.zeros((120, 160))
    depth[20:40, 110:140] = 0.8
    orbit = Orbit(offset=(0.0, 0.0, 0.0))
    image = show(painter, refined_frame(depth, depth), orbit=orbit, point_size_px=1)
    home = Home.of(points_of(depth), view())
    local = np.array([(110 - 79.5) / 150, (20 - 59.5) / 150, 1, 0]) * 0.8 + [0, 0, 0, 1]
    x, y, z = (home.extrinsic(view(orbit=orbit)) @ local)[:3]
    corner_px = np.array([x, y]) / z * view().focal_px + [159.5, 119.5]
    rows, columns = np.nonzero((image != BACKGROUND).any(-1))
    np.testing.assert_allclose([columns.min(), rows.min()], corner_px, atol=1.5)
    assert tuple(image[rows[0], columns[0]]) == GREEN


@pytest.mark.parametrize(
    ("orbit", "nearer", "farther"),
    [(Orbit(yaw_deg=30), RED, GREEN), (Orbit(pitch_deg=30), GREEN, YELLOW)],
)
def test_yaw_moves_the_eye_left_and_pitch_up(painter, orbit, nearer, farther):
    image = show(painter, refined_frame(), orbit=orbit)
    areas = [(image == color).all(-1).sum() for color in (nearer, farther)]
    assert areas[0] > 1.2 * areas[1]


def test_raw_refined_and_both(painter):
    hole = np.full((120, 160), 1.0)
    hole[:, :40] = 0
    frame = refined_frame(hole, np.where(np.arange(160) < 120, 1.0, 0.0))
    raw = show(painter, frame, which=Which.RAW)
    assert painter.status.points == 120 * 120
    assert (tuple(raw[200, 100]), tuple(raw[200, 140])) == (BLUE, YELLOW)  # centred again
    show(painter, frame, which=Which.REFINED)
    assert painter.status.points == 120 * 120
    both = show(painter, frame, which=Which.BOTH)
    assert painter.status.points == 160 * 120  # refined, and the raw that refining removed
    tinted = (0.4 * np.array(GREEN) + 0.6 * np.array(RAW_TINT_RGB)).round()
    np.testing.assert_allclose(both[60, 290], tinted, atol=2)
    assert tuple(both[60, 60]) == RED


def test_depth_colours_follow_depth(painter):
    step = np.where(np.arange(160) < 80, 0.5, 0.6) * np.ones((120, 1))
    image = show(painter, refined_frame(step, step), coloring=Coloring.DEPTH, colormap="grey")
    left, right = image[120, 80], image[120, 240]
    assert left[0] == left[1] == left[2]
    assert int(right[0]) > int(left[0])


def test_trust_colours_follow_trust_and_go_again(painter):
    half = np.where(np.arange(160) < 80, 1.0, 0.0) * np.ones((120, 1))  # the rest is filled
    frame = refined_frame(half)
    image = show(painter, frame, coloring=Coloring.TRUST, colormap="grey")
    wanted = trust_picture(trust_map(frame), "grey")
    for y, x in ((120, 80), (120, 280)):
        assert tuple(image[y, x]) == tuple(wanted[y // 2, x // 2])
    assert image[120, 80][0] > image[120, 280][0]
    again = view(home=0, coloring=Coloring.RGB)
    painter.set_view(again)
    until(lambda: painter.status.view == again)
    assert tuple(painter.latest_image()[60, 60]) == RED


def test_stride_thins_the_cloud_and_empty_depth_is_an_empty_scene(painter):
    assert show(painter, refined_frame()) is not None
    assert painter.status.points == 160 * 120
    show(painter, refined_frame(), stride=4)
    assert painter.status.points == 40 * 30
    image = show(painter, refined_frame(0.0, 0.0))
    assert painter.status.points == 0
    assert (image == BACKGROUND).all()
    image = show(painter, refined_frame())
    assert tuple(image[60, 80]) == RED


def test_the_picture_follows_the_pane(painter):
    assert show(painter, refined_frame()).shape == (240, 320, 3)
    image = show(painter, refined_frame(), width=500, height=200)
    assert image.shape == (200, 500, 3)
    assert tuple(image[50, 230]) == RED
    assert tuple(image[150, 270]) == YELLOW


def test_double_click_centres_on_the_point(painter):
    wall = np.where(np.arange(160) < 80, 1.0, 2.0) * np.ones((120, 1))
    show(painter, refined_frame(wall, wall))
    target = (60.0, 100.0)
    painter.ask(Ask("centre", target))
    until(lambda: painter.status.answers == 1)
    offset = painter.status.answer.offset
    home = Home.of(points_of(wall), view())
    point = np.array(home.target_m) + np.array(offset) * home.distance_m
    assert point[2] == pytest.approx(1.0, abs=1e-3)
    centred = home.extrinsic(view(orbit=Orbit(offset=offset))) @ np.append(point, 1)
    np.testing.assert_allclose(centred[:2], 0, atol=1e-9)
    image = show(painter, refined_frame(wall, wall), orbit=Orbit(offset=offset))
    assert tuple(image[120, 160]) == RED


def test_picking_takes_the_front_most_point_and_may_miss():
    points = np.array([[0.0, 0, 2], [0, 0, 1], [0, 0, -1]])
    at = view()
    middle = ((at.width - 1) / 2, (at.height - 1) / 2)
    np.testing.assert_array_equal(pick(points, np.eye(4), at, middle), [0, 0, 1])
    assert pick(points, np.eye(4), at, (5.0, 5.0)) is None
    assert pick(np.empty((0, 3)), np.eye(4), at, middle) is None


def test_newest_frame_wins_and_submit_counts_drops():
    process = CloudProcess(view(), max_fps=60)
    for depth in (1.0, 2.0, 3.0):
        process.submit(refined_frame(depth, depth))
    assert process.status.dropped == 2
    assert process.status.state is CloudState.IDLE
    process.close()


def test_nothing_is_drawn_while_hidden(process):
    show(process, refined_frame())
    process.set_active(False)
    time.sleep(0.3)
    seen = process.status.pictures
    for _ in range(5):
        process.submit(refined_frame())
        time.sleep(0.02)
    time.sleep(0.3)
    assert process.status.pictures == seen
    process.set_active(True)
    until(lambda: process.status.pictures > seen)


@pytest.mark.skipif(sys.platform != "linux", reason="sends SIGKILL")
def test_a_killed_child_is_replaced_and_draws_the_same_frame(process):
    show(process, refined_frame())
    first = process.pid
    os.kill(first, signal.SIGINT)  # Ctrl-C in a terminal reaches the child too; it is not its own
    show(process, refined_frame())
    assert (process.pid, process.status.restarts) == (first, 0)
    os.kill(first, signal.SIGKILL)
    until(lambda: process.status.restarts == 1 and process.status.state is CloudState.RUNNING)
    assert process.pid != first
    assert tuple(process.latest_image()[60, 80]) == RED


@pytest.mark.skipif(sys.platform != "linux", reason="sends SIGKILL")
def test_a_child_that_keeps_dying_is_said_and_comes_back(process):
    for _ in range(4):
        until(lambda: process.pid is not None and is_alive(process.pid))
        pid = process.pid
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: process.pid != pid)
    until(lambda: process.status.state is CloudState.FAILED)
    assert "signal 9" in process.status.error
    process.submit(refined_frame())
    until(lambda: process.status.state is CloudState.RUNNING)  # by itself, after a pause
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: process.status.state is CloudState.FAILED)
    process.retry()
    until(lambda: process.status.state is CloudState.RUNNING)
    assert process.status.error == ""


def test_a_child_that_cannot_draw_says_why(process, monkeypatch):
    process.close()
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "gui" / "no-such-folder"))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    process.start()
    until(lambda: process.status.state is CloudState.FAILED)
    assert "status 1" in process.status.error


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("moment", ["starting", "running"])
def test_the_child_ends_with_a_killed_parent(moment):
    script = textwrap.dedent(f"""
        import time
        from ui.cloud.link import CloudProcess
        process = CloudProcess()
        process.start()
        while process.pid is None or ({moment == "running"} and not process.status.pictures):
            time.sleep(0.01)
        print(process.pid, flush=True)
        time.sleep(100)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    with parent:
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    until(lambda: not is_alive(child), 10.0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_close_leaves_no_process_descriptor_or_file():
    before, files = open_descriptors(), set(os.listdir("/dev/shm"))
    process = CloudProcess(view())
    process.start()
    process.submit(refined_frame())
    until(lambda: process.status.pictures > 0)
    assert any("lingbot-live-cloud" in name for name in open_descriptors())
    pid = process.pid
    process.close()
    assert not is_alive(pid)
    assert open_descriptors() == before
    assert set(os.listdir("/dev/shm")) == files


def open_descriptors():
    """Return what this process holds open, but for the listing itself."""
    names = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
    return sorted(os.readlink(name) for name in names if os.path.lexists(name))


def test_the_child_loads_neither_qt_nor_torch():
    script = textwrap.dedent("""
        import sys
        import ui.cloud.process as child
        from ui.cloud.memory import CloudMemory, Job
        from ui.cloud.scene import ViewSettings
        assert "open3d" not in sys.modules
        renderer = child.CloudRenderer(CloudMemory())
        renderer.render(Job(ViewSettings()))
        assert "open3d" in sys.modules
        print([m for m in ("PySide6", "torch", "pyqtgraph", "typer") if m in sys.modules])
    """)
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "[]"


def test_a_stream_is_thinned_where_drawing_is_slow_and_full_again_later():
    memory = CloudMemory()
    renderer = CloudRenderer(memory)
    full = view()
    strides = []
    for took_ms in [500] + 200 * [40]:
        stride = renderer._stride(full, is_live=True)
        renderer._note(took_ms if stride == 1 else 30, 300_000, full, stride)
        strides.append(stride)
    assert strides[0] == 1, "not before it was slow"
    assert strides[1] == 3
    assert renderer._stride(full, is_live=False) == 1, "a picture that stands still has all points"
    assert set(strides[-100:]) == {1}, "once there is time again"
    renderer._note(500, 20_000, full, 1)
    assert renderer._stride(full, is_live=True) == 1, "few points gain nothing"
    renderer._note(500, 300_000, full, 1)
    assert renderer._stride(full, is_live=True) == 3
    scene = view(shows_scene=True)
    assert renderer._stride(scene, is_live=True) == 1, "a surface is drawn whole"
    renderer._note(500, 900_000, scene, 1)
    assert renderer._stride(full, is_live=True) == 3, "nor does one tell what points take"
    memory.close()


def test_large_frames_are_thinned_with_their_intrinsics():
    large = Intrinsics(2560, 1440, 1800.0, 1800.0, 1279.5, 719.5)
    color = np.zeros((1440, 2560, 3), np.uint8)
    frame = refined_frame(1.0, 1.5, color, intrinsics=large)
    memory = CloudMemory()
    scene = memory.read_frame(memory.write_frame(frame))
    assert scene.refined_m.size <= MAX_FRAME_PX
    points = points_of(scene.refined_m, scene.color, scene.intrinsics)
    x = (2558 - 1279.5) / 1800 * 1.5  # the last column that is kept
    np.testing.assert_allclose(points[:, 0].max(), x, rtol=1e-6)
    assert scene.raw_m[3, 3] == pytest.approx(1.0)
    del scene
    memory.close()


def test_home_shows_nearly_every_point():
    rng = np.random.default_rng(3)
    depth = (1 + rng.random((120, 160))).astype(np.float32)
    scene = Scene("random", quadrants(), depth, depth, INTRINSICS)
    cloud = Cloud()
    for _ in range(2):  # the second fill replaces the first
        scene.fill(cloud, view(), Layer(), 1)
    points = cloud.points_m
    assert points.shape == cloud.colors.shape == (160 * 120, 3)
    local = (Home.of(points, view()).extrinsic(view())[:3] @ np.c_[points, np.ones(19200)].T).T
    pixels = local[:, :2] / local[:, 2:] * view().focal_px
    inside = (np.abs(pixels) < [160, 120]).all(1) & (local[:, 2] > 0)
    assert inside.mean() > 0.97


@pytest.mark.parametrize("wrong", [{"width": 0}, {"height": 5000}, {"stride": 0}])
def test_settings_are_checked(wrong):
    with pytest.raises(ConfigError):
        view(**wrong)


# ---- the pane ------------------------------------------------------------------------------------


@pytest.fixture
def pane(qapp):
    from ui.cloud.view import CloudView

    pane = CloudView(process=CloudProcess(max_fps=60))
    pane.resize(400, 400)
    pane.show()
    yield pane
    pid = pane.process.pid
    pane.stop()
    pane.close()
    pane.deleteLater()
    assert pid is None or not is_alive(pid)


def until_shown(condition):

    until(lambda: pass_time(10) or condition())


def colors_near(pane, dx, dy):
    """Return the pane's colours about a place of its canvas, in fractions of its size.

    One pixel may lie between two points: fonts of a system decide how large the canvas is.
    """
    image = pane.canvas.grab().toImage()
    x, y = int(image.width() * dx), int(image.height() * dy)
    near = [image.pixelColor(x + i, y + j) for i in range(-4, 5) for j in range(-4, 5)]
    return {(color.red(), color.green(), color.blue()) for color in near}


def test_the_pane_says_what_it_waits_for_then_shows_the_frame(pane):
    assert pane.canvas.text == "waiting for the first frame"
    assert pane.process.pid is None, "nothing to draw, nothing runs"
    pane.show_frame(refined_frame())
    assert pane.process.status.state is CloudState.STARTING
    until_shown(lambda: pane.canvas.text == "")
    until_shown(lambda: RED in colors_near(pane, 0.4, 0.4))
    assert YELLOW in colors_near(pane, 0.6, 0.6)
    assert "19,200 points" in pane.stat_label.text()
    pane.show_frame(refined_frame(0.0, 0.0))
    until_shown(lambda: pane.canvas.text == "no valid depth in this frame")


def test_mouse_orbits_pans_zooms_and_centres(pane):
    from PySide6.QtCore import QPoint, QPointF, Qt
    from PySide6.QtGui import QWheelEvent
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication

    def drag(button):
        QTest.mousePress(pane.canvas, button, Qt.KeyboardModifier.NoModifier, QPoint(100, 100))
        QTest.mouseMove(pane.canvas, QPoint(150, 120))
        pass_time(20)
        QTest.mouseRelease(pane.canvas, button, Qt.KeyboardModifier.NoModifier, QPoint(150, 120))

    pane.show_frame(refined_frame())
    until_shown(lambda: pane.process.status.points > 0)
    drag(Qt.MouseButton.LeftButton)
    assert (pane.view.orbit.yaw_deg, pane.view.orbit.pitch_deg) == (20.0, 8.0)
    until_shown(lambda: not pane.view.draft)
    pane.reset_view()
    assert pane.view.orbit == Orbit()
    drag(Qt.MouseButton.RightButton)
    assert max(pane.view.orbit.offset[:2]) < 0  # the scene follows the mouse
    where = QPointF(100, 100)
    wheel = QWheelEvent(
        where, where, QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(pane.canvas, wheel)
    assert pane.view.orbit.zoom == pytest.approx(1.15**2)
    pane.reset_view()
    drawn = pane.process.status.pictures
    until_shown(lambda: pane.process.status.pictures > drawn)
    QTest.mouseDClick(pane.canvas, Qt.MouseButton.LeftButton, pos=QPoint(150, 150))
    until_shown(lambda: pane.view.orbit.offset != (0.0, 0.0, 0.0))
    assert max(pane.view.orbit.offset[:2]) < 0
    assert abs(pane.view.orbit.offset[2]) < 1e-3  # the plane is at one depth


def test_choices_reach_the_picture(pane):
    pane.show_frame(refined_frame())
    until_shown(lambda: pane.process.status.points == 19200)
    pane.menu.strides.actions()[1].trigger()
    until_shown(lambda: pane.process.status.points == 4800)
    pane.which_box.setCurrentText("both")
    pane.coloring_box.setCurrentText("depth")
    pane.menu.sizes.actions()[-1].trigger()
    assert (pane.view.which, pane.view.coloring) == (Which.BOTH, Coloring.DEPTH)
    assert (pane.view.stride, pane.view.point_size_px) == (2, 6)
    pane.menu.orbit.setChecked(True)
    until_shown(lambda: pane.view.orbit.yaw_deg != 0)
    pane.resize(600, 300)
    until_shown(lambda: pane.process.latest_image().shape[1] == pane.canvas.width())
    assert pane.canvas.height() == pane.process.latest_image().shape[0]


@pytest.mark.skipif(sys.platform != "linux", reason="sends SIGKILL")
def test_the_pane_tells_a_failure_and_retry_mends_it(pane, monkeypatch):
    pane.show_frame(refined_frame())
    until_shown(lambda: pane.process.status.pictures > 0)
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/bin/false")
        os.kill(pane.process.pid, signal.SIGKILL)
        until_shown(lambda: "ended with status 1" in pane.notice.text)
    assert pane.canvas.text == "no 3D view"
    pane.notice.retry.emit()
    until_shown(lambda: pane.canvas.text == "")
    assert pane.notice.text == ""


def test_a_hidden_pane_rests(pane):
    pane.show_frame(refined_frame())
    until_shown(lambda: pane.process.status.points > 0)
    pane.hide()
    time.sleep(0.3)
    drawn = pane.process.status.pictures
    pane.show_frame(refined_frame())
    time.sleep(0.3)
    assert pane.process.status.pictures == drawn
    pane.show()
    until_shown(lambda: pane.process.status.pictures > drawn)
