"""What is said when an SDK cannot be imported, and which profile is chosen."""

from __future__ import annotations

import sys

import pytest

from drivers.common import recording
from drivers.common.profiles import choose
from drivers.common.sdk import import_sdk
from lingbot_live.cameras.base import StreamProfile
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraError, ConfigError, DriverUnavailableError
from lingbot_live.system.children import Child


def test_missing_module_names_the_extra():
    with pytest.raises(
        DriverUnavailableError, match="SDK sdk_of_nobody is not installed"
    ) as caught:
        import_sdk("sdk_of_nobody", "realsense")
    assert caught.value.install == 'pip install "lingbot-live[realsense]"'


@pytest.mark.parametrize(
    ("text", "says", "install"),
    [
        (
            "libusb-1.0.so.0: cannot open shared object file: No such file or directory",
            "system library libusb-1.0.so.0 is missing",
            "apt-get install libusb-1.0-0",
        ),
        (
            "libGL.so.1: cannot open shared object file: No such file or directory",
            "libGL.so.1",
            "apt-get install libgl1",
        ),
        (
            "numpy.core.multiarray failed to import",
            "does not work with the installed NumPy",
            'pip install "lingbot-live[kinect]" "numpy<2"',
        ),
        (
            "undefined symbol: spam",
            "cannot be imported (undefined symbol: spam)",
            'pip install --force-reinstall "lingbot-live[kinect]"',
        ),
    ],
)
def test_broken_import_names_the_remedy(tmp_path, monkeypatch, text, says, install):
    (tmp_path / "broken_sdk.py").write_text(f"raise ImportError({text!r})")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DriverUnavailableError) as caught:
        import_sdk("broken_sdk", "kinect")
    assert says in str(caught.value)
    assert caught.value.install == install


def test_missing_dependency_of_an_sdk_is_not_a_missing_sdk(tmp_path, monkeypatch):
    (tmp_path / "needy_sdk.py").write_text("import module_of_nobody")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DriverUnavailableError, match="installed but cannot be imported"):
        import_sdk("needy_sdk", "orbbec")


def test_realsense_without_its_sdk(monkeypatch):
    from drivers.realsense.driver import RealSenseDriver

    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(DriverUnavailableError, match=r"lingbot-live\[realsense\]"):
        RealSenseDriver().discover()


def test_an_sdk_that_takes_too_much_memory_for_a_frame_is_ended(tmp_path, monkeypatch):
    eats = "import time; kept = b'x' * (300 << 20); time.sleep(60)"
    (tmp_path / "child_eats.py").write_text(eats)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(recording, "_MOST_BYTES", 200 << 20)
    with Child("child_eats") as child:
        assert "over 200 MB" in recording._wait(child, 30)
        assert child.process.poll() is None


# ---- profiles --------------------------------------------------------------------------------


def offered():
    colors = [(1280, 720, 30), (640, 480, 60), (640, 480, 30), (640, 480, 15), (424, 240, 90)]
    depths = [(1280, 720, 30), (848, 480, 30), (848, 480, 60), (640, 480, 30), (640, 480, 15)]
    return [StreamProfile("color", *p) for p in colors] + [
        StreamProfile("depth", *p) for p in depths
    ]


def chosen(**config):
    color, depth = choose("cam", offered(), CameraConfig(**config), depth_size=(848, 480))
    return [(p.width, p.height, p.fps) for p in (color, depth)]


@pytest.mark.parametrize(
    ("config", "color", "depth"),
    [
        ({}, (640, 480, 30), (848, 480, 30)),
        ({"width": 1280, "height": 720}, (1280, 720, 30), (848, 480, 30)),
        ({"depth_width": 1280, "depth_height": 720}, (640, 480, 30), (1280, 720, 30)),
        ({"fps": 60}, (640, 480, 60), (848, 480, 60)),
        ({"fps": 15}, (640, 480, 15), (640, 480, 15)),
    ],
)
def test_profiles_fit_what_was_asked(config, color, depth):
    assert chosen(**config) == [color, depth]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            {"width": 1920, "height": 1080},
            "cam: colour 1920x1080 is not .* 1280x720 at 30 fps",
        ),
        ({"width": 640, "height": 480, "fps": 45}, "640x480 at 45 fps .* 640x480 at (30|60) fps"),
        ({"depth_width": 1280, "depth_height": 800}, "cam: depth 1280x800 .* is 1280x720"),
        (
            {"fps": 60, "depth_width": 1280, "depth_height": 720},
            "depth 1280x720 at 60 .* at 30",
        ),
        ({"fps": 90}, "colour at 90 fps is not offered"),  # depth has no 90
    ],
)
def test_other_profiles_name_the_nearest(config, says):
    with pytest.raises(ConfigError, match=says):
        chosen(**config)


def test_a_camera_without_depth_is_refused():
    with pytest.raises(CameraError, match="no depth stream"):
        choose("cam", [StreamProfile("color", 640, 480, 30)], CameraConfig())


# ---- pace ------------------------------------------------------------------------------------
