"""``lingbot-live track``: points of a picture followed over time, in pixels and metres."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli.damage import end_with_damage
from lingbot_live.cli.options import (
    DeviceOption,
    NoFlyingOption,
    RefinerOption,
    SteadyOption,
    TokensOption,
    parse_pixels,
    progress_bar,
    refiner_config,
)
from lingbot_live.errors import ConfigError
from lingbot_live.system.outputs import check_apart

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lingbot_live.export.source import FrameSource
    from lingbot_live.export.tracks import TrackedCamera
    from lingbot_live.frame import Frame
    from lingbot_live.perception.tracks import Tracker


def track(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A session, a recording, a folder, a camera.")
    ],
    output: Annotated[
        list[str],
        typer.Option("-o", "--output", help="FILE.csv, .npz, .mcap, .rrd or .png; again."),
    ],
    points: Annotated[
        list[str] | None,
        typer.Option(
            "--points", metavar="U,V[@CAMERA]", help="A pixel, of every camera or of one; again."
        ),
    ] = None,
    grid: Annotated[
        int | None, typer.Option("--grid", help="N by N points over the picture instead.")
    ] = None,
    refiner: RefinerOption = None,
    steady: SteadyOption = False,
    no_flying: NoFlyingOption = False,
    tokens: TokensOption = None,
    device: DeviceOption = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Only the first N frames.")] = None,
    tracker: Annotated[
        str, typer.Option("--tracker", help="lk, a plug-in's, or a network: FILE.pt, FILE.onnx.")
    ] = "lk",
    rig: Annotated[
        Path | None,
        typer.Option("--rig", help="All cameras of INPUT, in the axes of this rig's reference."),
    ] = None,
) -> None:
    """Follow points of the first picture; write where they are in pixels and in metres."""
    from lingbot_live.cameras import registry
    from lingbot_live.export.following import Following
    from lingbot_live.export.source import open_sources
    from lingbot_live.export.track_files import KINDS, check_track_files
    from lingbot_live.system.remote import Delivery, local_address

    if (points is None) == (grid is None):
        raise ConfigError("track: say which points: --points U,V (again for more), or --grid N")
    config = refiner_config(
        refiner, tokens=tokens, device=device, steady=steady, no_flying=no_flying
    )
    source = local_address(source)
    inputs = registry.files_of([source])
    count = 0
    with Delivery() as delivery, ExitStack() as stack:
        paths = [delivery.place(name) for name in output]
        for path in paths:
            check_apart(path, inputs)
        check_track_files(paths)
        sources = stack.enter_context(open_sources(source, extras=False))
        cameras = _cameras(sources, source, rig)
        starts = _Starts([camera.name for camera in cameras], points or [], grid)
        total = _total(sources[0], source, frames)
        trackers = [_tracker(tracker) for _ in cameras]
        engine = stack.enter_context(closing(registry.create_refiner(config)))
        on_progress = stack.enter_context(progress_bar(f"tracking with {engine.info}"))
        files = [
            stack.enter_context(closing(KINDS[path.suffix.lower()](path, cameras)))
            for path in paths
        ]
        following = Following(starts.pixels, engine, trackers)
        for number, moment in enumerate(following.moments(sources, frames), 1):
            for file in files:
                file.add(moment)
            count += sum(len(seen.numbers) for seen in moment.seen)
            on_progress(number, total)
        if not count:
            raise ConfigError(f"{source}: no frame in it; nothing to track")
        for file in files:
            file.finish()
    print(f"{', '.join(output)}: {count} rows")
    end_with_damage([source], {"damaged": following.damaged})


def _total(lead: FrameSource, source: str, most: int | None) -> int | None:
    if not lead.info.is_recording and lead.times_ns is None and most is None:
        raise ConfigError(f"{source}: has no end, so say how many: --frames N")
    return most or lead.total


def _cameras(
    sources: Sequence[FrameSource], source: str, rig_file: Path | None
) -> list[TrackedCamera]:
    """Return the cameras of an input, and where they stand; several need a rig."""
    from lingbot_live.calibration.rig import Rig
    from lingbot_live.cameras import registry
    from lingbot_live.export.tracks import TrackedCamera

    names = [one.name for one in sources]
    if rig_file is None:
        if len(names) > 1:
            raise ConfigError(
                f"{source}: has several cameras: {', '.join(names)}. Say where they stand, "
                f"--rig FILE, for tracks of all; or name one: {registry.members(source)[0].address}"
            )
        return [TrackedCamera(names[0], sources[0].info)]
    rig, found = Rig.load(rig_file), []
    for one in sources:
        known = rig.find(one.name, one.info.serial)
        if known is None and len(sources) == 1:
            known = rig.camera(source)
        pose = (known or rig.camera(one.name)).pose
        found.append(TrackedCamera(one.name, one.info, pose))
    return found


@dataclass(frozen=True, slots=True)
class _Starts:
    """Which points are asked for: pixels of every camera or of one, or a grid."""

    names: list[str]  # of the cameras
    points: list[str]  # U,V, or U,V@CAMERA
    count: int | None  # of the grid, a side

    def __post_init__(self) -> None:
        for _, _, name in self._parts():
            if name and name not in self.names:
                raise ConfigError(
                    f"--points ...@{name}: the input has no such camera; it has "
                    f"{', '.join(self.names)}"
                )

    def pixels(self, camera: int, frame: Frame) -> npt.NDArray[np.float32]:
        """Return the points of a camera in its first frame, (N, 2)."""
        from lingbot_live.perception.tracks import grid

        if self.count is not None:
            return grid(frame, self.count)
        own = [pixel for pixel, at, name in self._parts() if not at or name == self.names[camera]]
        return parse_pixels("--points", own, frame)

    def _parts(self) -> Iterator[tuple[str, str, str]]:
        for text in " ".join(self.points).split():
            yield text.partition("@")


def _tracker(name: str) -> Tracker:
    from lingbot_live.cameras import registry
    from lingbot_live.perception.file_tracker import SUFFIXES, FileTracker

    if Path(name).suffix.lower() in SUFFIXES:
        return FileTracker(Path(name))
    made: Tracker = registry.plug_in(registry.TRACKERS, name)()
    return made
