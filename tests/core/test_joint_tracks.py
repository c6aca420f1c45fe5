"""Points that several cameras of one session see, followed into one file, in the rig's axes."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from command import command
from rig_scene import CAMERA, TRUE, shot

from lingbot_live.calibration.rig import Rig, RigCamera
from lingbot_live.cameras.base import CameraInfo
from lingbot_live.cli.options import find_in_rig
from lingbot_live.colormap import point_colors
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import BadFrameError, ExportError
from lingbot_live.export.following import Following
from lingbot_live.export.source import FrameSource, open_sources
from lingbot_live.export.tracks import RerunTracks, TrackedCamera
from lingbot_live.frame import Calibration, Extrinsics, Frame
from lingbot_live.perception.tracks import LucasKanade
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.encode import encode_frame
from lingbot_live.recording.parts import Parts
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions
from lingbot_live.refiners.base import create_passthrough

LEFT, RIGHT = "made:left", "made:right"
POSES = {LEFT: Extrinsics(), RIGHT: TRUE}  # T_left_camera
COUNTS = {LEFT: 5, RIGHT: 3}  # frames: the right one is slower and joins later
SPOT_M = np.array([-0.35, 0.35, 1.6])  # on a box that both see, in the left one's axes


def pixel(name):
    """Where a camera sees the spot."""
    x, y, z = POSES[name].inverse().apply(SPOT_M[None])[0]
    return CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy


def info_of(name):
    return CameraInfo(*name.split(":"), name, f"no-{name[5:]}")


@cache
def frames_of(name):
    """What a camera sees, standing still."""
    seen, calibration = shot(POSES[name]), Calibration(CAMERA)
    raw = np.rint(seen.depth_m * 1000).astype(np.uint16)
    step, first = (1, 0) if name == LEFT else (2, 1)
    times_ns = [10**15 + (first + step * number) * 33_000_000 for number in range(COUNTS[name])]
    return [
        Frame(name, number, at_ns, at_ns // 1000, seen.color, raw, 0.001, calibration)
        for number, at_ns in enumerate(times_ns)
    ]


def write(path, *names, later_ns=0):
    """A session of cameras."""
    parts = Parts(path, RecorderOptions(), {}, 0)
    for name in names:
        for frame in frames_of(name):
            at_ns = frame.timestamp_ns + later_ns
            moment = Moment(at_ns, at_ns)
            if frame.index == 0:
                parts.describe(name, name[5:], moment, info_of(name), frame.calibration)
            messages = encode_frame(frame, name[5:], at_ns, 95)
            parts.write(name, moment, at_ns, frame.index, messages)
    parts.close()
    return path


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    """A session of both, and their rig; its second camera by its serial number."""
    folder = tmp_path_factory.mktemp("joint")
    cameras = (RigCamera(LEFT), RigCamera("elsewhere:7", TRUE, "no-right"))
    Rig(cameras).save(folder / "rig.toml")
    return write(folder / "both.mcap", LEFT, RIGHT), folder / "rig.toml"


def spots():
    return [
        word
        for name in POSES
        for word in ("--points", "{:.2f},{:.2f}@{}".format(*pixel(name), name))
    ]


def test_one_file_holds_all_cameras_tracks_in_the_rigs_axes(take, tmp_path):
    session, rig = take
    table, arrays, joint, picture = (
        tmp_path / f"tracks.{kind}" for kind in ("csv", "npz", "mcap", "png")
    )
    done = command(
        "track", session, *spots(), "--points", "30,30", "--rig", rig, "--refiner", "none",
        "-o", table, "-o", arrays, "-o", joint, "-o", picture,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 2 * (COUNTS[LEFT] + COUNTS[RIGHT] - 1)  # none is behind the last of left's
    assert {(row["camera"], row["point"]) for row in rows} == {
        (LEFT, "0"), (LEFT, "1"), (RIGHT, "2"), (RIGHT, "3")
    }  # fmt: skip
    for point in ("0", "2"):  # the one spot
        places = [
            [float(row[f"{axis}_m"]) for axis in "xyz"] for row in rows if row["point"] == point
        ]
        np.testing.assert_allclose(places, np.tile(SPOT_M, (len(places), 1)), atol=0.012)
    with np.load(arrays) as told:
        assert told["camera"].tolist() == [LEFT, LEFT, RIGHT, RIGHT]
        assert told["points_m"].shape == (5, 4, 3)
        assert told["frame"][:, 0].tolist() == [0, 1, 2, 3, 4]
        missed = told["frame"][:, 1] < 0
        assert 0 < missed.sum() < 5
        assert np.isnan(told["points_m"][missed, 2:]).all()
        assert not told["visible"][missed, 2:].any()
        np.testing.assert_allclose(np.nanmean(told["points_m"], 0)[[0, 2]], [SPOT_M] * 2, atol=0.01)
    check_session(joint)
    check_picture(picture)


def check_picture(path):
    """A row a camera: the spot's dot is where each sees it, and at one place from above."""
    drawn = cv2.imread(str(path))[..., ::-1]
    assert drawn.shape == (2 * 480 + 6, 640 + 6 + 480, 3)
    for camera, (name, number) in enumerate(((LEFT, 0), (RIGHT, 2))):
        u, v = (round((at + 0.5) * 480 / CAMERA.height - 0.5) for at in pixel(name))
        row = drawn[486 * camera :][:480]
        dot = point_colors(np.array([number]))[0]
        assert np.abs(row[v, u].astype(int) - dot).max() < 3
        assert (np.abs(row[:, 646:].astype(int) - dot).max(-1) < 3).any(), "from above"


