"""Files made to cost much or to trip what reads them: a line, a status, and nothing more."""

from __future__ import annotations

import os
import random
import struct
import time
from dataclasses import replace

import numpy as np
import pytest
from command import command
from hostile import (
    MOST_BYTES,
    MOST_S,
    chunk_bomb,
    cost_of,
    large_jpeg,
    large_png,
    note,
    roles,
    session,
)

from drivers.folder import layouts, lists
from drivers.folder.driver import FolderCamera, FolderDriver
from lingbot_live.calibration.rig import Rig
from lingbot_live.cameras.pictures import MOST_PIXELS, decode_picture, picture_size
from lingbot_live.cli.plain import plain
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, ConfigError, LingbotLiveError, WeightsError
from lingbot_live.frame import Intrinsics
from lingbot_live.model.weights import store, zoo
from lingbot_live.model.weights.fetch import HubFile
from lingbot_live.recording.mcap import cdr
from lingbot_live.recording.mcap.chunks import Chunk, pack
from lingbot_live.recording.recording import Recording
from lingbot_live.report import without_folders
from lingbot_live.system.inputs import from_json, from_toml


def one_line(text: str) -> bool:
    return "Traceback" not in text and len(text.strip().splitlines()) == 1


# ---- cost --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", [b"\0", b"\x80" + bytes(8), b"\x05\x16" + bytes(29)], ids=["1", "9", "31"]
)
def test_chunks_that_unpack_to_gigabytes(tmp_path, pattern):
    path = chunk_bomb(tmp_path / "a.mcap", 240 << 20, 128, pattern)
    assert path.stat().st_size < 8 << 20
    cost = cost_of("info", path)
    assert cost.status == 2
    assert one_line(cost.said), cost.said
    assert cost.cpu_s < MOST_S
    assert cost.peak_bytes < MOST_BYTES


@pytest.mark.parametrize(
    "picture", [large_jpeg(32_000, 32_000), large_png(32_000, 32_000)], ids=["jpeg", "png"]
)
def test_a_picture_of_a_gigapixel_is_not_decoded(tmp_path, picture):
    path = session(tmp_path / "a.mcap", COLOR=picture)
    cost = cost_of("run", path, "--headless", "--frames", "1", "--refiner", "none")
    assert cost.peak_bytes < MOST_BYTES
    assert cost.cpu_s < MOST_S
    with Recording(path) as recording, pytest.raises(LingbotLiveError, match="32000x32000"):
        recording[0]


