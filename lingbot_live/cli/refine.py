"""``lingbot-live refine``: examples, recordings and cameras into snapshot folders or a session."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lingbot_live.cli import session
from lingbot_live.cli.clustered import (
    CpusOption,
    GpusOption,
    RayOption,
    refine_sessions,
    sole,
)
from lingbot_live.cli.damage import end_with_damage
from lingbot_live.cli.options import (
    CompileOption,
    DeviceOption,
    KeepRawOption,
    LevelOption,
    NoFlyingOption,
    NoMaskOption,
    PrecisionOption,
    ProviderOption,
    RefinerOption,
    SteadyOption,
    TokensOption,
    interrupted,
    progress_bar,
    refiner_config,
)
from lingbot_live.errors import ConfigError, ExportError, LingbotLiveError
from lingbot_live.system.cluster import Cluster
from lingbot_live.system.outputs import check_apart, is_in_store, is_ours, local_path
from lingbot_live.system.signals import at_once, stoppable

if TYPE_CHECKING:
    from lingbot_live.cameras.base import Camera, CameraInfo
    from lingbot_live.config import RefinerConfig
    from lingbot_live.frame import Frame, RefinedFrame
    from lingbot_live.refiners.base import Refiner

EXAMPLE_FILES = ("rgb.png", "rgb.jpg", "raw_depth.png")  # any of these makes a folder an example


@dataclass(frozen=True, slots=True)
class Item:
    """One frame to refine: the name of its folder ("" is the output itself), and how to get it."""

    name: str
    load: Callable[[], tuple[Frame, CameraInfo]]
    total: int | None  # items in all, where that is known


@dataclass(slots=True)
class Tally:
    """What became of the items."""

    written: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """Items dealt with so far."""
        return self.written + self.skipped + self.failed


def refine(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="A LingBot-Depth example, a folder of them, a recording, or a camera address; "
            "with --ray sessions.",
        ),
    ],
    output_name: Annotated[
        str, typer.Option("-o", "--output", help="A folder, or FILE.mcap for a session.")
    ],
    refiner: RefinerOption = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Of LingBot-Depth: a name or a path.")
    ] = None,
    tokens: TokensOption = None,
    level: LevelOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    provider: ProviderOption = None,
    compiled: CompileOption = False,
    keep_raw: KeepRawOption = False,
    no_mask: NoMaskOption = False,
    steady: SteadyOption = False,
    no_flying: NoFlyingOption = False,
    frames: Annotated[int | None, typer.Option(min=1, help="Only the first N frames.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also where a result is there.")] = False,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="FILE.mcap: refined depth without rounding.")
    ] = False,
    ray: RayOption = None,
    ray_cpus: CpusOption = 1.0,
    ray_gpus: GpusOption = 0.0,
) -> None:
    """Refine every frame into snapshot folders, or a session into a new one; goes on if stopped."""
    from lingbot_live.cameras.registry import files_of

    config = refiner_config(
        refiner, model=model, tokens=tokens, level=level, precision=precision, device=device,
        provider=provider, compiled=compiled,
        keep_raw=keep_raw, no_mask=no_mask, steady=steady, no_flying=no_flying,
    )  # fmt: skip
    if ray is not None:
        cluster = Cluster(ray, ray_cpus, ray_gpus)
        refine_sessions(sources, output_name, config, lossless, cluster)
        return
    source, output = sole(sources, "refine"), local_path(output_name)
    if is_in_store(output_name):
        raise ConfigError(f"{output_name}: refine writes to a store with --ray; `local` is enough")
    inputs = files_of([source])
    check_apart(output, inputs)
    if output.suffix.lower() == ".mcap":
        if frames is not None or force:
            raise ConfigError("refine: --frames and --force are for folders, not for FILE.mcap")
        path = session.session_path(source)
        if path is None:
            raise ConfigError(
                f"refine: {source} is no session, and {output.name} would be one; record it first: "
                f"lingbot-live record {source} -o FILE.mcap --raw-only"
            )
        session.refine_session(path, output, config, lossless)
        return
    if os.path.lexists(output) and not output.is_dir():
        raise ConfigError(f"{output}: it is a file; name a folder, or FILE.mcap for a session")
    tally, is_stopped = Tally(), True
    with stoppable() as stop, suppress(KeyboardInterrupt):
        _refine_all(_items(source, frames), output, config, force, tally, stop)
        is_stopped = stop.is_set()
    print(f"{output}: {tally.written} refined, {tally.skipped} were there, {tally.failed} failed")
    if is_stopped:
        raise interrupted()
    end_with_damage([source])
    if tally.failed:
        raise typer.Exit(1)


def _refine_all(
    items: Iterator[Item],
    output: Path,
    config: RefinerConfig,
    force: bool,
    tally: Tally,
    stop: threading.Event,
) -> None:
    from lingbot_live.cameras import registry

    engine: Refiner | None = None
    try:
        with progress_bar(f"refining with {config}") as on_progress:
            for item in _interruptible(items):
                folder = output / item.name
                if _is_complete(folder) and not force:
                    tally.skipped += 1
                else:
                    with at_once():
                        engine = engine or registry.create_refiner(config)
                    _refine_one(item, folder, engine, tally)
                on_progress(tally.done, item.total)
                if stop.is_set():
                    return
    finally:
        if engine is not None:
            engine.close()


def _interruptible(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items; a signal ends the wait for the next one, which a camera may never bring."""
    while True:
        with at_once():
            item = next(items, None)
        if item is None:
            return
        yield item


