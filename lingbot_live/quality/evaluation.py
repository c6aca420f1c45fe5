"""The masked-depth protocol over a directory of RGB-D examples: a table like a paper's.

Part of the valid raw depth is hidden, the refiner gets the rest, and its result is compared on the
hidden pixels alone (see `lingbot_live.quality.depth_errors`). An example with a ``mask.png`` has
whole objects hidden, too. Where frames carry a true depth, the refined image is compared with it,
nothing hidden: inside the mask (glass), or everywhere where there is none.
"""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lingbot_live.cameras import registry
from lingbot_live.cameras.pictures import decode_picture
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import BadRecordingError, ConfigError, did_you_mean
from lingbot_live.frame import DepthMap, Frame, Mask, RefinerInfo
from lingbot_live.quality.depth_errors import hide, mask_blocks, mask_sparse, reference_errors
from lingbot_live.quality.measures import Numbers
from lingbot_live.quality.meter import mean_numbers
from lingbot_live.refiners.base import Refiner
from lingbot_live.refiners.baselines import BASELINES, create_baseline
from lingbot_live.system.inputs import refuse_special

PROTOCOLS: dict[str, Callable[[Mask, np.random.Generator], Mask]] = {
    "blocks": mask_blocks,
    "sparse": mask_sparse,
}
OBJECTS = "objects"  # what the example's mask covers is hidden
GLASS = "glass"  # what the mask covers is compared with the frame's own truth
REFERENCE = "reference"  # all of it is
_GROWN = 0.005  # of the width, by which each seed but the first hides more around objects
_NO_MASKS: Mapping[str, Mask] = {}


@dataclass(frozen=True, slots=True)
class EvalSettings:
    """What is hidden, how often, and which examples count."""

    protocols: tuple[str, ...] = (*PROTOCOLS, OBJECTS, GLASS)  # the last two where there are masks
    seeds: int = 3  # masks per example
    most_depth_m: float = 20.0  # raw depth beyond is an outlier: neither shown nor compared
    most_examples: int = 100

    def __post_init__(self) -> None:
        known = (*PROTOCOLS, OBJECTS, GLASS)
        unknown = [name for name in self.protocols if name not in known]
        if unknown:
            raise ConfigError(f"protocol {unknown[0]!r}; known: {', '.join(known)}, both, all")
        if self.seeds < 1 or self.most_depth_m <= 0:
            raise ConfigError("eval: at least one seed and a positive largest depth are needed")


@dataclass(frozen=True, slots=True)
class EvalRow:
    """One refiner under one protocol: means over examples and seeds."""

    refiner: RefinerInfo
    protocol: str
    numbers: Numbers  # `absrel_all`, `rmse_all_m`, `delta_125_all`, ..., `refine_ms`
    by_example: dict[str, float]  # `absrel_all` of each example

    def over(self, other: EvalRow) -> float:
        """Return the geometric mean over examples of this error by ``other``'s; nan without one.

        So no example counts for more because it is harder.
        """
        pairs = [(self.by_example[name], value) for name, value in other.by_example.items()]
        ratios = [mine / value for mine, value in pairs if mine > 0 and value > 0]
        return float(np.exp(np.mean(np.log(ratios)))) if ratios else float("nan")


@dataclass(frozen=True, slots=True)
class Trial:
    """One example under one protocol, for one refiner."""

    row: tuple[int, int]  # which it counts for
    refiner: str
    protocol: str
    example: int  # among all
    place: int  # among those of the protocol
    label: str
    seeds: int


@dataclass(frozen=True, slots=True)
class Trier:
    """Makes in another process what does trials on examples that it reads there."""

    address: str
    settings: EvalSettings

    def __call__(self) -> Callable[[Trial], tuple[RefinerInfo, Numbers]]:
        """Return what does a trial; it holds the refiner of the one before."""
        frames, _ = examples(self.address, self.settings)
        masks = read_masks(self.address, frames)
        held: dict[str, Refiner] = {}

        def do(trial: Trial) -> tuple[RefinerInfo, Numbers]:
            if trial.refiner not in held:
                for engine in held.values():
                    engine.close()
                held.clear()
                held[trial.refiner] = create(trial.refiner)
            engine = held[trial.refiner]
            return engine.info, attempt(engine, trial, frames, masks)

        return do


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


