"""The processor's cores in a process whose threads already work side by side."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SOLE = threading.Lock()  # who sets OpenCV's number of threads
_OTHERS = 2  # capturing and drawing, while the refiner works


@functools.cache
def share_cores() -> None:
    """Leave OpenCV's own threads only the cores that capturing and drawing do not need.

    By itself it cuts every call into as many parts as there are cores and waits, busily, for the
    last one: for a helper that gets no core while another thread has it. On two cores that made a
    refined frame take half as long again, and every other thread late.
    """
    import cv2

    with _SOLE:
        cv2.setNumThreads(max(1, (os.cpu_count() or 1) - _OTHERS))


@contextmanager
def one_thread() -> Iterator[None]:
    """Have OpenCV work in the calling thread alone.

    For what comes out otherwise in its last bits, by how many parts a call is cut into: results
    are to be the same on every machine. Calls of other threads do without helpers meanwhile.
    """
    import cv2

    with _SOLE:
        usual = cv2.getNumThreads()
        if usual == 1:
            yield
            return
        cv2.setNumThreads(1)
        try:
            yield
        finally:
            cv2.setNumThreads(usual)
