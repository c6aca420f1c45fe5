"""Recordings of ROS in every container, played, told, exported and refined by their path."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import zstandard

pytest.importorskip("rosbags", reason="rosbags is in the dev extra")
import ros_takes as made

from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.cli.session import session_path
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, CameraNotFoundError, RecordingError
from lingbot_live.export.job import ExportRequest, run_export
from lingbot_live.recording.bags import unpack
from lingbot_live.recording.bags.files import bag_files
from lingbot_live.recording.bags.order import in_order
from lingbot_live.recording.info import describe
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.recording import Recording
from lingbot_live.refiners.base import PassthroughRefiner

ROWS = list(range(6))
K_FX = made.K[0]


def _only(folder: Path) -> Path:
    (file,) = (path for path in folder.iterdir() if path.suffix != ".yaml")
    return file


MAKERS = {
    **{f"ros1 {c}": lambda f, c=c: made.ros1(f / "take.bag", c) for c in ("none", "lz4", "bz2")},
    **{
        f"{storage} {packed} {kind}": lambda f, s=storage, p=packed, only=kind: (
            _only(made.ros2(f / "take", s, p)) if only == "file" else made.ros2(f / "take", s, p)
        )
        for storage in ("mcap", "sqlite3")
        for packed in ("none", "file", "message")
        for kind in ("folder", "file")
    },
}


@pytest.fixture(params=MAKERS)
def take(request, tmp_path):
    return MAKERS[request.param](tmp_path)


def test_it_plays_by_its_path_and_with_the_scheme(take):
    for address in (str(take), f"session:{take}"):
        assert registry.find_camera(address).driver == "session"
        with registry.create_camera(address, OFFLINE) as camera:
            assert made.numbers(every_frame(camera)) == ROWS
    (member,) = registry.with_members([str(take)])
    assert member == f"session:{take}#{made.DEPTH}"
    with registry.create_camera(member, CameraConfig(loop=False)) as camera:
        seen = made.numbers(every_frame(camera))
        assert seen == sorted(seen)
        assert camera.playback.frames == 6


def test_it_is_told_exported_and_refined(take, tmp_path):
    found = describe(session_path(str(take)))
    assert found["cameras"][made.DEPTH]["frames"] == 6
    assert found["cameras"][made.DEPTH]["calibration"]["color"]["fx"] == K_FX
    assert found["bytes"] > 1000
    assert [topic["messages"] for topic in found["topics"]] == [6, 6, 6]
    assert run_export(ExportRequest(str(take), "images", tmp_path / "out")).frames == 6
    assert refine_file(take, tmp_path / "new.mcap", PassthroughRefiner()) == 0
    with Recording(tmp_path / "new.mcap") as refined:
        assert made.numbers(refined) == ROWS
        assert refined.refined(5) is not None


def test_any_frame_at_any_time(take):
    with Recording(take) as recording:
        track = recording.track(made.DEPTH)
        assert made.numbers(track[row] for row in (5, 0, 3, 3)) == [5, 0, 3, 3]
        assert track.times_ns.tolist() == list(made.TIMES_NS)
        assert track[2].device_timestamp_us == made.TIMES_NS[2] // 1000


# ---- parts -------------------------------------------------------------------------------------


def split(folder: Path, storage: str, parts: int) -> Path:
    """A recording of two frames a part, with a part 10 that comes after part 9."""
    suffix = {"mcap": ".mcap", "sqlite3": ".db3"}[storage]
    whole = folder / "walk"
    whole.mkdir(parents=True)
    for part in range(parts):
        times = [made.START_NS + (2 * part + row) * 33_333_333 for row in range(2)]
        made.ros2(folder / f"part{part}", storage, times_ns=times, first=2 * part)
        (folder / f"part{part}" / f"part{part}{suffix}").rename(whole / f"walk_{part}{suffix}")
        shutil.copy(folder / f"part{part}" / "metadata.yaml", whole)
        shutil.rmtree(folder / f"part{part}")
    return whole


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("with_metadata", [True, False])
def test_a_split_recording_is_one(tmp_path, storage, with_metadata):
    folder = split(tmp_path, storage, 11)
    if not with_metadata:
        (folder / "metadata.yaml").unlink()
    with registry.create_camera(str(folder), OFFLINE) as camera:
        assert made.numbers(every_frame(camera)) == list(range(22))
    with Recording(folder) as recording:
        assert made.numbers([recording[21], recording[0], recording[11]]) == [21, 0, 11]
        assert len(recording.files) == 11


def test_a_folder_of_several_recordings_asks_for_one(tmp_path):
    for name in ("left", "right"):
        _only(made.ros2(tmp_path / "x" / name)).rename(tmp_path / f"{name}.mcap")
    shutil.rmtree(tmp_path / "x")
    assert bag_files(tmp_path) == []
    with pytest.raises(BadRecordingError, match=r"several recordings, name one: left\.mcap, right"):
        registry.find_camera(f"session:{tmp_path}")
    with pytest.raises(CameraNotFoundError, match="no driver plays"):
        registry.find_camera(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRecordingError, match=r"no \.mcap or \.db3 file"):
        registry.find_camera(f"session:{tmp_path / 'empty'}")


# ---- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ros1 none", "sqlite3 none file", "mcap file file"])
def test_any_name_plays_from_its_folder(tmp_path, kind, monkeypatch):
    whole = MAKERS[kind](tmp_path)
    path = whole.rename(tmp_path / ("a b?c#d%41ü" + "".join(whole.suffixes)))
    monkeypatch.chdir(tmp_path)
    (member,) = registry.with_members([path.name])
    assert member.endswith(f"{path.name}#{made.DEPTH}")
    for address in (path.name, member):
        with registry.create_camera(address, OFFLINE) as camera:
            assert made.numbers(every_frame(camera)) == ROWS


# ---- clocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bag", "mcap", "sqlite3"])
def test_a_clock_set_back_keeps_the_order_of_writing(tmp_path, kind):
    hour = 3_600_000_000_000
    starts = [made.START_NS + hour, made.START_NS]
    times = [start + row * 33_333_333 for start in starts for row in range(3)]
    if kind == "bag":
        take = made.ros1(tmp_path / "take.bag", times_ns=times)
    else:
        take = made.ros2(tmp_path / "take", kind, times_ns=times)
    with registry.create_camera(str(take), OFFLINE) as camera:
        frames = list(every_frame(camera))
    assert made.numbers(frames) == ROWS
    assert [frame.device_timestamp_us for frame in frames] == [t // 1000 for t in times]
    with Recording(take) as recording:
        assert recording.duration_s == pytest.approx(5 / 30, abs=0.001)


def test_topics_written_one_after_another_are_no_set_clock():
    times = {0: np.arange(5) * 10**9, 1: np.arange(5) * 10**9 + 5}
    places = {0: np.arange(5), 1: np.arange(5) + 5}
    for channel, order in in_order(times, places).items():
        assert order.times_ns.tolist() == times[channel].tolist()
        assert order.rows.tolist() == list(range(5))


def test_messages_a_little_out_of_order_are_put_in_order():
    times = {0: np.array([0, 40, 20, 60]) * 10**6}
    order = in_order(times, {0: np.arange(4)})[0]
    assert order.rows.tolist() == [0, 2, 1, 3]
    assert order.times_ns.tolist() == [0, 20 * 10**6, 40 * 10**6, 60 * 10**6]


# ---- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ros1 none", "ros1 lz4", "sqlite3 none file", "mcap file file"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.9])
def test_a_cut_file_is_a_clear_error(tmp_path, kind, part):
    path = MAKERS[kind](tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(RecordingError, match="take"):
        Recording(path)


def test_a_damaged_message_of_a_bag_loses_itself_alone(tmp_path):
    path = made.ros1(tmp_path / "take.bag")
    data = bytearray(path.read_bytes())
    third = data.index(b"16UC1", data.index(b"16UC1", data.index(b"16UC1") + 1) + 1)
    struct.pack_into("<I", data, third - 4, 0xFFFFFFF0)  # how long the text is
    path.write_bytes(data)
    with registry.create_camera(str(path), OFFLINE) as camera:
        assert made.numbers(every_frame(camera)) == [0, 1, 3, 4, 5]
        assert camera.missed["damaged"] == 1


def test_a_damaged_packed_message_loses_itself_alone(tmp_path):
    path = _only(made.ros2(tmp_path / "take", "sqlite3", "message"))
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE messages SET data = substr(data, 1, 40) WHERE id = 9")
    with registry.create_camera(str(path), OFFLINE) as camera:
        assert made.numbers(every_frame(camera)) == [0, 1, 3, 4, 5]
        assert camera.missed["damaged"] == 1


def test_a_bag_that_was_never_closed_says_how_to_mend_it(tmp_path):
    path = made.ros1(tmp_path / "take.bag")
    data = bytearray(path.read_bytes())
    at = data.index(b"index_pos=") + len(b"index_pos=")
    data[at : at + 8] = bytes(8)
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="rosbag reindex"):
        Recording(path)


def test_other_sqlite_files_are_no_recordings(tmp_path):
    path = tmp_path / "other.db3"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE notes (text)")
    with pytest.raises(RecordingError, match="no recording of rosbag2"):
        Recording(path)


# ---- what is packed as a whole -------------------------------------------------------------------


def test_unpacked_copies_are_shared_and_go(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"  # nobody else's
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def copies() -> list[str]:
        return [name for name in os.listdir(temporary) if "lingbot-live-" in name]

    paths = [_only(made.ros2(tmp_path / f"take{i}", "mcap", "file")) for i in range(5)]
    for path in paths:
        with Recording(path) as first, Recording(path) as second:
            assert made.numbers([first[0], second[5]]) == [0, 5]
            assert 1 <= len(copies()) <= 1 + unpack.MOST_UNUSED
    assert len(copies()) <= unpack.MOST_UNUSED


def test_no_room_for_the_copy_is_said(tmp_path, monkeypatch):
    path = _only(made.ros2(tmp_path / "take", "mcap", "file"))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpack, "_decompress", full)
    with pytest.raises(RecordingError, match=r"No space left.*make room"):
        Recording(path)


def test_what_a_killed_process_unpacked_is_cleared_away(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = _only(made.ros2(tmp_path / "take", "mcap", "file"))
    code = (
        "import os, sys; from lingbot_live.recording.recording import Recording\n"
        "with Recording(sys.argv[1]) as recording:\n"
        "    os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=False)
    assert len(os.listdir(temporary)) == 1
    code = code.replace("os.kill(os.getpid(), 9)", "print(os.listdir(os.environ['TMPDIR']))")
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, check=True, capture_output=True
    )
    assert done.stdout.count(b"lingbot-live-unpacked-") == 1, "the other's is gone"
    assert os.listdir(temporary) == []


def test_a_packed_bomb_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch):
    path = tmp_path / "bomb.mcap.zstd"
    path.write_bytes(zstandard.ZstdCompressor().compress(bytes(64 << 20)))
    monkeypatch.setattr(unpack, "_ALWAYS_BYTES", 1 << 20)
    with pytest.raises(RecordingError, match="unpacks to more than"):
        Recording(path)
