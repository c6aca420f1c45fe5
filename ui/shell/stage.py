"""The session on the screen: which cameras stream, and what refines them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera, CameraInfo, CameraState
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import LingbotLiveError
from lingbot_live.pipeline.session import Feed, Session
from lingbot_live.system.worker import Worker
from ui.shell.bridge import Bridge, FeedView, StallMeter, Tasks

CLOSE_S = 15.0  # the longest that an SDK is waited for
_STATUS_MS = 250
_MARGIN_S = 0.5


class Stage(QObject):
    """Owns the session, its cameras' addresses and the refiner's settings in force.

    ``addressed(tuple)`` tells which addresses were named, before any is opened, ``reading(tuple)``
    that session files are looked into first, ``found(list)`` the cameras in those and
    ``joined(list)`` the ones in a file that is added; ``refused(str)`` why what was proposed cannot
    be opened. ``ending`` comes while the session is still there, ``sessionChanged`` once another
    one, or none, is on the screen or its cameras are others, ``sessionDone`` when every feed has
    ended or failed. ``newsShown(list)`` follows each FeedView whose pictures were just drawn,
    ``statusDue`` comes a few times a second.
    """

    addressed = Signal(tuple)
    refused = Signal(str)
    reading = Signal(tuple)
    found = Signal(list)
    joined = Signal(list)
    ending = Signal()
    sessionChanged = Signal()  # noqa: N815
    sessionDone = Signal()  # noqa: N815
    newsShown = Signal(list)  # noqa: N815
    statusDue = Signal()  # noqa: N815

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session: Session | None = None
        self.camera_config = CameraConfig(hold=True)
        self.refiner = RefinerConfig()
        self.max_frames: int | None = None
        self.asked: tuple[str, ...] = ()  # what the user named
        self.addresses: tuple[str, ...] = ()  # the same with all cameras of session files
        self.bridge = Bridge(parent=self)
        self.stall = StallMeter(self)
        self.patience_s: float | None = None  # for cameras to close; None: as long as usual
        self.proven: tuple[str, ...] = ()  # named last of those that delivered a frame
        self._started_s = 0.0
        self._stats: dict[str, object] = {}  # of the session before
        self._tasks = tasks
        self._closer: Worker | None = None  # of the session before
        self._timer = QTimer(self, interval=_STATUS_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    @property
    def is_running(self) -> bool:
        """Whether a session is open, streaming or not."""
        return self.session is not None

    @property
    def close_s(self) -> float:
        """How long what closes on threads is waited for in all."""
        return CLOSE_S if self.patience_s is None else self.patience_s + _MARGIN_S

    @property
    def waited_s(self) -> float:
        """How long ago the session was started."""
        return time.monotonic() - self._started_s

    @property
    def views(self) -> list[FeedView]:
        """What each camera shows now."""
        return self.bridge.views

    # ---- which cameras -----------------------------------------------------------------------

    def open(self, addresses: Sequence[str]) -> None:
        """Stream from these cameras, all of those in session files, instead of the present ones."""
        wanted = tuple(address for address in addresses if address)
        if not wanted:
            return
        self.stop()
        self.asked = wanted
        self.addressed.emit(wanted)
        self.reopen()

    def propose(self, addresses: Sequence[str]) -> None:
        """Stream from these if any of them can be; else what streams now goes on."""
        wanted = tuple(address for address in addresses if address)
        if self.session is None or not wanted:
            self.open(wanted)
            return
        self._tasks.run(
            "looking into what is opened",
            lambda: _check_any(wanted),
            lambda _: self.open(wanted),
            lambda error: self.refused.emit(str(error)),
        )

    def reopen(self) -> None:
        """Stream again from what was asked for."""
        self._read(self.asked, self.asked)

    def resume(self) -> None:
        """Stream again from the cameras of the last session, with those that came and went."""
        self._read(self.addresses or self.asked, self.asked)

    def add(self, address: str) -> None:
        """Stream from one more camera, or from all of a session file; the present ones go on."""
        if not address:
            return
        if self.session is None:
            self.open((address,))
        elif registry.may_have_members(address):
            self._tasks.run(
                "reading a session",
                lambda: _members(address),
                lambda infos: self._add_found(address, infos),
                lambda error: self._add_all([address]),  # its row will say why
            )
        else:
            self._add_all([address])

    def remove(self, feed: Feed) -> None:
        """Close one camera; the others stream on."""
        session = self.session
        if session is None:
            return
        at = next(i for i, other in enumerate(session.feeds) if other is feed)
        self.addresses = (*self.addresses[:at], *self.addresses[at + 1 :])
        self._tasks.run(
            f"closing {feed.name}", lambda: session.remove(feed), lambda _: self._cameras_changed()
        )

    def retry(self, feed: Feed) -> None:
        """Open a camera again that failed."""
        if self.session is not None and feed in self.session.feeds:
            self.session.restart(feed)

    # ---- start and stop ----------------------------------------------------------------------

    def stop(self) -> None:
        """Close the cameras on a thread of their own: an SDK may take its time."""
        if self.session is not None:
            self._closer = self._tasks.run("closing the session", self.release())

    def release(self) -> Callable[[], bool]:
        """Take the session off the screen; returns what closes its cameras, for a thread."""
        session = self.session
        if session is None:
            return lambda: True
        self.ending.emit()
        self.session = None
        self.stall.stop()
        self._stats = session.stats().as_dict()
        self.bridge.follow(None)
        self.sessionChanged.emit()
        return lambda: session.stop(self.patience_s)

    def close(self) -> None:
        """Stop, and tell of no status any more."""
        self.stop()
        self._timer.stop()

    def refine_with(self, config: RefinerConfig) -> None:
        """Have a refiner take over while the cameras stream on, and from the next start."""
        if (config.name, config.model) != (self.refiner.name, self.refiner.model):
            self.bridge.forget_refined()
        self.refiner = config
        if self.session is not None:
            self.session.set_refiner(lambda: registry.create_refiner(config), config)

    def stats(self) -> dict[str, object]:
        """Return the session's statistics, those of the last one where there is none."""
        return self._stats if self.session is None else self.session.stats().as_dict()

    # ---- private -----------------------------------------------------------------------------

    def _read(self, addresses: tuple[str, ...], asked: tuple[str, ...]) -> None:
        if not any(map(registry.may_have_members, addresses)):
            self._start(addresses, asked, [])
            return
        self.bridge.follow(None)
        self.reading.emit(addresses)
        self._tasks.run(
            "reading sessions",
            lambda: [_members(address) for address in addresses],
            lambda found: self._start(addresses, asked, found),
            lambda error: self._start(addresses, asked, []),  # the pane will say why
        )

    def _start(
        self, addresses: tuple[str, ...], asked: tuple[str, ...], found: list[list[CameraInfo]]
    ) -> None:
        if asked is not self.asked or self.session is not None:
            return  # something else was opened meanwhile
        members = found or [[] for _ in addresses]
        self.found.emit([info for group in members for info in group])
        self.addresses = tuple(
            name
            for address, group in zip(addresses, members, strict=True)
            for name in ([info.address for info in group] or [address])
        )
        self._stream()

    def _stream(self) -> None:
        """Open the chosen cameras; returns at once, errors appear in their panes."""
        self._started_s = time.monotonic()
        self.session = Session.of(
            self.addresses, self.refiner, self.camera_config, on_update=self.bridge.wake
        )
        for feed in self.session.feeds:
            feed.create = _after(self._closer, feed.create)
        self.bridge.follow(self.session)
        self.session.start(self.max_frames)
        self.stall.start()
        self.sessionChanged.emit()

    def _add_found(self, address: str, infos: list[CameraInfo]) -> None:
        self.joined.emit(infos)
        self._add_all([info.address for info in infos] or [address])

    def _add_all(self, addresses: list[str]) -> None:
        if self.session is None:
            return  # stopped meanwhile
        config = self.camera_config
        for address in addresses:
            self.session.add(address, partial(registry.create_camera, address, config))
            self.addresses = (*self.addresses, address)
        self._cameras_changed()

    def _cameras_changed(self) -> None:
        if self.session is None:
            return
        self.bridge.follow(self.session)
        self.asked = self.addresses
        self.sessionChanged.emit()

    def _tick(self) -> None:
        if self.session is not None and any(f.stats.captured for f in self.session.feeds):
            self.proven = self.asked
        self.statusDue.emit()
        if self.session is not None and all(map(_is_done, self.session.feeds)):
            self.sessionDone.emit()


def _is_done(feed: Feed) -> bool:
    return feed.state is CameraState.ENDED or feed.state.is_lost


def _members(address: str) -> list[CameraInfo]:
    return registry.members(address) if registry.may_have_members(address) else []


def _check_any(addresses: Sequence[str]) -> None:
    """Raise what is wrong with the first address unless one can be opened; devices are not."""
    errors = []
    for address in addresses:
        try:
            if _members(address):
                return
            if registry.find_camera(address).is_recording:
                with registry.create_camera(address):
                    return
            return
        except LingbotLiveError as error:
            errors.append(error)
    raise errors[0]


def _after(closer: Worker | None, create: Callable[[], Camera]) -> Callable[[], Camera]:
    """Have a camera made once the session before let go of it, for it may be the same one."""

    def make() -> Camera:
        if closer is not None:
            closer.join(CLOSE_S)
        return create()

    return make
