"""The child process that draws the cloud with Open3D, so that drawing never holds up the window.

``python -m ui.cloud.process HANDLE`` reads pickled `Job` records from standard input and answers
each with a `Picture` or a `Failure` on standard output; arrays go through `CloudMemory`. It ends
when standard input does, so it never outlives the window, however that ends.
"""

from __future__ import annotations

import pickle
import queue
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from lingbot_live.errors import LingbotLiveError
from lingbot_live.frame import Matrix
from lingbot_live.perception.surface import SceneSurface
from lingbot_live.quality.ruler import Box, plane_through
from lingbot_live.system.cores import give_way, session_gives_way
from lingbot_live.system.malloc import keep_freed
from lingbot_live.system.serving import jobs_of_parent, own_stdout
from ui.cloud.guides import Ground, drawn
from ui.cloud.memory import Answer, Ask, CloudMemory, Failure, Job, Picture
from ui.cloud.points import Cloud, Scene, pick, within
from ui.cloud.scene import Guide, Home, Layer, Line, ViewSettings

_DRAFT_ABOVE_MS = 40.0  # where a full picture takes longer, drafts have fewer points
_LIVE_ABOVE_MS = 100.0  # where it takes even longer, so have the pictures of a stream
_FEWEST_POINTS = 60_000  # of a thinned picture, about
_FORGET = 0.97  # with each thinned picture of a stream
_NEAR_M, _FAR_M = 0.02, 200.0
_ROUND_M = 100.0  # of the centre that orthographic pictures show
_SURFACE = -1  # where a slot is asked for
_MOST_FITTED = 20_000  # points of a plane


class CloudWindow:
    """An off-screen Open3D window of one size."""

    def __init__(self, width: int, height: int) -> None:
        import open3d as o3d

        self._o3d = o3d
        self.size = (width, height)
        self._window = o3d.visualization.Visualizer()
        if not self._window.create_window(width=width, height=height, visible=False):
            raise LingbotLiveError("Open3D could not open an OpenGL context; check the GPU driver")
        self._geometries: dict[int, Any] = {}  # by slot
        self._lines: Any = None
        self._guides: list[Any] = []

    def close(self) -> None:
        """Free the OpenGL context."""
        self._window.destroy_window()

    def set_points(self, slot: int, points_m: Matrix, colors: Matrix) -> None:
        """Show these points, (N, 3) metres, in these RGB colours, (N, 3) in 0 to 1."""
        vectors = self._o3d.utility.Vector3dVector
        if len(points_m) == 0:
            self.remove(slot)
            return
        is_new = slot not in self._geometries
        cloud = self._geometries.setdefault(slot, self._o3d.geometry.PointCloud())
        cloud.points, cloud.colors = vectors(points_m), vectors(colors)
        if is_new:
            self._window.add_geometry(cloud, reset_bounding_box=True)
        else:
            self._window.update_geometry(cloud)

    def set_surface(self, surface: SceneSurface) -> None:
        """Show this surface in place of the one before."""
        self.remove(_SURFACE)
        if len(surface.triangles) == 0:
            return
        o3d, mesh = self._o3d, self._o3d.geometry.TriangleMesh()
        mesh.vertices = o3d.utility.Vector3dVector(surface.points_m.astype(np.float64))
        mesh.vertex_colors = o3d.utility.Vector3dVector(surface.colors.astype(np.float64))
        mesh.triangles = o3d.utility.Vector3iVector(surface.triangles)
        self._geometries[_SURFACE] = mesh
        self._window.add_geometry(mesh, reset_bounding_box=True)

    def remove(self, slot: int) -> None:
        """Show no points of this slot."""
        cloud = self._geometries.pop(slot, None)
        if cloud is not None:
            self._window.remove_geometry(cloud, reset_bounding_box=False)

    def set_lines(self, lines: tuple[Line, ...]) -> None:
        """Show these lines and no others."""
        if self._lines is not None:
            self._window.remove_geometry(self._lines, reset_bounding_box=False)
            self._lines = None
        if lines:
            ends = np.array([end for first, last, _ in lines for end in (first, last)], np.float64)
            colors = np.array([rgb for _, _, rgb in lines], np.float64) / 255
            pairs = np.arange(len(ends), dtype=np.int32).reshape(-1, 2)
            vectors = self._o3d.utility
            self._lines = self._o3d.geometry.LineSet(
                vectors.Vector3dVector(ends), vectors.Vector2iVector(pairs)
            )
            self._lines.colors = vectors.Vector3dVector(colors)
            self._window.add_geometry(self._lines, reset_bounding_box=True)

    def set_guides(self, guides: Iterable[Any]) -> None:
        """Show these geometries of Open3D besides the points, and no others."""
        for old in self._guides:
            self._window.remove_geometry(old, reset_bounding_box=False)
        self._guides = list(guides)
        for new in self._guides:
            self._window.add_geometry(new, reset_bounding_box=False)

    def capture(self, view: ViewSettings, home: Home, point_size_px: float) -> Matrix:
        """Return the picture, (H, W, 3) float in 0 to 1."""
        option = self._window.get_render_option()
        option.background_color = np.array(view.background_rgb) / 255
        option.point_size = point_size_px
        option.light_on, option.mesh_show_back_face = False, True
        width, height = self.size
        camera = self._o3d.camera.PinholeCameraParameters()
        camera.intrinsic = self._o3d.camera.PinholeCameraIntrinsic(
            width, height, view.focal_px, view.focal_px, (width - 1) / 2, (height - 1) / 2
        )
        camera.extrinsic = home.extrinsic(view)
        control = self._window.get_view_control()
        control.set_constant_z_near(max(_NEAR_M, home.eye_m(view) - _ROUND_M))
        control.set_constant_z_far(max(_FAR_M, home.eye_m(view) + _ROUND_M))
        control.convert_from_pinhole_camera_parameters(camera, True)
        # do_render=False reads a black picture on X11.
        return np.asarray(self._window.capture_screen_float_buffer(True))


