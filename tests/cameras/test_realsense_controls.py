"""Options of RealSense sensors through the real SDK: a virtual camera, and a real D435's file."""

from __future__ import annotations

import pytest

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import first_frame
from lingbot_live.cameras.controls import ControlKind
from lingbot_live.config import CameraConfig
from lingbot_live.errors import ConfigError

rs = pytest.importorskip("pyrealsense2")
import fixtures_realsense as made  # noqa: E402 - needs the SDK

from drivers.realsense.driver import RealSenseDriver  # noqa: E402

OPTIONS = (  # minimum, maximum, default, step
    (rs.option.exposure, (1, 165000, 8500, 1)),
    (rs.option.enable_auto_exposure, (0, 1, 1, 1)),
    (rs.option.gain, (16, 248, 16, 1)),
    (rs.option.laser_power, (0, 360, 150, 30)),
)


@pytest.fixture
def virtual():
    camera = made.VirtualCamera(serial="CTRL")
    for option, span in OPTIONS:
        camera._depth.add_option(option, rs.option_range(*map(float, span)), True)
        camera._depth.set_option(option, float(span[2]))
    return camera


def test_live_options_are_told_changed_and_refused(virtual):
    attached = made.AttachedCamera(virtual)
    driver = RealSenseDriver(attached.context)
    config = CameraConfig(controls=(("depth.gain", "20"),))
    with virtual.streaming(), driver.create(driver.find("CTRL"), config) as camera:
        first_frame(camera, 5)
        there = {c.name: c for c in camera.controls()}
        exposure = there["depth.exposure"]
        assert (exposure.value, exposure.minimum, exposure.maximum, exposure.unit) == (
            8500, 1, 165000, "us",
        )  # fmt: skip
        assert exposure.kind is ControlKind.INT
        assert there["depth.auto_exposure"].value is True
        assert there["depth.gain"].value == 20
        assert there["depth.units"].read_only
        camera.set_control("depth.exposure", 12000)
        camera.set_control("depth.auto_exposure", "off")
        camera.set_control("depth.laser_power", "100")
        assert virtual._depth.get_option(rs.option.exposure) == 12000
        assert virtual._depth.get_option(rs.option.enable_auto_exposure) == 0
        assert virtual._depth.get_option(rs.option.laser_power) == 90
        with pytest.raises(ConfigError, match="1 to 165000 us"):
            camera.set_control("depth.exposure", 0)
        with pytest.raises(ConfigError, match=r"Did you mean 'depth\.exposure'"):
            camera.set_control("exposure", 100)
        first_frame(camera, 5)


def test_options_of_a_recording_can_be_read_only(testdata):
    file = testdata / "data" / "realsense" / "d435_single_frame.bag"
    with registry.create_camera(f"realsense:{file}") as camera:
        there = {c.name: c for c in camera.controls()}
        assert there["depth.exposure"].value == 8500
        assert there["depth.laser_power"].value == 150
        assert there["depth.auto_exposure"].value is True
        assert there["color.white_balance"].value == 4600
        assert all(c.read_only for c in there.values())
        with pytest.raises(ConfigError, match="is 8500 and cannot be changed"):
            camera.set_control("depth.exposure", 100)
    camera = registry.create_camera(
        f"realsense:{file}", CameraConfig(controls=(("depth.gain", "17"),))
    )
    with pytest.raises(ConfigError, match="cannot be changed"):
        camera.open()


def test_temperatures_are_told_and_cannot_be_set(virtual):
    virtual._depth.add_read_only_option(rs.option.asic_temperature, 41.5)
    attached = made.AttachedCamera(virtual)
    driver = RealSenseDriver(attached.context)
    with virtual.streaming(), driver.create(driver.find("CTRL"), CameraConfig()) as camera:
        first_frame(camera, 5)
        told = {c.name: c for c in camera.controls()}["depth.asic_temperature"]
    assert (told.value, told.unit, told.read_only) == (41.5, "°C", True)
