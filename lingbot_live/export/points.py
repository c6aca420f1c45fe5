"""Formats ``ply`` and ``pcd``: a point cloud a frame, by Open3D."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lingbot_live.export.cloud import to_cloud, write_cloud, write_tensor_cloud
from lingbot_live.export.shot import Shot, Target
from lingbot_live.perception.trust import trust_map

if TYPE_CHECKING:
    import open3d as o3d

_NEIGHBOURS = 20  # for the outlier test
_DEVIATIONS = 2.0  # farther from them than most points, by so many standard deviations
_NORMAL_NEIGHBOURS = 30


class PointWriter:
    """Writes ``000042.ply`` and so on; points in metres, in the camera's axes (OpenCV's)."""

    def __init__(self, target: Target, suffix: str) -> None:
        self._target, self._suffix = target, suffix
        self._empty = 0

    def add(self, shot: Shot) -> None:
        """Write a frame's cloud; a frame without any depth gives none."""
        cloud = to_cloud(shot.frame.color, shot.depth_m, shot.frame.intrinsics)
        if self._target.settings.get("trust") and not cloud.is_empty():
            self._write_with_trust(shot, cloud)
            return
        cloud = self._prepared(cloud)
        if cloud.is_empty():
            self._empty += 1
        else:
            write_cloud(self._target.path / f"{shot.name}{self._suffix}", cloud)

    def _write_with_trust(self, shot: Shot, cloud: o3d.geometry.PointCloud) -> None:
        """Do the same by Open3D's tensors, which carry properties of points."""
        import open3d as o3d

        target = self._target
        made = o3d.t.geometry.PointCloud.from_legacy(cloud)
        trust = trust_map(shot.as_refined())[shot.depth_m > 0]
        made.point["trust"] = o3d.core.Tensor.from_numpy(trust[:, None])
        if target.number("voxel_mm") > 0:
            made = made.voxel_down_sample(target.number("voxel_mm") / 1000)
        if target.flag("outliers"):
            made, _ = made.remove_statistical_outliers(_NEIGHBOURS, _DEVIATIONS)
        if target.flag("normals"):
            made.estimate_normals(_NORMAL_NEIGHBOURS, None)  # type: ignore[arg-type]  # no radius
            made.orient_normals_towards_camera_location()
        # As bytes, like Open3D's other clouds: as fractions, other programs show them black.
        made.point.colors = (made.point.colors * 255).round().to(o3d.core.uint8)
        write_tensor_cloud(target.path / f"{shot.name}{self._suffix}", made)

    def finish(self) -> list[str]:
        """Return what was not written."""
        return [f"{self._empty} frames have no point"] if self._empty else []

    def close(self) -> None:
        """Nothing is open."""

    def _prepared(self, cloud: o3d.geometry.PointCloud) -> o3d.geometry.PointCloud:
        """Thin out, clean, and give normals, as the options say."""
        import numpy as np
        import open3d as o3d

        target = self._target
        if target.number("voxel_mm") > 0:
            cloud = cloud.voxel_down_sample(target.number("voxel_mm") / 1000)
        if target.flag("outliers") and not cloud.is_empty():
            cloud, _ = cloud.remove_statistical_outlier(_NEIGHBOURS, _DEVIATIONS)
        if target.flag("normals") and not cloud.is_empty():
            cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(_NORMAL_NEIGHBOURS))
            cloud.orient_normals_towards_camera_location(np.zeros(3))
        return cloud
