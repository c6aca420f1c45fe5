"""The child process that draws the cloud with Open3D, so that drawing never holds up the window.

``python -m ui.cloud_process HANDLE`` reads pickled `Job` records from standard input and answers
each with a `Picture` or a `Failure` on standard output; arrays go through `CloudMemory`. It ends
when standard input does, so it never outlives the window, however that ends.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import time
from typing import Any, BinaryIO

import numpy as np

from lingbot_live.errors import LingbotLiveError
from lingbot_live.frame import Matrix
from ui.cloud_memory import CloudMemory, Failure, Job, Picture
from ui.cloud_scene import Cloud, Home, Scene, ViewSettings, pick

_DRAFT_ABOVE_MS = 40.0  # where a full picture takes longer, drafts have fewer points
_DRAFT_POINTS = 60_000
_NEAR_M, _FAR_M = 0.02, 200.0


class CloudWindow:
    """An off-screen Open3D window of one size."""

    def __init__(self, width: int, height: int) -> None:
        import open3d as o3d

        self._o3d = o3d
        self.size = (width, height)
        self._window = o3d.visualization.Visualizer()
        if not self._window.create_window(width=width, height=height, visible=False):
            raise LingbotLiveError("Open3D could not open an OpenGL context; check the GPU driver")
        self._geometry: Any = None
        control = self._window.get_view_control()
        control.set_constant_z_near(_NEAR_M)
        control.set_constant_z_far(_FAR_M)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._window.destroy_window()

    def set_points(self, points_m: Matrix, colors: Matrix) -> None:
        """Show these points, (N, 3) metres, in these RGB colours, (N, 3) in 0 to 1."""
        vectors = self._o3d.utility.Vector3dVector
        if len(points_m) == 0:
            self._window.clear_geometries()
            self._geometry = None
            return
        is_new = self._geometry is None
        if is_new:
            self._geometry = self._o3d.geometry.PointCloud()
        self._geometry.points = vectors(points_m)
        self._geometry.colors = vectors(colors)
        if is_new:
            self._window.add_geometry(self._geometry, reset_bounding_box=True)
        else:
            self._window.update_geometry(self._geometry)

    def capture(self, view: ViewSettings, extrinsic: Matrix, point_size_px: float) -> Matrix:
        """Return the picture, (H, W, 3) float in 0 to 1."""
        option = self._window.get_render_option()
        option.background_color = np.array(view.background_rgb) / 255
        option.point_size = point_size_px
        width, height = self.size
        camera = self._o3d.camera.PinholeCameraParameters()
        camera.intrinsic = self._o3d.camera.PinholeCameraIntrinsic(
            width, height, view.focal_px, view.focal_px, (width - 1) / 2, (height - 1) / 2
        )
        camera.extrinsic = extrinsic
        self._window.get_view_control().convert_from_pinhole_camera_parameters(camera, True)
        # do_render=False reads a black picture on X11.
        return np.asarray(self._window.capture_screen_float_buffer(True))


class CloudRenderer:
    """Turns jobs into pictures; builds only anew what a job changes."""

    def __init__(self, memory: CloudMemory) -> None:
        self._memory = memory
        self._window: CloudWindow | None = None
        self._scene: Scene | None = None
        self._home, self._home_key = Home(), object()
        self._points_key: object = None
        self._cloud = Cloud()
        self._full_ms, self._full_points = 0.0, 0

    def render(self, job: Job) -> Picture:
        """Draw the job's picture into the shared memory."""
        began_s = time.perf_counter()
        view = job.view
        if job.frame is not None:
            self._scene = self._memory.read_frame(job.frame)
            self._points_key = None
        window = self._window_of(view)
        stride = self._stride(view)
        self._update_points(window, view, stride)
        self._update_home(view)
        extrinsic = self._home.extrinsic(view.orbit)
        # A thinned draft keeps its surfaces closed by larger points.
        point_size_px = view.point_size_px * stride / view.stride
        image = window.capture(view, extrinsic, point_size_px)
        # 255.5 and not 255: n / 255 in float32 must not be cut to n - 1.
        np.multiply(image, 255.5, out=self._memory.picture(*window.size), casting="unsafe")
        render_ms = (time.perf_counter() - began_s) * 1000
        if stride == view.stride:
            self._full_ms, self._full_points = render_ms, self._cloud.count
        return Picture(*window.size, self._cloud.count, render_ms, self._picked(job, extrinsic))

    def close(self) -> None:
        """Free the OpenGL context."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _window_of(self, view: ViewSettings) -> CloudWindow:
        if self._window is not None and self._window.size != (view.width, view.height):
            self.close()
        if self._window is None:
            self._window = CloudWindow(view.width, view.height)
            self._points_key = None
        return self._window

    def _stride(self, view: ViewSettings) -> int:
        stride = view.stride
        if view.draft and self._full_ms > _DRAFT_ABOVE_MS:
            while self._full_points * (view.stride / stride) ** 2 > _DRAFT_POINTS:
                stride += 1
        return stride

    def _update_points(self, window: CloudWindow, view: ViewSettings, stride: int) -> None:
        key = (view.which, view.coloring, stride, view.depth_range, view.colormap)
        if self._scene is None or key == self._points_key:
            return
        self._scene.fill(self._cloud, view, stride)
        window.set_points(self._cloud.points_m, self._cloud.colors)
        self._points_key = key

    def _update_home(self, view: ViewSettings) -> None:
        """Fit the view once per camera, reset and size; one that follows the data would shake."""
        camera = self._scene.camera if self._scene else ""
        key = (camera, view.home, view.width, view.height)
        if key != self._home_key and self._cloud.count:
            self._home, self._home_key = Home.of(self._cloud.points_m, view), key

    def _picked(self, job: Job, extrinsic: Matrix) -> tuple[float, float, float] | None:
        if job.pick_px is None:
            return None
        point = pick(self._cloud.points_m, extrinsic, job.view, job.pick_px)
        return None if point is None else self._home.offset_of(point)


def serve(memory: CloudMemory, jobs: queue.SimpleQueue[Job], answers: BinaryIO) -> None:
    """Answer jobs until drawing fails, which is the last answer."""
    import open3d as o3d

    o3d.utility.set_verbosity_level(o3d.utility.VerbosityLevel.Error)
    renderer = CloudRenderer(memory)
    while True:
        pickle.dump(renderer.render(jobs.get()), answers)
        answers.flush()


def _receive(jobs: queue.SimpleQueue[Job]) -> None:
    """Queue what the parent sends; leave the process, even mid-picture, when the parent is gone."""
    try:
        while True:
            jobs.put(pickle.load(sys.stdin.buffer))
    except (EOFError, OSError, pickle.UnpicklingError):
        os._exit(0)


def _own_stdout() -> BinaryIO:
    """Keep standard output for answers; what Open3D prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def main() -> None:
    """Run as the child process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if hasattr(os, "nice"):
        os.nice(5)  # capture and the window come first
    answers = _own_stdout()
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(jobs,), name="cloud-jobs", daemon=True).start()
    try:
        serve(CloudMemory.attach(sys.argv[1]), jobs, answers)
    except Exception as error:  # delivered to the window, which shows it
        pickle.dump(Failure(f"{type(error).__name__}: {error}"), answers)
        answers.flush()
        raise


if __name__ == "__main__":
    main()
