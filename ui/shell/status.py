"""The line at the bottom of the window, in numbers of fixed width."""

from __future__ import annotations

import psutil

from lingbot_live.frame import RefinerInfo
from lingbot_live.pipeline.inference import RefinerState
from lingbot_live.pipeline.session import Session
from lingbot_live.pipeline.stats import FeedFigures


def status_line(session: Session | None, display_hz: float) -> str:
    """Return rates, latency, drops and what runs where, over all feeds."""
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
    causes: dict[str, int] = {}
    for feed in feeds:
        for cause, count in [*feed.drops.items(), *feed.missed.items()]:
            causes[cause] = causes.get(cause, 0) + count
    if not causes:
        return "lost 0"
    return "lost " + ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
