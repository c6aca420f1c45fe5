"""Session files: recorded, read at random, paced back, repaired. See docs/session-format.md.

Importing this package is cheap; what reads a file is imported when `Recording` is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lingbot_live.recording.recording import Recording as Recording

__all__ = ["Recording"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lingbot_live.recording.recording import Recording

    return Recording
