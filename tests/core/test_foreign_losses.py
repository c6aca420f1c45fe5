"""One damaged message of another program's file loses itself alone, wherever the file is read."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest
from command import command
from foreign_files import OtherProgram, color_image, depth_image, png, stamp_ns

from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.errors import NoCameraError
from lingbot_live.recording.mcap import cdr, schemas
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.recording import Recording
from lingbot_live.refiners.base import PassthroughRefiner

ROWS = 5
DEPTH, COLOR, INFO = "/c/depth_registered/image", "/c/color/image", "/c/color/camera_info"


def bomb():
    """Return a PNG whose head says 60000 x 60000."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 16, 0, 0, 0, 0)
    head = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + head + png(depth_image())[33:]


def image(height, width, encoding, step, data):
    """Return an Image's bytes, right or wrong."""
    writer = cdr.Writer().header(cdr.Header(0, "c")).put("I", height, width).text(encoding)
    return writer.put("B", 0).put("I", step, len(data)).end(data)


HEAD = bytes(12)
PACKED_DEPTH = {
    "nothing behind the head": HEAD,
    "no bytes": b"",
    "half a head": HEAD[:5],
    "junk": HEAD + b"junk" * 50,
    "half a PNG": HEAD + png(depth_image())[:60],
    "a PNG too large": HEAD + bomb(),
    "8 bit": HEAD + png(color_image()[..., 0]),
    "colour": HEAD + png(color_image()),
}


def raw(encoding, pixel):
    """Return damaged messages of images with ``pixel`` bytes a pixel."""
    row = 80 * pixel
    return {
        "an empty message": b"",
        "half a head": b"\0\1\0\0abc",
        "junk": bytes(range(7, 200)),
        "0x0": image(0, 0, encoding, 0, b""),
        "too few bytes": image(60, 80, encoding, row, bytes(2000)),
        "rows too short": image(60, 80, encoding, 80, bytes(60 * 80)),
        "another encoding": image(60, 80, "banana", row, bytes(60 * row)),
        "huge": image(2**31, 2**31, encoding, 2**32 - 1, bytes(100)),
    }


RAW = {"depth": raw("16UC1", 2), "colour": raw("rgb8", 3)}
PACKED_COLOR = {
    "no bytes": b"",
    "junk": b"junk" * 50,
    "half a JPEG's head": png(color_image(), ".jpg")[:20],
    "a PNG too large": bomb(),
}


def with_damage(path, kind, what, rows):
    """Write a file whose depth or colour is damaged in some rows."""
    with OtherProgram(path) as file:
        for row in range(ROWS):
            t, damaged = stamp_ns(row), row in rows
            file.camera(INFO, t, "c")
            if kind == "packed depth":
                data = PACKED_DEPTH[what] if damaged else HEAD + png(depth_image(row))
                topic = f"{DEPTH}/compressedDepth"
                file.packed(topic, t, "c", "16UC1; compressedDepth png", data)
            elif kind == "depth" and damaged:
                file.put(DEPTH, schemas.IMAGE, t, RAW[kind][what])
            else:
                file.image(DEPTH, t, "c", "16UC1", depth_image(row))
            if kind == "packed colour":
                data = PACKED_COLOR[what] if damaged else png(color_image(row), ".jpg")
                file.packed(f"{COLOR}/compressed", t, "c", "rgb8; jpeg compressed bgr8", data)
            elif kind == "colour" and damaged:
                file.put(COLOR, schemas.IMAGE, t, RAW[kind][what])
            else:
                file.image(COLOR, t, "c", "rgb8", color_image(row))


CASES = [
    *(("packed depth", what) for what in PACKED_DEPTH),
    *((kind, what) for kind, damages in RAW.items() for what in damages),
    *(("packed colour", what) for what in PACKED_COLOR),
]


@pytest.mark.parametrize(("kind", "what"), CASES)
def test_a_damaged_image_loses_its_frame_alone(tmp_path, kind, what):
    path = tmp_path / "other.mcap"
    for lost in (0, 2, ROWS - 1):
        with_damage(path, kind, what, {lost})
        with Recording(path) as recording:
            assert len(recording) == ROWS
            kept = dict(recording.track().readable())
            assert sorted(kept) == [row for row in range(ROWS) if row != lost]
            for row, frame in kept.items():
                assert np.array_equal(frame.depth_raw, depth_image(row))
                assert abs(int(frame.color[30, 40, 2]) - 40 - row) <= 3


