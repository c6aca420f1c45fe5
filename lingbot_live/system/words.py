"""Numbers in words for people."""

from __future__ import annotations

_LONG_S = 120.0  # from here on nobody counts seconds


def duration(seconds: float, digits: int = 0) -> str:
    """Return such as ``42 s``, with ``digits`` after the point, ``21 min 13 s``, ``2 h 05 min``."""
    seconds = max(0.0, seconds)
    if round(seconds) < _LONG_S:
        return f"{seconds:.{digits}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
