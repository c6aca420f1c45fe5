"""Point clouds by Open3D."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ExportError
from lingbot_live.frame import ColorImage, DepthMap, Intrinsics
from lingbot_live.geometry import deproject
from lingbot_live.system import children
from lingbot_live.system.quiet import muted_stderr
from lingbot_live.system.scratch import temporary_folder

if TYPE_CHECKING:
    import open3d as o3d

_NO_POINT = "\n".join([
    "ply", "format ascii 1.0", "element vertex 0",
    *(f"property double {name}" for name in "xyz"),
    *(f"property uchar {name}" for name in ("red", "green", "blue")),
    "end_header", "",
])  # fmt: skip


def to_cloud(
    color: ColorImage, depth_m: DepthMap, intrinsics: Intrinsics
) -> o3d.geometry.PointCloud:
    """Return the cloud of all valid pixels, in the camera's axes (OpenCV's), coloured."""
    import open3d as o3d

    valid = depth_m > 0
    cloud = o3d.geometry.PointCloud()
    points = deproject(depth_m, intrinsics)[valid]
    cloud.points = o3d.utility.Vector3dVector(points.astype(np.float64))
    cloud.colors = o3d.utility.Vector3dVector(color[valid] / 255.0)
    return cloud


def write_cloud(path: Path, cloud: o3d.geometry.PointCloud) -> None:
    """Write a binary PLY or PCD, as the suffix says.

    Raises:
        OSError: Open3D could not write the file.
    """
    import open3d as o3d

    _write(path, lambda: o3d.io.write_point_cloud(path, cloud))


def write_tensor_cloud(path: Path, cloud: o3d.t.geometry.PointCloud) -> None:
    """Do the same with a cloud whose points have more properties; those stay.

    Raises:
        OSError: Open3D could not write the file.
    """
    import open3d as o3d

    _write(path, lambda: o3d.t.io.write_point_cloud(path, cloud))


def _write(path: Path, write: Callable[[], bool]) -> None:
    with muted_stderr():  # a line for every number that a full disk does not take
        is_written = write()
    if not is_written:
        raise OSError("Open3D could not write the point cloud")


def write_ply_of_snapshot(folder: Path) -> None:
    """Write ``point_cloud.ply`` beside the pictures of a snapshot folder; no depth is no point."""
    import cv2

    color = cv2.cvtColor(cv2.imread(str(folder / "rgb.png")), cv2.COLOR_BGR2RGB)
    matrix = np.loadtxt(folder / "intrinsics.txt")
    depth_m = np.load(folder / "depth_refined.npy")
    height, width = depth_m.shape
    intrinsics = Intrinsics.from_matrix(matrix, width, height)
    path, cloud = folder / "point_cloud.ply", to_cloud(color, depth_m, intrinsics)
    if cloud.is_empty():  # Open3D refuses to write it
        path.write_text(_NO_POINT, encoding="ascii")
    else:
        write_cloud(path, cloud)


def write_ply_in_child(folder: Path) -> None:
    """Do `write_ply_of_snapshot` in a child process.

    Importing Open3D holds the GIL for tens of milliseconds at a time, which the window would show.

    Raises:
        ExportError: the child failed; the message holds its last line.
    """
    try:
        children.run("lingbot_live.export.cloud", str(folder.absolute()))
    except children.ChildError as error:
        raise ExportError(f"{folder}: the point cloud could not be written: {error}") from error


def write_points_in_child(
    path: Path, points: npt.NDArray[np.float64], color: npt.NDArray[np.uint8]
) -> None:
    """Write (N, 3) points in metres with (N, 3) RGB colours as PLY or PCD, in a child process.

    Raises:
        ExportError: the child failed; the message holds its last line.
    """
    with temporary_folder("lingbot-live-cloud") as folder:
        given = folder / "points.npz"
        np.savez(given, points=points, color=color)
        try:
            children.run("lingbot_live.export.cloud", str(given), str(path.absolute()))
        except children.ChildError as error:
            raise ExportError(f"{path}: the point cloud could not be written: {error}") from error


def _write_points(given: Path, path: Path) -> None:
    import open3d as o3d

    with np.load(given) as data:
        cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(data["points"]))
        cloud.colors = o3d.utility.Vector3dVector(data["color"] / 255.0)
    write_cloud(path, cloud)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _write_points(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        write_ply_of_snapshot(Path(sys.argv[1]))
