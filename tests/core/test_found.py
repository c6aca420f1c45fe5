"""What was found in frames is stored beside them: followed points, grasps, markers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sessions import NoisyCamera, record

from lingbot_live.calibration.rig import move_of
from lingbot_live.colormap import point_colors
from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import Extrinsics, RefinedFrame
from lingbot_live.perception.tracks import Lifted, Tracked
from lingbot_live.recording.found import FoundGrasps, FoundPoints
from lingbot_live.recording.info import describe
from lingbot_live.recording.mcap.cdr import Header, decode_poses, encode_poses
from lingbot_live.recording.mcap.cdr_cloud import decode_points, encode_points
from lingbot_live.recording.packing import pack_file
from lingbot_live.recording.recorder import SPLIT
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions

LEFT, RIGHT = "noisy:left", "noisy:right"
POSE = move_of((1.0, 2.0, 3.0), (0.0, 0.0, 90.0))
GRASPS = [move_of((0.1, 0.2, 0.5), (170.0, 5.0, -20.0)), Extrinsics()]


def points_of(frame, pose=None, count=3):
    """Points whose numbers say which frame they are of; the last one's place is unknown."""
    numbers = 64 * (pose is not None) + np.arange(count)
    pixels = np.float32(frame.index) + np.arange(2 * count, dtype=np.float32).reshape(-1, 2)
    places = np.float32(0.5) + np.arange(3 * count, dtype=np.float32).reshape(-1, 3)
    places[-1] = np.nan
    moved = np.full((count, 3), 0.25, np.float32)
    seen = np.arange(count) != 1
    trust = np.linspace(0, 1, count, dtype=np.float32)
    return FoundPoints(frame, numbers, Tracked(pixels, seen), Lifted(places, moved, trust), pose)


def test_points_and_grasps_come_back_with_their_frames(tmp_path):
    path, added = tmp_path / "a.mcap", []

    def during(session, recorder):
        def tap(camera, item):
            if isinstance(item, RefinedFrame):
                pose = POSE if camera == RIGHT else None
                recorder.add(camera, points_of(item.frame, pose, 3 if item.frame.index < 6 else 4))
                recorder.add(camera, FoundGrasps(item.frame, GRASPS))
                added.append((camera, item.frame.index))
                if len(added) > 12:
                    recorder.end_found(LEFT)
                    recorder.end_found(LEFT)

        session.add_tap(tap)

    cameras = [NoisyCamera(name, count=20, period_s=0.01) for name in ("left", "right")]
    _, recorder = record(path, *cameras, during=during)
    assert recorder.error is None
    lost = sum(recorder.stats().drops.values())
    for session in (path, packed(path)):
        found = check(session)
        assert set(found) <= set(added)
        assert len(found) >= len(added) - lost > 6


def packed(path):
    out = path.with_name("packed.mcap")
    pack_file(path, out)
    return out


def check(path):
    """Return of which frames there are points."""
    found = []
    with Recording(path) as recording:
        assert recording.damage == ()
        for number in range(len(recording)):
            frame, columns = recording[number], recording.points(number)
            if columns is not None:
                pose = POSE if frame.camera == RIGHT else None
                check_points(points_of(frame, pose, len(columns["id"])), columns)
                found.append((frame.camera, frame.index))
            for grasp, known in zip(recording.grasps(number) or GRASPS, GRASPS, strict=True):
                np.testing.assert_allclose(grasp.matrix, known.matrix, atol=1e-6)
        assert any(recording.grasps(number) for number in range(len(recording)))
        marks = [(e.camera, e.text) for e in recording.events if e.kind == "marker"]
    left = [text for camera, text in marks if camera == LEFT]
    right = [text for camera, text in marks if camera == RIGHT]
    assert right[0] == "tracking of 3 points begins"
    assert right[-1] == left[-1] == "tracking ends", "at the latest with the recording"
    assert right.count("tracking ends") == 1
    pairs = itertools.pairwise(left)
    assert all("begins" in before for before, text in pairs if "ends" in text)
    roles = {topic["topic"]: topic["use"] for topic in describe(path)["topics"]}
    assert roles["/noisy_left/tracks"] == f"tracks of {LEFT}"
    assert roles["/noisy_right/grasps"] == f"grasps of {RIGHT}"
    return found


