"""The line at the bottom of the window, in numbers of fixed width."""

from __future__ import annotations

from collections import Counter

import psutil

from lingbot_live.frame import RefinerInfo
from lingbot_live.pipeline.inference import RefinerState
from lingbot_live.pipeline.session import Session
from lingbot_live.pipeline.stats import FeedFigures

_DROPPED = {
    "replaced": "not refined (newer came)",
    "without recorded depth": "without recorded refinement",
}


def status_line(session: Session | None, display_hz: float, reduced: str = "") -> str:
    """Return rates, latency, drops and what runs where, over all feeds; and what was reduced."""
    if session is None:
        return "stopped"
    feeds = [feed.figures for feed in session.stats().feeds.values()]
    parts = [
        f"capture {sum(f.fps_captured_recent for f in feeds):5.1f} fps",
        f"refine {sum(f.fps_refined_recent for f in feeds):5.1f}",
        f"display {display_hz:5.1f}",
        _latency(feeds),
        _drops(feeds),
        refiner_text(session.refiner_state, session.refiner_info, session.refiner_error),
        f"{psutil.Process().memory_info().rss / 1e6:.0f} MB",
        reduced,
    ]
    return "  ·  ".join(part for part in parts if part)


def refiner_text(state: RefinerState, info: RefinerInfo | None, error: BaseException | None) -> str:
    """Return what runs, in words."""
    if state is RefinerState.LOADING:
        return "refiner loading..."
    if state is RefinerState.FAILED:
        return f"refiner failed: {str(error).partition(chr(10))[0]}"
    return str(info) if info else ""


def _latency(feeds: list[FeedFigures]) -> str:
    known = [f.latency_ms["until_shown"] for f in feeds if "until_shown" in f.latency_ms]
    if not known:
        return "latency  –"
    p50, p95 = max(s.p50 for s in known), max(s.p95 for s in known)
    return f"latency {p50:3.0f} / {p95:3.0f} ms"


def _drops(feeds: list[FeedFigures]) -> str:
    counts: Counter[str] = Counter()
    for feed in feeds:
        for cause, count in feed.drops.items():
            counts[dropped(cause)] += count
        for cause, count in feed.missed.items():
            counts[f"not captured ({cause})"] += count
    known = [f"{count} {words}" for words, count in sorted(counts.items()) if count]
    return ", ".join(known) or "nothing lost"


def dropped(cause: str) -> str:
    """Return in words what became of frames that were captured but not refined."""
    return _DROPPED.get(cause, f"not refined ({cause})")
