"""The masked-depth protocol over a directory of RGB-D examples: a table like a paper's.

Part of the valid raw depth is hidden, the refiner gets the rest, and its result is compared on the
hidden pixels alone (see `lingbot_live.quality.depth_errors`). Where frames carry a true depth, a
third column compares the whole refined image with it, nothing hidden.
"""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError, did_you_mean
from lingbot_live.frame import DepthMap, Frame, Mask, RefinerInfo
from lingbot_live.quality.depth_errors import hide, mask_blocks, mask_sparse, reference_errors
from lingbot_live.quality.measures import Numbers
from lingbot_live.quality.meter import mean_numbers
from lingbot_live.refiners.base import Refiner
from lingbot_live.refiners.baselines import BASELINES, create_baseline

PROTOCOLS: dict[str, Callable[[Mask, np.random.Generator], Mask]] = {
    "blocks": mask_blocks,
    "sparse": mask_sparse,
}
REFERENCE = "reference"  # compared with the frame's own truth


@dataclass(frozen=True, slots=True)
class EvalSettings:
    """What is hidden, how often, and which examples count."""

    protocols: tuple[str, ...] = ("blocks", "sparse")
    seeds: int = 1  # masks per example
    most_depth_m: float = 20.0  # raw depth beyond is an outlier: neither shown nor compared
    most_examples: int = 100

    def __post_init__(self) -> None:
        unknown = [name for name in self.protocols if name not in PROTOCOLS]
        if unknown:
            raise ConfigError(f"protocol {unknown[0]!r}; known: {', '.join(PROTOCOLS)}, both")
        if self.seeds < 1 or self.most_depth_m <= 0:
            raise ConfigError("eval: at least one seed and a positive largest depth are needed")


@dataclass(frozen=True, slots=True)
class EvalRow:
    """One refiner under one protocol: means over examples and seeds."""

    refiner: RefinerInfo
    protocol: str
    numbers: Numbers  # `absrel_all`, `rmse_all_m`, `delta_125_all`, ..., `refine_ms`
    by_example: dict[str, float]  # `absrel_all` of each example


def create(text: str) -> Refiner:
    """Return a refiner or a baseline by name.

    Raises:
        ConfigError: there is neither.
    """
    if text in BASELINES:
        return create_baseline(text)
    config = RefinerConfig.parse(text)
    known = [*BASELINES, *registry.refiner_names()]
    if config.name not in known:
        raise ConfigError(
            f"no refiner is called {text!r}.{did_you_mean(text, known)} Known: {', '.join(known)}"
        )
    return registry.create_refiner(config)


def examples(address: str, settings: EvalSettings) -> list[Frame]:
    """Read the examples of a folder (or any camera address), outliers taken away.

    Raises:
        CameraError: there is no such folder, or it is not of RGB-D images.
    """
    with registry.create_camera(address, OFFLINE) as camera:
        some = itertools.islice(every_frame(camera), settings.most_examples)
        return [_without_outliers(frame, settings.most_depth_m) for frame in some]


def evaluate(
    frames: Sequence[Frame],
    refiners: Sequence[str],
    settings: EvalSettings,
    progress: Callable[[int, int | None], None] = lambda _done, _all: None,
) -> Iterator[EvalRow]:
    """Yield a row per refiner and protocol as each is done.

    The masks depend on the example, the protocol and the seed alone, so every refiner, on every
    machine, fills the same holes. ``progress`` hears how many pictures are refined, and of how
    many.

    Raises:
        ConfigError: an unknown refiner.
        RefinerError: a refiner fails.
    """
    known = [frame for frame in frames if frame.reference_m is not None]
    tables = [(protocol, frames, settings.seeds) for protocol in settings.protocols]
    tables += [(REFERENCE, known, 1)] if known else []
    total = len(refiners) * sum(len(some) * seeds for _, some, seeds in tables)
    done = itertools.count(1)
    for text in refiners:
        engine = create(text)
        try:
            for protocol, some, seeds in tables:
                yield _row(engine, protocol, some, seeds, lambda: progress(next(done), total))
        finally:
            engine.close()


def _row(
    engine: Refiner, protocol: str, frames: Sequence[Frame], seeds: int, tick: Callable[[], None]
) -> EvalRow:
    by_example: dict[str, float] = {}
    rows: list[Numbers] = []
    for number, frame in enumerate(frames):
        some = []
        for seed in range(seeds):
            some.append(_one(engine, protocol, frame, number, seed))
            tick()
        by_example[frame.label or str(number)] = mean_numbers(some)["absrel_all"]
        rows.append(mean_numbers(some))
    return EvalRow(engine.info, protocol, mean_numbers(rows), by_example)


def _one(engine: Refiner, protocol: str, frame: Frame, number: int, seed: int) -> Numbers:
    shown, truth_m = _masked(protocol, frame, number, seed)
    refined = engine.refine(shown)
    numbers = reference_errors(refined.depth_m, truth_m)
    numbers["refine_ms"] = (refined.finished_ns - refined.started_ns) / 1e6
    return numbers


def _masked(protocol: str, frame: Frame, number: int, seed: int) -> tuple[Frame, DepthMap]:
    """Return what the refiner may see, and the depth (H, W) metres it is compared with."""
    if protocol == REFERENCE and frame.reference_m is not None:
        return frame, frame.reference_m
    rng = np.random.default_rng((zlib.crc32(protocol.encode()), number, seed))
    hidden = PROTOCOLS[protocol](frame.depth_raw > 0, rng)
    return hide(frame, hidden), np.where(hidden, frame.depth_m, np.float32(0))


def _without_outliers(frame: Frame, most_m: float) -> Frame:
    if not (frame.depth_m > most_m).any():
        return frame
    near = np.where(frame.depth_m > most_m, np.uint16(0), frame.depth_raw)
    return dataclasses.replace(frame, depth_raw=near)
