"""Which topics of other programs' files make a camera, and which images make a frame."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command import command
from foreign_files import (
    START_NS,
    STEP_NS,
    OtherProgram,
    color_image,
    depth_image,
    png,
    stamp_ns,
    standard,
)

from lingbot_live.cameras import registry
from lingbot_live.errors import RecordingError
from lingbot_live.recording.foreign import McapSource, names
from lingbot_live.recording.recording import Recording

ROOT, FRAME = "/camera/camera", "camera_color_optical_frame"
DEPTH, COLOR, INFO = (
    f"{ROOT}/aligned_depth_to_color/image_raw",
    f"{ROOT}/color/image_raw",
    f"{ROOT}/color/camera_info",
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "other.mcap"


def numbers(recording, name=""):
    """Return of each frame the number that its depth and that its colour was made with."""
    track = recording.track(name)
    return [(int(f.depth_raw[0, 0]) - 1000) // 10 for f in track], [
        int(f.color[0, 0, 2]) - 40 for f in track
    ]


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("late_ns", [0, 66_000_000, 150_000_000, -80_000_000])
def test_images_pair_by_their_stamps_however_late_they_were_logged(path, late_ns, compression):
    with OtherProgram(path, compression) as file:
        for row in range(8):
            t, log_ns = stamp_ns(row), stamp_ns(row) + 10**9
            file.camera(INFO, t, FRAME)
            file.image(COLOR, t, FRAME, "rgb8", color_image(row), log_ns=log_ns)
            file.image(DEPTH, t, FRAME, "16UC1", depth_image(row), log_ns=log_ns + late_ns)
    with Recording(path) as recording:
        assert numbers(recording) == (list(range(8)), list(range(8)))
        assert recording.track().remarks == ()


def test_images_pair_by_log_time_where_stamps_say_nothing(path):
    with OtherProgram(path) as file:
        for row in range(4):
            file.camera(INFO, 0, FRAME)
            file.image(COLOR, 0, FRAME, "rgb8", color_image(row), log_ns=stamp_ns(row) + 10**6)
            file.image(DEPTH, 0, FRAME, "16UC1", depth_image(row), log_ns=stamp_ns(row))
    with Recording(path) as recording:
        assert numbers(recording) == ([0, 1, 2, 3], [0, 1, 2, 3])


def test_equal_log_times_of_a_recorder_count_more_than_times_of_arrival(path):
    arrived = np.random.default_rng(0).integers(0, 3 * STEP_NS, (6, 2))
    with OtherProgram(path) as file:
        for row in range(6):
            late = [START_NS + row * 3 * STEP_NS + int(late) for late in arrived[row]]
            log_ns = stamp_ns(row)
            file.camera(INFO, stamp_ns(row), FRAME)
            file.image(COLOR, late[0], FRAME, "rgb8", color_image(row), log_ns=log_ns)
            file.image(DEPTH, late[1], FRAME, "16UC1", depth_image(row), log_ns=log_ns)
    with Recording(path) as recording:
        assert numbers(recording) == (list(range(6)), list(range(6)))


def test_depth_whose_colour_was_lost_is_left_out_and_counted(path):
    with OtherProgram(path) as file:
        for row in range(8):
            t = stamp_ns(row)
            file.camera(INFO, t, FRAME)
            if row not in (3, 4):
                file.image(COLOR, t, FRAME, "rgb8", color_image(row))
            file.image(DEPTH, t, FRAME, "16UC1", depth_image(row))
    with Recording(path) as recording:
        assert numbers(recording) == ([0, 1, 2, 5, 6, 7],) * 2
        assert recording.track().remarks == (
            "2 depth images have no colour image of their time and are left out",
        )


def test_a_topic_in_several_channels_is_one(path):
    with OtherProgram(path) as file:
        for row in range(6):
            if row in (2, 3):
                file.begin_channels_anew()
            file.camera(INFO, stamp_ns(row), FRAME)
            file.image(DEPTH, stamp_ns(row), FRAME, "16UC1", depth_image(row))
            file.image(COLOR, stamp_ns(row), FRAME, "rgb8", color_image(row))
    with Recording(path) as recording:
        assert numbers(recording) == (list(range(6)), list(range(6)))
        assert [topic.messages for topic in recording.topics] == [6, 6, 6]


def all_transports(file, root=ROOT, frame=FRAME, rows=3, skip=()):
    """As `ros2 bag record -a` with every transport: the packed ones differ from the raw."""
    head = bytes(12)
    for row in range(rows):
        t, depth, color = stamp_ns(row), depth_image(row), color_image(row)
        for topic, packed, data in (
            (f"{root}/color/image_raw", "rgb8; jpeg compressed bgr8", png(color, ".jpg")),
            (f"{root}/aligned_depth_to_color/image_raw", "16UC1; png compressed ", png(depth)),
        ):
            if f"{topic}/compressed" not in skip:
                file.packed(f"{topic}/compressed", t, frame, packed, data)
        topic = f"{root}/aligned_depth_to_color/image_raw"
        if f"{topic}/compressedDepth" not in skip:
            data = head + png(depth)
            file.packed(f"{topic}/compressedDepth", t, frame, "16UC1; compressedDepth png", data)
        if topic not in skip:
            file.image(topic, t, frame, "16UC1", depth)
        if f"{root}/color/image_raw" not in skip:
            file.image(f"{root}/color/image_raw", t, frame, "rgb8", color)
        file.camera(f"{root}/color/camera_info", t, frame)
        file.camera(f"{root}/aligned_depth_to_color/camera_info", t, frame)


@pytest.mark.parametrize(
    ("skip", "best"),
    [
        ((), DEPTH),
        ((DEPTH,), f"{DEPTH}/compressedDepth"),
        ((DEPTH, f"{DEPTH}/compressedDepth"), f"{DEPTH}/compressed"),
    ],
)
def test_all_transports_of_a_camera_make_one_with_the_best(path, skip, best):
    with OtherProgram(path) as file:
        all_transports(file, skip=skip)
    with Recording(path) as recording:
        assert list(recording.tracks) == [best]
        frame = recording[1]
        assert np.array_equal(frame.depth_raw, depth_image(1))
        assert np.array_equal(frame.color, color_image(1))


def test_colour_as_jpeg_serves_where_it_is_all_there_is(path):
    with OtherProgram(path) as file:
        all_transports(file, skip=(COLOR,))
    with Recording(path) as recording:
        assert list(recording.tracks) == [DEPTH]
        assert np.abs(recording[2].color.astype(int) - color_image(2)).max() < 12


def test_a_transport_with_few_messages_is_not_the_best(path):
    with OtherProgram(path) as file:
        all_transports(file, rows=6, skip=(DEPTH,))
        file.image(DEPTH, stamp_ns(0), FRAME, "16UC1", depth_image(0))
    with Recording(path) as recording:
        assert list(recording.tracks) == [f"{DEPTH}/compressedDepth"]
        assert len(recording) == 6


@pytest.mark.parametrize(
    ("template", "frame"),
    [
        ("/robot/{}/{}/image_raw", "{}_{}_optical_frame"),
        ("/robot/{}_{}/image_raw", "{}_{}_optical_frame"),
        ("/robot/{}_{}", "camera"),
        ("/robot/{1}/{0}/image", "{}_link"),
        ("/robot/sensors/{1}_{0}_image", ""),
    ],
)
@pytest.mark.parametrize("cameras", [("left", "right"), ("cam1", "cam10"), ("d435_0", "d435_1")])
def test_two_cameras_in_one_namespace_keep_their_own_colour(path, template, frame, cameras):
    def topic(camera, sensor):
        return template.format(camera, sensor)

    with OtherProgram(path) as file:
        for number, camera in enumerate(cameras):
            for row in range(2):
                t, name = stamp_ns(row), frame.format(camera, "color")
                shown = color_image(row + 50 * number)
                file.image(topic(camera, "color"), t, name, "rgb8", shown)
                name = frame.format(camera, "depth")
                k = (75.0 + number, 75.0, 39.5, 29.5)
                file.image(topic(camera, "depth"), t, name, "16UC1", depth_image(row))
                for sensor in ("color", "depth"):
                    name = frame.format(camera, sensor)
                    file.camera(f"{topic(camera, sensor)}/camera_info", t, name, k)
    with Recording(path) as recording:
        assert len(recording.tracks) == 2
        for number, camera in enumerate(cameras):
            frame_ = recording.track(topic(camera, "depth"))[0]
            assert int(frame_.color[0, 0, 2]) == 40 + 50 * number
            assert frame_.intrinsics.fx == 75 + number


def test_depth_takes_no_colour_of_another_camera(path):
    with OtherProgram(path) as file:
        standard(file, root="/robot/cam1", frame="cam1")
        for row in range(4):
            t = stamp_ns(row)
            file.image("/robot/cam2/depth/image_raw", t, "cam2_depth", "16UC1", depth_image(row))
            file.camera("/robot/cam2/depth/camera_info", t, "cam2_depth")
    with Recording(path) as recording:
        assert list(recording.tracks) == ["/robot/cam1/aligned_depth_to_color/image_raw"]
        uses = {t.topic: t.use for t in recording.topics}
        assert uses["/robot/cam2/depth/image_raw"].endswith("no colour images that belong to it")


def kinect(file, *, with_color=True):
    """All topics of the Azure Kinect's ROS driver; infrared has the depth sensor's frame."""
    for row in range(3):
        t, rgb, depth = stamp_ns(row), "rgb_camera_link", "depth_camera_link"
        grey = np.full((60, 80), 12_700, np.uint16)
        if with_color:
            file.image("/rgb/image_raw", t, rgb, "bgra8", np.dstack(
                [color_image(row)[..., ::-1], np.full((60, 80), 255, np.uint8)]
            ))  # fmt: skip
            file.camera("/rgb/camera_info", t, rgb)
            turned = np.ascontiguousarray(255 - color_image(row)[..., ::-1])
            file.image("/rgb_to_depth/image_raw", t, depth, "bgr8", turned)
            file.camera("/rgb_to_depth/camera_info", t, depth, (60.0, 60.0, 39.5, 29.5))
            file.image("/depth_to_rgb/image_raw", t, rgb, "16UC1", depth_image(row))
            file.camera("/depth_to_rgb/camera_info", t, rgb)
        file.image("/depth/image_raw", t, depth, "16UC1", depth_image(row) + 500)
        file.camera("/depth/camera_info", t, depth, (60.0, 60.0, 39.5, 29.5))
        file.image("/ir/image_raw", t, depth, "mono16", grey)
        file.camera("/ir/camera_info", t, depth, (60.0, 60.0, 39.5, 29.5))


def test_infrared_in_the_depth_sensors_frame_is_no_depth(path):
    with OtherProgram(path) as file:
        kinect(file)
    with Recording(path) as recording:
        assert sorted(recording.tracks) == ["/depth/image_raw", "/depth_to_rgb/image_raw"]
        own, moved = (
            recording.track("/depth/image_raw")[0],
            recording.track("/depth_to_rgb/image_raw")[0],
        )
        assert (int(own.depth_raw[0, 0]), own.intrinsics.fx) == (1500, 60)
        assert np.array_equal(own.color, 255 - color_image(0))
        assert (int(moved.depth_raw[0, 0]), moved.intrinsics.fx) == (1000, 75)
        assert np.array_equal(moved.color, color_image(0))


def test_infrared_stands_in_where_there_is_no_colour_and_says_so(path):
    with OtherProgram(path) as file:
        kinect(file, with_color=False)
    with Recording(path) as recording:
        assert list(recording.tracks) == ["/depth/image_raw"]
        assert recording.track().remarks == ("there is no colour; /ir/image_raw stands in for it",)
        assert (recording[0].color == 12_700 >> 8).all()


@pytest.mark.parametrize(
    ("topic", "encoding"),
    [
        ("/cam/ir/image_raw", "16UC1"),
        ("/cam/infra1/image_rect_raw", "mono16"),
        ("/cam/depth/ir", "16UC1"),
        ("/cam/confidence/image", "16UC1"),
        ("/cam/amplitude/image", "32FC1"),
        ("/cam/disparity", "32FC1"),
    ],
)
def test_what_lies_beside_depth_is_no_camera(path, topic, encoding):
    dtype = np.float32 if encoding == "32FC1" else np.uint16
    with OtherProgram(path) as file:
        standard(file, root="/cam", frame="link")
        for row in range(4):
            file.image(topic, stamp_ns(row), "link", encoding, np.full((60, 80), 9, dtype))
    with Recording(path) as recording:
        assert list(recording.tracks) == ["/cam/aligned_depth_to_color/image_raw"]


def test_names():
    assert names.content("/kinect2/sd/image_depth") == "depth"
    assert names.content("/aligned_depth_to_infra1/image_raw") == "depth"
    assert names.says_aligned("/k/depth_to_rgb/image_raw")
    assert names.says_aligned("/k/depth_registered/image_raw")
    assert not names.says_aligned("/k/aligned_depth_to_infra1/image_raw")
    assert not names.says_aligned("/k/depth/image_rect_raw")
    assert names.base("/a/image_raw/compressedDepth") == "/a/image_raw"
    assert names.contradict("/robot/cam1/depth", "/robot/cam2/color")
    assert not names.contradict("/zed/left/image_rect", "/zed/depth/depth_registered")
    assert not names.contradict("/device_0/sensor_0/Depth_0", "/device_0/sensor_1/Color_0")
    assert names.contradict("/device_0/sensor_0/Depth_0", "/device_1/sensor_1/Color_0")


# ---- nothing to pair, and the table --------------------------------------------------------------


def test_an_error_lists_the_topics_and_what_is_missing(path):
    with OtherProgram(path) as file:
        for row in range(4):
            file.image(COLOR, stamp_ns(row), FRAME, "rgb8", color_image(row))
            file.image(DEPTH, stamp_ns(row), FRAME, "16UC1", depth_image(row))
        file.text("/notes", "good weather")
    done = command("info", str(path))
    assert done.returncode == 2
    assert f"{DEPTH}: no CameraInfo (calibration) that belongs to it" in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.split()[0] in done.stderr for line in lines)
    assert any(
        COLOR in line and "sensor_msgs/msg/Image" in line and "rgb8" in line for line in lines
    )
    assert any("/notes" in line and "std_msgs/msg/String" in line for line in lines)


@pytest.mark.parametrize(
    ("without", "words"),
    [
        ("depth", "No topic holds depth"),
        ("color", "no colour images"),
        ("camera_info", "CameraInfo"),
    ],
)
def test_each_missing_part_is_named(path, without, words):
    with OtherProgram(path) as file:
        for row in range(2):
            t = stamp_ns(row)
            if without != "depth":
                file.image("/c/depth/image", t, "c", "16UC1", depth_image(row))
            if without != "color":
                file.image("/c/color/image", t, "c", "rgb8", color_image(row))
            if without != "camera_info":
                file.camera("/c/color/camera_info", t, "c")
    with pytest.raises(RecordingError, match=words):
        Recording(path)


def test_info_shows_the_topics_of_every_file(path, tmp_path):
    with OtherProgram(path) as file:
        standard(file)
        file.text("/notes", "good weather")
    found = json.loads(command("info", str(path), "--json").stdout)
    uses = {topic["topic"]: topic["use"] for topic in found["topics"]}
    assert uses == {
        INFO: f"calibration of {DEPTH}",
        COLOR: f"colour, rgb8 of {DEPTH}",
        DEPTH: f"depth, 16UC1 of {DEPTH}",
        "/notes": "text",
    }
    text = command("info", str(path)).stdout
    assert all(f"    {topic}" in text for topic in uses)


def test_stamps_of_a_file_are_looked_at_once(path, monkeypatch):
    looked = []
    heads = McapSource.heads
    monkeypatch.setattr(
        McapSource, "heads", lambda self, *args: looked.append(args) or heads(self, *args)
    )
    for rows in (3, 5):  # another file of the same name is looked at anew
        with OtherProgram(path) as file:
            standard(file, rows)
        looked.clear()
        for _ in range(2):
            with Recording(path) as recording:
                assert numbers(recording) == (list(range(rows)), list(range(rows)))
        assert len(looked) == 1


def test_remarks_reach_the_window_the_log_and_exports(path, tmp_path, caplog):
    with OtherProgram(path) as file:
        for row in range(3):
            file.camera("/k/rgb/camera_info", stamp_ns(row), "rgb")
            file.image("/k/rgb/image_raw", stamp_ns(row), "rgb", "rgb8", color_image(row))
            file.camera("/k/depth/camera_info", stamp_ns(row), "depth", (60.0, 60.0, 40.0, 30.0))
            file.image("/k/depth/image_raw", stamp_ns(row), "depth", "16UC1", depth_image(row))
    words = "no transform from depth (depth) to colour (rgb) is in it"
    assert words in "; ".join(registry.find_camera(str(path)).recorded.remarks)
    with registry.create_camera(f"session:{path}"):
        assert words in caplog.text
    assert words in command("export", path, "--to", "npz", "-o", tmp_path / "out").stderr
    text = command("info", path).stdout
    assert f"note: {words}" in text
    assert "registered to colour while reading" in text
