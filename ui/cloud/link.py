"""The parent's side of the cloud: owns the child process and its thread; knows no Qt."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import cast

from lingbot_live.colormap import DepthRange
from lingbot_live.errors import LingbotLiveError
from lingbot_live.frame import ColorImage, RefinedFrame
from lingbot_live.perception.surface import SceneSurface
from lingbot_live.perception.trust import trust_map, trust_picture
from lingbot_live.system.children import Child, ChildError
from lingbot_live.system.cores import stand_aside
from lingbot_live.system.worker import Worker
from ui.cloud.memory import Answer, Ask, CloudMemory, Failure, Job, Picture
from ui.cloud.scene import Coloring, Home, ViewSettings
from ui.shell.language import tr

log = logging.getLogger(__name__)

_TRIES, _TRIES_WITHIN_S = 3, 60.0  # deaths that are not worth a word
_PAUSE_S, _MOST_PAUSE_S = 0.2, 15.0  # before another child; doubled with each death
_HUNG_AFTER_S = 30.0
_FPS_OVER_S = 2.0
_ANY_RANGE = DepthRange()
_SCENE_RESTS = 3.0  # times as long as its last picture took, unless a hand is on the mouse


class CloudState(str, Enum):
    """Where the child process stands."""

    IDLE = "idle"  # not started, or closed
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"  # it dies again and again; `CloudProcess.retry` tries at once


@dataclass(frozen=True, slots=True)
class CloudStatus:
    """What the window shows about the cloud, as plain data."""

    state: CloudState = CloudState.IDLE
    error: str = ""
    pictures: int = 0  # since the start
    view: ViewSettings | None = None  # of the last picture
    dropped: int = 0  # frames replaced by a newer one before they were drawn
    restarts: int = 0
    points: int = 0  # of the last picture
    is_thinned: bool = False  # whether that has fewer points than asked for
    render_ms: float = 0.0
    fps: float = 0.0  # pictures a second, over the last two
    home: Home = field(default_factory=Home)  # of the last picture
    answer: Answer | None = None  # to the last `CloudProcess.ask`
    answers: int = 0


class _Painter:
    """One run of the child process."""

    def __init__(self, memory: CloudMemory, with_display: bool) -> None:
        hidden = {} if with_display else {"DISPLAY": None, "WAYLAND_DISPLAY": None}
        self._child = Child(
            "ui.cloud.process", memory.handle, environment=hidden, pass_fds=memory.pass_fds
        )
        stand_aside(self._child.process.pid)
        self.process = self._child.process
        self.answered = False

    def ask(self, job: Job) -> Picture:
        """Have a job done, waiting for it.

        Raises:
            LingbotLiveError: the child died or failed.
        """
        try:
            answer = self._child.ask(job)
        except ChildError as error:
            words = tr("the 3D view's process {last_words}", last_words=error)
            raise LingbotLiveError(words) from error
        if isinstance(answer, Failure):
            raise LingbotLiveError(f"the 3D view failed: {answer.text}")
        self.answered = True
        return cast(Picture, answer)

    def end(self) -> None:
        """Kill and reap; it holds nothing worth saving."""
        self.process.kill()
        self._child.end()


class CloudProcess:
    """Draws the cameras' newest frames in a child process; a child that dies is started again.

    No method waits for the child, but for `close`, which is bounded. A frame costs the caller
    a reference; the copy into shared memory happens on the owner's thread.
    """

    def __init__(self, view: ViewSettings | None = None, max_fps: float = 15.0) -> None:
        self._changed = threading.Condition()
        self._view = view or ViewSettings()
        self._interval_s = 1 / max_fps
        self._frames: dict[int, RefinedFrame] = {}  # by slot
        self._fresh: set[int] = set()  # slots whose frame the child has not seen
        self._fresh_view = False  # by hand
        self._fresh_data = False  # what came with frames, of the view
        self._wanted: Ask | None = None
        self._surface: SceneSurface | None = None
        self._fresh_surface = False
        self._active = True
        self._image: ColorImage | None = None
        self._status = CloudStatus()
        self._times_s: deque[float] = deque(maxlen=200)
        self._asked_s: float | None = None
        self.changes = 0  # of what `status` tells, but for rates and what is dropped
        self._child: _Painter | None = None
        self._worker: Worker | None = None
        self._headless = False

    def start(self) -> None:
        """Start the thread that starts the child; nothing happens if it runs."""
        if self._worker is not None:
            return
        self._set(state=CloudState.STARTING, error="")
        self._worker = Worker("cloud-link", self._run, self._died)
        self._worker.start()

    def retry(self) -> None:
        """Start again after `CloudState.FAILED`."""
        self.close()
        self.start()

    def close(self) -> None:
        """End the child and the thread, within seconds; safe more than once."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        worker.request_stop()
        with self._changed:
            child = self._child
            self._changed.notify_all()
        if child is not None:
            child.process.kill()
        worker.join(5.0)
        self._set(state=CloudState.IDLE)

    def submit(self, frame: RefinedFrame, slot: int = 0) -> None:
        """Draw this frame of a camera when the child is free, unless a newer one comes first."""
        with self._changed:
            if slot in self._fresh and self._active:
                self._status = replace(self._status, dropped=self._status.dropped + 1)
            self._frames[slot] = frame
            self._fresh.add(slot)
            self._changed.notify_all()

    def forget(self, slot: int) -> None:
        """Draw a camera no more, until its next frame."""
        with self._changed:
            if self._frames.pop(slot, None) is not None:
                self._fresh.discard(slot)
                self._fresh_view = True
                self._changed.notify_all()

    def show_surface(self, surface: SceneSurface) -> None:
        """Have this surface where a view shows the scene."""
        with self._changed:
            self._surface, self._fresh_surface = surface, True
            self._changed.notify_all()

    def set_view(self, view: ViewSettings) -> None:
        """Draw with these settings from now on."""
        with self._changed:
            before, self._view = self._view, view
            if view == before:
                return
            if _painted_with(view) != _painted_with(before):
                self._fresh = set(self._frames)
            if _by_hand(view) != _by_hand(before):
                self._fresh_view = True
            elif _with_frames(view) != _with_frames(before):
                self._fresh_data = True
            self._changed.notify_all()

    def set_active(self, active: bool) -> None:
        """Draw nothing while False, such as while nobody can see it."""
        with self._changed:
            self._active = active
            self._changed.notify_all()

    def ask(self, ask: Ask) -> None:
        """Ask what is at a place of the picture; `status` brings the answer to the newest."""
        with self._changed:
            self._wanted = ask
            self._changed.notify_all()

    def latest_image(self) -> ColorImage | None:
        """Return the newest picture, (H, W, 3) uint8 RGB, read-only; None before the first."""
        with self._changed:
            return self._image

    @property
    def status(self) -> CloudStatus:
        """How it goes; asking for it also ends a child that has hung for half a minute."""
        with self._changed:
            if self._asked_s is not None and time.monotonic() - self._asked_s > _HUNG_AFTER_S:
                log.error("the 3D view's process hangs; starting it again")
                self._asked_s = None
                if self._child is not None:
                    self._child.process.kill()
            since_s = time.monotonic() - _FPS_OVER_S
            lately = sum(done_s > since_s for done_s in self._times_s)
            return replace(self._status, fps=lately / _FPS_OVER_S)

    @property
    def pid(self) -> int | None:
        """Of the child, while there is one."""
        with self._changed:
            return self._child.process.pid if self._child else None

    def _set(self, state: CloudState, error: str = "") -> None:
        with self._changed:
            self._status = replace(self._status, state=state, error=error)
            self.changes += 1

    def _died(self, error: BaseException) -> None:
        self._set(CloudState.FAILED, tr("the 3D view stopped: {error}", error=error))

    def _run(self, stop: threading.Event) -> None:
        """Keep a child going, with growing pauses where it dies often; then close its memory."""
        memory = CloudMemory()
        deaths_s: deque[float] = deque(maxlen=_TRIES + 8)  # of the last minute
        try:
            while not stop.is_set():
                try:
                    self._live(memory, stop)
                except LingbotLiveError as error:
                    if not stop.is_set():
                        log.warning("%s", error)
                        self._after_death(str(error), deaths_s, stop)
        finally:
            memory.close()

    def _after_death(self, why: str, deaths_s: deque[float], stop: threading.Event) -> None:
        now_s = time.monotonic()
        while deaths_s and now_s - deaths_s[0] > _TRIES_WITHIN_S:
            deaths_s.popleft()
        deaths_s.append(now_s)
        if len(deaths_s) > _TRIES:  # said meanwhile; it comes back by itself all the same
            self._set(CloudState.FAILED, why)
        stop.wait(min(_PAUSE_S * 2 ** (len(deaths_s) - 1), _MOST_PAUSE_S))
        with self._changed:
            self._status = replace(
                self._status, state=CloudState.STARTING, restarts=self._status.restarts + 1
            )
            self.changes += 1

    def _live(self, memory: CloudMemory, stop: threading.Event) -> None:
        """Run one child from start to end."""
        child = _Painter(memory, with_display=not self._headless)
        with self._changed:
            self._child = child
            self._fresh, self._fresh_view = set(self._frames), True
            self._fresh_surface = self._surface is not None
        try:
            while not stop.is_set():
                job = self._next_job(memory, child, stop)
                if job is not None:
                    self._publish(memory, self._ask(child, job), job)
        finally:
            # A child that never drew may do so without the display server it was given.
            self._headless ^= not child.answered
            with self._changed:
                self._child = None
            child.end()

    def _ask(self, child: _Painter, job: Job) -> Picture:
        self._asked_s = time.monotonic()
        try:
            return child.ask(job)
        finally:
            self._asked_s = None

    def _next_job(self, memory: CloudMemory, child: _Painter, stop: threading.Event) -> Job | None:
        """Wait for something to draw, at most half a second; None for nothing.

        A view is drawn at once, for a hand is on the mouse; frames keep to ``max_fps``, and so does
        what of the view comes with them. A scene, a large surface that hardly changes, rests.
        """
        with self._changed:
            self._changed.wait_for(lambda: stop.is_set() or self._is_due(), 0.5)
            due_s = self._times_s[-1] + self._pause_s - time.monotonic() if self._times_s else 0
            if not self._fresh_view and self._wanted is None and due_s > 0:
                self._changed.wait_for(lambda: stop.is_set() or self._fresh_view, due_s)
            if child.process.poll() is not None:
                child.ask(Job(self._view))  # fails with the reason
            if stop.is_set() or not self._is_due():
                return None
            view, ask, slots = self._view, self._wanted, tuple(sorted(self._frames))
            fresh = [(slot, self._frames[slot]) for slot in sorted(self._fresh)]
            surface = self._surface if self._fresh_surface else None
            self._fresh, self._fresh_view, self._wanted = set(), False, None
            self._fresh_surface = self._fresh_data = False
        headers = tuple(
            memory.write_frame(frame, slot, _paint(frame, view)) for slot, frame in fresh
        )
        seen = None if surface is None else memory.write_surface(surface)
        return Job(view, headers, slots, ask, seen)

    def _is_due(self) -> bool:
        has_news = self._fresh_surface if self._view.shows_scene else bool(self._fresh)
        has_news |= self._fresh_data or self._fresh_view
        return self._active and (has_news or self._wanted is not None)

    @property
    def _pause_s(self) -> float:
        rest_s = self._status.render_ms / 1000 * _SCENE_RESTS if self._view.shows_scene else 0.0
        return max(self._interval_s, rest_s)

    def _publish(self, memory: CloudMemory, picture: Picture, job: Job) -> None:
        image = memory.picture(picture.width, picture.height).copy()
        image.setflags(write=False)
        with self._changed:
            self._times_s.append(time.monotonic())
            self._image = image
            asked = job.ask is not None
            self.changes += 1
            self._status = replace(
                self._status,
                state=CloudState.RUNNING,
                error="",
                pictures=self._status.pictures + 1,
                view=job.view,
                points=picture.points,
                is_thinned=picture.is_thinned,
                render_ms=picture.render_ms,
                home=picture.home,
                answer=picture.answer if asked else self._status.answer,
                answers=self._status.answers + asked,
            )


def _by_hand(view: ViewSettings) -> ViewSettings:
    """Return the view without what comes with frames."""
    return replace(view, lines=(), depth_range=_ANY_RANGE)


def _with_frames(view: ViewSettings) -> object:
    """Return what of the view comes with frames and is seen."""
    is_seen = view.coloring is Coloring.DEPTH and not view.shows_scene
    return view.lines, view.depth_range if is_seen else _ANY_RANGE


def _painted_with(view: ViewSettings) -> str | None:
    """Return the colours that this side paints a frame with; None where the child does."""
    return view.colormap if view.coloring is Coloring.TRUST else None


def _paint(frame: RefinedFrame, view: ViewSettings) -> ColorImage | None:
    colormap = _painted_with(view)
    return None if colormap is None else trust_picture(trust_map(frame), colormap)
