"""Old sessions open as before, and are packed smaller without a bit less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import old_sessions
import pytest
from command import command as lingbot_live
from sessions import NoisyCamera, calibration, record

from lingbot_live.errors import ConfigError, CorruptRecordingError, RecordingError
from lingbot_live.frame import Frame, RefinedFrame, RefinerInfo
from lingbot_live.recording import packing
from lingbot_live.recording.packing import pack_file
from lingbot_live.recording.recording import Recording

SIZE = (120, 160)


def made(camera="noisy:left", count=9, seed=0):
    """Something smooth with noise and holes, and its results, as format 1 holds them."""
    rng = np.random.default_rng(seed)
    frames, results = [], []
    for index in range(count):
        depth_m = np.linspace(0.5, 4, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
        depth_m = old_sessions.on_the_grid(depth_m + rng.normal(0, 0.002, SIZE).astype(np.float32))
        raw = np.where(rng.random(SIZE) < 0.1, 0, depth_m * 1000).astype(np.uint16)
        color = np.full((*SIZE, 3), 10 * index, np.uint8)
        frame = Frame(
            camera, index, index, 1000 * index, color, raw, 0.001, calibration(SIZE[1], SIZE[0])
        )
        mask = rng.random(SIZE) < 0.9
        frames.append(frame)
        if index % 3 != 2:
            info = RefinerInfo("x", tokens=index)
            results.append(RefinedFrame(frame, depth_m, mask, info, index, index + 5))
    return frames, results


@pytest.fixture(params=[False, True], ids=["rounded as it was", "exact"])
def old(tmp_path, request):
    frames, results = made()
    other = [replace(f, camera="noisy:right") for f in frames]
    both = [f for pair in zip(frames, other, strict=True) for f in pair]
    return old_sessions.write(tmp_path / "old.mcap", both, results, exact=request.param)


def test_a_session_of_format_1_opens_as_before(old):
    frames, results = made()
    with Recording(old) as recording:
        assert list(recording.tracks) == ["noisy:left", "noisy:right"]
        track = recording.track("noisy:left")
        assert len(track) == 9
        assert len(track.refined_times_ns) == len(results) == 6
        for frame, found in zip(frames, track, strict=True):
            assert np.array_equal(frame.depth_raw, found.depth_raw)
        for result in results:
            found = track.refined(result.frame.index)
            assert np.array_equal(found.depth_m, result.depth_m)
            assert np.array_equal(found.mask, result.mask)


def test_packed_it_is_smaller_and_the_same_to_the_last_bit(old, tmp_path):
    report = pack_file(old, tmp_path / "new.mcap")
    assert (report.frames, report.refined, report.most_rounded_m) == (18, 6, 0)
    assert (tmp_path / "new.mcap").stat().st_size == report.bytes_after < report.bytes_before
    with Recording(old) as before, Recording(tmp_path / "new.mcap") as after:
        assert after.metadata["lingbot_live"]["format"] == "2"
        assert after.metadata["lingbot_live.settings"] == {"refiner": "x"}
        assert [e.text for e in after.events] == ["cup"]
        for row in range(18):
            assert np.array_equal(before[row].color, after[row].color)
            assert np.array_equal(before[row].depth_raw, after[row].depth_raw)
            one, other = before.refined(row), after.refined(row)
            assert (one is None) == (other is None)
            assert one is None or np.array_equal(one.depth_m, other.depth_m)
        names = {c.topic for c in after._reader.index.channels.values()}
        assert "/noisy_left/depth/image/compressedDepth" in names
    assert [path.name for path in tmp_path.iterdir()].sort() == ["new.mcap", "old.mcap"].sort()


def test_rounded_on_request_it_is_as_recorded_today(old, tmp_path):
    report = pack_file(old, tmp_path / "new.mcap", round_refined=True)
    assert 0 < report.most_rounded_m < 4**2 / 10_000
    exact = pack_file(old, tmp_path / "exact.mcap")
    assert report.bytes_after < 0.8 * exact.bytes_after
    with Recording(tmp_path / "new.mcap") as after:
        assert after.track().refined(0) is not None


def test_what_a_recorder_wrote_today_is_packed_too(tmp_path):
    record(tmp_path / "a.mcap", NoisyCamera(with_imu=True))
    assert pack_file(tmp_path / "a.mcap", tmp_path / "b.mcap").frames == 12


def test_a_file_that_differs_is_not_kept(old, tmp_path, monkeypatch):
    right = packing.compressed_depth.encode

    def wrong(header, image, of_one_m=0.0):
        image = image.copy()
        image[-1, -1] += 1
        return right(header, image, of_one_m)

    monkeypatch.setattr(packing.compressed_depth, "encode", wrong)
    with pytest.raises(RecordingError, match="frame 0 differs; the new file is not kept"):
        pack_file(old, tmp_path / "new.mcap")
    assert [path.name for path in tmp_path.iterdir()] == ["old.mcap"]


def test_what_cannot_be_packed_is_said(old, tmp_path):
    with pytest.raises((ConfigError, RecordingError), match=r"is the input|exists already"):
        pack_file(old, old)
    damaged = bytearray(old.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "bad.mcap").write_bytes(damaged)
    with pytest.raises(CorruptRecordingError):
        pack_file(tmp_path / "bad.mcap", tmp_path / "new.mcap")
    assert not (tmp_path / "new.mcap").exists()


def test_the_command_says_what_it_compared(old, tmp_path):
    done = lingbot_live("pack", old, "-o", tmp_path / "new.mcap")
    assert done.returncode == 0, done.stderr
    assert "18 frames and 6 refined, all compared and equal" in done.stdout
    again = lingbot_live("pack", old, "-o", tmp_path / "new.mcap")
    assert again.returncode == 2
    assert "exists already" in again.stderr