def check_session(path):
    """Both cameras' topics are in the rig's axes, and it says where the cameras stand there."""
    from mcap.reader import make_reader
    from rosbags.typesys import Stores, get_typestore

    store, clouds, stands = get_typestore(Stores.ROS2_HUMBLE), {}, {}
    with path.open("rb") as file:
        for schema, channel, message in make_reader(file).iter_messages():
            if channel.topic.endswith("/tracks"):
                clouds[channel.topic] = store.deserialize_cdr(message.data, schema.name)
            elif channel.topic == "/tf_static":
                for one in store.deserialize_cdr(message.data, schema.name).transforms:
                    stands[one.child_frame_id] = one.header.frame_id, one.transform.translation.x
    assert set(clouds) == {"/made_left/tracks", "/made_right/tracks"}
    for cloud in clouds.values():
        assert cloud.header.frame_id == "rig"
        rows = cloud.data.view(np.float32).reshape(cloud.width, -1)
        np.testing.assert_allclose(rows[0, :3], SPOT_M, atol=0.012)
        blue_first = rows[:, -1:].copy().view(np.uint8)
        assert (blue_first[:, 2::-1] == point_colors(rows[:, 3].astype(int))).all()
    right = stands["made_right_color_optical_frame"]
    assert right == ("rig", pytest.approx(TRUE.translation_m[0]))
    assert "made_left_color_optical_frame" in stands
    with Recording(path) as recording:
        assert {track.name: len(track) for track in recording.tracks.values()} == {
            LEFT: COUNTS[LEFT], RIGHT: COUNTS[RIGHT] - 1
        }  # fmt: skip
        texts = [event.text for event in recording.events if event.kind == "marker"]
    assert texts[-1] == "tracking ends"
    assert texts[0].startswith("tracking of")


def test_several_cameras_need_a_rig_or_a_name(take, tmp_path):
    session, rig = take
    table = tmp_path / "t.csv"

    def told(*words):
        done = command("track", session, "--refiner", "none", "-o", table, *words)
        assert done.returncode != 0
        assert not table.exists()
        return " ".join(done.stderr.split())

    said = told("--grid", 2)
    assert f"has several cameras: {LEFT}, {RIGHT}" in said
    assert f"name one: session:{session}#{LEFT}" in said
    assert "no such camera; it has" in told("--points", "3,3@made:middle", "--rig", rig)
    Rig.of([LEFT]).save(tmp_path / "half.toml")
    assert f"does not know {RIGHT}" in told("--grid", 2, "--rig", tmp_path / "half.toml")


def test_several_inputs_are_as_one_session(take, tmp_path):
    session, rig = take
    apart = [write(tmp_path / f"{name[5:]}.mcap", name) for name in POSES]
    tables = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for inputs, table in zip(([session], apart), tables, strict=True):
        done = command("track", *inputs, *spots(), "--rig", rig, "--refiner", "none", "-o", table)
        assert done.returncode == 0, done.stderr
    assert tables[0].read_text() == tables[1].read_text()


def test_inputs_that_do_not_belong_together_are_refused(take, tmp_path):
    session, rig = take
    left = write(tmp_path / "left.mcap", LEFT)
    later = write(tmp_path / "later.mcap", RIGHT, later_ns=10**9)

    def told(*inputs, with_rig=True):
        options = ("--rig", rig) if with_rig else ()
        table = tmp_path / "t.csv"
        done = command("track", *inputs, "--grid", 2, "--refiner", "none", "-o", table, *options)
        assert done.returncode != 0
        assert not table.exists()
        return " ".join(done.stderr.split())

    assert "it is named twice" in told(left, left)
    assert f"{LEFT}: it is in {left} and in {session}; leave one out" in told(left, session)
    assert "have several cameras" in told(left, later, with_rig=False)
    assert f"{RIGHT}: by its stamps none of its frames is of one time with those of {LEFT}" in told(
        left, later
    )


