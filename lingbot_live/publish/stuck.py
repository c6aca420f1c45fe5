"""Whether viewers still read, told by the kernel: Foxglove's SDK does not say how much waits."""

from __future__ import annotations

import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_OWN = Path("/proc/self/fd")  # man 5 proc
_LOOK_S = 0.25
_STUCK_S = 1.0  # that what waits for a viewer has not become less


class Readers:
    """The viewers of a port. On systems other than Linux all count as reading."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._waits: dict[str, tuple[int, float]] = {}  # bytes by peer, and since when
        self._looked_s = 0.0
        self._is_stuck = False

    def are_stuck(self) -> bool:
        """Whether there are viewers, and none of them takes what was sent."""
        now_s = time.monotonic()
        if sys.platform.startswith("linux") and now_s - self._looked_s > _LOOK_S:
            self._looked_s = now_s
            self._note(waiting(self._port), now_s)
        return self._is_stuck

    def _note(self, sizes: dict[str, int], now_s: float) -> None:
        before = self._waits
        self._waits = {
            peer: before[peer] if before.get(peer, (-1, 0.0))[0] == size else (size, now_s)
            for peer, size in sizes.items()
        }
        stuck = [size > 0 and now_s - since > _STUCK_S for size, since in self._waits.values()]
        self._is_stuck = bool(stuck) and all(stuck)


def waiting(port: int) -> dict[str, int]:
    """Return the bytes that each peer of a port of this process has not acknowledged.

    Its own sockets are asked: the kernel's table of all connections takes milliseconds to read.
    """
    import fcntl
    import termios

    found = {}
    for own in _sockets():
        with own, suppress(OSError):  # one that listens, or was closed meanwhile
            if own.getsockname()[1] == port:
                peer = own.getpeername()
                size = fcntl.ioctl(own, termios.TIOCOUTQ, bytes(4))  # SIOCOUTQ, man 7 tcp
                found[f"{peer[0]}:{peer[1]}"] = int.from_bytes(size, sys.byteorder)
    return found


def _sockets() -> Iterator[socket.socket]:
    """Yield this process's connections over IP, each as a copy to be closed."""
    for name in os.listdir(_OWN):
        copy = -1
        try:
            if stat.S_ISSOCK(os.stat(int(name)).st_mode):
                copy = os.dup(int(name))
                own = socket.socket(fileno=copy)
        except OSError:  # closed meanwhile, and perhaps by now another file
            if copy >= 0:
                os.close(copy)
            continue
        if copy >= 0:
            if own.family in (socket.AF_INET, socket.AF_INET6):
                yield own
            else:
                own.close()
