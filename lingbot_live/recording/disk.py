"""How much longer a disk will do, and errors of disks in words."""

from __future__ import annotations

import errno
import shutil
import time
from collections import deque
from pathlib import Path

from lingbot_live.errors import DiskFullError, LingbotLiveError, RecordingError

WARN_MINUTES = 5.0
_SAMPLES = 10  # seconds over which the rate is measured
_AHEAD_S = 3.0  # stop this long before the disk is full
_LEAST_FREE, _MOST_FREE = 4 << 20, 256 << 20


class DiskGuard:
    """Watches a recording's rate and the free space of its disk; `update` it each second."""

    def __init__(self, path: Path) -> None:
        self._folder = path.absolute().parent
        self._written: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self.free_bytes = self._total = 0
        self.bytes_per_s = 0.0
        self.minutes_left: float | None = None

    def check_room(self) -> None:
        """Raise DiskFullError where a recording would have to stop at once."""
        if self._folder.is_dir() and self._free() < self._reserve():
            raise DiskFullError(
                f"{self._folder}: only {self.free_bytes >> 20} MB free; "
                "make room or record elsewhere"
            )

    def update(self, written: int) -> bool:
        """Note the bytes written in all; False once the recording must stop."""
        self._written.append((time.monotonic(), written))
        (first_s, first), (last_s, last) = self._written[0], self._written[-1]
        if last_s > first_s:
            self.bytes_per_s = max(0.0, (last - first) / (last_s - first_s))
        room = self._free() - self._reserve()
        self.minutes_left = max(0, room) / self.bytes_per_s / 60 if self.bytes_per_s else None
        return room > self.bytes_per_s * _AHEAD_S

    @property
    def is_low(self) -> bool:
        """Whether less than `WARN_MINUTES` are left."""
        return self.minutes_left is not None and self.minutes_left < WARN_MINUTES

    def _free(self) -> int:
        usage = shutil.disk_usage(self._folder)
        self._total, self.free_bytes = usage.total, usage.free
        return self.free_bytes

    def _reserve(self) -> int:
        """What stays free: a hundredth of the disk, at least 4 and at most 256 MiB."""
        return min(max(self._total // 100, _LEAST_FREE), _MOST_FREE)


def as_recording_error(error: BaseException, path: Path) -> LingbotLiveError:
    """Return what went wrong in words that a user can act on."""
    if isinstance(error, LingbotLiveError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFullError(
            f"{path}: recording stopped, the disk is full ({error.strerror}); "
            "what was written before is kept. Make room and record again"
        )
    if isinstance(error, OSError):
        return RecordingError(
            f"{path}: recording stopped, the file cannot be written any more "
            f"({error.strerror}); what was written before is kept. Check the disk or the network "
            "and record again"
        )
    return RecordingError(f"{path}: recording stopped by an unexpected error: {error!r}")
