"""What the comparing pane says of its pictures."""

from __future__ import annotations

import math

import numpy as np

from lingbot_live.frame import RefinedFrame, TrustMap
from lingbot_live.quality.depth_errors import CHANGE_RGB, Change
from ui.shell.language import told, tr
from ui.shell.readout import FIGURE_SPACE, millimetres, percent
from ui.views.compare_pictures import Base, Comparison, Mode, Task

_AND = "&nbsp;&nbsp; "
_APART_MS = 50  # pictures of two cameras taken further apart are said to be


def title(task: Task) -> str:
    """Return what is compared with what."""
    if task.mode is Mode.WIPE:
        return f"{task.base.name} | {task.shown.name}"
    if task.mode is Mode.BLINK:
        return tr("{base}, then {shown}", base=task.base.name, shown=task.shown.name)
    if task.mode is Mode.CHANGE:
        return tr("From {base} to {shown}", base=task.base.name, shown=task.shown.name)
    if task.mode is Mode.TRUST:
        return tr("Trust in {name}", name=task.shown.name)
    shown, base = task.shown.name, task.base.name
    if task.base.source is Base.TRUTH:
        return tr("Error: {shown} minus {base}", shown=shown, base=base)
    return tr("{shown} minus {base}", shown=shown, base=base)


def legend(answer: Comparison) -> tuple[str, ...]:
    """Return the numbers, rich text, the longest first; empty for a picture that has none."""
    text = _apart(answer.task.base.result, answer.task.shown.result)
    if answer.shares is not None:
        *longer, bare = (_change_parts(answer, answer.shares, by) for by in _changed_by(answer))
        return (*map(_AND.join, longer), *_one_line_or_two(bare))
    if answer.trust is not None:
        text = _trust_legend(answer.trust)
    elif answer.task.mode is Mode.DIFFERENCE:
        parts = [
            tr("median {step}", step=millimetres(answer.median_mm)),
            tr("mean size {size} mm", size=_width(f"{answer.mean_abs_mm:.1f}", 6)),
            tr("RMS {size} mm", size=_width(f"{answer.rms_mm:.1f}", 6)),
            tr("over {share} of the pixels", share=percent(answer.both_share)),
        ]
        return _one_line_or_two([*parts, text] if text else parts)
    return (text,)


def _one_line_or_two(parts: list[str]) -> tuple[str, ...]:
    return _AND.join(parts), f"{_AND.join(parts[:2])}<br>{_AND.join(parts[2:])}"


def _changed_by(answer: Comparison) -> tuple[str, ...]:
    """Return by how much, the longest words first; the last says nothing of it."""
    if not math.isfinite(answer.changed_median_mm):
        return ("",)
    size = _width(f"{answer.changed_median_mm:.0f}", 4)
    return tr(" by {size} mm (median)", size=size), tr(" by {size} mm", size=size), ""


def _change_parts(answer: Comparison, shares: dict[Change, float], changed_by: str) -> list[str]:
    parts = []
    for kind in (Change.KEPT, Change.CHANGED, Change.FILLED):
        square = f"<span style='color:rgb{CHANGE_RGB[kind]}'>■</span>"
        word = told(kind.name.capitalize()).lower()
        parts.append(f"{square} {word} {percent(shares[kind])}")
    parts[1] += changed_by
    parts.append(tr("removed {share}", share=percent(answer.removed_share)))
    return parts


def _trust_legend(trust: TrustMap) -> str:
    known = trust[trust > 0]
    if known.size == 0:
        return tr("no depth")
    below = percent(float((known < 0.5).mean()))
    return tr(
        "median {median:.2f}&nbsp;&nbsp; below one half {below} of the points",
        median=np.median(known),
        below=below,
    )


def _apart(base: RefinedFrame, shown: RefinedFrame) -> str:
    """Say where two cameras' pictures are of different moments."""
    apart_ms = abs(base.frame.timestamp_ns - shown.frame.timestamp_ns) / 1e6
    return tr("taken {apart_ms:.0f} ms apart", apart_ms=apart_ms) if apart_ms > _APART_MS else ""


def _width(text: str, width: int) -> str:
    return text.rjust(width, FIGURE_SPACE)
