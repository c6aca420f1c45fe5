"""What one camera's row shows of a moment, drawn beside the main thread."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from PySide6.QtGui import QImage

from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.quality.depth_errors import Change, change_map, change_shares
from ui.shell.bridge import LAG_S
from ui.shell.language import tr
from ui.shell.readout import FIGURE_SPACE, percent
from ui.views.compose import Plan, Source, compose

_STAT_STEP = 2  # every so many pixels in both directions; shares need no more


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What belongs together on the screen: a frame, and the newest refined depth."""

    frame: Frame
    refined: RefinedFrame | None
    age_s: float  # how much older that is than the newest frame

    @property
    def is_matched(self) -> bool:
        """Whether the refined depth belongs to the frame shown beside it."""
        return self.refined is not None and self.refined.frame is self.frame


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """What is to be drawn: a picture and its place for each pane, None where nobody sees it."""

    moment: Moment
    panes: tuple[tuple[Source, Plan | None], ...]
    with_stats: bool


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The answer: a canvas for each pane, and the figures of the headers where asked for."""

    drawing: Drawing
    canvases: tuple[QImage | None, ...]
    fill_text: str | None
    refined_texts: tuple[str, ...] | None
    took_s: float  # of the processor's time


def draw(drawing: object) -> Drawn:
    """Do it, on any thread."""
    assert isinstance(drawing, Drawing)
    began_s = time.thread_time()
    canvases = tuple(
        None if plan is None else compose(source, plan) for source, plan in drawing.panes
    )
    fill_text = refined_texts = None
    moment = drawing.moment
    if drawing.with_stats:
        depth_raw = moment.frame.depth_raw
        fill_text = tr("fill {share}", share=percent(np.count_nonzero(depth_raw) / depth_raw.size))
        refined_texts = None if moment.refined is None else _refined_texts(moment, moment.refined)
    return Drawn(drawing, canvases, fill_text, refined_texts, time.thread_time() - began_s)


def _refined_texts(moment: Moment, refined: RefinedFrame) -> tuple[str, ...]:
    """Return kept, changed and filled, the longest text first; with its age where it lags."""
    raw_m, refined_m = (
        depth_m[::_STAT_STEP, ::_STAT_STEP] for depth_m in (refined.frame.depth_m, refined.depth_m)
    )
    shares = change_shares(change_map(raw_m, refined_m))
    kept, changed, filled = (
        _percent(shares[kind]) for kind in (Change.KEPT, Change.CHANGED, Change.FILLED)
    )
    some = tr("changed {changed}  filled {filled}", changed=changed, filled=filled)
    texts = (
        tr("kept {kept}  {some}", kept=kept, some=some),
        some,
        tr("filled {filled}", filled=filled),
    )
    if moment.age_s <= LAG_S:
        return texts
    return tuple(tr("{age_s:.1f} s old  {text}", age_s=moment.age_s, text=text) for text in texts)


def _percent(share: float) -> str:
    """Return a share in a width that is fixed but for all of it."""
    return f"{share:.0%}".rjust(3, FIGURE_SPACE)
