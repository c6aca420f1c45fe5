"""The processor's cores in a process whose threads already work side by side."""

from __future__ import annotations

import functools
import os

_OTHERS = 2  # capturing and drawing, while the refiner works


@functools.cache
def share_cores() -> None:
    """Leave OpenCV's own threads only the cores that capturing and drawing do not need.

    By itself it cuts every call into as many parts as there are cores and waits, busily, for the
    last one: for a helper that gets no core while another thread has it. On two cores that made a
    refined frame take half as long again, and every other thread late.
    """
    import cv2

    cv2.setNumThreads(max(1, (os.cpu_count() or 1) - _OTHERS))
