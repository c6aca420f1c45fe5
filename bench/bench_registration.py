"""Depth to colour: ours against the RealSense SDK's and against plain NumPy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.timing import interleaved_ms
from lingbot_live.frame import Extrinsics, Intrinsics, RawDepth
from lingbot_live.registration import Registration

Row = tuple[str, float, str, float]
SCALE_M = 0.001
POSE = Extrinsics(((0.99999, 0.003, -0.003), (-0.003, 0.99999, 0.002), (0.003, -0.002, 0.99999)),
                  (0.0148, 0.0002, 0.0004))  # fmt: skip
LENS = (0.33, -2.489, -0.00016, -0.00013, 1.4537, 0.2089, -2.3029, 1.3751)


def scene(width: int, height: int) -> RawDepth:
    """A room with steps, holes and noise, as a stereo sensor gives it."""
    rng = np.random.default_rng(7)
    v, u = np.mgrid[0:height, 0:width]
    depth = 900 + u + 2 * v + 900 * ((u // 90 + v // 70) % 3 == 0) + rng.integers(-4, 5, u.shape)
    depth[rng.random(u.shape) < 0.05] = 0
    return depth.astype(np.uint16)


def textbook(
    depth: Intrinsics, color: Intrinsics, pose: Extrinsics, raw: RawDepth
) -> Callable[[], RawDepth]:
    """Project every valid pixel's centre, sort far to near, write: one pixel each, with holes."""
    import cv2

    u, v = np.meshgrid(np.arange(depth.width), np.arange(depth.height))
    x, y = (u - depth.cx) / depth.fx, (v - depth.cy) / depth.fy
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)

    def register() -> RawDepth:
        values = raw.ravel()
        valid = values > 0
        points = rays[valid] * (values[valid] * SCALE_M)[:, None]
        points = points @ pose.matrix[:3, :3].T + pose.translation_m
        lens = np.array(color.distortion or (0.0,) * 5)
        pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), color.matrix, lens)
        px, py = np.rint(pixels.reshape(-1, 2)).astype(int).T
        inside = (px >= 0) & (py >= 0) & (px < color.width) & (py < color.height)
        far_first = np.argsort(-points[inside, 2], kind="stable")
        out = np.zeros((color.height, color.width), np.uint16)
        out[py[inside][far_first], px[inside][far_first]] = values[valid][inside][far_first]
        return out

    return register


def _against_textbook(what: str, depth: Intrinsics, color: Intrinsics) -> Row:
    raw = scene(depth.width, depth.height)
    ours = Registration(depth, color, POSE, keep_values=True)
    ours_ms, peer_ms = interleaved_ms(
        lambda: ours(raw, SCALE_M), textbook(depth, color, POSE, raw), rounds=7
    )
    return f"registration {what}", ours_ms, "NumPy, one pixel each", peer_ms


def _against_realsense(path: Path) -> Row:
    import pyrealsense2 as rs

    from drivers.realsense import data

    pipeline, config = rs.pipeline(), rs.config()
    config.enable_device_from_file(str(path), repeat_playback=False)
    profile = pipeline.start(config)
    try:
        frames = pipeline.wait_for_frames(5000)
        found = data.calibration(rs, profile)
        raw = data.to_depth(frames.get_depth_frame())
        assert found.depth is not None
        assert found.T_color_depth is not None
        ours = Registration(found.depth, found.color, found.T_color_depth, keep_values=True)
        align = rs.align(rs.stream.color)
        ours_ms, peer_ms = interleaved_ms(
            lambda: ours(raw, SCALE_M), lambda: align.process(frames).get_depth_frame()
        )
    finally:
        pipeline.stop()
    return "registration 640x480, RealSense recording", ours_ms, "rs.align", peer_ms


def _against_torch(what: str, depth: Intrinsics, color: Intrinsics) -> Row:
    from lingbot_live.model.device import CpuDevice
    from lingbot_live.model.torch_registration import TorchRegistration

    raw = scene(depth.width, depth.height)
    ours = Registration(depth, color, POSE, keep_values=False)
    peer = TorchRegistration(ours, CpuDevice().where)
    times_ms = interleaved_ms(lambda: ours(raw, SCALE_M), lambda: peer(raw, SCALE_M))
    return f"registration {what}", times_ms[0], "the same in torch, CPU", times_ms[1]


def run() -> list[Row]:
    rows = []
    testdata = os.environ.get("LINGBOT_LIVE_TESTDATA")
    if testdata:
        rows.append(
            _against_realsense(Path(testdata, "data", "realsense", "d435_single_frame.bag"))
        )
    vga = Intrinsics(640, 480, 390, 390, 321, 239)
    vga_color = Intrinsics(640, 480, 612, 612, 320, 240)
    hd = Intrinsics(1280, 720, 640, 640, 639, 361)
    hd_color = Intrinsics(1280, 720, 920, 920, 640, 360)
    hd_lens = Intrinsics(1280, 720, 612, 612, 640, 360, LENS)
    kinds = (
        ("640x480 -> 640x480", vga, vga_color),
        ("1280x720 -> 1280x720", hd, hd_color),
        (
            "640x576 -> 1280x720, rational lens",
            Intrinsics(640, 576, 505, 505, 333, 349),
            hd_lens,
        ),
    )
    for against in (_against_textbook, _against_torch):
        rows.extend(against(*kind) for kind in kinds)
    return rows