def examples(address: str, settings: EvalSettings) -> tuple[list[Frame], dict[str, int]]:
    """Read the examples of a folder (or any camera address), outliers taken away.

    Returns:
        The examples, and how many frames were missed, by cause.

    Raises:
        CameraError: there is no such folder, or it is not of RGB-D images.
    """
    with registry.create_camera(address, OFFLINE) as camera:
        some = itertools.islice(every_frame(camera), settings.most_examples)
        found = [_without_outliers(frame, settings.most_depth_m) for frame in some]
        return found, dict(camera.missed)


def read_masks(address: str, frames: Sequence[Frame]) -> dict[str, Mask]:
    """Return by label what each example's ``mask.png`` covers (all but 0), (H, W), if it has one.

    Raises:
        BadRecordingError: a mask is unreadable, or of another size than its example.
    """
    folder = Path(address.removeprefix("folder:")).expanduser()
    found = {}
    for frame in frames:
        inside = folder / frame.label
        path = (inside if inside.is_dir() else folder) / "mask.png"
        if frame.label and path.exists():
            found[frame.label] = _read_mask(path, frame)
    return found


def _read_mask(path: Path, frame: Frame) -> Mask:
    import cv2

    try:
        refuse_special(path)
        image = decode_picture(path.read_bytes(), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError) as error:
        raise BadRecordingError(f"{path}: not a readable mask ({error}); save it as PNG") from error
    mask = image if image.ndim == 2 else image[..., :3].max(-1)
    if mask.shape != frame.depth_raw.shape:
        raise BadRecordingError(
            f"{path}: the mask is {mask.shape[1]}x{mask.shape[0]}, its example "
            f"{frame.intrinsics.width}x{frame.intrinsics.height}; they must be the same view"
        )
    return np.asarray(mask > 0)


def evaluate(
    frames: Sequence[Frame],
    refiners: Sequence[str],
    settings: EvalSettings,
    progress: Callable[[int, int | None], None] = lambda _done, _all: None,
    masks: Mapping[str, Mask] = _NO_MASKS,
) -> Iterator[EvalRow]:
    """Yield a row per refiner and protocol as each is done.

    What is hidden depends on the example, the protocol and the seed alone, so every refiner, on
    every machine, fills the same holes. ``progress`` hears how many pictures are refined, and of
    how many; ``masks`` are the examples' by label (H, W).

    Raises:
        ConfigError: an unknown refiner.
        RefinerError: a refiner fails.
    """
    todo = trials(frames, refiners, settings, masks)
    total = sum(trial.seeds for trial in todo)
    done = itertools.count(1)

    def attempts() -> Iterator[tuple[RefinerInfo, Numbers]]:
        for _, some in itertools.groupby(todo, lambda trial: trial.row[0]):
            engine = None
            try:
                for trial in some:
                    engine = engine or create(trial.refiner)
                    numbers = attempt(
                        engine, trial, frames, masks, lambda: progress(next(done), total)
                    )
                    yield engine.info, numbers
            finally:
                if engine is not None:
                    engine.close()

    yield from rows_of(todo, attempts())


def trials(
    frames: Sequence[Frame],
    refiners: Sequence[str],
    settings: EvalSettings,
    masks: Mapping[str, Mask] = _NO_MASKS,
) -> list[Trial]:
    """Return what is to be done, example by example; the trials of a row are neighbours."""
    return [
        Trial((number, table), text, protocol, example, place, frames[example].label, seeds)
        for number, text in enumerate(refiners)
        for table, (protocol, some, seeds) in enumerate(_tables(frames, settings, masks))
        for place, example in enumerate(some)
    ]


