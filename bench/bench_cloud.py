"""Depth to an Open3D cloud, and clouds drawn a second, against Open3D used as its examples do."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import open3d as o3d

from bench.timing import interleaved_ms
from lingbot_live.frame import Calibration, Frame, Intrinsics, RefinedFrame, RefinerInfo
from ui.cloud_link import CloudProcess
from ui.cloud_points import Cloud
from ui.cloud_scene import ViewSettings

INTRINSICS = Intrinsics(640, 480, 460.0, 460.0, 319.5, 239.5)
VIEW = ViewSettings(width=960, height=720)


def _frame() -> RefinedFrame:
    """A wavy wall that fills the picture: 307,200 points."""
    v, u = np.mgrid[:480, :640]
    depth_m = (2 + 0.5 * np.sin(u / 60) * np.cos(v / 45)).astype(np.float32)
    color = np.stack([u % 256, v % 256, (u + v) % 256], -1).astype(np.uint8)
    raw = (depth_m * 1000).astype(np.uint16)
    frame = Frame("bench", 0, 0, 0, color, raw, 0.001, Calibration(INTRINSICS))
    return RefinedFrame(frame, depth_m, depth_m > 0, RefinerInfo("none"), 0, 0)


def _ours_cloud(cloud: Cloud, refined: RefinedFrame) -> Any:
    cloud.clear()
    cloud.add(refined.depth_m, refined.frame.color, INTRINSICS)
    out = o3d.geometry.PointCloud()
    out.points = o3d.utility.Vector3dVector(cloud.points_m)
    out.colors = o3d.utility.Vector3dVector(cloud.colors)
    return out


def _open3d_cloud(refined: RefinedFrame, stride: int = 1) -> Any:
    color = np.ascontiguousarray(refined.frame.color[::stride, ::stride])
    depth_m = np.ascontiguousarray(refined.depth_m[::stride, ::stride])
    rgbd = o3d.geometry.RGBDImage.create_from_color_and_depth(
        o3d.geometry.Image(color), o3d.geometry.Image(depth_m), 1.0, 100.0, False
    )
    height, width = depth_m.shape
    camera = (460.0 / stride, 460.0 / stride, 319.5 / stride, 239.5 / stride)
    intrinsic = o3d.camera.PinholeCameraIntrinsic(width, height, *camera)
    return o3d.geometry.PointCloud.create_from_rgbd_image(rgbd, intrinsic)


class _BareVisualizer:
    """Open3D's non-blocking example, off screen, in the process that asks."""

    def __init__(self, refined: RefinedFrame, stride: int) -> None:
        self._refined, self._stride = refined, stride
        self._window = o3d.visualization.Visualizer()
        self._window.create_window(width=VIEW.width, height=VIEW.height, visible=False)
        self._window.get_render_option().point_size = float(VIEW.point_size_px)
        self._cloud = _open3d_cloud(refined, stride)
        self._window.add_geometry(self._cloud)
        control = self._window.get_view_control()
        control.set_front([0.0, 0.0, -1.0])
        control.set_up([0.0, -1.0, 0.0])
        control.set_zoom(0.6)

    def draw(self) -> None:
        new = _open3d_cloud(self._refined, self._stride)
        self._cloud.points, self._cloud.colors = new.points, new.colors
        self._window.update_geometry(self._cloud)
        np.asarray(self._window.capture_screen_float_buffer(True))

    def close(self) -> None:
        self._window.destroy_window()


def _draw(process: CloudProcess, refined: RefinedFrame) -> None:
    """Hand a frame over and wait for its picture."""
    seen = process.status.pictures
    process.submit(refined)
    while process.status.pictures == seen:
        time.sleep(0.0005)


def _picture_row(refined: RefinedFrame, stride: int) -> tuple[str, float, str, float]:
    view = ViewSettings(width=VIEW.width, height=VIEW.height, stride=stride)
    process = CloudProcess(view, max_fps=1000.0)
    process.start()
    bare = _BareVisualizer(refined, stride)
    try:
        _draw(process, refined)
        ours_ms, peer_ms = interleaved_ms(lambda: _draw(process, refined), bare.draw, rounds=20)
        points = process.status.points
    finally:
        process.close()
        bare.close()
    what = f"cloud picture, {points // 1000}k points ({1000 / ours_ms:.0f} fps)"
    return what, ours_ms, "Open3D Visualizer in the same process", peer_ms


def run() -> list[tuple[str, float, str, float]]:
    o3d.utility.set_verbosity_level(o3d.utility.VerbosityLevel.Error)
    refined, cloud = _frame(), Cloud()
    ours_ms, peer_ms = interleaved_ms(
        lambda: _ours_cloud(cloud, refined), lambda: _open3d_cloud(refined), rounds=40
    )
    cloud_row = ("cloud from 640x480", ours_ms, "Open3D create_from_rgbd_image", peer_ms)
    return [cloud_row, *(_picture_row(refined, stride) for stride in (2, 1))]
