"""One export from beginning to end: what is asked, what came of it, and the doing."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lingbot_live import __version__
from lingbot_live.calibration.rig import Rig
from lingbot_live.cameras import registry
from lingbot_live.cameras.controls import ControlValue
from lingbot_live.cameras.readings import DeviceClock
from lingbot_live.errors import ConfigError, ExportCancelledError, ExportError, LingbotLiveError
from lingbot_live.export.folder import NOTE, check_free, new_file, new_folder, note_files
from lingbot_live.export.formats import ExportFormat, format_named
from lingbot_live.export.merged import MergedWriter
from lingbot_live.export.moments import JointWriter, Moment, moments, rate_of
from lingbot_live.export.shot import DepthSource, JointTarget, Settings, Shot, Target
from lingbot_live.export.source import FrameSource, Span, open_sources
from lingbot_live.frame import Frame
from lingbot_live.recording.format import slug
from lingbot_live.refiners.finish import flying_points
from lingbot_live.system.outputs import check_apart, local_path

_MOST_REMARKS = 20

Progress = Callable[[int, int | None], None]  # frames done; frames in all, where that is known


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export, and where to.

    ``output`` is a folder, which must be absent or empty; for formats that write one file it may
    also be that file (its suffix tells). A session's several cameras go into folders of their own.
    """

    address: str  # a session, another recording, a folder: any camera address
    format: str  # name in `lingbot_live.export.formats.FORMATS`
    output: Path
    span: Span = field(default_factory=Span)
    camera: str = ""  # of a session with several; empty: all
    source: DepthSource = DepthSource.RAW
    options: Mapping[str, ControlValue] = field(default_factory=dict)
    force: bool = False  # replace what an earlier export left there
    drop_flying: bool = False  # take flying points out of the depth
    rig: Path | None = None  # of ply and pcd: one cloud of all its cameras a moment


@dataclass(slots=True)
class ExportReport:
    """What came of it."""

    output: Path
    frames: int = 0
    left_out: int = 0  # frames that could not be read, or hold no refined depth
    bytes: int = 0
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)
    is_damaged: bool = False  # whether the input is, so that frames may be missing


