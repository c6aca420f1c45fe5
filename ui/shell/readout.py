"""The numbers under the cursor, worded for the views; knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass

from lingbot_live.frame import DepthMap, Frame, RefinedFrame
from lingbot_live.system.words import duration as duration
from ui.shell.language import phrase, tr

NO_READING = phrase("no reading")
FIGURE_SPACE = "\u2007"  # as wide as a digit, so that numbers stay where they are
_MINUS = "\u2212"
_STEP_WIDTH = 5  # sign and four digits


@dataclass(frozen=True, slots=True)
class Reading:
    """Depths of one pixel in metres; ``None`` where there is none."""

    raw_m: float | None
    refined_m: float | None = None
    reference_m: float | None = None

    @property
    def difference_mm(self) -> float | None:
        """Refined minus raw; ``None`` unless both are there."""
        if self.raw_m is None or self.refined_m is None:
            return None
        return (self.refined_m - self.raw_m) * 1000

    @property
    def error_mm(self) -> float | None:
        """Refined minus true; ``None`` unless both are there."""
        if self.refined_m is None or self.reference_m is None:
            return None
        return (self.refined_m - self.reference_m) * 1000

    @property
    def raw_text(self) -> str:
        """Such as ``1.482 m``, or ``no reading``."""
        return metres(self.raw_m)

    @property
    def refined_text(self) -> str:
        """Such as ``1.479 m  −3 mm  error −1 mm  truth 1.480 m``; what is unknown is left out."""
        parts = [metres(self.refined_m)]
        if self.difference_mm is not None:
            parts.append(millimetres(self.difference_mm))
        elif self.refined_m is not None:
            parts.append(tr("filled").rjust(_STEP_WIDTH + 3, FIGURE_SPACE))
        if self.error_mm is not None:  # before the truth, which a narrow pane cuts off
            parts.append(tr("error {step}", step=millimetres(self.error_mm)))
        if self.reference_m is not None:
            parts.append(tr("truth {depth}", depth=metres(self.reference_m)))
        return "  ".join(parts)


def reading(frame: Frame, refined: RefinedFrame | None, x: int, y: int) -> Reading:
    """Return the depths at column ``x``, row ``y``; all ``None`` outside the image.

    ``frame`` gives raw and reference depth. Where ``refined`` is of another frame its own raw
    depth counts, so that a difference never mixes two moments.
    """
    source = refined.frame if refined else frame
    height, width = source.depth_raw.shape
    if not (0 <= x < width and 0 <= y < height):
        return Reading(None)
    raw_m = float(source.depth_raw[y, x]) * source.depth_scale_m
    return Reading(
        raw_m or None,
        _at(refined.depth_m, x, y) if refined else None,
        _at(source.reference_m, x, y),
    )


def metres(depth_m: float | None) -> str:
    """Return ``1.482 m``, from 10 m on ``12.35 m``: always five digits wide; or ``no reading``."""
    if depth_m is None:
        return tr(NO_READING)
    return f"{depth_m:.3f} m" if depth_m < 9.9995 else f"{depth_m:.2f} m"


def millimetres(step_mm: float) -> str:
    """Return a signed difference such as ``+12 mm`` or ``−3 mm`` in a fixed width."""
    whole = round(step_mm)
    sign = "+" if whole > 0 else _MINUS if whole < 0 else "±"
    return f"{f'{sign}{abs(whole)}'.rjust(_STEP_WIDTH, FIGURE_SPACE)} mm"


def percent(share: float) -> str:
    """Return a share, 0 to 1, such as ``81.4%`` in a fixed width."""
    return f"{share:.1%}".rjust(6, FIGURE_SPACE)


def _at(depth_m: DepthMap | None, x: int, y: int) -> float | None:
    value = 0.0 if depth_m is None else float(depth_m[y, x])
    return value if value > 0 else None
