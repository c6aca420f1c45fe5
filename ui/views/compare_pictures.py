"""Pictures that compare two depth images of one view, and their numbers; knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from lingbot_live.calibration.views import register_into_view
from lingbot_live.colormap import DepthRange, colorize_rgb32, colorize_signed
from lingbot_live.frame import ColorImage, DepthMap, Extrinsics, RefinedFrame, TrustMap
from lingbot_live.perception.trust import trust_map, trust_picture
from lingbot_live.quality.depth_errors import Change, change_map, change_picture, change_shares
from ui.shell.language import phrase


class Mode(str, Enum):
    """How two depth images are compared."""

    CHANGE = phrase("Kept, changed, filled")
    DIFFERENCE = phrase("Difference")
    WIPE = phrase("Wipe")
    BLINK = phrase("Blink")
    TRUST = phrase("Trust")


class Base(str, Enum):
    """Which depth of a camera."""

    RAW = phrase("raw")
    REFINED = phrase("refined")
    TRUTH = phrase("truth")

    def of(self, refined: RefinedFrame) -> DepthMap | None:
        """Return this depth of a result, (H, W) metres; None where the truth is not known."""
        if self is Base.REFINED:
            return refined.depth_m
        return refined.frame.depth_m if self is Base.RAW else refined.frame.reference_m


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two depth images: whose, which, and how people call it."""

    result: RefinedFrame
    source: Base
    name: str


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be compared: ``shown`` with ``base``, in the view of ``shown``."""

    mode: Mode
    base: Side
    shown: Side
    T_shown_base: Extrinsics  # between the colour cameras; no motion within one camera
    scale: DepthRange
    colormap: str
    limit_m: float  # where the colours of the signed difference end


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The answer: two pictures or one, the depths behind them, and the numbers."""

    task: Task
    base_m: DepthMap  # (H, W) metres in the view of ``shown``
    shown_m: DepthMap
    pair: tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]] | None = None
    single: ColorImage | None = None
    shares: dict[Change, float] | None = None  # of all pixels
    removed_share: float = 0.0  # valid in the base only
    both_share: float = 0.0  # valid in both, of all pixels
    median_mm: float = float("nan")  # of shown minus base, where both are valid
    mean_abs_mm: float = float("nan")
    rms_mm: float = float("nan")
    changed_median_mm: float = float("nan")  # of the distances that changed pixels moved
    trust: TrustMap | None = None  # in ``shown``


def compare(task: Task) -> Comparison | None:
    """Do it; None where one of the two is not known. Takes milliseconds, so not the main thread's.

    Raises:
        CameraError: depth and calibration of a camera do not belong together.
    """
    base_m, shown_m = _base(task), task.shown.source.of(task.shown.result)
    if base_m is None or shown_m is None:
        return None
    if task.mode in (Mode.WIPE, Mode.BLINK):
        left, right = (
            colorize_rgb32(depth_m, task.scale, task.colormap, transparent=True)
            for depth_m in (base_m, shown_m)
        )
        return Comparison(task, base_m, shown_m, pair=(left, right))
    if task.mode is Mode.CHANGE:
        return _changes(task, base_m, shown_m)
    if task.mode is Mode.TRUST:
        return _trust(task, base_m, shown_m)
    return _difference(task, base_m, shown_m)


def _base(task: Task) -> DepthMap | None:
    depth_m = task.base.source.of(task.base.result)
    ours, theirs = task.shown.result.frame.intrinsics, task.base.result.frame.intrinsics
    if depth_m is None or task.base.result.frame is task.shown.result.frame:
        return depth_m
    return register_into_view(depth_m, task.T_shown_base, theirs, ours)


def _changes(task: Task, base_m: DepthMap, shown_m: DepthMap) -> Comparison:
    changes = change_map(base_m, shown_m)
    moved = changes == Change.CHANGED
    step_m = np.abs(shown_m[moved] - base_m[moved])
    return Comparison(
        task,
        base_m,
        shown_m,
        single=change_picture(changes),
        shares=change_shares(changes),
        removed_share=float(((base_m > 0) & (shown_m <= 0)).mean()),
        changed_median_mm=1000 * float(np.median(step_m)) if step_m.size else float("nan"),
    )


def _trust(task: Task, base_m: DepthMap, shown_m: DepthMap) -> Comparison:
    """Paint how far ``shown`` can be trusted."""
    result = task.shown.result
    if shown_m is not result.depth_m:
        result = replace(result, depth_m=shown_m, mask=shown_m > 0, origin=None, age=None)
    trust = trust_map(result)
    picture = trust_picture(trust, task.colormap)
    return Comparison(task, base_m, shown_m, single=picture, trust=trust)


def _difference(task: Task, base_m: DepthMap, shown_m: DepthMap) -> Comparison:
    both = (base_m > 0) & (shown_m > 0)
    step_m = shown_m - base_m
    single = colorize_signed(step_m, both, task.limit_m)
    seen_mm = 1000 * step_m[both].astype(np.float64)
    if seen_mm.size == 0:
        return Comparison(task, base_m, shown_m, single=single)
    return Comparison(
        task,
        base_m,
        shown_m,
        single=single,
        both_share=seen_mm.size / both.size,
        median_mm=float(np.median(seen_mm)),
        mean_abs_mm=float(np.abs(seen_mm).mean()),
        rms_mm=float(np.sqrt((seen_mm**2).mean())),
    )
