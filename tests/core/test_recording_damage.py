"""Files cut, flipped and shuffled open with what is left, or say that nothing is."""

from __future__ import annotations

import contextlib
import random
import resource
import struct
import tracemalloc

import numpy as np
import pytest
from file_faults import Sound
from sessions import NoisyCamera, record

from lingbot_live.cameras import registry
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadRecordingError,
    CorruptRecordingError,
    EndOfStreamError,
    RecordingError,
    RecordingVersionError,
)
from lingbot_live.recording import session_file
from lingbot_live.recording.mcap.index import McapFile
from lingbot_live.recording.mcap.records import (
    CHUNK,
    MAGIC,
    record_places,
    unpack_chunk,
    walk_messages,
)
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.repair import repair

FILES = 300


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A small session of many chunks: its bytes and its frames by camera and index."""
    path = tmp_path_factory.mktemp("sound") / "a.mcap"
    usual, session_file.CHUNK_BYTES = session_file.CHUNK_BYTES, 6000
    try:
        record(path, NoisyCamera("left", 20), NoisyCamera("right", 20, seed=1))
    finally:
        session_file.CHUNK_BYTES = usual
    with Recording(path) as recording:
        frames = {(f.camera, f.index): f for f in recording}
    assert 30 < len(frames) <= 40, "a busy machine drops some"
    return path.read_bytes(), frames


def damaged(data: bytes, rng: random.Random) -> bytes:
    kind = rng.choice(("cut", "flip", "many", "zero", "shuffle", "length", "tail"))
    out = bytearray(data)
    if kind == "cut":
        return data[: rng.randrange(len(data))]
    if kind == "tail":
        return data[: -rng.randrange(1, 9000)]
    if kind in ("flip", "many"):
        for _ in range(1 if kind == "flip" else 40):
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    if kind == "zero":
        at = rng.randrange(len(out))
        out[at : at + 3000] = bytes(len(out[at : at + 3000]))
    if kind == "length":
        places = list(record_places(data[8:-8]))
        _, at, _ = rng.choice(places)
        struct.pack_into("<Q", out, 8 + at + 1, rng.choice((0, 1, 2**31, 2**40, 2**63, 2**64 - 1)))
    if kind == "shuffle":
        body = data[8:-8]
        parts = [body[at : at + 9 + length] for _, at, length in record_places(body)]
        chunks = [i for i, part in enumerate(parts) if part[0] == CHUNK]
        moved = chunks.copy()
        rng.shuffle(moved)
        order = list(range(len(parts)))
        for here, there in zip(chunks, moved, strict=True):
            order[here] = there
        return MAGIC + b"".join(parts[i] for i in order) + MAGIC
    return bytes(out)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read_all(camera) -> list:
    frames = []
    with contextlib.suppress(EndOfStreamError):
        while True:
            frames.append(camera.read(1.0))
    return frames


def check(path, frames) -> int:
    """Every frame that opens is right; return how many there are."""
    count = 0
    with Recording(path) as recording:
        for frame in recording:
            want = frames[frame.camera, frame.index]
            assert np.array_equal(frame.depth_raw, want.depth_raw)
            assert np.array_equal(frame.color, want.color)
            assert frame.depth_scale_m == want.depth_scale_m
            count += 1
        recording.events  # noqa: B018 - must not raise
    return count


def test_300_damaged_files(tmp_path, sound):
    data, frames = sound
    rng = random.Random(2024)
    outcomes = {"whole": 0, "part": 0, "refused": 0}
    path = tmp_path / "a.mcap"
    before = peak_bytes()
    for _ in range(FILES):
        path.write_bytes(damaged(data, rng))
        try:
            count = check(path, frames)
        except CorruptRecordingError:
            outcomes["refused"] += 1
        else:
            outcomes["whole" if count == len(frames) else "part"] += 1
    assert peak_bytes() - before < 64 << 20
    assert outcomes["part"] > 50, outcomes
    assert outcomes["whole"] + outcomes["part"] > 200, outcomes


def test_damaged_files_repair_to_what_opens(tmp_path, sound):
    data, frames = sound
    rng = random.Random(5)
    for number in range(40):
        path, out = tmp_path / "a.mcap", tmp_path / f"{number}.mcap"
        path.write_bytes(damaged(data, rng))
        try:
            before = check(path, frames)
            repair(path, out)
        except CorruptRecordingError:
            assert not out.exists()
            continue
        assert check(out, frames) >= before
        with Recording(out) as repaired:
            assert repaired.damage == ()


def test_repair_never_overwrites(tmp_path, sound):
    path = tmp_path / "a.mcap"
    path.write_bytes(sound[0])
    with pytest.raises(RecordingError, match="exists already"):
        repair(path, path)
    assert path.read_bytes() == sound[0]


def test_a_cut_file_loses_only_its_end(tmp_path, sound):
    data, frames = sound
    path = tmp_path / "a.mcap"
    path.write_bytes(data[: len(data) * 6 // 10])
    with Recording(path) as recording:
        assert any("breaks off" in text for text in recording.damage)
        assert 15 < len(recording) < 40
    assert check(path, frames) > 15


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an MCAP file"),
        (b"#ROSBAG V2.0\n" + bytes(5000), "not an MCAP file"),
        (MAGIC, "no message can be read"),
        (MAGIC + bytes(10_000), "no message can be read"),
        (MAGIC + b"\x06" + b"\xff" * 5000, "no message can be read"),
    ],
)
def test_what_is_no_session(tmp_path, content, words):
    path = tmp_path / "a.mcap"
    path.write_bytes(content)
    with pytest.raises(CorruptRecordingError, match=words):
        Recording(path)
    with pytest.raises(BadRecordingError, match=words):
        registry.find_camera(str(path))


def test_a_bomb_is_not_unpacked(tmp_path, sound):
    import lz4.frame

    packed = lz4.frame.compress(bytes(200 << 20))
    body = struct.pack("<QQQII", 0, 1, 1000, 0, 3) + b"lz4" + struct.pack("<Q", len(packed))
    path = tmp_path / "a.mcap"
    path.write_bytes(MAGIC + struct.pack("<BQ", CHUNK, len(body) + len(packed)) + body + packed)
    tracemalloc.start()
    with pytest.raises(CorruptRecordingError):
        Recording(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_newer_format_is_named(tmp_path, sound):
    path = tmp_path / "a.mcap"
    path.write_bytes(sound[0].replace(b"format\x01\x00\x00\x002", b"format\x01\x00\x00\x009", 1))
    with pytest.raises(RecordingVersionError, match="written in format 9"):
        Recording(path)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.mcap", tmp_path):
        with pytest.raises(RecordingError, match=r"cannot be opened|the folder holds no"):
            Recording(path)


def test_the_player_passes_over_damage(tmp_path, sound):
    path = tmp_path / "a.mcap"
    path.write_bytes(sound[0])
    whole = Sound.of(path)
    hit = whole.owners[list(whole.frames)[len(whole.frames) // 2]]
    start, end = whole.spans[hit]
    out, middle = bytearray(whole.data), (start + end) // 2  # of packed frames
    out[middle : middle + 20] = bytes(byte ^ 0xFF for byte in out[middle : middle + 20])
    path.write_bytes(bytes(out))
    config = CameraConfig(loop=False, realtime=False)
    seen, lost = 0, 0
    for name in ("noisy:left", "noisy:right"):
        with registry.create_camera(f"session:{path}#{name}", config) as camera:
            seen += len(read_all(camera))
            lost += camera.missed["damaged"]
    assert lost == list(whole.owners.values()).count(hit)
    assert seen + lost == len(whole.frames)


def test_each_chunk_with_a_frame_says_what_is_known_of_its_camera(tmp_path, monkeypatch):
    path = tmp_path / "a.mcap"
    with monkeypatch.context() as patch:
        patch.setattr(session_file, "CHUNK_BYTES", 1)  # whatever comes fills it
        record(path, NoisyCamera("left", 5), NoisyCamera("right", 5, seed=1))
    whole, file = Sound.of(path), McapFile(path)
    for (camera, _), number in whole.owners.items():
        start, end = whole.spans[number]
        messages = walk_messages(unpack_chunk(whole.data[start:end]))
        found = {file.index.channels[channel].topic for channel, _, _ in messages}
        name = camera.replace(":", "_")
        assert {f"/{name}/camera", f"/{name}/frame"} <= found
    file.close()