def run_export(
    request: ExportRequest,
    on_progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ExportReport:
    """Export, on the caller's thread; ``should_stop`` is asked after every frame.

    Until all is written, it lies in a hidden folder beside the output, which is removed if the
    export fails or is stopped.

    Raises:
        ConfigError: an option has no valid value.
        CameraError, RecordingError: the input cannot be opened.
        ExportError: the output is taken or cannot be written, or no frame could be exported.
        ExportCancelledError: ``should_stop`` said so.
    """
    begun_s = time.monotonic()
    kind = format_named(request.format)
    settings = kind.settings(request.options)
    if kind.shows_both and request.drop_flying:
        raise ConfigError(f"export to {kind.name}: it shows depth as recorded; no flying points go")
    output = local_path(request.output)
    file = output if kind.is_one_file and output.suffix.lower() in kind.suffixes else None
    check_apart(output, registry.files_of([request.address]))
    check_free(output, request.force, as_file=file is not None)
    if kind.module:  # before a camera's thread does: Open3D does not bear two imports at once
        importlib.import_module(kind.module)
    with open_sources(request.address, request.camera) as sources:
        if file is not None and len(sources) > 1:
            raise ExportError(f"{output}: one file for {len(sources)} cameras; name a --camera")
        run = _Run(request, kind, settings, sources, on_progress, should_stop)
        report = run.into_file(file) if file is not None else run.into_folder(output)
    report.seconds = time.monotonic() - begun_s
    return report


class _Run:
    """The work of one `run_export`."""

    def __init__(
        self,
        request: ExportRequest,
        kind: ExportFormat,
        settings: Settings,
        sources: list[FrameSource],
        on_progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        self._request, self._kind, self._settings = request, kind, settings
        self._sources, self._on_progress, self._should_stop = sources, on_progress, should_stop
        counts = [request.span.count(source.total) for source in sources]
        self._total = None if None in counts else sum(count or 0 for count in counts)
        self._report = ExportReport(request.output.expanduser())
        self._flying = self._points = 0  # removed, and looked at

    def into_folder(self, output: Path) -> ExportReport:
        """Write a folder, or one inside it for each camera, with a note of what it is."""
        with new_folder(output) as work:
            names: list[str] = []
            joint = self._joint_writer()
            if joint is not None:
                self._together(work, joint)
            for source in () if joint is not None else self._sources:
                names.append(slug(source.name, names))
                folder = work if len(self._sources) == 1 else work / names[-1]
                folder.mkdir(exist_ok=True)
                kind = self._kind
                path = folder / (kind.name + kind.suffixes[0]) if kind.is_one_file else folder
                self._one_camera(source, path)
            self._write_note(work)
            self._report.bytes = sum(p.stat().st_size for p in work.rglob("*") if p.is_file())
        return self._report

    def into_file(self, output: Path) -> ExportReport:
        """Write the one file of a format under the name that was given."""
        with new_file(output) as path:
            self._one_camera(self._sources[0], path)
            self._report.bytes = path.stat().st_size
        return self._report

    def _joint_writer(self) -> Callable[[JointTarget], JointWriter] | None:
        """Return what makes the writer of all cameras together, where that was asked for."""
        if self._request.rig is None:
            return self._kind.create_joint
        if self._kind.name not in ("ply", "pcd"):
            raise ExportError(f"{self._kind.name}: a rig merges clouds; export to ply or pcd")
        rig = Rig.load(self._request.rig)
        return lambda target: MergedWriter(target, f".{self._kind.name}", rig)

    def _together(self, path: Path, create: Callable[[JointTarget], JointWriter]) -> None:
        sources, span = self._sources, self._request.span
        steady = float(self._settings.get("fps") or rate_of(sources[0]))
        names: list[str] = []
        for source in sources:
            names.append(slug(source.name, names))
        target = JointTarget(
            path, tuple(source.info for source in sources), tuple(names), self._settings,
            self._request.source, steady,
        )  # fmt: skip
        writer = create(target)
        try:
            for moment in moments(sources, span, steady if self._kind.is_steady else None):
                writer.add(self._wanted(moment))
                self._report.frames += 1
                self._report.left_out += moment.left_out
                self._tell()
            if not self._report.frames:
                raise ExportError(f"{sources[0].name}: {self._why_nothing()}")
            self._report.remarks += writer.finish()
            for source in sources:
                self._report.remarks += [f"{source.name}: {text}" for text in source.remarks]
                self._note_damage(source)
        finally:
            writer.close()

    def _wanted(self, moment: Moment) -> Moment:
        """Leave out frames without refined depth where that was asked for."""
        if self._request.source is DepthSource.RAW:
            return moment
        kept = {place: f for place, f in moment.frames.items() if f.recorded is not None}
        return replace(moment, frames=kept)

    def _one_camera(self, source: FrameSource, path: Path) -> None:
        target = Target(
            path, source.info, self._settings, self._request.source, source.has_refined,
            source.recorded,
        )  # fmt: skip
        before, out_of_range = self._report.frames, 0
        if self._kind.create is None:
            raise ExportError(f"{self._kind.name}: it takes all cameras together")
        writer = self._kind.create(target)
        try:
            for shot in self._shots(source):
                writer.add(shot)
                self._report.frames += 1
                out_of_range += shot.frame.out_of_range
                self._tell()
            if self._report.frames == before:
                raise ExportError(f"{source.name}: {self._why_nothing()}")
            self._report.remarks += [f"{source.name}: {text}" for text in source.remarks]
            self._report.remarks += writer.finish()
            if self._points:
                share = self._flying / self._points
                self._report.remarks.append(f"flying points: {share:.2%} of all were removed")
                self._flying = self._points = 0
            self._note_damage(source)
            if out_of_range:
                self._report.remarks.append(
                    f"{source.name}: {out_of_range} pixels held no depth (65535, or beyond 65.5 m)"
                )
        finally:
            writer.close()

    def _note_damage(self, source: FrameSource) -> None:
        for text in source.damage:
            self._report.is_damaged = True
            if f"damaged: {text}" not in self._report.remarks:
                self._report.remarks.append(f"damaged: {text}")

    def _shots(self, source: FrameSource) -> Iterator[Shot]:
        wants_refined = self._request.source is DepthSource.REFINED
        stays = self._kind.shows_both and source.has_refined  # a frame is more than its refining
        clock = DeviceClock()
        for number, item in source.frames(self._request.span):
            if isinstance(item, LingbotLiveError):
                self._leave_out(f"frame {number}: {item}")
            elif wants_refined and item.recorded is None and not stays:
                self._leave_out("some frames hold no refined depth")
            else:
                shot = _shot(number, clock.rising_s(item), item, self._request.source)
                yield self._without_flying(shot) if self._request.drop_flying else shot

    def _without_flying(self, shot: Shot) -> Shot:
        found = flying_points(shot.depth_m)
        self._flying += int(np.count_nonzero(found))
        self._points += int(np.count_nonzero(shot.depth_m))
        return replace(shot, depth_m=np.where(found, np.float32(0), shot.depth_m))

    def _leave_out(self, why: str) -> None:
        self._report.left_out += 1
        if why not in self._report.remarks and len(self._report.remarks) < _MOST_REMARKS:
            self._report.remarks.append(why)
        self._tell()

    def _tell(self) -> None:
        self._on_progress(self._report.frames + self._report.left_out, self._total)
        if self._should_stop():
            raise ExportCancelledError(f"{self._report.output}: stopped; nothing was written")

    def _why_nothing(self) -> str:
        if self._report.left_out == 0:
            return "no frame lies in the span that was asked for"
        if self._request.source is DepthSource.REFINED:
            return (
                "no frame holds refined depth; make it with `lingbot-live refine FILE -o "
                "NEW.mcap`, or record with a refiner"
            )
        return f"no frame could be read; {self._report.remarks[0]}"

    def _write_note(self, folder: Path) -> None:
        request = self._request
        note = {
            "app": f"lingbot-live {__version__}",
            "input": request.address,
            "cameras": [source.name for source in self._sources],
            "format": self._kind.name,
            "depth": request.source.value,
            "options": self._settings,
            "recorded": {s.name: dict(s.recorded) for s in self._sources if s.recorded},
            "without_flying_points": request.drop_flying,
            "frames": self._report.frames,
            "left_out": self._report.left_out,
            "remarks": self._report.remarks,
            "files": note_files(folder),
        }
        (folder / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def _shot(number: int, time_s: float, frame: Frame, source: DepthSource) -> Shot:
    if source is DepthSource.REFINED and frame.recorded is not None:
        return Shot(number, time_s, frame, source, frame.recorded.depth_m)
    return Shot(number, time_s, frame, DepthSource.RAW, frame.depth_m)
