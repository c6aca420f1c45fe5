"""Infrared and depth before alignment from the makes' own SDKs, live and recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import first_frame
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.config import CameraConfig
from lingbot_live.frame import DEPTH_NATIVE

WANTED = replace(OFFLINE, extras=True)


def test_a_realsense_gives_both_sides(tmp_path):
    pytest.importorskip("pyrealsense2")
    import fixtures_realsense as made

    from drivers.realsense.driver import RealSenseDriver

    virtual = made.VirtualCamera(serial="IR1", with_infrared=True)
    attached = made.AttachedCamera(virtual)
    driver = RealSenseDriver(attached.context)
    for wanted in (True, False):
        config = CameraConfig(extras=wanted)
        with virtual.streaming(), driver.create(driver.find("IR1"), config) as camera:
            frame = first_frame(camera, 10)
        expected = {DEPTH_NATIVE, "infrared_left", "infrared_right"} if wanted else set()
        assert {*frame.extras} == expected
        if wanted:
            check_realsense(made, frame)


def test_a_recorded_realsense_gives_both_sides(tmp_path):
    pytest.importorskip("pyrealsense2")
    import fixtures_realsense as made

    path = made.VirtualCamera(with_infrared=True).record(tmp_path / "a.db3", 6)
    with registry.create_camera(f"realsense:{path}", WANTED) as camera:
        frames = [*every_frame(camera)]
    assert len(frames) == 6
    for frame in frames:
        check_realsense(made, frame)
    with registry.create_camera(f"realsense:{path}", OFFLINE) as camera:
        assert first_frame(camera).extras == {}


def check_realsense(made, frame):
    i = frame.device_index
    assert np.array_equal(frame.extras[DEPTH_NATIVE], made.depth_image(i))
    for side, name in ((1, "infrared_left"), (2, "infrared_right")):
        assert np.array_equal(frame.extras[name], made.infrared_image(i, side)), name


@pytest.mark.testdata
def test_a_recorded_kinect_gives_its_infrared(testdata):
    pytest.importorskip("pyk4a")
    path = testdata / "data" / "azure_kinect" / "recording.mkv"
    with registry.create_camera(f"kinect:{path}", WANTED) as camera:
        frame = first_frame(camera)
    infrared, depth = frame.extras["infrared"], frame.extras[DEPTH_NATIVE]
    assert infrared.shape == depth.shape == (576, 640)
    assert infrared.dtype == depth.dtype == np.uint16
    assert infrared.std() > 10, "a picture"
    assert 0.3 < np.mean(depth > 0) < 1
    assert camera.info.serial.isdecimal(), "from its calibration"
    with registry.create_camera(f"kinect:{path}", OFFLINE) as camera:
        assert first_frame(camera).extras == {}


def test_a_recorded_orbbec_gives_both_sides(tmp_path):
    pytest.importorskip("pyorbbecsdk")
    from fixtures_orbbec import Bag, infrared

    rng = np.random.default_rng(1)
    pairs = [
        (np.full((240, 320, 3), 90, np.uint8), rng.integers(400, 3000, (240, 320), np.uint16))
        for _ in range(5)
    ]
    path = Bag(with_infrared=True).write(tmp_path / "a.bag", pairs)
    with registry.create_camera(f"orbbec:{path}", WANTED) as camera:
        frames = [*every_frame(camera)]
    assert len(frames) == 5
    for frame, (_, raw) in zip(frames, pairs, strict=True):
        assert np.array_equal(frame.extras[DEPTH_NATIVE], raw)
        assert np.array_equal(frame.extras["infrared_left"], infrared(raw, 6))
        assert np.array_equal(frame.extras["infrared_right"], infrared(raw, 7))
    with registry.create_camera(f"orbbec:{path}", OFFLINE) as camera:
        assert first_frame(camera).extras == {}
