"""A whole recording made into the surface of a scene, on the caller's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import DeviceClock
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError, ExportError, LingbotLiveError
from lingbot_live.export.folder import check_free, new_file
from lingbot_live.export.mesh import write_mesh, write_way
from lingbot_live.export.source import FrameSource, Span, open_sources
from lingbot_live.frame import DepthMap, Frame, RefinedFrame, RefinerInfo
from lingbot_live.perception.reconstruction import Depth, Fusing, Reconstruction
from lingbot_live.perception.trust import trusted
from lingbot_live.perception.volume import open3d_device
from lingbot_live.refiners.base import Refiner
from lingbot_live.system.outputs import check_apart, local_path

SUFFIXES = (".ply", ".glb")
_MOST_REMARKS = 20

Progress = Callable[[int, int | None], None]  # frames done; frames in all, where that is known


@dataclass(frozen=True, slots=True)
class SceneRequest:
    """What to reconstruct, and where to.

    With both depths there are two files: of ``room.glb``, ``room.raw.glb`` and
    ``room.refined.glb``. Refined depth is what was recorded, or else made by ``refiner``.
    """

    address: str
    output: Path
    fusing: Fusing = field(default_factory=Fusing)
    refiner: RefinerConfig = field(default_factory=RefinerConfig)
    span: Span = field(default_factory=Span)
    camera: str = ""
    trajectory: Path | None = None  # a file of TUM's format
    force: bool = False

    @property
    def meshes(self) -> dict[Depth, Path]:
        """The file of each depth."""
        depths, path = self.fusing.depths, local_path(self.output)
        if len(depths) == 1:
            return {depths[0]: path}
        return {depth: path.with_suffix(f".{depth.value}{path.suffix}") for depth in depths}


@dataclass(slots=True)
class SceneReport:
    """What came of it."""

    triangles: dict[Depth, int] = field(default_factory=dict)
    frames: int = 0  # fused
    left_out: int = 0  # could not be read or placed
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)
    is_damaged: bool = False


def reconstruct(
    request: SceneRequest, on_progress: Progress = lambda done, total: None
) -> SceneReport:
    """Reconstruct; no frame is dropped, and files appear when they are whole.

    Raises:
        ConfigError: an option has no valid value, or an output is an input.
        CameraError, RecordingError: the input cannot be opened.
        ReconstructionError: no surface came of it.
        ExportError: an output is taken or cannot be written.
    """
    begun_s, report = time.monotonic(), SceneReport()
    _check(request)
    with ExitStack() as stack:
        source = _only(stack.enter_context(open_sources(request.address, request.camera)))
        work = {d: stack.enter_context(new_file(path)) for d, path in request.meshes.items()}
        way = request.trajectory and stack.enter_context(new_file(local_path(request.trajectory)))
        scene = Reconstruction(request.fusing, folder=next(iter(work.values())).parent)
        stack.callback(scene.close)
        with _Depths(request) as depths:
            _add_all(request, source, depths, scene, report, on_progress)
        scene.finish(on_progress)
        for depth, path in work.items():
            mesh = scene.mesh(depth)
            write_mesh(path, mesh)
            report.triangles[depth] = len(mesh.triangles)
        if way is not None:
            write_way(way, scene)
        _tell(report, source, scene)
    report.seconds = time.monotonic() - begun_s
    return report


def _check(request: SceneRequest) -> None:
    outputs = [*request.meshes.values()]
    if request.output.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{request.output}: name a file that ends in .ply or .glb")
    if request.trajectory is not None:
        outputs.append(local_path(request.trajectory))
    if len(set(outputs)) < len(outputs):
        raise ConfigError(f"{request.trajectory}: is the mesh's name; choose another")
    for output in outputs:
        check_apart(output, registry.files_of([request.address]))
        check_free(output, request.force, as_file=True)
    open3d_device(request.fusing.device)  # before a camera's thread imports Open3D, too


def _only(sources: list[FrameSource]) -> FrameSource:
    if len(sources) != 1:
        names = ", ".join(source.name for source in sources)
        raise ExportError(f"a scene is one camera's; name a --camera of {names}")
    return sources[0]


class _Depths:
    """Hands out the depths of a frame; the refiner starts where a frame brings none refined.

    What is asked to be done to results is done to recorded ones, too.
    """

    def __init__(self, request: SceneRequest) -> None:
        self._fusing, self._config = request.fusing, request.refiner
        self._engines: dict[bool, Refiner] = {}  # of frames with recorded depth, and without
        self._made: dict[bool, RefinerInfo] = {}

    def __enter__(self) -> _Depths:
        return self

    def __exit__(self, *_: object) -> None:
        for engine in self._engines.values():
            engine.close()

    @property
    def makers(self) -> list[str]:
        """Who refined."""
        return [f"{info}{', recorded' * known}" for known, info in self._made.items()]

    def of(self, frame: Frame) -> Mapping[Depth, DepthMap]:
        found = {Depth.RAW: frame.depth_m}
        if Depth.REFINED in self._fusing.depths:
            found[Depth.REFINED] = trusted(self._refined(frame), self._fusing.least_trust)
        return found

    def _refined(self, frame: Frame) -> RefinedFrame:
        known = frame.recorded is not None
        if known not in self._engines:
            config = replace(self._config, name="recorded") if known else self._config
            self._engines[known] = registry.create_refiner(config)
        refined = self._engines[known].refine(frame)
        self._made[known] = refined.refiner
        return refined


def _add_all(
    request: SceneRequest,
    source: FrameSource,
    depths: _Depths,
    scene: Reconstruction,
    report: SceneReport,
    on_progress: Progress,
) -> None:
    total, clock = request.span.count(source.total), DeviceClock()
    for done, (number, item) in enumerate(source.frames(request.span), 1):
        if isinstance(item, LingbotLiveError):
            report.left_out += 1
            if len(report.remarks) < _MOST_REMARKS:
                report.remarks.append(f"frame {number}: {item}")
        else:
            scene.add(item, depths.of(item), clock.rising_s(item))
        on_progress(done, total)
    report.remarks += [f"refined by {maker}" for maker in depths.makers]


def _tell(report: SceneReport, source: FrameSource, scene: Reconstruction) -> None:
    report.frames = scene.frames
    report.left_out += scene.left_out
    report.remarks += [f"{source.name}: {text}" for text in source.remarks]
    report.remarks += scene.words()
    report.is_damaged = bool(source.damage)
    report.remarks += [f"damaged: {text}" for text in source.damage]
