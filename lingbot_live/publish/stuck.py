"""Whether viewers still read, told by the kernel: Foxglove's SDK does not say how much waits."""

from __future__ import annotations

import sys
import time
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))  # man 5 proc
_ESTABLISHED = "01"
_LOOK_S = 0.25
_STUCK_S = 1.0  # that what waits for a viewer has not become less


class Readers:
    """The viewers of a port. On systems other than Linux all count as reading."""

    def __init__(self, port: int) -> None:
        self._local = f":{port:04X}"
        self._waits: dict[str, tuple[int, float]] = {}  # bytes by peer, and since when
        self._looked_s = 0.0
        self._is_stuck = False

    def are_stuck(self) -> bool:
        """Whether there are viewers, and none of them takes what was sent."""
        now_s = time.monotonic()
        if sys.platform.startswith("linux") and now_s - self._looked_s > _LOOK_S:
            self._looked_s = now_s
            self._note(waiting(self._local), now_s)
        return self._is_stuck

    def _note(self, sizes: dict[str, int], now_s: float) -> None:
        before = self._waits
        self._waits = {
            peer: before[peer] if before.get(peer, (-1, 0.0))[0] == size else (size, now_s)
            for peer, size in sizes.items()
        }
        stuck = [size > 0 and now_s - since > _STUCK_S for size, since in self._waits.values()]
        self._is_stuck = bool(stuck) and all(stuck)


def waiting(local: str) -> dict[str, int]:
    """Return the bytes that each peer of a local port has not acknowledged, by its address."""
    found = {}
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:  # a system without IPv6
            continue
        for line in lines:
            _, ours, theirs, state, queues, *_ = line.split()
            if ours.endswith(local) and state == _ESTABLISHED:
                found[theirs] = int(queues.partition(":")[0], 16)
    return found
