"""What the comparing pane says of its pictures."""

from __future__ import annotations

import math

import numpy as np

from lingbot_live.frame import RefinedFrame
from lingbot_live.perception.trust import TrustMap
from lingbot_live.quality.depth_errors import CHANGE_RGB, Change
from ui.shell.readout import FIGURE_SPACE, millimetres, percent
from ui.views.compare_pictures import Base, Comparison, Mode, Task

_APART_MS = 50  # pictures of two cameras taken further apart are said to be


def title(task: Task) -> str:
    """Return what is compared with what."""
    if task.mode is Mode.WIPE:
        return f"{task.base.name} | {task.shown.name}"
    if task.mode is Mode.BLINK:
        return f"{task.base.name}, then {task.shown.name}"
    if task.mode is Mode.CHANGE:
        return f"From {task.base.name} to {task.shown.name}"
    if task.mode is Mode.TRUST:
        return f"Trust in {task.shown.name}"
    error = "Error: " if task.base.source is Base.TRUTH else ""
    return f"{error}{task.shown.name} minus {task.base.name}"


def legend(answer: Comparison) -> str:
    """Return the numbers, rich text; empty for a picture that has none."""
    text = _apart(answer.task.base.result, answer.task.shown.result)
    if answer.shares is not None:
        text = _change_legend(answer)
    elif answer.trust is not None:
        text = _trust_legend(answer.trust)
    elif answer.task.mode is Mode.DIFFERENCE:
        text = "&nbsp;&nbsp; ".join(
            (
                f"median {millimetres(answer.median_mm)}",
                f"mean size {_width(f'{answer.mean_abs_mm:.1f}', 6)} mm",
                f"RMS {_width(f'{answer.rms_mm:.1f}', 6)} mm",
                f"over {percent(answer.both_share)} of the pixels",
                text,
            )
        )
    return text


def _change_legend(answer: Comparison) -> str:
    assert answer.shares is not None
    parts = []
    for kind in (Change.KEPT, Change.CHANGED, Change.FILLED):
        square = f"<span style='color:rgb{CHANGE_RGB[kind]}'>■</span>"
        parts.append(f"{square} {kind.name.lower()} {percent(answer.shares[kind])}")
    if math.isfinite(answer.changed_median_mm):
        parts[1] += f" by {_width(f'{answer.changed_median_mm:.0f}', 4)} mm (median)"
    parts.append(f"removed {percent(answer.removed_share)}")
    return "&nbsp;&nbsp; ".join(parts)


def _trust_legend(trust: TrustMap) -> str:
    known = trust[trust > 0]
    if known.size == 0:
        return "no depth"
    below = percent(float((known < 0.5).mean()))
    return f"median {np.median(known):.2f}&nbsp;&nbsp; below one half {below} of the points"


def _apart(base: RefinedFrame, shown: RefinedFrame) -> str:
    """Say where two cameras' pictures are of different moments."""
    apart_ms = abs(base.frame.timestamp_ns - shown.frame.timestamp_ns) / 1e6
    return f"taken {apart_ms:.0f} ms apart" if apart_ms > _APART_MS else ""


def _width(text: str, width: int) -> str:
    return text.rjust(width, FIGURE_SPACE)
