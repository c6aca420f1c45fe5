"""The child's side of a process that answers pickled jobs; `children` is the parent's."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from typing import BinaryIO, TypeVar

Job = TypeVar("Job")


def jobs_of_parent(kind: type[Job], name: str) -> queue.SimpleQueue[Job]:
    """Return the queue of what the parent sends, read on a thread called ``name``.

    The process ends, even mid-job, when the parent is gone. Ctrl-C is the parent's to handle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(jobs,), name=name, daemon=True).start()
    return jobs


def own_stdout() -> BinaryIO:
    """Keep standard output for answers; what Open3D prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _receive(jobs: queue.SimpleQueue[Job]) -> None:
    try:
        while True:
            jobs.put(pickle.load(sys.stdin.buffer))
    except (EOFError, OSError, pickle.UnpicklingError):
        os._exit(0)
