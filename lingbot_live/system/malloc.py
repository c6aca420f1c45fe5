"""The C library's memory in a process that streams for hours."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sys

log = logging.getLogger(__name__)

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h
_HEAPS = 2
_BLOCK, _KEPT = 32 << 20, 64 << 20  # bytes; glibc takes no larger ones for blocks


@functools.cache
def share_heaps() -> None:
    """Have all threads of this process take memory from the same two heaps; glibc only.

    By itself glibc gives almost every thread a heap of its own. Pictures come from one thread and
    go in another, gaps of pictures' size stay behind in each heap, and a process with three cameras
    grew by 50 MB in ten minutes. ``MALLOC_ARENA_MAX`` in the environment has the last word.
    """
    _set(_M_ARENA_MAX, _HEAPS, "MALLOC_ARENA_MAX")


@functools.cache
def keep_freed() -> None:
    """Have freed memory of pictures' size kept for the next pictures; glibc only.

    By itself glibc gives it back to the system until larger blocks were freed, and every page of
    the next picture is a fault: 2500 in a refined frame, a third of its time; a fifth of the time
    of reading a recording's frame. What the environment says (``MALLOC_MMAP_THRESHOLD_``,
    ``MALLOC_TRIM_THRESHOLD_``) has the last word.
    """
    _set(_M_MMAP_THRESHOLD, _BLOCK, "MALLOC_MMAP_THRESHOLD_")
    _set(_M_TRIM_THRESHOLD, _KEPT, "MALLOC_TRIM_THRESHOLD_")


def _set(option: int, value: int, variable: str) -> None:
    if sys.platform != "linux" or variable in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and needs none
    if mallopt is not None and not mallopt(option, value):
        log.info("the C library does not take %s; memory may grow in long runs", variable)