def _refine_one(item: Item, folder: Path, engine: Refiner, tally: Tally) -> None:
    from lingbot_live.export.snapshot import check_new

    replaces = _is_complete(folder)
    try:
        with at_once():
            frame, camera = item.load()
            refined = engine.refine(frame)
        (_remove if replaces else check_new)(folder)
    except LingbotLiveError as error:
        tally.failed += 1
        typer.echo(f"{item.name or folder}: {' '.join(str(error).split())}", err=True)
        return
    with nullcontext() if replaces else at_once():  # it appears whole or not at all
        _write(folder, refined, camera, tally)


def _write(folder: Path, refined: RefinedFrame, camera: CameraInfo, tally: Tally) -> None:
    """Write a snapshot; where that fails, so will the next one, and the command ends."""
    from lingbot_live.export.snapshot import write_snapshot

    try:
        write_snapshot(folder, refined, camera)
    except ExportError as error:
        raise ExportError(
            f"{error}; the same command goes on then, {tally.done} frames are done"
        ) from error
    tally.written += 1


def _remove(folder: Path) -> None:
    """Remove a snapshot, unless somebody has put something of his own beside it."""
    from lingbot_live.export.snapshot import FILES

    strange = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
    if strange or not is_ours(folder / "meta.json"):
        raise ExportError(
            f"{folder}: {strange[0] if strange else 'it'} was not written by refine, so the folder "
            "is not replaced; choose another output"
        )
    shutil.rmtree(folder)


def _is_complete(folder: Path) -> bool:
    """Whether a snapshot is there: it appears under its name only when it is whole."""
    from lingbot_live.export.snapshot import FILES

    return all((folder / name).is_file() for name in FILES)


# ---- where frames come from ----------------------------------------------------------------------


def _items(source: str, frames: int | None) -> Iterator[Item]:
    path = local_path(source)
    if _is_example(path):
        yield Item("", lambda: _only_frame(path), 1)
        return
    examples = _examples(path)
    if not examples:
        yield from _frames(source, frames)
        return
    for example in examples[:frames]:
        yield Item(example.name, lambda at=example: _only_frame(at), len(examples[:frames]))  # type: ignore[misc]


def _is_example(path: Path) -> bool:
    return any((path / name).is_file() for name in EXAMPLE_FILES)


def _examples(path: Path) -> list[Path]:
    """Return the examples in a folder, ``2`` before ``10``."""
    found = [child for child in path.iterdir() if _is_example(child)] if path.is_dir() else []
    return sorted(found, key=lambda child: (len(child.name), child.name))


def _camera(address: str) -> Camera:
    from lingbot_live.cameras import registry
    from lingbot_live.cameras.readings import OFFLINE

    return registry.create_camera(address, OFFLINE)


def _only_frame(folder: Path) -> tuple[Frame, CameraInfo]:
    from lingbot_live.cameras.base import first_frame

    with _camera(f"folder:{folder}") as camera:
        return first_frame(camera), camera.info


def _frames(address: str, frames: int | None) -> Iterator[Item]:
    """Yield the frames of a camera; one that cannot be read is an item that fails to load."""
    from lingbot_live.cameras.readings import frame_count, readings

    with _camera(address) as camera:
        if not camera.info.is_recording and frames is None:
            raise ConfigError(f"{address}: has no end, so say how many: --frames N")
        total = frames or frame_count(camera)
        for number, reading in enumerate(islice(readings(camera), frames)):
            yield Item(f"frame-{number:06d}", _loader(reading, camera.info), total)


def _loader(
    reading: Frame | LingbotLiveError, info: CameraInfo
) -> Callable[[], tuple[Frame, CameraInfo]]:
    def load() -> tuple[Frame, CameraInfo]:
        if isinstance(reading, LingbotLiveError):
            raise reading
        return reading, info

    return load