def rows_of(
    todo: Sequence[Trial], results: Iterable[tuple[RefinerInfo, Numbers]]
) -> Iterator[EvalRow]:
    """Yield the rows of trials from what came of each, in their order."""
    for _, some in itertools.groupby(zip(todo, results), lambda pair: pair[0].row):  # noqa: B905
        done, results_of = zip(*some, strict=True)
        numbers = [each for _, each in results_of]
        names = [trial.label or str(trial.place) for trial in done]
        by_example = {n: each["absrel_all"] for n, each in zip(names, numbers, strict=True)}
        yield EvalRow(results_of[-1][0], done[0].protocol, mean_numbers(numbers), by_example)


def _tables(
    frames: Sequence[Frame], settings: EvalSettings, masks: Mapping[str, Mask]
) -> list[tuple[str, Sequence[int], int]]:
    """Return the protocols that these examples allow, the examples of each, and how many masks."""
    masked = [n for n, frame in enumerate(frames) if frame.label in masks]
    known = [n for n, frame in enumerate(frames) if frame.reference_m is not None]
    allowed: dict[str, tuple[Sequence[int], int]] = {
        **dict.fromkeys(PROTOCOLS, (range(len(frames)), settings.seeds)),
        OBJECTS: ([n for n in masked if n not in known], settings.seeds),
        GLASS: ([n for n in masked if n in known], 1),
    }
    tables = [(protocol, *allowed[protocol]) for protocol in settings.protocols]
    tables.append((REFERENCE, [n for n in known if n not in masked], 1))
    return [(protocol, some, seeds) for protocol, some, seeds in tables if some]


def attempt(
    engine: Refiner,
    trial: Trial,
    frames: Sequence[Frame],
    masks: Mapping[str, Mask] = _NO_MASKS,
    tick: Callable[[], None] = lambda: None,
) -> Numbers:
    """Return the means of one trial's masks; ``tick`` is called after each."""
    frame, some = frames[trial.example], []
    for seed in range(trial.seeds):
        hidden = _masked(trial.protocol, frame, trial.place, seed, masks.get(frame.label))
        some.append(_one(engine, *hidden))
        tick()
    return mean_numbers(some)


def _one(engine: Refiner, shown: Frame, truth_m: DepthMap) -> Numbers:
    refined = engine.refine(shown)
    numbers = reference_errors(refined.depth_m, truth_m)
    numbers["refine_ms"] = (refined.finished_ns - refined.started_ns) / 1e6
    return numbers


def _masked(
    protocol: str, frame: Frame, number: int, seed: int, mask: Mask | None = None
) -> tuple[Frame, DepthMap]:
    """Return what the refiner may see, and the depth (H, W) metres it is compared with."""
    if protocol in (REFERENCE, GLASS) and frame.reference_m is not None:
        return frame, frame.reference_m if mask is None else frame.reference_m * mask
    if protocol == OBJECTS and mask is not None:
        hidden = _grown(mask, round(seed * _GROWN * mask.shape[1])) & (frame.depth_raw > 0)
    else:
        rng = np.random.default_rng((zlib.crc32(protocol.encode()), number, seed))
        hidden = PROTOCOLS[protocol](frame.depth_raw > 0, rng)
    return hide(frame, hidden), np.where(hidden, frame.depth_m, np.float32(0))


def _grown(mask: Mask, by_px: int) -> Mask:
    """Return the mask with ``by_px`` more on every side: a sensor loses what is around, too."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by_px + 1, 2 * by_px + 1))
    return np.asarray(cv2.dilate(mask.view(np.uint8), kernel) > 0)


def _without_outliers(frame: Frame, most_m: float) -> Frame:
    if not (frame.depth_m > most_m).any():
        return frame
    near = np.where(frame.depth_m > most_m, np.uint16(0), frame.depth_raw)
    return dataclasses.replace(frame, depth_raw=near)
