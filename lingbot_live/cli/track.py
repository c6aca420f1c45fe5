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
    from lingbot_live.export.tracks import Seen, TrackedCamera
    from lingbot_live.frame import Frame
    from lingbot_live.perception.tracks import Tracker


def track(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="A session, a recording, a folder, a camera; several with --rig.",
        ),
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
        typer.Option(
            "--rig", help="All cameras of all inputs, in the axes of this rig's reference."
        ),
    ] = None,
) -> None:
    """Follow points of the first picture; write where they are in pixels and in metres."""
    from lingbot_live.cameras import registry
    from lingbot_live.export.following import Following
    from lingbot_live.export.track_files import KINDS, check_track_files
    from lingbot_live.export.tracks import Seen
    from lingbot_live.system.remote import Delivery, local_address

    if (points is None) == (grid is None):
        raise ConfigError("track: say which points: --points U,V (again for more), or --grid N")
    config = refiner_config(
        refiner, tokens=tokens, device=device, steady=steady, no_flying=no_flying
    )
    addresses = _checked([local_address(each) for each in inputs])
    count, last = 0, dict[int, Seen]()
    with Delivery() as delivery, ExitStack() as stack:
        paths = [delivery.place(name) for name in output]
        for path in paths:
            check_apart(path, registry.files_of(addresses))
        check_track_files(paths)
        opened = _opened(addresses, stack)
        sources, cameras = [one for one, _ in opened], _cameras(opened, rig)
        starts = _Starts([camera.name for camera in cameras], points or [], grid)
        total = _total(sources[0], addresses[0], frames)
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
            last |= {seen.camera: seen for seen in moment.seen}
            on_progress(number, total)
        if not count:
            raise ConfigError(f"{addresses[0]}: no frame in it; nothing to track")
        for file in files:
            file.finish()
    print(f"{', '.join(output)}: {count} rows; {_at_the_end(list(last.values()))}")
    end_with_damage(addresses, {"damaged": following.damaged})


def _at_the_end(last: list[Seen]) -> str:
    """Return how many points a jump of the scene, or depth that lacks, has left."""
    import numpy as np

    points = sum(len(one.numbers) for one in last)
    seen = sum(int(one.tracked.visible.sum()) for one in last)
    placed = sum(int(np.isfinite(one.lifted.points_m).all(1).sum()) for one in last)
    return f"at the end {seen} of {points} points are seen, {placed} have a place in metres"


def _checked(addresses: list[str]) -> list[str]:
    twice = next((each for each in addresses if addresses.count(each) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice}: it is named twice")
    return addresses


def _opened(addresses: Sequence[str], stack: ExitStack) -> list[tuple[FrameSource, str]]:
    """Return the cameras of all inputs, and the input of each; no camera is in two of them."""
    from lingbot_live.export.source import open_sources

    found: dict[str, tuple[FrameSource, str]] = {}
    for address in addresses:
        for source in stack.enter_context(open_sources(address, extras=False)):
            if source.name in found:
                raise ConfigError(
                    f"{source.name}: it is in {found[source.name][1]} and in {address}; leave one "
                    f"out, or name another camera of it: {address}#CAMERA"
                )
            found[source.name] = source, address
    return list(found.values())


def _total(lead: FrameSource, source: str, most: int | None) -> int | None:
    if not lead.info.is_recording and lead.times_ns is None and most is None:
        raise ConfigError(f"{source}: has no end, so say how many: --frames N")
    return most or lead.total


def _cameras(
    opened: Sequence[tuple[FrameSource, str]], rig_file: Path | None
) -> list[TrackedCamera]:
    """Return the cameras of all inputs, and where they stand; several need a rig."""
    from lingbot_live.calibration.rig import Rig
    from lingbot_live.export.tracks import TrackedCamera

    if rig_file is None:
        if len(opened) > 1:
            raise _several(opened)
        return [TrackedCamera(one.name, one.info) for one, _ in opened]
    rig, found = Rig.load(rig_file), []
    for one, address in opened:
        is_sole = [of for _, of in opened].count(address) == 1
        known = rig.find(one.name, one.info.serial) or (rig.find(address) if is_sole else None)
        pose = (known or rig.camera(one.name)).pose
        found.append(TrackedCamera(one.name, one.info, pose))
    return found


def _several(opened: Sequence[tuple[FrameSource, str]]) -> ConfigError:
    """Return the error that says what to do with several cameras and no rig."""
    from lingbot_live.cameras import registry

    addresses = list(dict.fromkeys(address for _, address in opened))
    names = ", ".join(one.name for one, _ in opened)
    one = (registry.members(addresses[0]) or [registry.find_camera(addresses[0])])[0].address
    have = "has several cameras" if len(addresses) == 1 else "have several cameras"
    return ConfigError(
        f"{', '.join(addresses)}: {have}: {names}. Say where they stand, --rig FILE, for tracks "
        f"of all; or name one: {one}"
    )


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
