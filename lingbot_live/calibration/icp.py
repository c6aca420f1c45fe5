"""Poses refined by the scene itself: Open3D's colored ICP (Park, Zhou, Koltun, ICCV 2017)."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lingbot_live.calibration.rig import Rig
from lingbot_live.errors import CalibrationError
from lingbot_live.frame import ColorImage, DepthMap, Extrinsics, Intrinsics
from lingbot_live.geometry import deproject
from lingbot_live.system import children

if TYPE_CHECKING:
    import open3d as o3d

_VOXELS_M = (0.05, 0.025, 0.0125)
_ROUNDS = (50, 30, 20)
_REACH = 1.5  # voxels between points that may belong together; the coarsest reaches further
_FARTHEST_M, _FARTHEST_DEG = 0.2, 12.0  # beyond, ICP has slid to something else
_LEAST_SHARE = 0.1  # of a camera's points that must find a partner


class Shot(NamedTuple):
    """What ICP needs of one camera's frame."""

    color: ColorImage  # (H, W, 3)
    depth_m: DepthMap  # (H, W)
    intrinsics: Intrinsics


def refine_rig(rig: Rig, shots: Mapping[str, Shot]) -> Rig:
    """Return the rig with every camera but the reference moved onto those placed before it.

    The frames must show one scene at one time, with shape in it: a bare wall lets a camera slide.
    Takes 1 to 3 s a camera at 640x480, during which Open3D holds the GIL: see `refine_in_child`.

    Raises:
        CalibrationError: too little of two cameras' scenes overlaps, or ICP moved a camera too far.
    """
    import open3d as o3d

    placed = [_cloud(shots[rig.reference.address])]
    for camera in rig.cameras[1:]:
        source, target = _cloud(shots[camera.address]), o3d.geometry.PointCloud()
        for part in placed:
            target += part
        pose, rms_m = _refined(source, target, camera.pose, camera.address)
        rig = rig.with_camera(camera.address, pose=pose, icp_rms_mm=1000 * rms_m)
        source.transform(pose.matrix)
        placed.append(source)
    return rig


def refine_in_child(
    rig: Rig, shots: Mapping[str, Shot], cancel: threading.Event | None = None
) -> Rig:
    """Do `refine_rig` in a child process, so that windows and cameras go on.

    Raises:
        CalibrationError: as there; the child died; or ``cancel`` was set.
    """
    try:
        answer = children.run(
            "lingbot_live.calibration.icp", given=pickle.dumps((rig, dict(shots))), cancel=cancel
        )
    except children.ChildCancelledError:
        raise CalibrationError("ICP was cancelled; the poses are as before") from None
    except children.ChildError as error:
        raise CalibrationError(f"ICP {error}") from error
    result = pickle.loads(answer)
    if isinstance(result, CalibrationError):
        raise result
    refined: Rig = result
    return refined


def _cloud(shot: Shot) -> o3d.geometry.PointCloud:
    import open3d as o3d

    valid = shot.depth_m > 0
    cloud = o3d.geometry.PointCloud()
    points = deproject(shot.depth_m, shot.intrinsics)[valid]
    cloud.points = o3d.utility.Vector3dVector(points.astype(np.float64))
    cloud.colors = o3d.utility.Vector3dVector(shot.color[valid] / 255.0)
    return cloud


def _refined(
    source: o3d.geometry.PointCloud, target: o3d.geometry.PointCloud, start: Extrinsics, who: str
) -> tuple[Extrinsics, float]:
    """Return ``T_target_source`` and the RMS distance of points from their partners' planes."""
    import open3d as o3d

    steps = o3d.pipelines.registration
    matrix = start.matrix
    for voxel_m, rounds in zip(_VOXELS_M, _ROUNDS, strict=True):
        thin = [_thinned(cloud, voxel_m) for cloud in (source, target)]
        reach_m = _REACH * voxel_m
        if steps.evaluate_registration(*thin, reach_m, matrix).fitness < _LEAST_SHARE:
            raise CalibrationError(
                f"{who}: less than {_LEAST_SHARE:.0%} of its points lie near what the others see; "
                "calibrate with a board first, or turn the cameras to one scene"
            )
        found = steps.registration_colored_icp(
            *thin,
            reach_m,
            matrix,
            steps.TransformationEstimationForColoredICP(),
            steps.ICPConvergenceCriteria(1e-7, 1e-7, rounds),
        )
        matrix = found.transformation
    pose = Extrinsics.from_matrix(matrix)
    _check_way(start, pose, who)
    return pose, _rms_m(thin[0], thin[1], found)


def _rms_m(source: o3d.geometry.PointCloud, target: o3d.geometry.PointCloud, found: Any) -> float:
    """Along the target's normals: across them, points differ by their spacing alone."""
    at, to = np.asarray(found.correspondence_set).T
    points = Extrinsics.from_matrix(found.transformation).apply(np.asarray(source.points)[at])
    apart = points - np.asarray(target.points)[to]
    along = np.einsum("nc,nc->n", apart, np.asarray(target.normals)[to])
    return float(np.sqrt(np.mean(along**2)))


def _check_way(start: Extrinsics, end: Extrinsics, who: str) -> None:
    way_m = float(np.linalg.norm(np.subtract(end.translation_m, start.translation_m)))
    turn_deg = (start.inverse() @ end).angle_deg
    if way_m > _FARTHEST_M or turn_deg > _FARTHEST_DEG:
        raise CalibrationError(
            f"{who}: ICP moved it by {1000 * way_m:.0f} mm and {turn_deg:.1f} degrees, which is no "
            "refinement; the scene has too little shape, or the start was wrong"
        )


def _thinned(cloud: o3d.geometry.PointCloud, voxel_m: float) -> o3d.geometry.PointCloud:
    import open3d as o3d

    thin = cloud.voxel_down_sample(voxel_m)
    thin.estimate_normals(o3d.geometry.KDTreeSearchParamHybrid(2 * voxel_m, 30))
    return thin


def main() -> None:
    """Refine what standard input holds and write the outcome to standard output."""
    rig, shots = pickle.load(sys.stdin.buffer)
    try:
        outcome: Rig | CalibrationError = refine_rig(rig, shots)
    except CalibrationError as error:
        outcome = error
    pickle.dump(outcome, sys.stdout.buffer)


if __name__ == "__main__":
    main()
