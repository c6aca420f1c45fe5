"""What Ctrl-C, SIGTERM and SIGHUP do: the same, wherever the app is.

At most places they raise KeyboardInterrupt, so that what is under way unwinds. Inside `stoppable`
they set an event instead, so that files are closed in peace; a later one raises nevertheless.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# The terminal, a shell and a wrapper may each deliver the same Ctrl-C.
_ECHO_S = 1.0
# Python hears a signal between two of its own instructions, so not inside of an SDK's call that
# never returns. After so many looks of so long it is taken for that.
_LOOKS, _LOOK_S = 14, 0.1
_JUST_S, _LEAVE_S = 0.5, 0.3  # an answer as old is one; for what is done at exit
_now: threading.Event | None = None  # of the innermost `stoppable`
_heard_s = _answered_s = float("-inf")
_is_handled = _has_raised = False


def has_raised() -> bool:
    """Whether one of them raised KeyboardInterrupt since `handled` began."""
    return _has_raised


def stop_signals() -> list[signal.Signals]:
    """Return what asks a process to end on this system; not SIGHUP where ``nohup`` wants so."""
    found = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        found.append(hangup)
    return found


def is_echo() -> bool:
    """Note a signal; True if it is the one just heard, delivered once more."""
    global _heard_s, _answered_s
    now_s = _answered_s = time.monotonic()
    if now_s - _heard_s < _ECHO_S:
        return True
    _heard_s = now_s
    return False


@contextmanager
def handled() -> Iterator[None]:
    """Turn all of them into KeyboardInterrupt meanwhile; on the main thread only."""
    global _is_handled, _heard_s, _has_raised
    if _is_handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    _is_handled, _heard_s, _has_raised = True, float("-inf"), False
    before = {number: signal.signal(number, _on_signal) for number in stop_signals()}
    try:
        with _never_deaf(set(before)):
            yield
    finally:
        _is_handled = False
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _never_deaf(numbers: set[signal.Signals]) -> Iterator[None]:
    """End the process where the main thread does not answer a signal, being in native code."""
    hears, tells = socket.socketpair()
    tells.setblocking(False)
    before = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    ear = threading.Thread(target=_listen, args=(hears, numbers), name="signals", daemon=True)
    ear.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        tells.close()
        ear.join(_LOOKS * _LOOK_S)
        hears.close()


def _listen(hears: socket.socket, numbers: set[signal.Signals]) -> None:
    while heard := hears.recv(1):
        came_s = time.monotonic()
        if heard[0] in numbers and not _is_answered(came_s):
            sys.stderr.write("lingbot-live: ended within a call that does not return\n")
            last = threading.Thread(target=_leave, args=(130,), daemon=True)
            last.start()
            last.join(_LEAVE_S)
            os._exit(130)


def _is_answered(came_s: float) -> bool:
    for _ in range(_LOOKS):  # not by the clock: where there is no processor, none is deaf
        if _answered_s > came_s - _JUST_S:  # the handler may have come before us
            return True
        time.sleep(_LOOK_S)
    return False


def end_with(status: int) -> NoReturn:
    """End the process; a signal's echo no longer changes its status, a new one ends it at once."""
    for number in stop_signals():
        signal.signal(number, lambda *_: None if is_echo() else os._exit(130))
    if any(thread.daemon for thread in threading.enumerate()):
        _leave(status)
    atexit.register(_ignore)  # Python takes handlers of its own away before the very end
    sys.exit(status)


def _leave(status: int) -> NoReturn:
    """End the process though a thread still computes: what it computes with must not go first."""
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):  # who reads our output may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _ignore() -> None:
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Turn the first of them into an event meanwhile; a later one raises KeyboardInterrupt."""
    with handled(), _meaning(threading.Event()) as stop:
        assert stop is not None
        yield stop


@contextmanager
def at_once() -> Iterator[None]:
    """Inside `stoppable`: raise KeyboardInterrupt too, where nothing can be left half done."""
    event = _now
    if event is not None and event.is_set():
        raise KeyboardInterrupt
    with _meaning(None):
        try:
            yield
        except KeyboardInterrupt:
            if event is not None:
                event.set()
            raise


@contextmanager
def _meaning(event: threading.Event | None) -> Iterator[threading.Event | None]:
    global _now
    before, _now = _now, event
    try:
        yield event
    finally:
        _now = before


def _on_signal(number: int, frame: FrameType | None) -> None:
    if is_echo():
        return
    global _has_raised
    if _now is None or _now.is_set():
        _has_raised = True
        raise KeyboardInterrupt
    _now.set()
