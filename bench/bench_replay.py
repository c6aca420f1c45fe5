"""Seeking in a ten-minute session, against decoding alone: what finding a frame adds."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from bench.timing import interleaved_ms
from lingbot_live.cameras.base import CameraTimeoutError
from lingbot_live.cameras.registry import find_camera
from lingbot_live.config import CameraConfig
from lingbot_live.frame import Calibration, Frame, Intrinsics
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.encode import encode_frame
from lingbot_live.recording.parts import Parts
from lingbot_live.recording.player import Player
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions

MINUTES, FPS = 10, 30
SIZE = (480, 640)
_SHAPES = 8  # different frames, repeated: only their number makes the file long


def _frames() -> list[Frame]:
    """Ramps: they pack small, so that ten minutes of them are written in seconds."""
    height, width = SIZE
    calibration = Calibration(Intrinsics(width, height, 600, 600, 320, 240))
    made = []
    for index in range(_SHAPES):
        raw = np.full(SIZE, 1000 + index, np.uint16)
        color = cv2.applyColorMap(np.full(SIZE, 20 * index, np.uint8), cv2.COLORMAP_JET)
        made.append(Frame("bench", index, 0, 0, color, raw, 0.001, calibration))
    return made


def _long_file(path: Path) -> None:
    frames = _frames()
    encoded = [encode_frame(frame, "bench", 0, 95) for frame in frames]
    parts = Parts(path, RecorderOptions(), {}, 0)
    for number in range(MINUTES * 60 * FPS):
        at_ns = number * 1_000_000_000 // FPS
        moment = Moment(at_ns, at_ns)
        if number == 0:
            parts.describe("bench", "bench", moment, None, frames[0].calibration)
        parts.write("bench", moment, at_ns, number, encoded[number % _SHAPES])
    parts.close()


def _decode_row(path: Path) -> tuple[str, float, str, float]:
    rng = np.random.default_rng(1)
    with Recording(path) as recording:
        track = recording.track()
        ours_ms, peer_ms = interleaved_ms(
            lambda: track[int(rng.integers(len(track)))], lambda: track[9], rounds=200
        )
    return f"any frame of {MINUTES} min", ours_ms, "the same frame again", peer_ms


def _next(player: Player) -> None:
    while True:
        try:
            player.read(1.0)
            return
        except CameraTimeoutError:
            continue


def _seek_row(path: Path) -> tuple[str, float, str, float]:
    """What the user of the time line waits for: from the seek to the frame in the pipeline."""
    rng = np.random.default_rng(2)
    with (
        Player(path, "", find_camera(str(path)), CameraConfig()) as player,
        Recording(path) as plain,
    ):
        playback = player.playback
        assert playback is not None
        playback.pause()
        _next(player)
        took_ms, busy_ms = [], []

        def ours() -> None:
            started, began = time.perf_counter(), time.thread_time()
            playback.seek_frame(int(rng.integers(playback.frames)))
            _next(player)
            took_ms.append((time.perf_counter() - started) * 1000)
            busy_ms.append((time.thread_time() - began) * 1000)

        track = plain.track()
        ours_ms, peer_ms = interleaved_ms(ours, lambda: track[9], rounds=100)
    print(
        f"seek in a file of {MINUTES} min: median {np.median(took_ms):.1f} ms, "
        f"worst of {len(took_ms)} {max(took_ms):.1f} ms, of which the processor worked "
        f"{max(busy_ms):.1f} ms (under 100 ms)"
    )
    return f"seek in {MINUTES} min, to the frame in hand", ours_ms, "the same frame again", peer_ms


def run() -> list[tuple[str, float, str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.mcap")
        _long_file(path)
        return [_decode_row(path), _seek_row(path)]
