"""Notices when another program takes away a file that is being read."""

from __future__ import annotations

import os
import time
from pathlib import Path

_EVERY_S = 0.5


class FileWatch:
    """Looks at a file's place and size now and then; a file that grows is left alone."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()  # the working directory may change
        self._first = self._stat()
        self._looked_s = time.monotonic()

    def mishap(self) -> str:
        """Say what became of the file; empty where it is as it was, or was looked at just now."""
        now_s = time.monotonic()
        if self._first is None or now_s - self._looked_s < _EVERY_S:
            return ""
        self._looked_s = now_s
        found = self._stat()
        if found is None:
            return "was deleted or renamed"
        if not os.path.samestat(self._first, found):
            return "was replaced by another file"
        if found.st_size < self._first.st_size and self.path.is_file():
            return f"was cut from {self._first.st_size} to {found.st_size} bytes"
        return ""

    def _stat(self) -> os.stat_result | None:
        try:
            return self.path.stat()
        except OSError:
            return None
