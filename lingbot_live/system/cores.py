"""The processor's cores in a process whose threads already work side by side."""

from __future__ import annotations

import errno
import functools
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

log = logging.getLogger(__name__)

_FEW = 4  # among more of them there is an idle one to be found
_CLAIM = "\0lingbot-live/own-core"  # of Linux' names of sockets that are no files
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


def usable_cores() -> set[int]:
    """Return the cores that this process may use at the same time, also where a thread may not."""
    if sys.platform == "linux":
        return set(_USABLE)
    else:
        return set(range(os.cpu_count() or 1))


def are_few() -> bool:
    """Whether this process has so few cores that none is idle while everything works."""
    return len(usable_cores()) <= _FEW


class OwnCore:
    """A core that the thread which makes this has to itself, until `leave`; Linux, 2 to 4 cores.

    For one that computes without pause. The scheduler wakes threads that draw for a moment on a
    core where it works, while another is idle: in the window on two cores a refined frame took
    38 ms for it in place of 31. All other threads of this process leave that core, and those that
    they start, except those that `take_any_core`; so do children that `stand_aside`. One process on
    a machine can have it; for others, and for a second one here, this does nothing.
    """

    def __init__(self) -> None:
        cores = usable_cores()
        self._claim = _claim() if len(cores) > 1 and are_few() else None
        if self._claim is not None:
            own, threads = max(cores), _threads()
            _free.intersection_update(threads)  # numbers of ended ones come again
            _place(threads - _free, cores - {own})
            _place({threading.get_native_id()}, {own})

    def leave(self) -> None:
        """Let all threads have all cores again; safe more than once."""
        claim, self._claim = self._claim, None
        if claim is not None:
            _place(_threads(), usable_cores())
            claim.close()


def _claim() -> socket.socket | None:
    """Take a name that ends with the process, however it ends; None where another has it."""
    if sys.platform != "linux":
        return None
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(_CLAIM)
    except OSError as error:
        claim.close()
        if error.errno != errno.EADDRINUSE:
            log.info("no core is kept for the refiner: %s", error)
        return None
    return claim


def give_way(nice: int) -> None:
    """Have this process come after its parent where both want a core; 1 to 19."""
    if sys.platform == "win32":
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(nice)


def session_gives_way(nice: int) -> None:
    """Have the session of this process, a child with one of its own, come after others; 1 to 19.

    Linux with ``autogroup`` shares cores by sessions first; `give_way` counts only within one.
    """
    with suppress(OSError):  # a system without
        Path("/proc/self/autogroup").write_text(str(nice), "ascii")


def take_any_core(process: int = 0) -> None:
    """Have this thread, or a process that it has just started, take any core from now on.

    For a thread that comes before the one that keeps a core.
    """
    thread = process or threading.get_native_id()
    if not process:
        _free.add(thread)
    _place({thread}, usable_cores())


def stand_aside(process: int) -> None:
    """Have a child leave the core that a thread here keeps, now and whenever one does."""
    _aside.add(process)
    _place({process}, os.sched_getaffinity(0) if sys.platform == "linux" else set())


_USABLE = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()
_free: set[int] = set()  # threads that may take any core
_aside: set[int] = set()  # processes that leave it


def _threads() -> set[int]:
    """Return the threads of this process and of the children that stand aside."""
    this = os.getpid()
    found: set[int] = set()
    for number in (this, *_aside):
        with suppress(psutil.Error):  # it ended
            process = psutil.Process(number)
            if number == this or process.ppid() == this:  # numbers of ended ones come again
                found |= {thread.id for thread in process.threads()}
    return found


def _place(threads: set[int], cores: set[int]) -> None:
    if sys.platform == "linux":
        for thread in threads:
            with suppress(ProcessLookupError, PermissionError):  # it ended, or became another's
                os.sched_setaffinity(thread, cores)


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
