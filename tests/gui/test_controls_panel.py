"""Settings of the selected camera, changed with real widgets on a camera that runs."""

from __future__ import annotations

import pytest
from gui_wait import wait_for
from PySide6.QtTest import QTest
from rgbd_folder import write_examples

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import StreamProfile
from lingbot_live.cameras.controls import Control, ControlKind
from lingbot_live.config import CameraConfig
from ui.panels.control_rows import row_for
from ui.panels.controls_panel import colour_profiles

SMALL = CameraConfig(width=64, height=48)


@pytest.fixture
def panel(window):
    window.stage.camera_config = SMALL
    window.actions_["controls"].trigger()
    window.stage.open(("synthetic:stereo",))
    wait_for(lambda: window.controls.rows)
    return window.controls


def noise(window):
    (control,) = window.stage.session.feeds[0].camera.controls()
    return control.value


def test_a_control_is_shown_changed_and_reset(window, panel):
    row = panel.rows["depth.noise"]
    assert row.number.value() == 1.0
    row.number.setValue(2.5)
    wait_for(lambda: noise(window) == 2.5)
    wait_for(lambda: row.reset_button.isEnabled())
    row.slider.setValue(row.slider.maximum())
    wait_for(lambda: noise(window) == row.control.maximum)
    wait_for(lambda: row.control.value == row.control.maximum)
    panel.reset_button.click()
    wait_for(lambda: noise(window) == 1.0)
    wait_for(lambda: row.number.value() == 1.0)


def test_a_change_from_elsewhere_is_shown(window, panel):
    window.stage.session.feeds[0].camera.set_control("depth.noise", 3.0)
    wait_for(lambda: panel.rows["depth.noise"].number.value() == 3.0)


def test_it_follows_the_selected_camera(window, panel, tmp_path):
    window.stage.camera_config = CameraConfig()
    window.stage.add(f"folder:{write_examples(tmp_path / 'examples')}")
    wait_for(lambda: len(window.panels) == 2)
    window.rows.select(window.panels[1])
    wait_for(lambda: not panel.rows and "no settings" in panel.note.text())
    window.rows.select(window.panels[0])
    wait_for(lambda: "depth.noise" in panel.rows)
    window.stage.stop()
    wait_for(lambda: not panel.rows and panel.note.text() == "No camera is open.")


def test_another_size_opens_the_camera_anew(window, panel):
    texts = [panel.profile_box.itemText(i) for i in range(panel.profile_box.count())]
    assert texts == ["Standard", "1280x720 at 30 fps", "640x480 at 30 fps", "320x240 at 30 fps"]
    panel.profile_box.setCurrentIndex(3)
    panel.profile_box.activated.emit(3)
    view = window.panels[0].view
    wait_for(lambda: view.frame is not None and view.frame.intrinsics.width == 320, 30)
    wait_for(lambda: panel.profile_box.currentIndex() == 3)
    assert len(window.stage.session.feeds) == 1


def test_a_recording_s_settings_cannot_be_changed(window, testdata):
    pytest.importorskip("pyrealsense2")
    window.actions_["controls"].trigger()
    window.stage.open((f"realsense:{testdata}/data/realsense/d435_single_frame.bag",))
    wait_for(lambda: window.controls.rows, 30)
    assert "cannot be changed" in window.controls.note.text()
    assert not any(row.isEnabled() for row in window.controls.rows.values())
    assert not window.controls.profile_box.isEnabled()
    assert not window.controls.reset_button.isEnabled()
    assert window.controls.rows["depth.exposure"].number.value() == 8500


def test_what_the_camera_refuses_is_said(window, panel, monkeypatch):
    camera = window.stage.session.feeds[0].camera
    monkeypatch.setattr(type(camera), "_cam_set_control", lambda self, name, value: refuse(name))
    panel.rows["depth.noise"].number.setValue(2.0)
    wait_for(lambda: "depth.noise: the sensor says no" in panel.note.text())
    assert panel.rows["depth.noise"].number.value() == 1.0


def refuse(name):
    from lingbot_live.errors import CameraError

    raise CameraError(f"{name}: the sensor says no")


# ---- rows ------------------------------------------------------------------------------------


@pytest.fixture
def row(show):
    def row(control):
        made, told = show(row_for(control)), []
        made.changed.connect(lambda name, value: told.append((name, value)))
        return made, told

    return row


def test_a_switch(row):
    made, told = row(Control("depth.emitter", True, ControlKind.BOOL, default=True))
    made.box.click()
    assert told == [("depth.emitter", False)]


def test_a_choice(row):
    control = Control("depth.preset", "Hand", ControlKind.CHOICE, choices=("Default", "Hand"))
    made, told = row(control)
    assert made.box.currentText() == "Hand"
    made.box.setCurrentIndex(0)
    made.box.activated.emit(0)
    assert told == [("depth.preset", "Default")]


def test_a_whole_number_keeps_to_its_steps_and_limits(row):
    control = Control("depth.laser_power", 150, ControlKind.INT, 0, 360, 30, 150, "mW")
    made, told = row(control)
    made.number.lineEdit().setText("101 mW")
    QTest.keyClick(made.number, "\r")
    assert told == [("depth.laser_power", 90)]
    assert type(told[0][1]) is int
    made.number.setValue(1000)
    assert told[-1] == ("depth.laser_power", 360)
    made.reset_button.click()
    assert made.number.suffix() == " mW"


def test_only_sizes_that_depth_keeps_up_with_are_offered():
    profiles = [StreamProfile("color", 640, 480, fps, form) for fps in (30.0, 90.0)
                for form in ("rgb8", "yuyv")]  # fmt: skip
    profiles += [StreamProfile("color", 1280, 720, 30.0), StreamProfile("depth", 848, 480, 30.0)]
    found = [(p.width, p.height, p.fps, p.format) for p in colour_profiles(profiles)]
    assert found == [(1280, 720, 30.0, ""), (640, 480, 30.0, "rgb8")]


def test_reopening_keeps_the_others_streaming():
    from lingbot_live.config import RefinerConfig
    from lingbot_live.pipeline.session import Session

    addresses = ["synthetic:stereo", "synthetic:tof"]
    with Session.of(addresses, RefinerConfig("none"), SMALL) as session:
        feed, other = session.feeds
        wait_for(lambda: feed.stats.captured > 2 and other.stats.captured > 2)
        wide = CameraConfig(width=96, height=48)
        session.reopen(feed, lambda: registry.create_camera(feed.name, wide))
        count = other.stats.captured
        wait_for(lambda: (frame := feed.frames.take()) and frame.intrinsics.width == 96, 30)
        assert other.stats.captured > count
        assert other.camera.config == SMALL