def test_a_jpeg_of_endless_passes_is_refused():
    data = bytes(cdr.decode_compressed(large_jpeg(4000, 4000))[2])
    assert picture_size(data) == (4000, 4000)
    with pytest.raises(ValueError, match="passes"):
        decode_picture(data + b"\xff\xda" * 200, 1)
    with pytest.raises(ValueError, match="pixels"):
        decode_picture(
            bytes(cdr.decode_compressed(large_jpeg(65_000, MOST_PIXELS // 65_000 + 1))[2]), 1
        )


def test_twenty_thousand_equal_stamps(tmp_path):
    text = "1.0 a.png\n" * 20_000
    for name in ("rgb.txt", "depth.txt"):
        (tmp_path / name).write_text(text)
    started_s = time.process_time()
    assert layouts.scan(tmp_path).items
    assert time.process_time() - started_s < 5
    path = session(tmp_path / "a.mcap")
    with Recording(path) as recording:
        assert len(recording) == 1


def test_neighbours_pair_as_before():
    color = np.arange(1000, dtype=np.int64) * 33_000_000
    depth = color[::2] + 9_000_000
    pairs = lists.associated(color, depth)
    assert pairs == [(2 * n, n) for n in range(500)]


def test_equal_times_of_messages_give_one_frame(tmp_path):
    path = tmp_path / "a.mcap"
    from lingbot_live.recording.session_file import SessionFile
    from lingbot_live.recording.tracks import OwnTrack

    file = SessionFile(path, [])
    file.add_camera("noisy:left", "left", 1)
    from hostile import frame

    from lingbot_live.recording import encode

    true = frame()
    for number in range(300):
        messages = encode.encode_frame(true, "left", 1, 95)
        file.write("noisy:left", 10**18, 10**18, number, messages)
    file.finish()
    with Recording(path) as recording:
        track = recording.track()
        assert isinstance(track, OwnTrack)
        assert len(track) == 1
        assert len(track.messages(0, "left")) == 4


# ---- no traceback ------------------------------------------------------------------------------

_DEEP = "[" * 200_000
NOTES = [
    cdr.encode_text(_DEEP),
    cdr.encode_text('{"a":' * 100_000),
    cdr.encode_text("[]"),
    cdr.encode_text("7"),
    cdr.encode_text('{"index": 1e999}'),
    note(index=1.5),
    note(index="7"),
    note(index=2**80),
    note(timestamp_ns=2**63),
    note(device_timestamp_us=-(2**70)),
    note(depth_scale_m="x"),
    note(depth_scale_m=float("nan")),
    note(depth_scale_m=float("inf")),
    note(alignment=[1]),
    note(alignment="sideways"),
    note(label={"a": 1}),
    note(surprise=1),
]


@pytest.mark.parametrize("content", NOTES)
def test_notes_of_the_wrong_kind(tmp_path, content):
    path = session(tmp_path / "a.mcap", FRAME=content)
    for words in (("info", path), ("run", path, "--headless", "--refiner", "none")):
        done = command(*words)
        assert "Traceback" not in done.stderr
        assert "unexpected" not in done.stderr
    with Recording(path) as recording, pytest.raises(LingbotLiveError):
        recording[0]


@pytest.mark.parametrize(
    "content",
    [
        _DEEP,
        "{}",
        '{"info": 3, "calibration": {}}',
        '{"info": {"driver": 1}, "calibration": {"color": {"width": 1e999}}}',
    ],
)
def test_a_camera_described_wrongly_still_has_its_frames(tmp_path, content):
    path = session(tmp_path / "a.mcap", CAMERA=cdr.encode_text(content))
    with Recording(path) as recording:
        assert recording[0].calibration.color.width == 40
        assert recording.track().info is None


def test_times_beyond_what_numbers_hold(tmp_path):
    chunk = Chunk()
    for time_ns in (2**63, 2**64 - 1):
        chunk.add(1, 0, time_ns, time_ns, b"")
    packed = pack(chunk, "")
    data = session(tmp_path / "a.mcap").read_bytes()
    path = tmp_path / "b.mcap"
    path.write_bytes(data[:8] + packed.head + packed.data + packed.indexes + data[8:])
    with Recording(path) as recording:
        assert len(recording) == 1
        assert recording.damage
    path.write_bytes(data[:8] + packed.head + packed.data + packed.indexes)
    done = command("info", path)
    assert done.returncode == 2
    assert one_line(done.stderr), done.stderr


def test_any_message_may_be_noise(tmp_path):
    rng = random.Random(3)
    for number in range(40):
        role = rng.choice(roles())
        path = session(tmp_path / f"{number}.mcap", **{role: rng.randbytes(rng.randrange(300))})
        done = command("info", path)
        assert "Traceback" not in done.stderr, (number, done.stderr)
        assert "unexpected" not in done.stderr, (number, done.stderr)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "a = " + "[" * 100_000, "a = {b = " * 20_000, "version = 1e999"]
)
def test_a_rig_of_the_wrong_kind(tmp_path, text):
    path = tmp_path / "rig.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"rig\.toml"):
        Rig.load(path)


def test_a_rig_with_numbers_too_large(tmp_path):
    path = tmp_path / "rig.toml"
    head = 'version = 1\n[[camera]]\naddress = "a:b"\nrotation = [[1,0,0],[0,1,0],[0,0,1]]\n'
    for line in (f"translation_m = [{'9' * 400}, 0, 0]", "translation_m = [0,0,0]\nresidual_px = "
                 + "9" * 400):  # fmt: skip
        path.write_text(head + line)
        with pytest.raises(ConfigError, match=r"rig\.toml"):
            Rig.load(path)


def test_json_and_toml_say_what_is_wrong():
    for text in ("[" * 10**5, "NaN", "-Infinity", "1e999", "9" * 1000, "{", '"\ud800'):
        with pytest.raises(ValueError, match=r"."):
            from_json(text)
    with pytest.raises(ValueError, match=r"."):
        from_toml("a = " + "[" * 10**5)


def load(folder):
    with FolderCamera(FolderDriver().find(str(folder)), CameraConfig()) as camera:
        return camera.read(1.0)


def _example(folder, matrix: str, size: int = 8):
    import cv2

    cv2.imwrite(str(folder / "rgb.png"), np.zeros((size, size, 3), np.uint8))
    cv2.imwrite(str(folder / "raw_depth.png"), np.ones((size, size), np.uint16))
    (folder / "intrinsics.txt").write_text(matrix)


@pytest.mark.parametrize(
    "matrix",
    [
        "9 1 4\n0 9 4\n0 0 1",
        "9 0 4\n0 9 4\n0 1 1",
        "9 0 4\n0 9 4\n0 0 2",
        "9 0 4\n2 9 4\n0 0 1",
        "1e999 0 4\n0 9 4\n0 0 1",
        "nan 0 4\n0 9 4\n0 0 1",
        "9 0\n0 9",
        "a",
        "",
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_a_camera_matrix_that_is_none(tmp_path, matrix):
    _example(tmp_path, matrix)
    with pytest.raises(BadRecordingError, match=r"intrinsics\.txt"):
        load(tmp_path)
    with pytest.raises(ConfigError):
        Intrinsics.from_matrix([[9, 1, 4], [0, 9, 4], [0, 0, 1]], 8, 8)


@pytest.mark.parametrize(
    "stamp", ["nan", "inf", "1e999", "1e999999999", "9" * 5000, "-1e300", "sNaN", "x"]
)
def test_stamps_that_are_no_times(tmp_path, stamp):
    for name in ("rgb.txt", "depth.txt"):
        (tmp_path / name).write_text(f"1.0 b.png\n{stamp} a.png\n")
    with pytest.raises(BadRecordingError, match="txt"):
        layouts.scan(tmp_path)


@pytest.mark.parametrize("text", ['{"width": 1e999}', '{"fx": "9"}', "[" * 10**5, "3"])
def test_intrinsics_json_of_the_wrong_kind(tmp_path, text):
    (tmp_path / "color").mkdir()
    (tmp_path / "depth").mkdir()
    (tmp_path / "intrinsics.json").write_text(text)
    with pytest.raises(BadRecordingError, match=r"json|no colour"):
        layouts.scan(tmp_path)


# ---- what is no file ---------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_pipes_and_devices_are_refused_at_once(tmp_path):
    pipe = tmp_path / "a.mcap"
    os.mkfifo(pipe)
    for words in (
        ("info", pipe),
        ("repair", pipe, "-o", tmp_path / "b.mcap"),
        ("run", pipe, "--headless"),
        ("run", f"session:{pipe}", "--headless"),
        ("run", "session:/dev/zero", "--headless"),
        ("run", f"session:{tmp_path / 'a.mcap'}#x", "--headless"),
        ("export", pipe, "-o", tmp_path / "c"),
        ("run", "/dev/zero", "--headless"),
    ):
        done = command(*words)
        assert done.returncode == 2, words
        assert one_line(done.stderr), done.stderr
    for suffix in (".bag", ".db3", ".mkv"):
        os.mkfifo(tmp_path / f"a{suffix}")
        assert command("info", tmp_path / f"a{suffix}").returncode == 2
    os.mkfifo(tmp_path / "rig.toml")
    with pytest.raises(ConfigError, match="pipe"):
        Rig.load(tmp_path / "rig.toml")
    os.mkfifo(tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="pipe"):
        store.resolve(str(tmp_path / "model.pt"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_pipes_in_a_folder_are_refused(tmp_path):
    _example(tmp_path, "9 0 4\n0 9 4\n0 0 1")
    for name in ("intrinsics.txt", "raw_depth.png", "rgb.png"):
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)
        with pytest.raises(BadRecordingError, match="pipe"):
            load(tmp_path)


# ---- names -------------------------------------------------------------------------------------


def test_control_characters_never_reach_the_terminal(tmp_path):
    name = "a\x1b[2J\x07\x9b31m\u202e\r.mcap"
    for words in (
        ("info", tmp_path / name),
        ("run", f"no{name}:x", "--headless"),
        ("run", name, "--headless"),
        ("info", name, "b"),
    ):
        done = command(*words)
        assert done.returncode != 0
        told = done.stdout + done.stderr
        assert not any(plain(c) != c for c in told), told
    session(tmp_path / name)
    done = command("info", tmp_path / name)
    assert "\\u001b[2J" in done.stdout
    assert not any(plain(c) != c for c in done.stdout)


def test_lists_stay_within_their_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("LINGBOT_LIVE_ALLOW_OUTSIDE", raising=False)
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "b.png").symlink_to(outside / "a.png")
    for name in (
        "../out/a.png",
        str(outside / "a.png"),
        "link/a.png",
        "b.png",
        "x/../../out/a.png",
    ):
        for file in ("rgb.txt", "depth.txt"):
            (inside / file).write_text(f"1.0 {name}\n")
        with pytest.raises(BadRecordingError, match="--allow-outside"):
            layouts.scan(inside)
        monkeypatch.setenv("LINGBOT_LIVE_ALLOW_OUTSIDE", "1")
        assert layouts.scan(inside).items
        monkeypatch.delenv("LINGBOT_LIVE_ALLOW_OUTSIDE")
    for file in ("rgb.txt", "depth.txt"):
        (inside / file).write_text("1.0 sub/a.png\n")
    assert layouts.scan(inside).items


def test_the_option_may_stand_anywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("LINGBOT_LIVE_ALLOW_OUTSIDE", "")
    (tmp_path / "in").mkdir()
    for file in ("rgb.txt", "depth.txt"):
        (tmp_path / "in" / file).write_text("1.0 ../a.png\n")
    run = ("run", f"folder:{tmp_path / 'in'}", "--headless", "--refiner", "none")
    assert "--allow-outside" in command(*run).stderr
    assert "a.png" in command(*run, "--allow-outside").stderr
    assert os.environ["LINGBOT_LIVE_ALLOW_OUTSIDE"] == "1"


def test_reports_name_files_without_their_folders():
    for address, short in {
        "/home/me/secret/desk.mcap": "desk.mcap",
        "session:/home/me/desk.mcap#realsense:1": "session:desk.mcap#realsense:1",
        "session:/a/b.mcap#folder:/home/me/x": "session:b.mcap#folder:x",
        "/a/b.mcap#/d/image,/c/image,/c/info": "b.mcap#/d/image,/c/image,/c/info",
        "C:\\Users\\me\\a.bag": "a.bag",
        "orbbec:C:\\Users\\me\\a.bag": "orbbec:a.bag",
        "realsense:f1234567": "realsense:f1234567",
        "truth": "truth",
    }.items():
        assert without_folders(address) == short


def test_other_weights_than_the_known_are_refused():
    known = zoo.ZOO[0].sha256
    file = HubFile("model.pt", 5, f"sha256:{known}")
    assert store._pinned("v0.5", file) == file
    assert store._pinned("v0.5", replace(file, checksum="")).checksum == f"sha256:{known}"
    for other in (
        replace(file, checksum="sha256:" + "0" * 64),
        replace(file, name="m.safetensors"),
    ):
        with pytest.raises(WeightsError, match="--any"):
            store._pinned("v0.5", other)
    assert store._pinned("org/theirs", replace(file, checksum="sha256:1")).checksum == "sha256:1"


def test_a_head_that_lies_of_its_length_is_no_chunk():
    from lingbot_live.recording.mcap.records import read_chunk_head

    chunk = Chunk()
    chunk.add(1, 0, 5, 5, b"abc")
    head = pack(chunk, "lz4").head
    assert read_chunk_head(head) is not None
    for at in range(1, 9):
        wrong = bytearray(head)
        wrong[at] ^= 1
        assert read_chunk_head(bytes(wrong)) is None
    assert read_chunk_head(head[: struct.calcsize("<BQ")]) is None
