"""What `info` tells of vendors' recordings, and `devices --profiles` of cameras."""

from __future__ import annotations

import json

import pytest
import sdks
from typer.testing import CliRunner

from lingbot_live.cameras.describe import describe
from lingbot_live.cli import main
from lingbot_live.errors import BadRecordingError, LingbotLiveError

DATA = {
    "realsense/virtual_d435.db3": ("realsense", "Intel RealSense D435", "VIRT0001", 1.968, 60),
    "orbbec/virtual_gemini335.bag": ("orbbec", "Orbbec Gemini 335", "SYNTH0000001", 0.366, 12),
    "azure_kinect/recording.mkv": ("kinect", "Azure Kinect", "001514394512", 0.0, 1),
}


def run(*arguments):
    done = CliRunner().invoke(main.app, [*map(str, arguments)])
    if isinstance(done.exception, LingbotLiveError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("name", DATA)
def test_info_of_a_vendors_recording(testdata, name):
    sdks.need(DATA[name][0])
    path = testdata / "data" / name
    found = json.loads(run("info", path, "--json"))
    driver, model, serial, duration_s, frames = DATA[name]
    assert (found["driver"], found["name"], found["serial"]) == (driver, model, serial)
    assert found["duration_s"] == pytest.approx(duration_s, abs=0.01)
    assert {k: v for k, v in found["frames"].items() if k != "imu"} == {
        "color": frames, "depth": frames,
    }  # fmt: skip
    streams = {s["stream"]: (s["width"], s["height"]) for s in found["streams"]}
    color = found["calibration"]["color"]
    assert streams["color"] == (color["width"], color["height"])
    assert found["bytes"] == path.stat().st_size
    text = run("info", path)
    assert model in text
    assert f"{frames} images" in text
    assert f"fx {color['fx']:.3f}" in text


def test_info_tells_of_inertial_readings(testdata):
    sdks.need("kinect")
    found = describe(str(testdata / "data" / "azure_kinect" / "recording.mkv"))
    assert found["frames"]["imu"] == 1
    assert "inertial readings: 1" in run("info", testdata / "data/azure_kinect/recording.mkv")


@pytest.mark.parametrize("name", DATA)
def test_info_of_a_damaged_file_is_a_clear_error(testdata, tmp_path, name):
    sdks.need(DATA[name][0])
    whole = testdata / "data" / name
    path = tmp_path / whole.name
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    with pytest.raises(BadRecordingError, match=path.name):
        describe(str(path))


def test_info_of_a_camera_names_a_file():
    with pytest.raises(BadRecordingError, match="not a recording; name a file"):
        describe("synthetic:stereo")


def test_devices_tell_their_profiles():
    text = run("devices", "--profiles")
    assert "color 1280x720 at 30 fps" in text
    cameras = {
        c["address"]: c for c in json.loads(run("devices", "--profiles", "--json"))["cameras"]
    }
    first = cameras["synthetic:stereo"]["profiles"][0]
    assert first == {"stream": "color", "width": 640, "height": 480, "fps": 30.0, "format": ""}
    assert "profiles" not in json.loads(run("devices", "--json"))["cameras"][0]