class Streamed(FrameSource):
    """A recording that is read in order, with a clock that begins anywhere."""

    def __init__(self, name, begins_us):
        info = replace(info_of(name), is_recording=True)
        super().__init__(name, info, COUNTS[name])
        self._shift_us = begins_us - 10**12

    def frames(self, span):
        for number, frame in enumerate(frames_of(self.name)):
            if number == 2 and self.name == LEFT:
                yield number, BadFrameError("one is torn")
            else:
                us = frame.device_timestamp_us + self._shift_us
                yield number, replace(frame, device_timestamp_us=us)


def followed(*sources):
    engine = create_passthrough(RefinerConfig("none"))
    starts = [np.array([pixel(source.name)], np.float32) for source in sources]
    trackers = [LucasKanade() for _ in sources]
    following = Following(lambda place, _: starts[place], engine, trackers)
    moments = list(following.moments(sources, None))
    rows = [
        (round(moment.time_s, 3), [seen.refined.frame.index for seen in moment.seen])
        for moment in moments
    ]
    return rows, following.damaged


def test_recordings_without_a_common_clock_are_followed_from_their_first_frames_on():
    rows, damaged = followed(Streamed(LEFT, 5_000_000), Streamed(RIGHT, 77_000_000))
    of_two_as_near_the_later = [(0.0, [0, 0]), (0.033, [1, 1]), (0.099, [3, 2]), (0.132, [4])]
    assert rows == of_two_as_near_the_later
    assert damaged == 1


def test_absolute_stamps_say_what_is_of_one_time():
    now_us = 1_700_000_000_000_000
    rows, _ = followed(Streamed(LEFT, now_us), Streamed(RIGHT, now_us))
    assert rows == [(0.0, [0, 0]), (0.033, [1]), (0.099, [3, 1]), (0.132, [4, 2])]
    with pytest.raises(ExportError, match=f"{RIGHT}: by its stamps none"):
        followed(Streamed(LEFT, now_us), Streamed(RIGHT, now_us + 10**7))


def test_one_camera_of_several_stands_where_the_rig_says(take, tmp_path):
    session, rig = take
    table = tmp_path / "t.csv"
    spot = "{:.2f},{:.2f}".format(*pixel(RIGHT))
    done = command(
        "track", f"session:{session}#{RIGHT}", "--refiner", "none", "--points", spot, "--rig", rig,
        "-o", table,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (*_, last) = csv.DictReader(table.read_text().splitlines())
    np.testing.assert_allclose([float(last[f"{axis}_m"]) for axis in "xyz"], SPOT_M, atol=0.012)
    known = Rig.load(rig)
    assert find_in_rig(known, f"session:{session}#{RIGHT}") is known.cameras[1]
    assert find_in_rig(known, f"session:{session}#{LEFT}") is known.cameras[0]
    assert find_in_rig(Rig.of(["other:1"]), f"session:{session}#{LEFT}") is None


class Logged:
    """Stands for the Rerun SDK, which not every machine has; keeps what is logged."""

    def __init__(self):
        self.kept = []

    def __getattr__(self, name):
        return lambda *given, **named: (name, given, named)

    def RecordingStream(self, name):
        return self

    ViewCoordinates = type("ViewCoordinates", (), {"RDF": "RDF"})

    def log(self, path, what, **named):
        self.kept.append((path, what))


def test_a_rerun_recording_has_all_points_and_where_cameras_stand(take, tmp_path, monkeypatch):
    sdk = Logged()
    monkeypatch.setitem(sys.modules, "rerun", sdk)
    engine = create_passthrough(RefinerConfig("none"))
    with open_sources(str(take[0]), extras=False) as sources:
        cameras = [TrackedCamera(one.name, one.info, POSES[one.name]) for one in sources]
        starts = [np.array([pixel(one.name)], np.float32) for one in sources]
        file = RerunTracks(tmp_path / "t.rrd", cameras)
        following = Following(
            lambda place, _: starts[place], engine, [LucasKanade(), LucasKanade()]
        )
        for moment in following.moments(sources, None):
            file.add(moment)
    points = [what for path, what in sdk.kept if path == "tracks"]
    both = [(given[0], named) for _, given, named in points if len(given[0]) == 2]
    assert both
    for places, named in both:
        np.testing.assert_allclose(places, [SPOT_M, SPOT_M], atol=0.012)
        assert named["keypoint_ids"].tolist() == [0, 1]
    stands = {path: what[2]["translation"] for path, what in sdk.kept if what[0] == "Transform3D"}
    np.testing.assert_allclose(stands["made_right"], TRUE.translation_m)
