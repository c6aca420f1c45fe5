"""The C library's memory in a process that streams for hours."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sys

log = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # glibc's malloc.h
_HEAPS = 2


@functools.cache
def share_heaps() -> None:
    """Have all threads of this process take memory from the same two heaps; glibc only.

    By itself glibc gives almost every thread a heap of its own. Pictures come from one thread and
    go in another, gaps of pictures' size stay behind in each heap, and a process with three cameras
    grew by 50 MB in ten minutes. ``MALLOC_ARENA_MAX`` in the environment has the last word.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and needs none
    if mallopt is not None and not mallopt(_M_ARENA_MAX, _HEAPS):
        log.info("the C library does not limit its heaps; memory may grow in long runs")
