"""Tracks against truth: movers, and corners of the simulated room; in space raw beside refined."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import cv2
import numpy as np

from bench import mover
from drivers.synthetic.loop import SIGMA_FINE, Pose, Sweep, cache_root
from drivers.synthetic.sensors import SENSORS
from drivers.synthetic.truth import TrueTracks
from lingbot_live.config import RefinerConfig
from lingbot_live.frame import Calibration, Frame, RefinedFrame, RefinerInfo
from lingbot_live.perception.tracks import Lifter, LucasKanade, Tracked
from lingbot_live.refiners.guided import create_guided

ROOM = mover.K  # the same lens
CORNERS, NEAR_PX, NEAR_SHARE = 100, 2.0, 0.05
Row = tuple[str, float, str, float]


@dataclass(slots=True)
class Score:
    """Of all points in all frames, in percent."""

    within_2px: float  # of visible ones
    told: float  # rightly whether visible
    near: float = 0.0  # visible ones within 5 % of their depth, in space
    took_ms: float = 0.0  # of the processor's time a frame, all points


def follow(which: mover.Mover) -> Score:
    points, of = which.points()
    tracker = LucasKanade()
    tracker.start(which.look(0)[0], which.places(points, of, 0))
    off, seen, told, spent_s = [], [], [], 0.0
    for k in range(1, mover.FRAMES):
        color, depth_m, shows = which.look(k)
        begun_s = time.process_time()
        tracked = tracker.follow(color, depth_m)
        spent_s += time.process_time() - begun_s
        true = which.places(points, of, k)
        off.append(np.linalg.norm(tracked.pixels - true, axis=1))
        seen.append(mover.visible(true, of, shows))
        told.append(tracked.visible)
    score = _score(np.array(off), np.array(seen), np.array(told))
    score.took_ms = 1000 * spent_s / mover.FRAMES
    return score


def _score(off: np.ndarray, seen: np.ndarray, told: np.ndarray) -> Score:
    return Score(100 * float((off[seen] < NEAR_PX).mean()), 100 * float((seen == told).mean()))


def corners(pose: Pose) -> np.ndarray:
    """Corners on surfaces, not on their edges, (N, 2)."""
    depth_m = pose.reference.astype(np.float32) / 1e4
    around = np.ones((15, 15), np.uint8)
    near, far = cv2.erode(depth_m, around), cv2.dilate(depth_m, around)
    flat = ((near > 0) & (far - near < 0.08 * near)).astype(np.uint8)
    gray = cv2.cvtColor(pose.color, cv2.COLOR_RGB2GRAY)
    return cv2.goodFeaturesToTrack(gray, CORNERS, 0.01, 8, mask=flat).reshape(-1, 2)


def room_frames() -> list[tuple[Pose, Frame]]:
    """Every pose of the stereo camera's sweep, once, with its noise."""
    sensor = SENSORS["stereo"]
    sweep = Sweep(sensor, ROOM, 0, cache_root() / "stereo")
    sweep.fill(threading.Event())
    calibration, frames = Calibration(ROOM, baseline_m=sensor.baseline_m), []
    for index in range(sweep.count):
        pose = sweep.wait(index, 0.0)
        assert pose is not None
        noise = np.random.default_rng(index).standard_normal(pose.mean.shape, np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), sensor.grain_px)
        fine = pose.mean + SIGMA_FINE[pose.sigma] * noise / noise.std()
        raw = sensor.raw_table()[np.clip(fine, 0, 65535).astype(np.uint16)]
        stamp_us = round(index * 1e6 / mover.FPS)
        frame = Frame("room", index, 0, stamp_us, pose.color, raw, 0.001, calibration)
        frames.append((pose, frame))
    return frames


def follow_room() -> tuple[Score, Score]:
    """With raw depth, and with refined."""
    frames = room_frames()
    guided = create_guided(RefinerConfig("guided"))
    return tuple(  # type: ignore[return-value]
        _in_room(frames, refine) for refine in (_passed, guided.refine)
    )


def _passed(frame: Frame) -> RefinedFrame:
    depth_m = frame.depth_m
    return RefinedFrame(frame, depth_m, depth_m > 0, RefinerInfo("none"), 0, 1)


def _in_room(frames, refine) -> Score:  # noqa: ANN001 - as of `follow_room`
    start = corners(frames[0][0])
    truth, tracker = TrueTracks(0.0, ROOM, start), LucasKanade()
    lifter = Lifter(ROOM, len(start))
    tracker.start(frames[0][1].color, start)
    off, seen, told, near = [], [], [], []
    for index, (_, frame) in enumerate(frames):
        refined = refine(frame)
        tracked = Tracked(start, np.ones(len(start), bool))
        if index:
            tracked = tracker.follow(frame.color, refined.depth_m)
        lifted = lifter.lift(tracked, refined, index / mover.FPS)
        true = truth.at(index / (len(frames) - 1))
        off.append(np.linalg.norm(tracked.pixels - true.pixels, axis=1))
        seen.append(true.visible)
        told.append(tracked.visible)
        share = np.linalg.norm(lifted.points_m - true.points_m, axis=1) / true.points_m[:, 2]
        near.append(np.nan_to_num(share, nan=1.0) < NEAR_SHARE)
    score = _score(np.array(off[1:]), np.array(seen[1:]), np.array(told[1:]))
    score.near = 100 * float(np.array(near)[np.array(seen)].mean())
    return score


def run() -> list[Row]:
    out: list[Row] = []
    scores = [("card behind a post", follow(mover.Mover(arm=False)))]
    scores.append(("card with an arm", follow(mover.Mover(arm=True))))
    out += [
        (f"{what}: processor time a frame, ms", score.took_ms, "two cores in 12 ms", 24.0)
        for what, score in scores
    ]
    raw, refined = follow_room()
    for what, score in [*scores, ("simulated room", refined)]:
        out.append((f"{what}: visible points within 2 px, %", score.within_2px, "bar", 90.0))
        out.append((f"{what}: hidden or seen told rightly, %", score.told, "bar", 90.0))
    return [
        *out,
        ("simulated room: in space within 5 % of depth, %", refined.near, "raw", raw.near),
    ]
