"""Recording a frame set (colour, raw and refined depth), against writing it as PNG files."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from bench.timing import interleaved_ms
from lingbot_live.frame import Calibration, Frame, Intrinsics, RefinedFrame, RefinerInfo
from lingbot_live.recording.recorder import Recorder, RecorderOptions
from lingbot_live.recording.recording import Recording

SETS = 60
SIZE = (480, 640)


def _frames() -> list[RefinedFrame]:
    """Smooth surfaces with texture, sensor noise and holes, so that codecs have honest work."""
    rng = np.random.default_rng(0)
    height, width = SIZE
    made = []
    for index in range(SETS):
        coarse = rng.uniform(0.6, 3.0, (8, 10)).astype(np.float32)
        depth_m = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        noise = rng.normal(0, 0.0015, SIZE).astype(np.float32) * depth_m**2
        holes = cv2.resize(rng.random((24, 32)), (width, height)) < 0.3
        steps = cv2.GaussianBlur(depth_m + noise, (5, 5), 0)  # a sensor's own smoothing
        raw = np.where(holes, 0, np.rint(steps * 1000)).astype(np.uint16)
        texture = cv2.resize(rng.integers(0, 255, (60, 80, 3), np.uint8), (width, height))
        grain = rng.normal(0, 3, (height, width, 3))
        color = np.clip(texture + grain, 0, 255).astype(np.uint8)
        calibration = Calibration(Intrinsics(width, height, 600, 600, 320, 240))
        now = time.monotonic_ns() + index * 33_333_333
        frame = Frame("bench", index, now, index * 33_333, color, raw, 0.001, calibration)
        made.append(
            RefinedFrame(frame, depth_m, depth_m > 0, RefinerInfo("bench"), now, now + 10**7)
        )
    return made


class _Source:
    """Stands where a session would; what it has goes to the tap at once."""

    feeds = ()

    def add_tap(self, tap: object) -> None:
        self.tap = tap

    def remove_tap(self, tap: object) -> None:
        pass


def _record(folder: Path, frames: list[RefinedFrame], **options: object) -> Path:
    """Record all frames and wait until they are in the file."""
    path = folder / f"{time.monotonic_ns()}.mcap"
    recorder = Recorder(path, RecorderOptions(queue_bytes=1 << 30, **options))
    source = _Source()
    recorder.start(source)
    for refined in frames:
        source.tap("bench", refined.frame)
        source.tap("bench", refined)
    recorder.stop()
    stats = recorder.stats()
    assert (stats.frames, stats.refined, stats.drops) == (len(frames), len(frames), {})
    return path


def _pngs(folder: Path, frames: list[RefinedFrame]) -> None:
    for refined in frames:
        frame, name = refined.frame, f"{time.monotonic_ns()}"
        refined_mm = np.rint(refined.depth_m * 1000).astype(np.uint16)
        color = cv2.cvtColor(frame.color, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{name}_color.png"), color)
        cv2.imwrite(str(folder / f"{name}_raw.png"), frame.depth_raw)
        cv2.imwrite(str(folder / f"{name}_refined.png"), refined_mm)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _report_sizes(path: Path, frames: list[RefinedFrame]) -> None:
    plain = sum(
        r.frame.color.nbytes + r.frame.depth_raw.nbytes + r.depth_m.nbytes + r.mask.nbytes
        for r in frames
    )
    share = path.stat().st_size / plain
    print(f"session file: {share:.1%} of the uncompressed frames (at most 60 %)")


def run() -> list[tuple[str, float, str, float]]:
    frames = _frames()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def peer() -> None:
            _empty(folder)
            _pngs(folder, frames)

        for title, options in (("", {}), (", lossless", {"lossless": True})):

            def ours(options: dict[str, object] = options) -> None:
                _empty(folder)
                _record(folder, frames, **options)

            ours_ms, peer_ms = interleaved_ms(ours, peer, rounds=4)
            what = f"record colour, raw, refined 640x480{title}"
            rows.append((what, ours_ms / SETS, "three PNG files, OpenCV default", peer_ms / SETS))
        _empty(folder)
        path = _record(folder, frames)
        _report_sizes(path, frames)
        rows.append(_seek(path))
    return rows


def _seek(path: Path) -> tuple[str, float, str, float]:
    """A frame anywhere in a file, against reading the file from its start up to there."""
    rng = np.random.default_rng(1)
    with Recording(path) as recording:

        def ours() -> None:
            recording.refined(int(rng.integers(len(recording))))

        def peer() -> None:
            for row in range(len(recording) // 2):
                recording[row]

        ours_ms, peer_ms = interleaved_ms(ours, peer, rounds=10)
    return "any frame, with refined depth", ours_ms, f"reading {SETS // 2} frames up to it", peer_ms