def check_points(given, columns):
    assert list(columns) == ["x", "y", "z", "id", "u", "v", "visible", "trust", "speed", "rgb"]
    places = np.stack([columns[axis] for axis in "xyz"], 1)
    own = given.lifted.points_m
    np.testing.assert_allclose(places, own if given.pose is None else POSE.apply(own), rtol=1e-6)
    np.testing.assert_array_equal(columns["id"], given.numbers)
    np.testing.assert_array_equal(np.c_[columns["u"], columns["v"]], given.tracked.pixels)
    np.testing.assert_array_equal(columns["visible"], given.tracked.visible)
    np.testing.assert_array_equal(columns["trust"], given.lifted.trust)
    np.testing.assert_allclose(columns["speed"], 0.25 * np.sqrt(3), rtol=1e-6)
    blue_first = columns["rgb"].copy().view(np.uint8).reshape(-1, 4)
    np.testing.assert_array_equal(blue_first[:, 2::-1], point_colors(given.numbers))


def test_of_a_frame_that_is_in_the_part_before_it_is_counted_and_not_written(tmp_path):
    def during(session, recorder):
        earlier = []

        def tap(camera, item):
            if isinstance(item, RefinedFrame):
                for before in earlier:
                    recorder.add(camera, FoundGrasps(before, GRASPS))
                earlier[:] = [item.frame]

        session.add_tap(tap)

    options = RecorderOptions(split_bytes=1, refined=False)
    _, recorder = record(tmp_path / "a.mcap", NoisyCamera(), options=options, during=during)
    stats = recorder.stats()
    assert stats.error is None
    assert stats.parts == 12
    assert stats.drops[SPLIT] > 0
    for path in tmp_path.glob("*.mcap"):
        with Recording(path) as recording:
            assert recording.grasps(0) is None


def test_of_a_frame_that_was_not_recorded_nothing_is_stored(tmp_path):
    strangers = []

    def during(session, recorder):
        def tap(camera, item):
            if isinstance(item, RefinedFrame):
                recorder.pause()
                recorder.add(camera, points_of(item.frame))
                recorder.resume()
                strangers.append(item.frame)

        session.add_tap(tap)

    _, recorder = record(tmp_path / "a.mcap", NoisyCamera(), during=during)
    recorder.add(LEFT, points_of(strangers[0]))
    recorder.end_found()
    with Recording(tmp_path / "a.mcap") as recording:
        assert all(recording.points(number) is None for number in range(len(recording)))
        assert not [event for event in recording.events if event.kind == "marker"]


def test_damaged_messages_are_refused():
    header = Header(1, "somewhere")
    cloud = encode_points(header, {name: np.ones(4, np.float32) for name in "xyz"})
    poses = encode_poses(header, GRASPS)
    for cut in range(len(poses)):
        with pytest.raises(CorruptRecordingError):
            decode_poses(poses[:cut])
    for cut in range(len(cloud) - 1):  # the last byte says that places may be nan
        with pytest.raises(CorruptRecordingError):
            decode_points(cloud[:cut])
    of_float32, of_float64 = (bytes((kind, 0, 0, 0, 1, 0, 0, 0)) for kind in (7, 8))
    assert of_float32 in cloud
    for found, put in ((of_float32, of_float64), (b"\0\0\0\x0c", b"\0\0\0\xfc")):
        with pytest.raises(CorruptRecordingError):
            decode_points(cloud.replace(found, put))
    assert decode_points(encode_points(header, {"x": np.zeros(0, np.float32)}))[1]["x"].size == 0
