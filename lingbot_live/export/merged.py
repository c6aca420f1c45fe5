"""Formats ``ply`` and ``pcd`` with a rig: one cloud of all its cameras a moment."""

from __future__ import annotations

from lingbot_live.calibration.rig import Rig
from lingbot_live.export.cloud import to_cloud, write_cloud
from lingbot_live.export.moments import Moment
from lingbot_live.export.shot import DepthSource, JointTarget
from lingbot_live.frame import DepthMap, Frame


class MergedWriter:
    """Writes ``000042.ply``: all cameras' points in metres, in the axes of the rig's reference."""

    def __init__(self, target: JointTarget, suffix: str, rig: Rig) -> None:
        self._target, self._suffix = target, suffix
        self._poses = [
            rig.transform(rig.reference.address, rig.camera(c.address, c.serial).address)
            for c in target.cameras
        ]
        self._alone = self._empty = 0

    def add(self, moment: Moment) -> None:
        """Write a moment's cloud."""
        import open3d as o3d

        merged = o3d.geometry.PointCloud()
        self._alone += len(moment.frames) < len(self._poses)
        for place, frame in moment.frames.items():
            depth_m = self._depth_m(frame)
            if depth_m is not None:
                cloud = to_cloud(frame.color, depth_m, frame.intrinsics)
                cloud.transform(self._poses[place].matrix)
                merged += cloud
        voxel_mm = self._target.number("voxel_mm")
        if voxel_mm > 0:
            merged = merged.voxel_down_sample(voxel_mm / 1000)
        if merged.is_empty():
            self._empty += 1
        else:
            write_cloud(self._target.path / f"{moment.number:06d}{self._suffix}", merged)

    def finish(self) -> list[str]:
        """Say what is not whole."""
        remarks = [f"{self._empty} moments have no point"] if self._empty else []
        if self._alone:
            remarks.append(f"{self._alone} moments were not seen by all cameras")
        return remarks

    def close(self) -> None:
        """Nothing is open."""

    def _depth_m(self, frame: Frame) -> DepthMap | None:
        if self._target.source is DepthSource.RAW:
            return frame.depth_m
        return None if frame.recorded is None else frame.recorded.depth_m
