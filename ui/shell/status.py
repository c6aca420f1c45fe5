"""The line at the bottom of the window, in numbers of fixed width."""

from __future__ import annotations

from typing import Any

import psutil

from lingbot_live.frame import RefinerInfo
from lingbot_live.pipeline.inference import RefinerState
from lingbot_live.pipeline.session import Session


def status_line(session: Session | None, display_hz: float) -> str:
    """Return rates, latency, drops and what runs where, over all feeds."""
    if session is None:
        return "stopped"
    stats: dict[str, Any] = session.stats()
    feeds = list(stats["feeds"].values())
    parts = [
        f"capture {_sum(feeds, 'fps_captured_recent'):5.1f} fps",
        f"refine {_sum(feeds, 'fps_refined_recent'):5.1f}",
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


def _sum(feeds: list[dict[str, Any]], key: str) -> float:
    return float(sum(feed[key] for feed in feeds))


def _latency(feeds: list[dict[str, Any]]) -> str:
    shown = [feed["latency_ms"].get("until_shown") for feed in feeds]
    known = [summary for summary in shown if summary]
    if not known:
        return "latency  –"
    p50, p95 = (max(summary[key] for summary in known) for key in ("p50", "p95"))
    return f"latency {p50:3.0f} / {p95:3.0f} ms"


def _drops(feeds: list[dict[str, Any]]) -> str:
    causes: dict[str, int] = {}
    for feed in feeds:
        for cause, count in [*feed["drops"].items(), *feed["missed"].items()]:
            causes[cause] = causes.get(cause, 0) + count
    if not causes:
        return "lost 0"
    return "lost " + ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
