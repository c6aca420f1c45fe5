"""The line at the bottom of the window, in numbers of fixed width."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import psutil

from lingbot_live.frame import RefinerInfo
from lingbot_live.pipeline.inference import RefinerState
from lingbot_live.pipeline.session import Session
from lingbot_live.pipeline.stats import FeedFigures
from ui.shell.language import phrase, told, tr

_DROPPED = {
    "replaced": phrase("not refined (newer came)"),
    "without recorded depth": phrase("without recorded refinement"),
}


def status_line(
    session: Session | None, display_hz: float, reduced: str = "", *, is_recorded: bool = False
) -> str:
    """Return rates, latency, drops and what runs where, over all feeds; and what was reduced."""
    if session is None:
        return tr("stopped")
    feeds = [feed.figures for feed in session.stats().feeds.values()]
    parts = [
        tr("capture {rate:5.1f} fps", rate=sum(f.fps_captured_recent for f in feeds)),
        tr("refine {rate:5.1f}", rate=sum(f.fps_refined_recent for f in feeds)),
        tr("display {rate:5.1f}", rate=display_hz),
        _latency(feeds),
        _drops(feeds),
        refiner_text(session, is_recorded=is_recorded),
        f"{_process().memory_info().rss / 1e6:.0f} MB",
        reduced,
    ]
    return "  ·  ".join(part for part in parts if part)


@cache
def _process() -> psutil.Process:
    return psutil.Process()  # making one reads and parses files, a few times a second


def refiner_text(session: Session, *, is_recorded: bool = False) -> str:
    """Return what runs where, in words; or what ran when it was recorded."""
    if session.refiner_state is RefinerState.LOADING:
        return tr("refiner loading...")
    if session.refiner_state is RefinerState.FAILED:
        why = told(str(session.refiner_error)).partition("\n")[0]
        return tr("refiner failed: {error}", error=why)
    info = session.refiner_info
    if info is None:
        return ""
    if not is_recorded:
        return _name(info)
    made = info.name != "recorded"  # it hands on results of others
    return tr("as recorded: {name}", name=_name(info)) if made else tr("as recorded")


def _name(info: RefinerInfo) -> str:
    name, _, place = str(replace(info, finish="")).partition(" on ")
    done = [told(word) for word in info.finish.split(", ") if word]
    return ", ".join([tr("{name} on {place}", name=name, place=place), *done])


def _latency(feeds: list[FeedFigures]) -> str:
    known = [f.latency_ms["until_shown"] for f in feeds if "until_shown" in f.latency_ms]
    if not known:
        return tr("latency  –")
    p50, p95 = max(s.p50 for s in known), max(s.p95 for s in known)
    return tr("latency {p50:3.0f} / {p95:3.0f} ms", p50=p50, p95=p95)


def _drops(feeds: list[FeedFigures]) -> str:
    counts: Counter[str] = Counter()
    for feed in feeds:
        for cause, count in feed.drops.items():
            counts[dropped(cause)] += count
        for cause, count in feed.missed.items():
            counts[tr("not captured ({cause})", cause=told(cause))] += count
    known = [f"{count} {words}" for words, count in sorted(counts.items()) if count]
    return ", ".join(known) or tr("nothing lost")


def dropped(cause: str) -> str:
    """Return in words what became of frames that were captured but not refined."""
    known = _DROPPED.get(cause)
    return tr(known) if known else tr("not refined ({cause})", cause=told(cause))
