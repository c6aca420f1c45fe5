"""The newest lines of the app's log, for the window to show."""

from __future__ import annotations

import logging
from collections import deque

_MOST = 2000


class LogLines(logging.Handler):
    """Keeps what the app and the cameras' SDKs say, from INFO up. `close` ends it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[str] = deque(maxlen=_MOST)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(self)

    @property
    def text(self) -> str:
        """All lines, the oldest first."""
        return "\n".join(self._lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self._lines.append(self.format(record))

    def close(self) -> None:
        """Listen no more."""
        logging.getLogger().removeHandler(self)
        super().close()
