"""What can be typed into a running command: ``tokens 600`` or ``level 3``, one a line."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError
from lingbot_live.system.worker import Worker

if TYPE_CHECKING:
    from lingbot_live.pipeline.session import Session

HELP = "type 'tokens N' or 'level N' (0 to 9)"
_POLL_S = 0.2


@contextmanager
def typed_commands(session: Session) -> Iterator[None]:
    """Obey what comes on standard input meanwhile; not on Windows, which cannot wait for it."""
    handle = _standard_input()
    if handle is None:
        yield
        return

    def body(stop: threading.Event) -> None:
        _read_lines(handle, stop, lambda line: _obey_or_say(session, line))

    worker = Worker("typed commands", body, lambda error: None)
    worker.start()
    try:
        yield
    finally:
        worker.request_stop()
        worker.join(2.0)


@contextmanager
def first_line() -> Iterator[threading.Event]:
    """Yield an event that is set once a line comes on standard input.

    Raises:
        ConfigError: nothing can come there.
    """
    handle = _standard_input()
    if handle is None:
        raise ConfigError("nothing can be typed here, so nothing can begin at Enter")
    came = threading.Event()

    def body(stop: threading.Event) -> None:
        _read_lines(handle, stop, lambda line: came.set())

    worker = Worker("first line", body, lambda error: None)
    worker.start()
    try:
        yield came
    finally:
        worker.request_stop()
        worker.join(2.0)


def obey(session: Session, line: str) -> None:
    """Do what a line asks for.

    Raises:
        ConfigError: it asks for nothing known, or for a number out of range.
    """
    word, _, rest = line.strip().partition(" ")
    if word not in ("tokens", "level") or not rest.strip().isdigit():
        raise ConfigError(f"{line.strip()!r} is no command; {HELP}")
    number = int(rest)
    if word == "tokens":
        RefinerConfig(tokens=number)  # says what range is right
        session.set_tokens(number)
    else:
        RefinerConfig(level=number)
        session.set_level(number)


def _standard_input() -> int | None:
    if sys.platform == "win32" or sys.stdin is None:
        return None
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError):  # closed, or no file at all
        return None


def _obey_or_say(session: Session, line: str) -> None:
    if line.strip():
        try:
            obey(session, line)
        except ConfigError as error:
            typer.echo(str(error), err=True)


def _read_lines(handle: int, stop: threading.Event, on_line: Callable[[str], None]) -> None:
    """Hand on whole lines until the input ends, or ``stop`` is set."""
    text = ""
    while not stop.is_set():
        ready, _, _ = select.select([handle], [], [], _POLL_S)
        if not ready or _is_behind(handle):
            stop.wait(_POLL_S if ready else 0)
            continue
        piece = os.read(handle, 4096).decode(errors="replace")
        *lines, text = (text + piece).split("\n")
        for line in lines:
            on_line(line)
        if not piece:
            return


def _is_behind(handle: int) -> bool:
    """Whether this runs in a shell's background, where reading the terminal would halt it."""
    return os.isatty(handle) and os.tcgetpgrp(handle) != os.getpgrp()
