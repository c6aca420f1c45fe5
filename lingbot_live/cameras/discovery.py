"""Notices cameras that are plugged in or out, without disturbing those that run.

SDKs may hold the GIL for seconds or crash while they list devices, so the drivers are asked in a
child process: ``python -m lingbot_live.cameras.discovery`` answers every line it reads with
one line of JSON, and ends with its input. Where the system lists its USB devices for free, the
child is asked only after that list changed; elsewhere every `POLL_S`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import psutil

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import CameraInfo, StreamProfile
from lingbot_live.system import usb
from lingbot_live.system.children import Child
from lingbot_live.system.worker import Worker

log = logging.getLogger(__name__)

BUS_S = 0.5  # how often the list of USB devices is read
POLL_S = 1.5  # how often drivers are asked where there is no such list
LIMIT_S = 30.0  # of all drivers' answers; then the child is replaced
_SETTLE_LOOKS = 8  # after a change: a camera needs a few seconds until it answers
_MOST_PAUSE_S = 30.0  # between children that die
_MOST_LEAKED = 120  # handles that a child may gather before another takes over


@dataclass(frozen=True, slots=True)
class Listing:
    """What all drivers list at one time, and by scheme why one could not."""

    cameras: tuple[CameraInfo, ...] = ()
    unavailable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What is new since the last call, and all that is there now."""

    appeared: tuple[CameraInfo, ...]
    vanished: tuple[CameraInfo, ...]
    listing: Listing


class Look(Protocol):
    """Lists the cameras; `close` ends it, also while it is called on another thread."""

    def __call__(self) -> Listing:
        """Return what is there; OSError or ValueError if that cannot be told now."""

    def close(self) -> None:
        """Release what it holds."""


def look() -> Listing:
    """Ask every driver here and now. A driver that fails is told of, the others are listed."""
    cameras, unavailable = registry.discover()
    return Listing(tuple(cameras), {scheme: str(error) for scheme, error in unavailable.items()})


class ChildLook:
    """Asks the drivers in a child process, which stays so that SDKs are loaded once."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._is_closed = False

    def __call__(self) -> Listing:
        """Return what is there.

        Raises:
            OSError: the child died or was too slow; the next call starts another.
            ValueError: it answered nonsense.
        """
        child = self._started()
        limit = threading.Timer(self._limit_s, child.process.kill)
        limit.start()
        try:
            child.stdin.write(b"\n")
            child.stdin.flush()
            answer = child.stdout.readline()
        finally:
            limit.cancel()
            limit.join()
        if not answer:
            raise OSError(f"the process that lists cameras {child.last_words()}")
        return _read(answer.decode())

    def close(self) -> None:
        """End the child; a call under way raises OSError."""
        with self._lock:
            self._is_closed = True
            child, self._child = self._child, None
        if child is not None:
            child.process.kill()
            child.end()

    def _started(self) -> Child:
        with self._lock:
            if self._is_closed:
                raise OSError("closed")
            if self._child is not None and self._child.process.poll() is not None:
                self._child.end()
                self._child = None
            if self._child is None:
                self._child = Child("lingbot_live.cameras.discovery")
            return self._child


class DeviceWatcher:
    """Calls ``on_change`` when cameras appear or vanish; the first call lists what is there.

    ``on_change`` runs on the watcher's thread. A camera counts as vanished only after a USB device
    left, because SDKs may leave out a camera that is in use.
    """

    def __init__(
        self,
        on_change: Callable[[Change], None],
        look: Look | None = None,
        bus: Callable[[], frozenset[str] | None] = usb.listing,
    ) -> None:
        self.listing = Listing()
        self._on_change = on_change
        self._look = look or ChildLook()
        self._bus = bus
        self._has_lost = False
        self._is_first = True
        self._pause_s = POLL_S
        self._wake = threading.Event()
        self._worker = Worker("device watcher", self._run, self._died)

    def start(self) -> None:
        """Start watching."""
        self._worker.start()

    def refresh(self) -> None:
        """Look at once, such as when a user asks for it."""
        self._wake.set()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End thread and child; False if that took longer than ``timeout_s``."""
        self._worker.request_stop()
        self._wake.set()
        self._look.close()
        return self._worker.join(timeout_s)

    # ---- on the watcher's thread -------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        bus, looks = self._bus(), _SETTLE_LOOKS
        while not stop.is_set():
            if looks:
                looks -= 1
                self._turn(stop)
                self._has_lost = self._has_lost and looks > 0
            woken = self._wake.wait(self._pause_s if bus is None else BUS_S)
            self._wake.clear()
            before, bus = bus, self._bus()
            if bus is None or before is None:
                looks = 1
            elif bus != before:
                looks = _SETTLE_LOOKS
                self._has_lost = self._has_lost or bool(before - bus)
            elif woken:
                looks = max(looks, 1)

    def _turn(self, stop: threading.Event) -> None:
        try:
            now = self._look()
        except (OSError, ValueError) as error:
            if not stop.is_set():
                log.warning("cameras cannot be listed: %s", error)
            self._pause_s = min(2 * self._pause_s, _MOST_PAUSE_S)
            return
        self._pause_s = POLL_S
        self._compare(now)

    def _compare(self, now: Listing) -> None:
        before = {info.address: info for info in self.listing.cameras}
        after = {info.address: info for info in now.cameras}
        stays = self._bus() is not None and not self._has_lost
        kept = {
            address: info
            for address, info in before.items()
            if address not in after and (stays or info.driver in now.unavailable)
        }
        after |= kept
        appeared = tuple(info for address, info in after.items() if address not in before)
        vanished = tuple(info for address, info in before.items() if address not in after)
        is_told = self._is_first or now.unavailable != self.listing.unavailable
        self.listing = Listing(tuple(after.values()), now.unavailable)
        if appeared or vanished or is_told:
            self._is_first = False
            self._on_change(Change(appeared, vanished, self.listing))

    def _died(self, error: BaseException) -> None:
        log.error("cameras are no longer watched: %s", error, exc_info=error)
        self._look.close()


# ---- the child -------------------------------------------------------------------------------


def _write(listing: Listing) -> str:
    return json.dumps(asdict(listing))


def _read(text: str) -> Listing:
    told = json.loads(text)
    return Listing(tuple(map(_camera, told["cameras"])), told["unavailable"])


def _camera(told: dict[str, Any]) -> CameraInfo:
    profiles = tuple(StreamProfile(**profile) for profile in told.pop("profiles"))
    return CameraInfo(**told, profiles=profiles)


def _serve(questions: Iterable[str]) -> None:
    """Answer until the input ends, or until SDKs hold many more handles than at first."""
    # SDKs print: only answers may reach the parent.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        first = None
        for _ in questions:
            out.write(_write(look()) + "\n")
            out.flush()
            held = _handles()
            first = held if first is None else first
            if held > first + _MOST_LEAKED:
                break  # Azure Kinect's SDK leaves three open each time; another child begins anew


def _handles() -> int:
    process = psutil.Process()
    if sys.platform == "win32":
        return int(process.num_handles())
    return process.num_fds()


if __name__ == "__main__":
    _serve(sys.stdin)
