"""The process of a live reconstruction: ``python -m lingbot_live.export.live_child HANDLE``.

Reads pickled `LiveJob` records from standard input and answers each with `LiveNews` on standard
output; arrays go through `LiveMemory`. It ends when standard input does.
"""

from __future__ import annotations

import pickle
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lingbot_live.cameras.readings import DeviceClock
from lingbot_live.errors import ExportError, LingbotLiveError
from lingbot_live.export.folder import new_file
from lingbot_live.export.live_memory import (
    FrameHeader,
    LiveJob,
    LiveMemory,
    LiveNews,
    SaveOrder,
    SurfaceHeader,
)
from lingbot_live.export.mesh import write_mesh, write_way
from lingbot_live.perception.reconstruction import Depth, Fusing, Reconstruction
from lingbot_live.quality.ruler import Box
from lingbot_live.system.cores import give_way, share_cores
from lingbot_live.system.malloc import keep_freed
from lingbot_live.system.serving import jobs_of_parent, own_stdout

if TYPE_CHECKING:
    import open3d as o3d

_SURFACE_S, _SURFACE_SHARE = 1.0, 0.1  # between two surfaces; of all time for taking them


class LiveScene:
    """Does jobs, one after the other."""

    def __init__(self, memory: LiveMemory) -> None:
        self._memory = memory
        self._scene: Reconstruction | None = None
        self._clock = DeviceClock()
        self._busy_ms = 0.0
        self._due_s = 0.0  # when a surface may be taken again

    def do(self, job: LiveJob) -> LiveNews:
        """Do a job; what cannot be done is said, and the scene stays."""
        if job.begins_anew or self._scene is None:
            self._begin(job.fusing)
        surface, saved, error = None, None, ""
        try:
            if job.frame is not None:
                self._add(job.frame)
            if job.save is not None:
                self._save(job.save, job.shown)
                saved = job.save.path
            if job.wants_surface or time.monotonic() > self._due_s:
                surface = self._surface(job.shown)
        except (LingbotLiveError, OSError) as problem:
            error = " ".join(str(problem).split())
        return replace(self._news(), surface=surface, saved=saved, error=error)

    def _begin(self, fusing: Fusing) -> None:
        if self._scene is not None:
            self._scene.close()
        self._scene, self._clock = Reconstruction(fusing, is_live=True), DeviceClock()
        self._due_s = 0.0

    def _add(self, header: FrameHeader) -> None:
        begun_s = time.perf_counter()
        frame, depths_m = self._memory.read_frame(header)
        if self._scene is not None:
            self._scene.add(frame, depths_m, self._clock.rising_s(frame))
        self._busy_ms = 1000 * (time.perf_counter() - begun_s)

    def _save(self, order: SaveOrder, shown: Depth) -> None:
        if self._scene is None:
            return
        self._scene.finish()
        with new_file(order.path) as path:
            if order.is_way:
                write_way(path, self._scene)
            else:
                write_mesh(path, _cropped(self._scene.mesh(shown), order.box))

    def _surface(self, shown: Depth) -> SurfaceHeader | None:
        volume = None if self._scene is None else self._scene.volume(shown)
        if volume is None:
            return None
        begun_s = time.monotonic()
        header = self._memory.write_surface(shown, volume.surface())
        now_s = time.monotonic()
        self._due_s = now_s + max(_SURFACE_S, (now_s - begun_s) / _SURFACE_SHARE)
        return header

    def _news(self) -> LiveNews:
        scene = self._scene
        if scene is None:
            return LiveNews()
        return LiveNews(
            scene.state, scene.frames, scene.left_out, scene.found_again, scene.loops,
            scene.length_m, self._busy_ms,
        )  # fmt: skip


def _cropped(mesh: o3d.geometry.TriangleMesh, box: Box | None) -> o3d.geometry.TriangleMesh:
    if box is None:
        return mesh
    import open3d as o3d

    inside = mesh.crop(o3d.geometry.AxisAlignedBoundingBox(box.low_m, box.high_m))
    if not inside.has_triangles():
        raise ExportError("nothing of the scene lies in the crop box; press Esc to see it all")
    return inside


def main() -> None:
    """Run as the child process."""
    give_way(5)  # capture, the window and the refiner come first, the cloud's process after
    share_cores()
    keep_freed()
    answers = own_stdout()
    jobs = jobs_of_parent(LiveJob, "scene-jobs")
    scene = LiveScene(LiveMemory.attach(sys.argv[1]))
    while True:
        pickle.dump(scene.do(jobs.get()), answers)
        answers.flush()


if __name__ == "__main__":
    main()
