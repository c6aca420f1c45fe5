"""Depth to an Open3D cloud, and clouds drawn a second, against Open3D used as its examples do."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import open3d as o3d

from bench.timing import interleaved_ms
from lingbot_live.frame import Calibration, Frame, Intrinsics, RefinedFrame, RefinerInfo
from ui.cloud.link import CloudProcess
from ui.cloud.points import Cloud
from ui.cloud.scene import Layer, ViewSettings

Row = tuple[str, float, str, float]
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

    def __init__(self, refined: RefinedFrame, stride: int, cameras: int) -> None:
        self._refined, self._stride = refined, stride
        self._window = o3d.visualization.Visualizer()
        self._window.create_window(width=VIEW.width, height=VIEW.height, visible=False)
        self._window.get_render_option().point_size = float(VIEW.point_size_px)
        self._clouds = [_open3d_cloud(refined, stride) for _ in range(cameras)]
        for cloud in self._clouds:
            self._window.add_geometry(cloud)
        control = self._window.get_view_control()
        control.set_front([0.0, 0.0, -1.0])
        control.set_up([0.0, -1.0, 0.0])
        control.set_zoom(0.6)

    def draw(self) -> None:
        for cloud in self._clouds:
            new = _open3d_cloud(self._refined, self._stride)
            cloud.points, cloud.colors = new.points, new.colors
            self._window.update_geometry(cloud)
        np.asarray(self._window.capture_screen_float_buffer(True))

    def close(self) -> None:
        self._window.destroy_window()


def _draw(process: CloudProcess, refined: RefinedFrame, cameras: int) -> None:
    """Hand a frame of each camera over and wait until all are drawn."""
    seen = process.status.pictures
    process.set_active(False)  # so that all come in one job
    for slot in range(cameras):
        process.submit(refined, slot)
    process.set_active(True)
    while process.status.pictures == seen:
        time.sleep(0.0005)


def _picture_row(refined: RefinedFrame, stride: int, cameras: int) -> Row:
    view = ViewSettings(
        width=VIEW.width, height=VIEW.height, stride=stride, layers=(Layer(),) * cameras
    )
    process = CloudProcess(view, max_fps=1000.0)
    process.start()
    bare = _BareVisualizer(refined, stride, cameras)
    try:
        _draw(process, refined, cameras)
        ours_ms, peer_ms = interleaved_ms(
            lambda: _draw(process, refined, cameras), bare.draw, rounds=20
        )
        points = process.status.points
    finally:
        process.close()
        bare.close()
    who = f" of {cameras} cameras" if cameras > 1 else ""
    what = f"cloud picture, {points // 1000}k points{who} ({1000 / ours_ms:.0f} fps)"
    return what, ours_ms, "Open3D Visualizer in the same process", peer_ms


def run() -> list[Row]:
    o3d.utility.set_verbosity_level(o3d.utility.VerbosityLevel.Error)
    refined, cloud = _frame(), Cloud()
    ours_ms, peer_ms = interleaved_ms(
        lambda: _ours_cloud(cloud, refined), lambda: _open3d_cloud(refined), rounds=40
    )
    cloud_row = ("cloud from 640x480", ours_ms, "Open3D create_from_rgbd_image", peer_ms)
    pictures = [_picture_row(refined, *case) for case in ((2, 1), (1, 1), (2, 3))]
    return [cloud_row, *pictures]
