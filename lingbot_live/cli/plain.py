"""What the commands write, without what a terminal would obey: names come from files of others."""

from __future__ import annotations

import sys
from typing import Any, TextIO

# C0 but tab and line feed, DEL, C1, and the marks that turn the direction of text.
_CONTROLS = (*range(9), *range(11, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F))
_SHOWN = {code: f"\\u{code:04x}" for code in (*_CONTROLS, *range(0x2066, 0x206A), 0x2028, 0x2029)}


def plain(text: str) -> str:
    """Return a text with its control characters spelled out, all but tab and line feed."""
    return text.translate(_SHOWN)


def write_plainly() -> None:
    """From now on let no control character out by `print`, the log, or the command's own words."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Plain):
            setattr(sys, name, _Plain(stream))


def terminal() -> TextIO:
    """Return the true standard error, for progress bars, which steer the terminal."""
    stream = sys.stderr
    return stream.under if isinstance(stream, _Plain) else stream


class _Plain:
    """A text stream that writes to another; binary writing is left out, for it goes past this."""

    def __init__(self, under: TextIO) -> None:
        self.under = under

    def write(self, text: str) -> int:
        self.under.write(plain(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.under, name)