class _Part:
    """One camera's frame, and the points it last became."""

    def __init__(self) -> None:
        self.scene: Scene | None = None
        self.cloud = Cloud()
        self.key: object = None  # what the points were made with; None: they are to be made anew


class CloudRenderer:
    """Turns jobs into pictures; builds only anew what a job changes."""

    def __init__(self, memory: CloudMemory) -> None:
        self._memory = memory
        self._window: CloudWindow | None = None
        self._parts: dict[int, _Part] = {}  # by slot
        self._surface: SceneSurface | None = None
        self._shown: tuple[SceneSurface, Box | None] | None = None  # that the window has
        self._cropped: SceneSurface | None = None  # what of it lies in the box
        self._home, self._home_key = Home(), object()
        self._guides_key: object = None
        self._full_ms, self._full_points = 0.0, 0
        self._lines: tuple[Line, ...] = ()

    def render(self, job: Job) -> Picture:
        """Draw the job's picture into the shared memory."""
        began_s = time.perf_counter()
        view = job.view
        window = self._window_of(view)
        self._take(job, window)
        stride = self._stride(view, is_live=bool(job.frames))
        self._show(window, view, stride)
        if view.lines != self._lines:
            self._lines = view.lines
            window.set_lines(view.lines)
        self._update_home(view)
        self._update_guides(window, view)
        # A thinned draft keeps its surfaces closed by larger points.
        point_size_px = view.point_size_px * stride / view.stride
        image = window.capture(view, self._home, point_size_px)
        # 255.5 and not 255: n / 255 in float32 must not be cut to n - 1.
        np.multiply(image, 255.5, out=self._memory.picture(*window.size), casting="unsafe")
        render_ms = (time.perf_counter() - began_s) * 1000
        points = sum(map(len, self._points(view).values()))
        self._note(render_ms, points, view, stride)
        answer = None if job.ask is None else self._answer(job.ask, view)
        is_thinned = stride > view.stride
        return Picture(*window.size, points, render_ms, self._home, answer, is_thinned)

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
            self._lines = ()
            self._guides_key = None
            self._shown = None
            for part in self._parts.values():
                part.key = None
        return self._window

    def _show(self, window: CloudWindow, view: ViewSettings, stride: int) -> None:
        """Have the window show the cameras' clouds, or the scene instead."""
        if not view.shows_scene:
            window.remove(_SURFACE)
            self._shown = None
            for slot, part in self._parts.items():
                self._update(window, slot, part, view, stride)
            return
        for slot, part in self._parts.items():
            window.remove(slot)
            part.key = None
        if self._surface is None or self._shown == (self._surface, view.box):
            return
        self._shown = self._surface, view.box
        self._cropped = self._surface.cropped(view.box)
        window.set_surface(self._cropped)

    def _points(self, view: ViewSettings) -> dict[int, Matrix]:
        """Return what is to be seen, (N, 3) metres by slot; a scene counts as the first."""
        if view.shows_scene:
            return {} if self._cropped is None else {0: self._cropped.points_m.astype(np.float64)}
        return {slot: part.cloud.points_m for slot, part in sorted(self._parts.items())}

    def _take(self, job: Job, window: CloudWindow) -> None:
        """Read the new frames and forget the cameras that are gone."""
        for header in job.frames:
            part = self._parts.setdefault(header.slot, _Part())
            part.scene, part.key = self._memory.read_frame(header), None
        if job.surface is not None:
            self._surface = self._memory.read_surface(job.surface)
        for slot in [slot for slot in self._parts if slot not in job.slots]:
            del self._parts[slot]
            window.remove(slot)

    def _stride(self, view: ViewSettings, *, is_live: bool) -> int:
        """Return every how many pixels a point is drawn: more where the machine has little left."""
        stride = view.stride
        if view.shows_scene:  # a surface is drawn whole
            return stride
        if view.draft and self._full_ms > _DRAFT_ABOVE_MS:
            while self._full_points * (view.stride / stride) ** 2 > _FEWEST_POINTS:
                stride += 1
        elif is_live:
            share = 1.0
            while (
                self._full_ms * share > _LIVE_ABOVE_MS
                and self._full_points * share > _FEWEST_POINTS
            ):
                stride += 1
                share = (view.stride / stride) ** 2
        return stride

    def _note(self, render_ms: float, points: int, view: ViewSettings, stride: int) -> None:
        """Remember what a picture of all points takes; less and less, so that it is tried again."""
        if view.shows_scene:
            return
        if stride == view.stride:
            self._full_ms, self._full_points = render_ms, points
        elif not view.draft:
            self._full_ms *= _FORGET

    def _update(
        self, window: CloudWindow, slot: int, part: _Part, view: ViewSettings, stride: int
    ) -> None:
        layer = view.layers[slot] if slot < len(view.layers) else Layer(is_shown=False)
        looks = (view.which, view.coloring, view.depth_range, view.colormap)
        key = (looks, stride, layer, view.box)
        if part.scene is None or key == part.key:
            return
        part.scene.fill(part.cloud, view, layer, stride)
        window.set_points(slot, part.cloud.points_m, part.cloud.colors)
        part.key = key

    def _update_home(self, view: ViewSettings) -> None:
        """Fit the view once per camera, reset and size; one that follows the data would shake."""
        cameras = tuple(part.scene.camera for part in self._parts.values() if part.scene)
        is_level = view.orbit.is_level
        key = (cameras, view.home, view.width, view.height, view.shows_scene, is_level)
        points = [found for found in self._points(view).values() if len(found)]
        if key != self._home_key and points:
            every = points[0] if len(points) == 1 else np.concatenate(points)
            home, self._home_key = Home.of(every, view), key
            self._home = replace(home, up=Ground.of(every).way_up) if is_level else home

    def _update_guides(self, window: CloudWindow, view: ViewSettings) -> None:
        """Draw the guides anew where something they depend on changed."""
        lenses = [(slot, p.scene.intrinsics) for slot, p in sorted(self._parts.items()) if p.scene]
        key = (view.guides, view.layers, view.background_rgb, self._home, tuple(lenses))
        if key == self._guides_key:
            return
        self._guides_key = key
        ground = None
        points = [part.cloud.points_m for part in self._parts.values() if part.cloud.count]
        if Guide.GRID in view.guides and points:
            ground = Ground.of(np.concatenate(points))
        window.set_guides(drawn(view, self._home, ground, lenses))

    def _answer(self, ask: Ask, view: ViewSettings) -> Answer:
        extrinsic = self._home.extrinsic(view)
        if ask.last_px is None:
            return self._point(ask, view, extrinsic)
        corners_px = np.array([ask.first_px, ask.last_px])
        found = [
            (slot, within(points, extrinsic, view, corners_px))
            for slot, points in self._points(view).items()
        ]
        planes = [
            (slot, plane_through(_some(points), view.layers[slot].pose.translation_m))
            for slot, points in found
        ]
        box = Box.around(np.concatenate([points for _, points in found])) if found else None
        return Answer(ask, planes=tuple((s, plane) for s, plane in planes if plane), box=box)

    def _point(self, ask: Ask, view: ViewSettings, extrinsic: Matrix) -> Answer:
        hits = [
            (float((extrinsic @ [*point, 1.0])[2]), slot, point)
            for slot, points in self._points(view).items()
            if (point := pick(points, extrinsic, view, ask.first_px)) is not None
        ]
        if not hits:
            return Answer(ask)
        _, slot, point = min(hits, key=lambda hit: hit[0])
        place = (float(point[0]), float(point[1]), float(point[2]))
        return Answer(ask, place, self._home.offset_of(point), slot)


