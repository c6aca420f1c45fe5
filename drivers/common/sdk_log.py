"""Hands on to our log what SDKs write into log files of their own.

A file, because a callback is worse: it runs on a thread of the SDK and waits for the GIL, which
other calls hold while they wait for that thread; Orbbec's aborts the process at exit; the Kinect's
library for recordings has none. An SDK writes its file in a temporary folder of the process, which
is removed at exit, or by the next process where this one is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import psutil

from lingbot_live.cameras.base import Camera
from lingbot_live.cameras.controls import Control, ControlValue
from lingbot_live.frame import Frame

log = logging.getLogger(__name__)

FOLDER = "LINGBOT_LIVE_SDK_LOGS"  # of a child process whose parent reads what its SDKs write

_PREFIX = "lingbot-live-sdk-"  # of folders, then the number of the process
_EVERY_S = 1.0  # how often a running camera's file is looked at
_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR, "critical": logging.CRITICAL}


class SdkLog:
    """The messages of one SDK, in the logger ``lingbot_live.sdk.MAKE``; for any thread.

    ``names`` are the files it writes, ``head`` matches the first line of a message with the groups
    ``level`` and ``text``. A message that matches ``harmless`` goes to debug, as does all below a
    warning.
    """

    def __init__(self, make: str, names: Sequence[str], head: str, harmless: str) -> None:
        self._log = logging.getLogger(f"lingbot_live.sdk.{make}")
        self._names = names
        self._head = re.compile(head)
        self._harmless = re.compile(harmless)
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._tails: list[_Tail] = []
        self._due_s = 0.0

    @property
    def is_wordy(self) -> bool:
        """Whether the SDK should tell more than warnings, because our log wants to know."""
        return self._log.isEnabledFor(logging.DEBUG)

    def folder(self) -> Path:
        """Return where the SDK is to write; the folder is made when first asked for."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(os.environ.get(FOLDER) or _own_folder())
                self._tails = [_Tail(self._folder / name) for name in self._names]
            return self._folder

    def hand_on(self) -> None:
        """Log what the SDK wrote since the last call."""
        with self._lock:  # also while logging: messages keep their order
            self._due_s = time.monotonic() + _EVERY_S
            for tail in self._tails:
                self._tell(tail.read())

    def hand_on_from(self, folder: Path) -> None:
        """Log what the SDK wrote in a child process that has ended."""
        for name in self._names:
            self._tell(_Tail(folder / name).read())

    @contextlib.contextmanager
    def handed_on(self, *, at_leisure: bool = False) -> Iterator[None]:
        """Log what the SDK wrote meanwhile, ahead of the error if there is one.

        ``at_leisure``: without an error about once a second is enough.
        """
        try:
            yield
        except BaseException:
            self.hand_on()
            raise
        if not at_leisure or time.monotonic() >= self._due_s:
            self.hand_on()

    def _tell(self, written: bytes) -> None:
        level = logging.DEBUG
        lines: list[str] = []
        for line in written.decode("utf-8", "replace").splitlines():
            head = self._head.match(line)
            if head:
                self._say(level, lines)
                level, lines = _LEVELS.get(head["level"], logging.DEBUG), []
            lines.append(head["text"] if head else line)
        self._say(level, lines)

    def _say(self, level: int, lines: list[str]) -> None:
        text = " ".join(" ".join(lines).split())
        if text:
            self._log.log(logging.DEBUG if self._harmless.search(text) else level, "%s", text)


def _own_folder() -> str:
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        process = left.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    # The SDK has its file open to the end: it writes on, into nothing.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class _Tail:
    """What was not read yet of a file that another writes and rotates (as spdlog does).

    Both SDKs rotate (Kinect at 50, Orbbec at 100 MB); what was rotated away is deleted once read,
    so no more than that is ever on the disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rotated = path.with_name(f"{path.stem}.1{path.suffix}")
        self._inode = 0
        self._position = 0

    def read(self) -> bytes:
        """Return the whole lines that are new."""
        try:
            now = self._path.stat()
            if (now.st_ino, now.st_size) == (self._inode, self._position):
                return b""
            with self._path.open("rb") as file:
                older = self._turned_to(os.fstat(file.fileno()).st_ino)
                file.seek(self._position)
                found = file.read()
        except FileNotFoundError:  # nothing was written yet, or it is being rotated
            return b""
        except OSError as error:  # must not end a camera
            log.info("what the SDK says is not known: %s", error)
            return b""
        whole = found[: found.rfind(b"\n") + 1]  # its writer may be in the middle of a line
        self._position += len(whole)
        return older + whole

    def _turned_to(self, inode: int) -> bytes:
        """Return the rest of the file before this one, if there was one."""
        before, self._inode = self._inode, inode
        if before in (0, inode):
            return b""
        position, self._position = self._position, 0
        with self._rotated.open("rb") as file:
            file.seek(position)
            rest = file.read()
        self._rotated.unlink()
        return rest


class RoutedCamera(Camera):
    """A camera whose SDK's messages come out as it opens, reads, fails and closes."""

    _sdk_log: ClassVar[SdkLog]

    def open(self) -> None:
        """Start the device, as `Camera.open`."""
        with self._sdk_log.handed_on():
            super().open()

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame, as `Camera.read`."""
        with self._sdk_log.handed_on(at_leisure=True):
            return super().read(timeout_s)

    def close(self) -> None:
        """Release the device, as `Camera.close`."""
        with self._sdk_log.handed_on():
            super().close()

    def controls(self) -> tuple[Control, ...]:
        """Return the sensor's settings, as `Camera.controls`."""
        with self._sdk_log.handed_on(at_leisure=True):
            return super().controls()

    def set_control(self, name: str, value: ControlValue) -> None:
        """Change a setting, as `Camera.set_control`."""
        with self._sdk_log.handed_on(at_leisure=True):
            super().set_control(name, value)
