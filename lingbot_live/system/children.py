"""The one way to run a child process: a Python module of ours, in a folder of its own.

SDKs and Open3D hold Python's lock, crash, and leave files where they work; a child keeps that from
the app. Its working folder is new and empty, so that neither a stranger's ``numpy.py`` beside a
recording is imported nor a log left there, and its temporary files lie in it too; what a killed
app leaves of them, the next one's children remove. It is no member of the terminal's group: Ctrl-C
is the parent's to handle, which then ends its children.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from lingbot_live.system.cores import take_any_core
from lingbot_live.system.scratch import temporary_folder

log = logging.getLogger(__name__)

# For children whose matrices are small: threads that wait for their part, busily, only cost.
ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
_LOOK_S = 0.05  # between two looks at whether it is to stop
_PATIENCE_S = 3.0  # for one that is cancelled to leave nothing behind
_MOST_WORDS = 4000  # bytes of what a child complained of that are looked at


class ChildError(Exception):
    """A child process died; its text says how."""


class ChildSlowError(ChildError):
    """A child process did not answer in time; that may be the machine's load alone."""


class ChildCancelledError(ChildError):
    """A child process was ended because that was asked for."""


class Child:
    """A running ``python -m module``; ``stdin`` and ``stdout`` are pipes of bytes. Use as context.

    Args:
        module: what runs, such as ``lingbot_live.export.child``.
        arguments: of its command line.
        environment: variables that it has besides ours; None takes one away.
        given: a file that it reads instead of a pipe.
        pass_fds: descriptors that it inherits (POSIX).

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str | None] | None = None,
        given: IO[bytes] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self._work = ExitStack()
        self.folder = self._work.enter_context(temporary_folder("lingbot-live-child"))  # its own
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=self.folder,
                env=_environment(self.folder, environment or {}),
                stdin=subprocess.PIPE if given is None else given,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                pass_fds=pass_fds,
                start_new_session=os.name == "posix",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except BaseException:
            self._forget()
            raise
        take_any_core(self.process.pid)  # also where the thread that starts it may not

    @property
    def stdin(self) -> IO[bytes]:
        """Its input. Closing it is how a child is asked to end.

        Raises:
            ValueError: it reads a file instead.
        """
        if self.process.stdin is None:
            raise ValueError("this child reads a file")
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Its answers."""
        if self.process.stdout is None:
            raise ValueError("this child has no output")
        return self.process.stdout

    def ask(self, job: object) -> Any:
        """Hand over a picklable job and return its answer, waiting for it (see `serving`).

        Raises:
            ChildError: it died.
        """
        try:
            pickle.dump(job, self.stdin)
            self.stdin.flush()
            return pickle.load(self.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise ChildError(self.last_words()) from error

    def last_words(self) -> str:
        """Return how it ended and the last line that it complained with; call after its end."""
        code = self.process.wait()
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - _MOST_WORDS))
        text = self._errors.read().decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        how = f"crashed with signal {-code}" if code < 0 else f"ended with status {code}"
        return f"{how}: {lines[-1][:300]}" if lines else how

    def end(self, patience_s: float = 0.0) -> None:
        """Close its input, ask it to end, kill it unless it does so in time, remove its folder.

        Safe from any thread and more than once.
        """
        with suppress(OSError):  # what was still to be written to a dead child
            if self.process.stdin is not None:
                self.process.stdin.close()
        try:
            if patience_s:
                self.process.terminate()
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._forget()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def _forget(self) -> None:
        self._errors.close()
        self._work.close()


def run(
    module: str,
    *arguments: str,
    given: bytes = b"",
    limit_s: float | None = None,
    cancel: threading.Event | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> bytes:
    """Run a module to its end on ``given`` as its input; returns what it wrote.

    Raises:
        ChildError: it ended with another status than 0.
        ChildSlowError: it was still busy at the limit, and was killed.
        ChildCancelledError: ``cancel`` was set, and it was killed.
        OSError: it cannot be started.
    """
    with tempfile.TemporaryFile() as task:
        task.write(given)
        task.seek(0)
        with Child(module, *arguments, environment=environment, given=task) as child:
            answer = _answer(child, limit_s, cancel or threading.Event())
            if child.process.returncode != 0:
                raise ChildError(child.last_words())
            return answer


def _answer(child: Child, limit_s: float | None, cancel: threading.Event) -> bytes:
    deadline = None if limit_s is None else time.monotonic() + limit_s
    while True:
        try:
            return child.process.communicate(timeout=_LOOK_S)[0]
        except subprocess.TimeoutExpired:
            if cancel.is_set():
                child.end(_PATIENCE_S)
                raise ChildCancelledError("it was cancelled") from None
            if deadline is not None and time.monotonic() > deadline:
                raise ChildSlowError(f"no answer within {limit_s:g} s") from None


def _environment(folder: Path, extra: Mapping[str, str | None]) -> dict[str, str]:
    own = {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder), **extra}
    wanted: dict[str, str | None] = {**os.environ, **own}
    return {name: value for name, value in wanted.items() if value is not None}
