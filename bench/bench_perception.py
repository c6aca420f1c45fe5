"""What refined depth is for: what steadying, trust and tracking cost at 640x480."""

from __future__ import annotations

import cv2
import numpy as np

from bench.timing import interleaved_ms
from lingbot_live.frame import Calibration, Frame, Intrinsics, RefinedFrame, RefinerInfo
from lingbot_live.perception.tracks import LucasKanade
from lingbot_live.perception.trust import trust_map
from lingbot_live.refiners.steady import Stabiliser

HEIGHT, WIDTH = 480, 640
_ROUNDS = 12

Row = tuple[str, float, str, float]


def run() -> list[Row]:
    return [_steady("still", 1), _steady("moving", 20), _trust(), _tracks()]


def _walk(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """A textured wall seen by a camera that wanders: colour and noisy depth."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (HEIGHT + 100, WIDTH + 100, 3)).astype(np.float32)
    wall = np.clip(128 + 9 * (cv2.GaussianBlur(noise, (0, 0), 3) - 128), 0, 255).astype(np.uint8)
    out = []
    for k in range(count):
        color = np.ascontiguousarray(wall[k : k + HEIGHT, 2 * k : 2 * k + WIDTH])
        depth_m = 2 + 0.02 * rng.standard_normal((HEIGHT, WIDTH))
        out.append((color, depth_m.astype(np.float32)))
    return out


def _steady(what: str, colors: int) -> Row:
    frames = _walk(20)
    stabiliser, mean, turn = Stabiliser(), frames[0][1].copy(), [0]

    def ours() -> None:
        turn[0] += 1
        stabiliser.steady(frames[turn[0] % colors][0], frames[turn[0] % len(frames)][1])

    ours_ms, peer_ms = interleaved_ms(
        ours, lambda: cv2.accumulateWeighted(frames[1][1], mean, 0.1), _ROUNDS
    )
    return f"steady, {what} camera", ours_ms, "cv2.accumulateWeighted", peer_ms


def _trust() -> Row:
    color, depth_m = _walk(1)[0]
    raw = np.rint(depth_m * 1000).astype(np.uint16)
    raw[100:200, 100:200] = 0
    calibration = Calibration(Intrinsics(WIDTH, HEIGHT, 520, 520, 319.5, 239.5))
    frame = Frame("bench", 0, 0, 0, color, raw, 0.001, calibration)
    refined = RefinedFrame(frame, depth_m, depth_m > 0, RefinerInfo("bench"), 0, 1)
    ours_ms, peer_ms = interleaved_ms(
        lambda: trust_map(refined), lambda: cv2.bilateralFilter(depth_m, 5, 0.05, 2.0), _ROUNDS
    )
    return "trust map", ours_ms, "cv2.bilateralFilter", peer_ms


def _tracks() -> Row:
    frames = _walk(20)
    u, v = np.meshgrid(np.linspace(60, 560, 10), np.linspace(60, 420, 10))
    pixels = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    tracker, turn = LucasKanade(), [0]
    tracker.start(frames[0][0], pixels)
    grays = [cv2.cvtColor(color, cv2.COLOR_RGB2GRAY) for color, _ in frames[:2]]

    def ours() -> None:
        turn[0] = min(turn[0] + 1, 19)
        tracker.follow(*frames[turn[0]])

    def peer() -> None:
        cv2.calcOpticalFlowPyrLK(*grays, pixels, None, winSize=(21, 21), maxLevel=3)

    ours_ms, peer_ms = interleaved_ms(ours, peer, _ROUNDS)
    return "100 points followed", ours_ms, "cv2.calcOpticalFlowPyrLK, one way", peer_ms
