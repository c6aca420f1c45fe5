"""What a reconstruction is exact to, on the simulated walk of 6 m: ours beside Open3D's own SLAM.

Rows of errors are in millimetres. The walk is rendered on the first run, which takes minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import open3d as o3d

from bench.walk import TrueWalk, trajectory_mm
from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import every_frame
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.export.live import LIVE, LiveReconstruction
from lingbot_live.frame import ColorImage, DepthMap, Frame, Intrinsics, Matrix, RefinedFrame
from lingbot_live.perception.reconstruction import Depth, Fusing, Reconstruction
from lingbot_live.perception.trust import trusted
from lingbot_live.recording.state import FeedLike
from lingbot_live.system.cores import share_cores

Row = tuple[str, float, str, float]
Seen = tuple[Frame, dict[Depth, DepthMap]]
Tap = Callable[[str, Frame | RefinedFrame], None]

_PEER = "open3d t.pipelines.slam"
# Open3D's own settings of dense_slam, but for the voxels, which are ours.
_DEPTH_SCALE, _DEPTH_MIN_M, _DEPTH_MAX_M, _DISTANCE_M, _TRUNC = 1000.0, 0.1, 3.0, 0.07, 8.0
_VOXEL_M, _BLOCKS = 0.01, 40_000
_STILL_FRAMES = 100  # 10 s at 10 frames a second
_LIVE_S, _LIVE_FPS, _LEAST_HZ = 15.0, 30.0, 8.0
_LIVE_STEP = 4  # poses of the walk's 30 a second: 8 a second
_WAY_MM, _SURFACE_MM = 15.0, 12.0  # the bars


@dataclass(frozen=True, slots=True)
class _Outcome:
    poses: list[Matrix]
    surfaces: dict[Depth, np.ndarray]  # (N, 3)
    ms: float  # of processor time, a frame


def run() -> list[Row]:
    """All figures; the walk is rendered first."""
    return [*_of_the_walk(TrueWalk()), _still(), *_live_view(), _live()]


def _of_the_walk(walk: TrueWalk) -> Iterator[Row]:
    seen = list(_refined(walk.frames(), "guided+steady"))
    ours = _ours(Fusing(tuple(Depth), _VOXEL_M), seen)
    peers = {depth: _peer(seen, depth, walk.intrinsics) for depth in Depth}
    for depth in Depth:
        errors = [trajectory_mm(found.poses, walk.poses) for found in (ours, peers[depth])]
        yield f"walk, {depth.value}: trajectory error, mm", errors[0], _PEER, errors[1]
    for depth in Depth:
        both = (ours, peers[depth])
        off = [float(np.median(walk.off_mm(found.surfaces[depth]))) for found in both]
        yield f"walk, {depth.value}: surface, median mm", off[0], _PEER, off[1]
    ms = [found.ms for found in (ours, peers[Depth.RAW])]
    yield "walk, followed and both depths fused, processor ms", ms[0], f"{_PEER}, raw alone", ms[1]


def _refined(frames: Iterator[Frame], refiner: str) -> Iterator[Seen]:
    engine = registry.create_refiner(RefinerConfig.parse(refiner))
    try:
        for frame in frames:
            refined_m = _trusted(engine.refine(frame))
            yield frame, {Depth.RAW: frame.depth_m, Depth.REFINED: refined_m}
    finally:
        engine.close()


def _trusted(refined: RefinedFrame) -> DepthMap:
    return trusted(refined, Fusing().least_trust)


def _ours(fusing: Fusing, seen: Sequence[Seen], *, is_live: bool = False) -> _Outcome:
    scene = Reconstruction(fusing, is_live=is_live)
    began_s = time.process_time()
    for frame, depths_m in seen:
        scene.add(frame, depths_m, frame.device_timestamp_us / 1e6)
    ms = 1000 * (time.process_time() - began_s) / len(seen)
    scene.finish()
    meshes = {depth: np.asarray(scene.mesh(depth).vertices) for depth in fusing.depths}
    poses = [pose for _, pose in scene.trajectory()]
    scene.close()
    if len(poses) < len(seen):
        raise ValueError(f"{len(seen) - len(poses)} frames of the walk were lost")
    return _Outcome(poses, meshes, ms)


def _peer(seen: Sequence[Seen], depth: Depth, of: Intrinsics) -> _Outcome:
    slam = o3d.t.pipelines.slam
    cpu, pose = o3d.core.Device("CPU:0"), np.eye(4)
    model = slam.Model(_VOXEL_M, 16, _BLOCKS, o3d.core.Tensor(pose), cpu)
    matrix = o3d.core.Tensor(of.matrix)
    now, seen_before = (slam.Frame(of.height, of.width, matrix, cpu) for _ in range(2))
    poses: list[Matrix] = []
    began_s = time.process_time()
    for number, (frame, depths_m) in enumerate(seen):
        raw, color = _images(frame.color, depths_m[depth])
        now.set_data_from_image("depth", raw)
        now.set_data_from_image("color", color)
        if number:
            step = model.track_frame_to_model(
                now, seen_before, _DEPTH_SCALE, _DEPTH_MAX_M, _DISTANCE_M
            )
            pose = pose @ step.transformation.numpy()
        poses.append(pose)
        model.update_frame_pose(number, o3d.core.Tensor(pose))
        model.integrate(now, _DEPTH_SCALE, _DEPTH_MAX_M, _TRUNC)
        model.synthesize_model_frame(
            seen_before, _DEPTH_SCALE, _DEPTH_MIN_M, _DEPTH_MAX_M, _TRUNC, False
        )
    ms = 1000 * (time.process_time() - began_s) / len(seen)
    mesh = model.voxel_grid.extract_triangle_mesh(3.0).to_legacy()
    return _Outcome(poses, {depth: np.asarray(mesh.vertices)}, ms)


def _images(color: ColorImage, depth_m: DepthMap) -> tuple[object, object]:
    raw = np.rint(depth_m * _DEPTH_SCALE).astype(np.uint16)
    return o3d.t.geometry.Image(raw), o3d.t.geometry.Image(np.ascontiguousarray(color))


def _still() -> Row:
    """A stereo camera that stands still for 10 s: how far it seems to go."""
    config = CameraConfig(fps=1000.0, realtime=False)  # so fast that its own sway is none
    with registry.create_camera("synthetic:stereo", config) as camera:
        seen = [(f, {Depth.RAW: f.depth_m}) for f in islice(every_frame(camera), _STILL_FRAMES)]
        intrinsics = seen[0][0].intrinsics
    off = [
        1000 * max(float(np.linalg.norm(pose[:3, 3])) for pose in found.poses)
        for found in (_ours(Fusing((Depth.RAW,), 0.05), seen), _peer(seen, Depth.RAW, intrinsics))
    ]
    return "still for 10 s: farthest from its place, mm", off[0], _PEER, off[1]


class _Results:
    """Hands results to taps, as a session does."""

    def __init__(self) -> None:
        self._taps: list[Tap] = []
        self.feeds: list[FeedLike] = []

    def add_tap(self, tap: Tap) -> None:
        self._taps.append(tap)

    def remove_tap(self, tap: Tap) -> None:
        self._taps.remove(tap)

    def give(self, refined: RefinedFrame) -> None:
        for tap in self._taps:
            tap(refined.frame.camera, refined)


def _live_view() -> Iterator[Row]:
    """The live view's settings on the whole walk, 8 frames a second, beside `guided`."""
    share_cores()  # as its process does
    walk = TrueWalk(step=_LIVE_STEP)
    frames = list(walk.frames())
    engine = registry.create_refiner(RefinerConfig.parse("guided"))
    engine.refine(frames[0])
    began_s = time.process_time()
    made = [engine.refine(frame) for frame in frames]
    guided_ms = 1000 * (time.process_time() - began_s) / len(frames)
    engine.close()
    seen = [(m.frame, {Depth.RAW: m.frame.depth_m, Depth.REFINED: _trusted(m)}) for m in made]
    found = _ours(LIVE, seen, is_live=True)
    yield "live, a frame followed and fused, processor ms", found.ms, "guided", guided_ms
    for depth in Depth:
        off = float(np.median(walk.off_mm(found.surfaces[depth])))
        yield f"live, {depth.value}: surface, median mm", off, "bar", _SURFACE_MM
    yield "live: trajectory error, mm", trajectory_mm(found.poses, walk.poses), "bar", _WAY_MM


def _live() -> Row:
    """Frames a second followed and fused, raw and refined, while `guided` refines at 640x480."""
    frames = list(islice(TrueWalk().frames(), 20))
    source, scene = _Results(), LiveReconstruction("walk")
    engine = registry.create_refiner(RefinerConfig.parse("guided"))
    scene.start(source)
    try:
        began_s, fused = 0.0, 0
        for frame in cycle([*frames, *reversed(frames)]):  # there and back, so that none is lost
            due_s = time.monotonic() + 1 / _LIVE_FPS
            source.give(engine.refine(frame))
            if not began_s and scene.status.news.frames:  # the process is up
                began_s, fused = time.monotonic(), scene.status.news.frames
            if began_s and time.monotonic() - began_s > _LIVE_S:
                break
            time.sleep(max(0.0, due_s - time.monotonic()))
        news = scene.status.news
        rate_hz = (news.frames + news.left_out - fused) / (time.monotonic() - began_s)
    finally:
        scene.close()
        engine.close()
    return "live beside guided: frames a second", rate_hz, "least", _LEAST_HZ
