"""A session: one to n cameras, one refiner, started and stopped as a whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera, CameraInfo, CameraState
from lingbot_live.cameras.playback import Playback
from lingbot_live.config import CameraConfig, RefinerConfig, SessionConfig
from lingbot_live.errors import LingbotLiveError, RefinerError, SessionStateError
from lingbot_live.frame import Frame, RefinedFrame, RefinerInfo, Tap
from lingbot_live.pipeline.capture import CaptureWorker
from lingbot_live.pipeline.figures import CameraFigures, RefinerFigures, SessionStats
from lingbot_live.pipeline.inference import InferenceWorker, Inlet, RefinerState
from lingbot_live.pipeline.latest import Latest
from lingbot_live.pipeline.stats import FeedStats
from lingbot_live.refiners.base import Refiner
from lingbot_live.system.cores import share_cores
from lingbot_live.system.malloc import keep_freed, share_heaps

_LEAST_S = 0.3  # for the refiner to end, however long cameras took


@dataclass(slots=True)
class Feed:
    """One camera inside a session. Read `frames` and `refined` from one consumer each."""

    name: str
    create: Callable[[], Camera]
    stats: FeedStats
    frames: Latest[Frame] = field(default_factory=Latest)  # the newest capture
    refined: Latest[RefinedFrame] = field(default_factory=Latest)  # the newest result
    capture: CaptureWorker | None = None

    @property
    def state(self) -> CameraState:
        """Where the camera stands."""
        return CameraState.CLOSED if self.capture is None else self.capture.state

    @property
    def error(self) -> BaseException | None:
        """Why it is not streaming, if it is not."""
        return None if self.capture is None else self.capture.error

    @property
    def tries(self) -> int:
        """How often a vanished camera was opened in vain so far."""
        return 0 if self.capture is None else self.capture.tries

    @property
    def camera(self) -> Camera | None:
        """The camera, for its controls and playback; None until it was found."""
        return None if self.capture is None else self.capture.camera

    @property
    def lost(self) -> dict[str, int]:
        """Frames that were not captured or not refined, by cause."""
        return self.stats.lost()

    @property
    def info(self) -> CameraInfo | None:
        """What the driver says of the camera; None until it was found."""
        return None if self.camera is None else self.camera.info

    @property
    def playback(self) -> Playback | None:
        """How the recording is steered that plays; None for attached cameras."""
        camera = None if self.capture is None else self.capture.camera
        return None if camera is None else camera.playback


class Session:
    """Owns feeds and the refiner. Start it once, stop it as often as you like.

    ``on_update`` is called from worker threads whenever a frame, a result or a state is new; it
    must return at once. A tap sees every Frame and every RefinedFrame with the name of its feed,
    on the thread that made it; it must not wait either.

    Example::

        with Session.of(["synthetic:stereo"], RefinerConfig("guided")) as session:
            session.wait(duration_s=5)
            print(session.stats().as_dict())
    """

    def __init__(
        self,
        cameras: Sequence[tuple[str, Callable[[], Camera]]],
        create_refiner: Callable[[], Refiner],
        config: SessionConfig | None = None,
        on_update: Callable[[], None] = lambda: None,
        refiner_config: RefinerConfig | None = None,
    ) -> None:
        self.config = config or SessionConfig()
        self.on_update = on_update
        self.feeds = [
            Feed(name, create, FeedStats(self.config.latency_window))
            for name, create in _with_unique_names(cameras)
        ]
        self._taps: tuple[Tap, ...] = ()
        self._inference = InferenceWorker(create_refiner, self._changed, refiner_config)
        self._inlets: dict[str, Inlet] = {}  # by the feed's name
        self._started_s: float | None = None
        self._stopped_s: float | None = None
        self._starting = threading.Lock()

    @classmethod
    def of(
        cls,
        addresses: Sequence[str],
        refiner: RefinerConfig,
        camera: CameraConfig | None = None,
        config: SessionConfig | None = None,
        on_update: Callable[[], None] = lambda: None,
    ) -> Session:
        """Build from camera addresses; nothing is opened before `start`."""
        cameras = [(each, partial(registry.create_camera, each, camera)) for each in addresses]
        return cls(cameras, lambda: registry.create_refiner(refiner), config, on_update, refiner)

    # ---- life ------------------------------------------------------------------------------

    def start(self, max_frames: int | None = None) -> None:
        """Open the cameras and load the refiner, each on its own thread; returns at once.

        Raises:
            SessionStateError: it was started before.
        """
        if self._started_s is not None:
            raise SessionStateError("a session starts once; make a new one")
        share_heaps()
        keep_freed()
        share_cores()
        self._started_s = time.monotonic()
        self._inlets = {feed.name: self._inlet(feed) for feed in self.feeds}
        self._inference.start(list(self._inlets.values()))
        for feed in self.feeds:
            self._start_capture(feed, max_frames)

    def restart(self, feed: Feed) -> None:
        """Open a feed's camera again after it failed or ended; the other feeds go on.

        Raises:
            SessionStateError: the session is not running, or the feed is still in use.
        """
        self._check_running(feed.name)
        if feed.capture is not None and not feed.capture.is_done:
            raise SessionStateError(f"{feed.name}: it is still running; stop it first")
        self._start_capture(feed, None)

    def reopen(self, feed: Feed, create: Callable[[], Camera]) -> None:
        """Open a feed's camera in another way; the others stream on. Waits for its SDK.

        Raises:
            SessionStateError: the session is not running, or the SDK does not let go.
        """
        self._check_running(feed.name)
        if feed.capture is not None:
            feed.capture.request_stop()
            if not feed.capture.join(self.config.join_timeout_s):
                raise SessionStateError(f"{feed.name}: its SDK does not let go; plug it in again")
        feed.create = create
        self._start_capture(feed, None)

    def add(self, name: str, create: Callable[[], Camera]) -> Feed:
        """Open one more camera on a thread of its own; returns at once, the others stream on.

        Raises:
            SessionStateError: the session is not running.
        """
        self._check_running(name)
        taken = [(feed.name, feed.create) for feed in self.feeds]
        name, create = _with_unique_names([*taken, (name, create)])[-1]
        feed = Feed(name, create, FeedStats(self.config.latency_window))
        self._inlets[name] = self._inlet(feed)
        self._inference.set_inlets(list(self._inlets.values()))
        self.feeds = [*self.feeds, feed]  # replaced, not changed: other threads go through it
        self._start_capture(feed, None)
        return feed

    def remove(self, feed: Feed) -> bool:
        """Close one camera and forget its feed; the others stream on. Waits for its SDK.

        Returns False if the SDK did not let go in time.

        Raises:
            SessionStateError: the feed is not one of this session's.
        """
        if feed not in self.feeds:
            raise SessionStateError(f"{feed.name}: it is no camera of this session")
        self.feeds = [other for other in self.feeds if other is not feed]
        inlet = self._inlets.pop(feed.name, None)
        if feed.capture is None or inlet is None:
            return True
        feed.capture.request_stop()
        ended = feed.capture.join(self.config.join_timeout_s)
        self._inference.set_inlets(list(self._inlets.values()))
        if inlet.slot.take() is not None:
            feed.stats.count_drop("stopped")
        self._changed()
        return ended

    def stop(self, patience_s: float | None = None) -> bool:
        """End all workers in reverse order, waiting ``patience_s`` in all; safe more than once.

        Returns False if a camera's SDK or the refiner did not let go in time, which is
        `SessionConfig.join_timeout_s` unless another is given.
        """
        if self._started_s is None or self._stopped_s is not None:
            return True
        with self._starting:
            self._stopped_s = time.monotonic()
            workers = [feed.capture for feed in self.feeds if feed.capture is not None]
        for worker in workers:
            worker.request_stop()
        until_s = time.monotonic() + (patience_s or self.config.join_timeout_s)
        ended = [worker.join(max(0.0, until_s - time.monotonic())) for worker in workers]
        left_s = max(_LEAST_S, until_s - time.monotonic())
        return self._inference.stop(left_s) and all(ended)

    def wait(self, duration_s: float | None = None) -> bool:
        """Wait until ``duration_s`` after the start, or every feed has ended and been refined.

        Returns whether they have ended. One whose driver hangs is waited for no longer.

        Raises:
            LingbotLiveError: the refiner cannot start or hangs, or no feed is left that works.
        """
        if self._started_s is None:
            raise SessionStateError("the session was not started")
        deadline = None if duration_s is None else self._started_s + duration_s
        ended = False
        while not ended and (deadline is None or time.monotonic() < deadline):
            if self._inference.state is RefinerState.FAILED:
                raise self._inference.error or LingbotLiveError("the refiner failed")
            done = all(feed.capture is not None and feed.capture.is_over for feed in self.feeds)
            if done:
                self._check_answers()
            ended = self._inference.is_idle and (done or self._all_failed())
            if not ended:
                time.sleep(0.02)
        if self._all_failed():
            raise self.feeds[0].error or LingbotLiveError("the session ended without frames")
        return ended

    def __enter__(self) -> Session:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # ---- while it runs -----------------------------------------------------------------------

    def set_refiner(
        self, create: Callable[[], Refiner], config: RefinerConfig | None = None
    ) -> None:
        """Have another refiner take over; frames wait or drop while it loads.

        With ``config`` nothing is loaded anew where the present refiner can go on under it.
        """
        self._inference.set_refiner(create, config)

    def set_tokens(self, tokens: int) -> None:
        """Have the network compute finer or coarser from its next frame on."""
        self._inference.set_tokens(tokens)

    def set_level(self, level: int) -> None:
        """The same by resolution level, from 0 to 9."""
        self._inference.set_level(level)

    def ask(self, question: Callable[[Refiner], None]) -> None:
        """Have ``question`` called with the refiner, on its thread; it must not raise."""
        self._inference.ask(question)

    @property
    def refiner_state(self) -> RefinerState:
        """Where the refiner stands."""
        return self._inference.state

    @property
    def refiner_info(self) -> RefinerInfo | None:
        """What runs, on which device; None while it loads."""
        return self._inference.info

    @property
    def refiner_busy_s(self) -> float:
        """Seconds that the refiner is at its present frame; 0 while it waits for one."""
        return self._inference.busy_s

    @property
    def refiner_error(self) -> BaseException | None:
        """Why the refiner failed to start or on the last frame."""
        return self._inference.error

    def add_tap(self, tap: Tap) -> None:
        """Show ``tap`` every Frame and RefinedFrame from now on."""
        self._taps = (*self._taps, tap)

    def remove_tap(self, tap: Tap) -> None:
        """Stop showing frames to ``tap``."""
        self._taps = tuple(other for other in self._taps if other != tap)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, up to the stop."""
        end_s = self._stopped_s or time.monotonic()
        return end_s - (self._started_s or end_s)

    def stats(self) -> SessionStats:
        """Return counts, rates, drops and latencies up to now."""
        info = self.refiner_info
        refiner = RefinerFigures(
            self.refiner_state.value,
            str(self.refiner_error) if self.refiner_error else None,
            info.name if info else None,
            info.device if info else None,
            info.precision if info else None,
            info.tokens if info else None,
        )
        feeds = {feed.name: _feed_stats(feed) for feed in self.feeds}
        return SessionStats(round(self.elapsed_s, 3), refiner, feeds)

    # ---- private -----------------------------------------------------------------------------

    def _inlet(self, feed: Feed) -> Inlet:
        def on_refined(refined: RefinedFrame) -> None:
            for tap in self._taps:
                tap(feed.name, refined)
            feed.refined.put(refined)
            self.on_update()

        return Inlet(feed.name, feed.stats, on_refined, Latest(self._inference.condition))

    def _check_running(self, who: str) -> None:
        if self._started_s is None or self._stopped_s is not None:
            raise SessionStateError(f"{who}: the session is not running")

    def _start_capture(self, feed: Feed, max_frames: int | None) -> None:
        inlet = self._inlets[feed.name]

        def on_frame(frame: Frame) -> None:
            for tap in self._taps:
                tap(feed.name, frame)
            inlet.put(frame)
            feed.frames.put(frame)
            self.on_update()

        with self._starting:  # what started after a stop would have nobody to end it
            self._check_running(feed.name)
            feed.capture = CaptureWorker(
                feed.name, feed.create, on_frame, feed.stats, self.config, self._changed, max_frames
            )
            feed.capture.start()

    def _changed(self) -> None:
        self.on_update()

    def _check_answers(self) -> None:
        busy_s = self._inference.busy_s
        if busy_s > self.config.refine_timeout_s:
            info = self.refiner_info
            raise RefinerError(
                f"refiner {info.name if info else ''}: no answer for {busy_s:.0f} s on one frame; "
                "choose another, or a lower --level"
            )

    def _all_failed(self) -> bool:
        return all(feed.state.is_lost for feed in self.feeds)


def _feed_stats(feed: Feed) -> CameraFigures:
    info = feed.info
    return CameraFigures(
        feed.state.value,
        str(feed.error) if feed.error else None,
        info.name if info else None,
        info.serial if info else None,
        feed.stats.figures(),
    )


def _with_unique_names(
    cameras: Sequence[tuple[str, Callable[[], Camera]]],
) -> list[tuple[str, Callable[[], Camera]]]:
    seen: dict[str, int] = {}
    named = []
    for name, create in cameras:
        seen[name] = seen.get(name, 0) + 1
        named.append((name if seen[name] == 1 else f"{name}#{seen[name]}", create))
    return named