@pytest.mark.parametrize(
    ("kind", "what"),
    [("packed depth", "no bytes"), ("depth", "an empty message"), ("colour", "0x0"),
     ("packed colour", "junk")],
)  # fmt: skip
def test_every_command_counts_it(tmp_path, kind, what):
    path = tmp_path / "other.mcap"
    with_damage(path, kind, what, {0, 3})
    with registry.create_camera(f"session:{path}", OFFLINE) as camera:
        assert len(list(every_frame(camera))) == ROWS - 2
        assert camera.missed["damaged"] == 2
    done = command("export", path, "--to", "npz", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert f"{ROWS - 2} frames, 2 left out" in done.stdout
    refined = tmp_path / "refined.mcap"
    assert refine_file(path, refined, PassthroughRefiner()) == 2
    with Recording(refined) as recording:
        assert len(recording) == ROWS - 2
        assert [e.count for e in recording.events if e.text == "not recorded: damaged"] == [1, 1]
    told = tmp_path / "stats.json"
    run = ("run", path, "--headless", "--refiner", "none", "--every-frame", "--stats", told)
    done = command(*run)
    assert done.returncode == 0, done.stderr
    (feed,) = json.loads(told.read_text("utf-8"))["feeds"].values()
    assert feed["captured"] == ROWS - 2
    assert feed["missed"]["damaged"] == 2


def calibrated(path, messages, rows=3):
    """Write a file with these calibrations: a focal length, or bytes."""
    with OtherProgram(path) as file:
        for row, message in enumerate(messages):
            if isinstance(message, bytes):
                file.put(INFO, schemas.CAMERA_INFO, stamp_ns(row), message)
            else:
                file.camera(INFO, stamp_ns(row), "c", (message, message, 39.5, 29.5))
        for row in range(rows):
            file.image(DEPTH, stamp_ns(row), "c", "16UC1", depth_image(row))
            file.image(COLOR, stamp_ns(row), "c", "rgb8", color_image(row))


@pytest.mark.parametrize(
    "messages",
    [(0.0, 75.0, 75.0), (0.0, 0.0, 75.0), (75.0, 0.0, 75.0), (b"", 75.0, 75.0),
     (75.0, b"\0\1\0\0junk", b""), (0.0,) * 100 + (75.0,), (75.0,)],
)  # fmt: skip
def test_a_calibration_that_says_nothing_loses_no_frame(tmp_path, messages):
    path = tmp_path / "other.mcap"
    calibrated(path, messages)
    with Recording(path) as recording:
        assert [frame.intrinsics.fx for frame in recording] == [75.0] * 3


def test_a_calibration_holds_from_its_time_on(tmp_path):
    path = tmp_path / "other.mcap"
    calibrated(path, (75.0, 75.0, 90.0))
    with Recording(path) as recording:
        assert [frame.intrinsics.fx for frame in recording] == [75.0, 75.0, 90.0]


def test_no_calibration_at_all_is_said(tmp_path):
    path = tmp_path / "other.mcap"
    calibrated(path, (0.0, 0.0, 0.0))
    with pytest.raises(NoCameraError, match=r"not calibrated \(K is 0\)"):
        Recording(path)


def test_a_topic_without_a_whole_message_is_named(tmp_path):
    path = tmp_path / "other.mcap"
    with_damage(path, "depth", "an empty message", set(range(ROWS)))
    with pytest.raises(NoCameraError, match="no message can be read"):
        Recording(path)


def test_pixels_out_of_range_are_counted_by_every_command(tmp_path):
    path = tmp_path / "other.mcap"
    with OtherProgram(path) as file:
        for row in range(3):
            depth = depth_image(row) / np.float32(1000)
            depth[:2] = 80.0
            file.camera(INFO, stamp_ns(row), "c")
            file.image(DEPTH, stamp_ns(row), "c", "32FC1", depth)
            file.image(COLOR, stamp_ns(row), "c", "rgb8", color_image(row))
    done = command("export", path, "--to", "npz", "-o", tmp_path / "out")
    assert "480 pixels held no depth (65535, or beyond 65.5 m)" in done.stderr
    with registry.create_camera(f"session:{path}", OFFLINE) as camera:
        assert [frame.out_of_range for frame in every_frame(camera)] == [160] * 3
