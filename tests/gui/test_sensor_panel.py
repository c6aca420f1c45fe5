"""Infrared, depth before alignment and motion of the selected camera."""

from __future__ import annotations

import numpy as np
import pytest
from gui_wait import wait_for
from rgbd_folder import write_examples
from sessions import NoisyCamera, record

from lingbot_live.config import CameraConfig
from lingbot_live.frame import EXTRAS, ImuSample
from lingbot_live.recording.state import RecorderOptions
from ui.panels.motion_plot import MotionPlot
from ui.panels.sensor_panel import gray
from ui.shell.settings import Settings


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    path = tmp_path_factory.mktemp("take") / "desk.mcap"
    camera = NoisyCamera("left", 40, period_s=0.01, with_imu=True, with_extras=True)
    record(path, camera, options=RecorderOptions(refined=False))
    return path


def test_pictures_are_read_only_once_they_are_wanted(window, take):
    panel = window.sensor
    window.actions_["sensor"].trigger()
    assert not window.docks.sensor.isHidden()
    window.stage.open((str(take),))
    wait_for(lambda: "not read" in panel.note.text())
    assert window.rows.view.frame.extras == {}
    assert panel.picture_box.isHidden(), "nothing to choose from"
    assert panel.image.isHidden()
    panel.read_box.click()
    wait_for(lambda: panel.image.has_image)
    titles = [panel.picture_box.itemText(at) for at in range(panel.picture_box.count())]
    assert sorted(titles) == sorted(EXTRAS[name] for name in window.rows.view.frame.extras)
    assert len(titles) == 3
    assert panel.picture_box.isVisible()
    assert panel.note.isHidden()
    for name in ("infrared_left", "depth_native"):
        panel.picture_box.setCurrentIndex(panel.picture_box.findData(name))
        size = window.rows.view.frame.extras[name].shape
        wait_for(lambda size=size: panel.image.image_size == (size[1], size[0]))
    assert Settings().text("extras") == "yes", "remembered"
    assert window.stage.camera_config.extras, "the next camera hands them over, too"
    panel.read_box.click()
    wait_for(lambda: "not read" in panel.note.text())
    assert not panel.image.has_image


def test_what_was_asked_for_or_wanted_the_last_time_is_read(window):
    panel = window.sensor
    assert not window.stage.camera_config.extras
    panel.prepare(asked=True)
    assert window.stage.camera_config.extras
    assert panel.read_box.isChecked()
    assert Settings().text("extras") == "", "asked for once"
    panel.prepare()
    assert not window.stage.camera_config.extras
    panel.read_box.click()
    window.stage.camera_config = CameraConfig()
    panel.prepare()
    assert window.stage.camera_config.extras
    panel.read_box.click()


def test_opening_anew_stays_at_the_place(window, take):
    window.stage.open((str(take),))
    wait_for(lambda: window.replay.lead is not None)
    window.replay.pause()
    window.replay.seek_frame(30)
    wait_for(lambda: window.replay.lead.frame == 30)
    window.sensor.read_box.click()
    wait_for(lambda: window.rows.view.frame is not None and window.rows.view.frame.extras)
    wait_for(lambda: window.replay.lead is not None and window.replay.lead.frame >= 28)
    window.sensor.read_box.click()


def test_motion_is_plotted(window, take):
    window.actions_["sensor"].trigger()
    window.stage.open((str(take),))
    wait_for(lambda: window.sensor.motion is not None)
    lines = [line for plot in window.sensor.motion._lines for line in plot]
    wait_for(lambda: all(line.xData is not None and len(line.xData) > 5 for line in lines))
    assert min(lines[0].xData) >= -5.0


def test_a_camera_without_any_says_so(window, tmp_path):
    folder = write_examples(tmp_path / "desk", 2)
    window.actions_["sensor"].trigger()
    window.sensor.read_box.click()
    window.stage.open((f"folder:{folder}",))
    wait_for(lambda: "neither infrared" in window.sensor.note.text())
    window.sensor.read_box.click()


def test_the_plot_begins_anew_where_a_recording_does(show):
    plot = show(MotionPlot())
    for stamp_us in (5_000_000, 6_000_000, 1_000_000):
        plot.add([ImuSample(stamp_us, (0.0, -9.8, 0.1), (0.0, 0.0, 0.2))])
    assert [len(line.xData) for line in plot._lines[0]] == [1, 1, 1]


@pytest.mark.parametrize("low", [0, 3000])
def test_infrared_of_16_bits_is_stretched_to_what_is_in_it(low):
    ramp = np.tile(np.arange(low, low + 400, dtype=np.uint16), (40, 1))
    shown = gray(ramp)
    assert shown.shape == (40, 400, 3)
    assert (shown[0, 0, 0], shown[0, -1, 0]) == (0, 255)
    assert abs(int(shown[0, 200, 0]) - 127) < 5
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(gray(eight)[..., 1], eight)
    assert gray(np.full((8, 8), 7, np.uint16)).max() == 0