def _some(points_m: Matrix) -> Matrix:
    """Return at most some `_MOST_FITTED` of the points, evenly."""
    return points_m[:: -(-len(points_m) // _MOST_FITTED) or 1]


def serve(memory: CloudMemory, jobs: queue.SimpleQueue[Job], answers: BinaryIO) -> None:
    """Answer jobs until drawing fails, which is the last answer."""
    import open3d as o3d

    o3d.utility.set_verbosity_level(o3d.utility.VerbosityLevel.Error)
    renderer = CloudRenderer(memory)
    is_first = True
    while True:
        pickle.dump(renderer.render(jobs.get()), answers)
        answers.flush()
        if is_first:  # not before: a start takes a second of a processor that may have little left
            session_gives_way(5)
            is_first = False


def main() -> None:
    """Run as the child process."""
    give_way(10)  # capture, the window and the refiner come first
    keep_freed()
    answers = own_stdout()
    jobs = jobs_of_parent(Job, "cloud-jobs")
    try:
        serve(CloudMemory.attach(sys.argv[1]), jobs, answers)
    except Exception as error:  # delivered to the window, which shows it
        pickle.dump(Failure(f"{type(error).__name__}: {error}"), answers)
        answers.flush()
        raise


if __name__ == "__main__":
    main()
