"""Files of other programs made to cost much or to trip what reads them, kind by kind."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import time
import zlib

import numpy as np
import pytest
import zstandard
from command import command
from faults import one_line
from fixtures_folder import example, plain
from foreign_files import START_NS, OtherProgram, color_image, depth_image, stamp_ns, standard
from hostile import MOST_BYTES, MOST_S, cost_of
from ros_takes import ros1

from drivers.folder import layouts
from drivers.folder.lens import read_lens
from drivers.folder.pictures import read_color
from lingbot_live.errors import BadFrameError, BadRecordingError, CorruptRecordingError
from lingbot_live.recording.bags import order
from lingbot_live.recording.bags.joined import _unpacked
from lingbot_live.recording.mcap import cdr, schemas
from lingbot_live.recording.recording import Recording

SOON_S = 3.0  # of this thread's processor time


@pytest.fixture
def soon():
    """Fail a test that takes longer than a small file may cost."""
    begun_s = time.thread_time()
    yield
    assert time.thread_time() - begun_s < SOON_S


# ---- texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("k.txt", "\n" * 250_000),
        ("k.txt", "fx = " + " " * 250_000 + "x"),
        ("k.txt", "fx = 1" + " " * 200_000 + "\n"),
        ("k.txt", "a" * 250_000),
        ("k.txt", "9 " * 1_000_000),
        ("k.yaml", "[" * 200_000),
        ("k.yaml", "a: &a [1, 2]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(4_000))),
        ("k.yaml", "- 1\n" * 400_000),
        ("k.json", "[" * 200_000),
        ("k.json", json.dumps({f"name{n}": n for n in range(10_000)})),
        ("k.json", json.dumps({"fx": 10**300, "fy": 1, "cx": 1, "cy": 1})),
        ("k.json", '{"width": -5, "height": 1e300, "fx": 9, "fy": 9, "cx": 4, "cy": 4}'),
    ],
)
def test_a_calibration_that_is_none_costs_little(tmp_path, soon, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadRecordingError, match="k\\."):
        read_lens(path).fitted(8, 8)


def test_scannets_poses_are_read_with_care(tmp_path):
    plain(tmp_path, count=2)
    folder = tmp_path / "intrinsic"
    folder.mkdir()
    (folder / "intrinsic_depth.txt").write_text("9 0 4\n0 9 4\n0 0 1")
    pose = folder / "extrinsic_color.txt"
    for text in ("1 0 0", "x " * 16, "1e999 " * 16, "nan " * 16):
        pose.write_text(text)
        with pytest.raises(BadRecordingError, match="extrinsic_color"):
            layouts.scan(tmp_path)
    if hasattr(os, "mkfifo"):
        pose.unlink()
        os.mkfifo(pose)
        with pytest.raises(BadRecordingError, match="pipe"):
            layouts.scan(tmp_path)


def test_numbers_in_names_may_be_of_any_length(tmp_path):
    plain(tmp_path, count=2)
    for n, path in enumerate(sorted((tmp_path / "color").iterdir())):
        path.rename(path.with_name(f"{n:06}-{'9' * 200}.png"))
    for n, path in enumerate(sorted((tmp_path / "depth").iterdir())):
        path.rename(path.with_name(f"{n + 7:06}-{'8' * 200}.png"))
    with pytest.raises(BadRecordingError, match="no colour image has a depth image"):
        layouts.scan(tmp_path)


# ---- pictures ----------------------------------------------------------------------------------


def test_a_picture_that_is_mostly_a_hole_is_not_read(tmp_path, soon):
    path = tmp_path / "rgb.png"
    with path.open("wb") as file:
        file.truncate(64 << 30)
    with pytest.raises(BadFrameError, match="longer than"):
        read_color(path)


def tiff(side: int, rows: int) -> bytes:
    """Return a small TIFF of side x side zeros; all its strips are one packed piece."""
    piece = zlib.compress(bytes(side * rows), 9)
    strips = side // rows
    at = 8 + len(piece)
    lists = struct.pack(f"<{strips}I", *[8] * strips) + struct.pack(
        f"<{strips}I", *[len(piece)] * strips
    )
    entries = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1),
        (273, 4, strips, at), (277, 3, 1, 1), (278, 4, 1, rows), (279, 4, strips, at + 4 * strips),
    ]  # fmt: skip
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)
    head = struct.pack("<2sHI", b"II", 42, at + len(lists))
    return head + piece + lists + table + bytes(4)


def test_no_kind_of_picture_is_unpacked_beyond_a_cameras(tmp_path):
    folder = example(tmp_path / "a")
    (folder / "raw_depth.png").write_bytes(tiff(32_768, 1024))
    cost = cost_of("info", folder / "nothing") and cost_of("snapshot", folder, "-o", tmp_path / "s")
    assert cost.status == 2
    assert "raw_depth.png" in one_line(cost.said)
    assert cost.peak_bytes < MOST_BYTES
    assert cost.cpu_s < MOST_S


# ---- databases and bags ------------------------------------------------------------------------

_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT "
MADE = {
    "a view": ["CREATE TABLE topics(id, name, type, serialization_format)",
               f"CREATE VIEW messages AS {_ENDLESS}i AS id, 1 AS topic_id, i AS timestamp, "
               "zeroblob(9) AS data FROM n"],
    "topics are a view": [f"CREATE VIEW topics AS {_ENDLESS}i AS id, 'a' AS name FROM n"],
    "a computed column": ["CREATE TABLE topics(id, name, type, serialization_format)",
                          "CREATE TABLE messages(id, topic_id, timestamp, "
                          "data GENERATED ALWAYS AS (zeroblob(900000000)))"],
    "other types": ["CREATE TABLE topics(id, name, type, serialization_format)",
                    "INSERT INTO topics VALUES ('x', 3, NULL, X'00')",
                    "CREATE TABLE messages(id, topic_id, timestamp, data)",
                    "INSERT INTO messages VALUES ('a', 'b', 'c', 'd')"],
    "times beyond": ["CREATE TABLE topics(id, name, type, serialization_format)",
                     "CREATE TABLE messages(id, topic_id, timestamp, data)",
                     "INSERT INTO messages VALUES (1, 1, 1e300, X'00')"],
    "no table": [],
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_databases_that_compute_or_hold_anything(tmp_path, soon, name):
    path = tmp_path / "a.db3"
    database = sqlite3.connect(path)
    for statement in MADE[name]:
        database.execute(statement)
    database.commit()
    database.close()
    for words in (("info", path), ("run", "--headless", path), ("export", path, "--to", "npz",
                  "-o", tmp_path / "out"), ("run", "--headless", f"realsense:{path}")):  # fmt: skip
        done = command(*words)
        assert done.returncode == 2, words
        assert "unexpected" not in one_line(done.stderr)


@pytest.mark.parametrize("packing", ["bz2", "lz4"])
def test_a_bags_chunk_says_it_is_huge(tmp_path, soon, packing):
    path = ros1(tmp_path / "a.bag", packing)
    data = bytearray(path.read_bytes())
    at = data.index(b"compression=" + packing.encode())
    size = data.index(b"size=", at - 60)
    data[size + 5 : size + 9] = struct.pack("<I", 0xF0000000)
    path.write_bytes(data)
    for command_name in ("info", "snapshot"):
        words = (
            command_name,
            path,
            *(("-o", tmp_path / "s") if command_name == "snapshot" else ()),
        )
        done = command(*words)
        assert done.returncode in (1, 2)
        assert "Traceback" not in done.stderr
        assert "unexpected" not in done.stderr


def naive(times_ns, places):
    """Do as `in_order` is described, step by step."""
    set_at = sorted(p for c in times_ns for p in order._set_back(times_ns[c], places[c]))
    moved = {channel: times.copy() for channel, times in times_ns.items()}
    for place in set_at:
        before = max(int(moved[c][places[c] < place].max(initial=0)) for c in moved)
        after = min(int(moved[c][places[c] >= place].min(initial=1 << 62)) for c in moved)
        if before - after > order._BACK_NS:
            for channel in moved:
                moved[channel][places[channel] >= place] += before - after + order._STEP_NS
    return moved


def test_clocks_that_are_set_again_and_again():
    rng = np.random.default_rng(5)
    for _ in range(30):
        places = rng.permutation(60).astype(np.int64)
        times = (rng.integers(0, 8, 60) * 700_000_000 + 10**12).astype(np.int64)
        times_ns = {0: times[:25], 1: times[25:]}
        by = {0: places[:25], 1: places[25:]}
        expected = naive(times_ns, by)
        for channel, found in order.in_order(times_ns, by).items():
            assert sorted(expected[channel].tolist()) == found.times_ns.tolist()


def test_a_clock_set_with_every_message_costs_little(soon):
    times = np.tile(np.array([5 * 10**9, 0], np.int64), 200_000)
    found = order.in_order({0: times}, {0: np.arange(len(times), dtype=np.int64)})
    assert (np.diff(found[0].times_ns) >= 0).all()
    far = np.tile(np.array([2 * 10**18, 0], np.int64), 10)
    with pytest.raises(CorruptRecordingError, match="no clock"):
        order.in_order({0: far}, {0: np.arange(len(far), dtype=np.int64)})


# ---- messages ----------------------------------------------------------------------------------

JSON = {
    "deep": "[" * 100_000,
    "deep within": '{"timestamp": ' + "[" * 100_000,
    "infinite": '{"width": 1e999, "height": 3, "step": 9, "data": ""}',
    "not a number": '{"width": NaN}',
    "a stamp of 400 digits": '{"timestamp": {"sec": ' + "9" * 400 + ', "nsec": 1}}',
    "a stamp beyond 64 bit": '{"timestamp": {"sec": 9999999999999999999, "nsec": 1}}',
    "a list": "[]",
    "no JSON": "\xff\x00",
}


FOXGLOVE = {
    "/d/image": "foxglove.RawImage", "/c/image": "foxglove.RawImage",
    "/c/info": "foxglove.CameraCalibration", "/tf": "foxglove.FrameTransform",
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_foxgloves_json_may_hold_anything(tmp_path, name):
    path = tmp_path / "a.mcap"
    with OtherProgram(path) as file:
        standard(file, rows=2)
        for row in range(2):
            for topic, schema in FOXGLOVE.items():
                file.put(topic, schema, stamp_ns(row), JSON[name].encode("latin-1"), "json")
    for words in (("info", path), ("snapshot", path, "-o", tmp_path / "s")):
        done = command(*words)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


def test_a_packed_message_that_grows_without_end(soon):
    packed = zstandard.ZstdCompressor(level=19).compress(bytes(300 << 20))
    with pytest.raises(CorruptRecordingError, match="larger than any image"):
        _unpacked(packed)


def test_stamps_of_any_size_in_cdr(tmp_path):
    path = tmp_path / "a.mcap"
    with OtherProgram(path) as file:
        for row in range(3):
            header = struct.pack("<iI", -(2**31), 2**32 - 1)
            for topic, kind, pixels in (("/c/depth/image", "16UC1", depth_image()),
                                        ("/c/color/image", "rgb8", color_image())):  # fmt: skip
                writer = cdr.Writer().header(cdr.Header(0, "c")).put("I", *pixels.shape[:2])
                writer.text(kind).put("B", 0).put("I", pixels.nbytes // 60, pixels.nbytes)
                data = bytearray(writer.end(pixels.tobytes()))
                data[4:12] = header
                file.put(topic, schemas.IMAGE, START_NS + row, data)
            file.camera("/c/color/camera_info", stamp_ns(row), "c")
    done = command("info", path)
    assert "unexpected" not in done.stderr
    with Recording(path) as recording:
        assert len(recording) > 0


@pytest.mark.parametrize("time_ns", [0, 1, 2**31 * 10**9, 2**62, 2**63 - 1])
def test_times_that_no_stamp_can_hold(tmp_path, time_ns):
    path, out = tmp_path / "a.mcap", tmp_path / "b.mcap"
    with OtherProgram(path) as file:
        standard(file, rows=3)
        for topic, pixels in (("color/image_raw", color_image()),
                              ("aligned_depth_to_color/image_raw", depth_image())):  # fmt: skip
            kind = "rgb8" if pixels.ndim == 3 else "16UC1"
            frame = "camera_color_optical_frame"
            file.image(f"/camera/camera/{topic}", stamp_ns(4), frame, kind, pixels, log_ns=time_ns)
    done = command("refine", path, "-o", out, "--refiner", "none")
    assert "unexpected" not in done.stderr
    with Recording(out) as refined:
        assert len(refined) >= 3
