"""The reconstructed scene in the 3D view: drawn, measured in, switched, saved, ended."""

from __future__ import annotations

import contextlib
import os
import signal

import cv2
import moving_room
import numpy as np
import open3d as o3d
import pytest
from gui_wait import wait_for

from lingbot_live.export.live import LiveState
from lingbot_live.perception.reconstruction import Depth
from lingbot_live.perception.surface import SceneSurface
from ui.cloud.link import CloudProcess
from ui.cloud.memory import Ask
from ui.cloud.scene import ViewSettings

GREEN = (0.1, 0.8, 0.2)


def plane(z_m, color):
    """A square of 2 m, seen from (0, 0, 0)."""
    points = np.array([[-1, -1, z_m], [1, -1, z_m], [1, 1, z_m], [-1, 1, z_m]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return SceneSurface(points, np.tile(np.float32(color), (4, 1)), triangles)


def test_a_surface_is_drawn_in_its_colours_and_measured_in():
    with contextlib.closing(CloudProcess(ViewSettings(width=320, height=240))) as process:
        process.start()
        process.set_view(ViewSettings(width=320, height=240, shows_scene=True))
        process.show_surface(plane(1.5, GREEN))
        wait_for(lambda: process.status.points == 4, 90)  # Open3D may have to be read first
        middle = process.latest_image()[120, 160]
        np.testing.assert_allclose(middle, 255 * np.array(GREEN), atol=3)
        process.ask(Ask("point", (160.0, 120.0)))
        wait_for(lambda: process.status.answers == 1)
        process.set_view(ViewSettings(width=320, height=240))
        wait_for(lambda: process.status.points == 0)


@pytest.fixture
def walking(window, tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 8)
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.stage.bridge.rate.count > 1)
    return window.reconstructing


def test_a_scene_grows_is_switched_paused_saved_and_ended(window, walking, tmp_path):
    window.actions_["scene"].trigger()
    assert window.actions_["scene"].isChecked()
    wait_for(lambda: walking.scene.status.news.frames > 3)
    wait_for(lambda: "refined depth" in window.cloud.scene_label.text())
    assert window.cloud.view.shows_scene
    window.actions_["scene_depth"].trigger()
    wait_for(lambda: "raw depth" in window.cloud.scene_label.text())
    assert walking.scene.status.shown is Depth.RAW
    window.actions_["scene_pause"].trigger()
    wait_for(lambda: "paused" in window.cloud.scene_label.text())
    walking.scene.save(tmp_path / "scene.ply")
    wait_for(lambda: "Written to" in window.desk.news.text)
    assert len(o3d.io.read_triangle_mesh(tmp_path / "scene.ply").triangles) > 1000
    scene = walking.scene
    window.actions_["scene"].trigger()
    wait_for(lambda: scene.status.state is LiveState.STOPPED)
    assert not window.cloud.view.shows_scene
    assert not window.actions_["scene"].isChecked()


def test_a_scene_whose_process_died_is_said_and_begun_anew(window, walking):
    window.actions_["scene"].trigger()
    wait_for(lambda: walking.scene.status.news.frames > 0)
    os.kill(walking.scene._child.process.pid, signal.SIGKILL)
    wait_for(lambda: "its scene is lost" in window.desk.message.text)
    window.actions_["scene_reset"].trigger()
    wait_for(lambda: walking.scene.status.news.frames > 0)
    assert walking.scene.status.state is LiveState.RUNNING


def test_frames_without_depth_are_said(window, tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 4)
    for path in folder.glob("depth/*.png"):
        cv2.imwrite(str(path), np.zeros((moving_room.HEIGHT, moving_room.WIDTH), np.uint16))
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: window.stage.bridge.rate.count > 1)
    window.actions_["scene"].trigger()
    assert "waiting for the first frame" in window.cloud.scene_label.text()
    wait_for(lambda: "no frame has depth enough" in window.cloud.scene_label.text())
    assert window.reconstructing.scene.status.news.left_out > 0


def test_without_a_camera_nothing_begins(window):
    window.actions_["scene"].trigger()
    assert walking_scene(window) is None
    assert not window.actions_["scene"].isChecked()
    window.actions_["save_scene"].trigger()
    assert "no scene" in window.desk.news.text


def walking_scene(window):
    return window.reconstructing.scene
