"""Pictures beside colour and depth: through cameras, sessions, exports, and only when wanted."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from export_takes import ask
from sessions import HalfRefiner, NoisyCamera, record

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import first_frame
from lingbot_live.cameras.readings import OFFLINE
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraError
from lingbot_live.export.job import run_export
from lingbot_live.export.shot import DepthSource
from lingbot_live.frame import EXTRAS, Frame
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions

RAW = RecorderOptions(lossless=True, refined=False)


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    path = tmp_path_factory.mktemp("take") / "desk.mcap"
    witness, _ = record(path, NoisyCamera("left", 4, with_extras=True), options=RAW)
    return path, witness.frames["noisy:left"]


def same(found: Frame, given: Frame) -> bool:
    return {*found.extras} == {*given.extras} and all(
        found.extras[name].dtype == picture.dtype and np.array_equal(found.extras[name], picture)
        for name, picture in given.extras.items()
    )


def test_a_session_holds_them_to_the_bit(take):
    path, given = take
    with Recording(path) as recording:
        track = recording.track("noisy:left")
        assert len(track) == len(given) == 4
        assert all(same(found, frame) for found, frame in zip(track, given, strict=True))
        assert {*given[0].extras} == {"infrared_left", "infrared", "depth_native"}
        assert not track[0].extras["infrared"].flags.writeable
        assert track.frame(0, extras=False).extras == {}


def test_cameras_that_have_none_record_none(tmp_path):
    record(tmp_path / "a.mcap", NoisyCamera("left", 2), options=RAW)
    with Recording(tmp_path / "a.mcap") as recording:
        assert recording.track("noisy:left")[0].extras == {}


def test_a_session_plays_them_where_they_are_wanted(take):
    path, given = take
    for wanted in (False, True):
        config = replace(OFFLINE, extras=wanted)
        with registry.create_camera(str(path), config) as camera:
            frame = first_frame(camera)
        assert same(frame, given[0]) if wanted else frame.extras == {}


def test_a_refined_recording_keeps_them(take, tmp_path):
    path, given = take
    refine_file(path, tmp_path / "b.mcap", HalfRefiner(), exact=True)
    with Recording(tmp_path / "b.mcap") as recording:
        assert same(recording.track("noisy:left")[3], given[3])


def test_images_and_arrays_are_exported_with_them(take, tmp_path):
    path, given = take
    for form in ("images", "npz"):
        run_export(ask(path, form, tmp_path / form, source=DepthSource.RAW))
    for name, picture in given[2].extras.items():
        written = cv2.imread(str(tmp_path / "images" / "000002" / f"{name}.png"), -1)
        assert written.dtype == picture.dtype
        assert np.array_equal(written, picture)
        with np.load(tmp_path / "npz" / "000002.npz") as arrays:
            assert np.array_equal(arrays[name], picture)
    with registry.create_camera(f"folder:{tmp_path / 'images'}", OFFLINE) as camera:
        assert np.array_equal(first_frame(camera).color, given[0].color), "folders play as before"


@pytest.mark.parametrize(("target", "name"), [("stereo", "infrared_left"), ("tof", "infrared")])
def test_simulated_cameras_see_in_their_own_light(target, name):
    config = CameraConfig(width=96, height=72, extras=True)
    with registry.create_camera(f"synthetic:{target}", config) as camera:
        frame = first_frame(camera, 60)
    (found,) = frame.extras
    picture = frame.extras[found].astype(float)
    assert found == name
    assert picture.shape == (72, 96)
    assert picture.std() > 8, "a picture"
    far = frame.reference_m > np.percentile(frame.reference_m, 80)
    near = (frame.reference_m < np.percentile(frame.reference_m, 20)) & (frame.reference_m > 0)
    assert picture[near].mean() > 1.2 * picture[far].mean(), "its light fades"


def test_a_session_tells_what_its_camera_told_of_itself(tmp_path):
    camera = NoisyCamera("left", 1)
    camera.info = replace(camera.info, details={"firmware": "5.16.0.1", "usb": "3.2"})
    record(tmp_path / "a.mcap", camera, options=RAW)
    info = registry.find_camera(str(tmp_path / "a.mcap"))
    assert (info.serial, info.details["firmware"], info.details["usb"]) == (
        "0042", "5.16.0.1", "3.2",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("ultraviolet", np.zeros((4, 4), np.uint8)),
        ("infrared", np.zeros((4, 4), np.float32)),
        ("infrared", np.zeros((4, 4, 3), np.uint8)),
    ],
)
def test_what_is_no_extra_picture_is_refused(take, name, picture):
    with pytest.raises(CameraError, match=name):
        replace(take[1][0], extras={name: picture})
    assert name == "ultraviolet" or name in EXTRAS


def test_what_waits_for_the_disk_counts_them(take):
    frame = take[1][0]
    bare = replace(frame, extras={})
    assert frame.nbytes - bare.nbytes == sum(picture.nbytes for picture in frame.extras.values())
    assert bare.nbytes == frame.color.nbytes + frame.depth_raw.nbytes
