"""Files of a camera's settings: ours, and the presets of the makes' own viewers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from adjustable import AUTO, Adjustable

from drivers.orbbec.controls import PRESET_KEYS as ORBBEC
from drivers.orbbec.driver import OrbbecDriver
from drivers.realsense.controls import PRESET_KEYS as REALSENSE
from drivers.realsense.driver import RealSenseDriver
from lingbot_live.cameras.controls import Control, ControlKind
from lingbot_live.cameras.tuning import apply_controls, load_controls, save_controls
from lingbot_live.errors import ConfigError

VIEWER = {  # as RealSense Viewer writes it: all values are texts
    "device": {"fw version": "5.16.0.1", "name": "Intel RealSense D435", "product line": "D400"},
    "parameters": {
        "aux-param-depthclampmax": "65536",
        "controls-autoexposure-auto": "False",
        "controls-autoexposure-manual": "8500",
        "controls-color-autoexposure-auto": "True",
        "controls-color-autoexposure-manual": "166",
        "controls-color-power-line-frequency": "2",
        "controls-depth-gain": "3",
        "controls-laserstate": "on",
        "param-disparityshift": "0",
    },
    "schema version": 1,
    "viewer": {"stream-fps": "30"},
}
FLAT = {"laser_state": 1, "depth_alg_mode": "High Density", "depth_auto_exposure": False,
        "depth_exposure_time": 3000, "target_mean_intensity": 60}  # fmt: skip
EMITTER = Control("depth.emitter", "Off", ControlKind.CHOICE, choices=("Off", "Laser", "Auto"))
HERTZ = Control("color.power_line", "Auto", ControlKind.CHOICE, choices=("No", "50", "60", "Auto"))
MODE = Control("depth.laser_mode", 0, ControlKind.INT, 0, 2, 1)
COLOR = (
    replace(AUTO, name="color.auto_exposure", value=False),
    Control("color.exposure", 100, ControlKind.INT, 1, 10000, 1),
    EMITTER, HERTZ, MODE,
)  # fmt: skip


@pytest.fixture
def camera():
    made = Adjustable()
    made.there.update({control.name: control for control in COLOR})
    with made:
        yield made


def values(camera):
    return {control.name: control.value for control in camera.controls()}


def write(path, data):
    path.write_text(json.dumps(data))
    return path


def test_a_preset_of_realsense_viewer_is_set(camera, tmp_path):
    found = load_controls(write(tmp_path / "a.json", VIEWER), RealSenseDriver.preset_keys)
    assert set(found.unknown) == {"aux-param-depthclampmax", "param-disparityshift", "stream-fps"}
    assert "No control stands for aux-param-depthclampmax, " in found.remark
    assert apply_controls(camera, found.values) == []
    now = values(camera)
    assert (now["depth.auto_exposure"], now["depth.exposure"], now["depth.gain"]) == (
        False, 8501, 3.0,
    )  # fmt: skip
    assert now["color.auto_exposure"] is True
    assert now["color.exposure"] == 100, "left to the sensor, which chooses it"
    assert (now["depth.emitter"], now["color.power_line"]) == ("Laser", "60")


def test_older_presets_are_flat(tmp_path):
    flat = write(tmp_path / "a.json", VIEWER["parameters"])
    assert load_controls(flat, REALSENSE).values["depth.gain"] == "3"


def test_a_preset_of_orbbec_viewer_is_set(camera, tmp_path):
    found = load_controls(write(tmp_path / "a.json", FLAT), OrbbecDriver.preset_keys)
    assert found.unknown == ("target_mean_intensity",)
    assert apply_controls(camera, found.values) == []
    now = values(camera)
    assert (now["depth.laser_mode"], now["depth.preset"]) == (1, "High Density")
    assert now["depth.exposure"] == 3001


def test_what_the_camera_does_not_take_is_told_and_the_rest_holds(camera, tmp_path):
    wrong = {**FLAT, "laser_state": 9, "color_gain": 4}
    refused = apply_controls(
        camera, load_controls(write(tmp_path / "a.json", wrong), ORBBEC).values
    )
    assert len(refused) == 2
    assert "it takes 0 to 2" in refused[0]
    assert "no control 'color.gain'" in refused[1]
    assert values(camera)["depth.preset"] == "High Density"


@pytest.mark.parametrize(
    ("keys", "text", "words"),
    [
        (REALSENSE, "{", "cannot be read as JSON"),
        (REALSENSE, "[1, 2]", "no setting of this camera's make in it"),
        (REALSENSE, json.dumps(FLAT), "no setting of this camera's make in it"),
        (ORBBEC, '{"laser_state": [1]}', r"laser_state is \[1\]"),
        ({}, json.dumps(VIEWER), "this camera's make has none"),
        (ORBBEC, '{"a":' * 100_000, "cannot be read as JSON"),
    ],
)
def test_other_files_are_refused(tmp_path, keys, text, words):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_controls(path, keys)


def test_a_sensor_that_chose_by_itself_does_so_again(camera, tmp_path):
    """Setting the exposure that a file holds beside auto exposure used to end it."""
    path = tmp_path / "a.toml"
    camera.set_control("depth.auto_exposure", True)
    save_controls(path, camera.info, camera.controls())
    assert apply_controls(camera, load_controls(path).values) == []
    assert values(camera)["depth.auto_exposure"] is True


def test_what_was_set_last_holds_after_a_reopen(camera):
    camera.set_control("depth.auto_exposure", True)
    camera.set_control("depth.exposure", 101)
    camera.set_control("depth.auto_exposure", True)
    camera.close()
    camera.open()
    assert values(camera)["depth.auto_exposure"] is True
