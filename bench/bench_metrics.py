"""What live metrics of two 640x480 feeds cost, and the plane fit against Open3D's RANSAC."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import open3d as o3d

from bench.timing import interleaved_ms
from lingbot_live.frame import Calibration, Frame, Intrinsics, RefinedFrame, RefinerInfo
from lingbot_live.quality.meter import QualityMeter
from lingbot_live.quality.plane import fit_plane

FPS, SECONDS, FEEDS = 30, 4, 2
BUDGET_MS_PER_S = 150.0  # 15 % of one core
INTRINSICS = Intrinsics(640, 480, 520.0, 520.0, 319.5, 239.5)


def _frames(with_reference: bool) -> list[RefinedFrame]:
    """A wall with a box, noisy raw depth with holes, calm refined depth."""
    rng = np.random.default_rng(0)
    truth_m = np.full((480, 640), 2.0, np.float32)
    truth_m[100:300, 400:560] = 1.2
    color = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    frames = []
    for k in range(8):
        raw = 1000 * truth_m * (1 + 0.005 * rng.standard_normal(truth_m.shape))
        raw[:, :80] = 0
        refined_m = truth_m * (1 + 0.002 * rng.standard_normal(truth_m.shape)).astype(np.float32)
        reference_m = truth_m if with_reference else None
        calibration = Calibration(INTRINSICS, baseline_m=0.05)
        frame = Frame(
            "bench", k, 0, 0, color, raw.astype(np.uint16), 0.001, calibration,
            reference_m=reference_m,
        )  # fmt: skip
        info = RefinerInfo("bench")
        frames.append(RefinedFrame(frame, refined_m, refined_m > 0, info, 0, 10_000_000))
    return frames


def _live_ms_per_s(frames: list[RefinedFrame]) -> float:
    """Processor time of two feeds at 30 fps and a panel that asks twice a second."""
    meters = [QualityMeter() for _ in range(FEEDS)]
    stamped = [
        dataclasses.replace(
            source, frame=dataclasses.replace(source.frame, timestamp_ns=round(k * 1e9 / FPS))
        )
        for k in range(FPS * SECONDS)
        for source in [frames[k % len(frames)]]
    ]
    started_s = time.process_time()
    for k, refined in enumerate(stamped):
        for meter in meters:
            meter.add(refined)
            if k % (FPS // 2) == 0:
                meter.snapshot()
    return (time.process_time() - started_s) * 1000 / SECONDS


def _plane_row() -> tuple[str, float, str, float]:
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 1, (5000, 3))
    points[:, 2] = 2 + 0.2 * points[:, 0] + 0.005 * rng.standard_normal(5000)
    points[:1500, 2] = 1.2
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    ours_ms, peer_ms = interleaved_ms(
        lambda: fit_plane(points),
        lambda: cloud.segment_plane(0.02, 3, 64),
        rounds=15,
    )
    return (
        "robust plane of 5000 points, refitted",
        ours_ms,
        "Open3D segment_plane, 64 draws",
        peer_ms,
    )


def run() -> list[tuple[str, float, str, float]]:
    rows = [_plane_row()]
    for with_reference in (False, True):
        frames = _frames(with_reference)
        cost = min(_live_ms_per_s(frames) for _ in range(3))
        what = "against truth as well" if with_reference else "raw and refined"
        rows.append((
            f"metrics of 2 feeds at 30 fps, {what}, per second", cost,
            "15 % of one core, per second", BUDGET_MS_PER_S,
        ))  # fmt: skip
    return rows
