"""One refiner, shared fairly by all feeds, newest frame first."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import LingbotLiveError, NothingRecordedError
from lingbot_live.frame import Frame, RefinedFrame, RefinerInfo
from lingbot_live.pipeline.latest import Latest
from lingbot_live.pipeline.stats import FeedStats
from lingbot_live.refiners.base import Refiner
from lingbot_live.refiners.finish import finish_for
from lingbot_live.refiners.scale_check import moved_regions, scale_ratio, scale_warnings
from lingbot_live.system.cores import OwnCore
from lingbot_live.system.worker import Worker

log = logging.getLogger(__name__)

_CHECK_NS = 1_000_000_000  # between two checks of the scale


class RefinerState(str, Enum):
    """Where the refiner stands."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A refiner to be made, and the settings it is made for where they are known."""

    create: Callable[[], Refiner]
    config: RefinerConfig | None


@dataclass(slots=True)
class Inlet:
    """Where one feed hands its frames to the refiner, and where they go afterwards."""

    name: str
    stats: FeedStats
    on_refined: Callable[[RefinedFrame], None]
    slot: Latest[tuple[Frame, int]]  # with the time.monotonic_ns() of the put
    check_ns: int = field(default=0)  # when the scale is to be checked next
    served: int = field(default=0)  # when it was served last, in frames of all feeds

    def put(self, frame: Frame) -> None:
        """Offer the newest frame; the one it replaces is counted as a drop."""
        if self.slot.put((frame, time.monotonic_ns())):
            self.stats.count_drop("replaced")


class InferenceWorker:
    """Owns the refiner: makes it, runs it and closes it, all on one thread.

    ``on_change`` runs on that thread whenever `state`, `info` or `error` changed.
    """

    def __init__(
        self,
        create: Callable[[], Refiner],
        on_change: Callable[[], None] = lambda: None,
        config: RefinerConfig | None = None,
    ) -> None:
        self.state = RefinerState.LOADING
        self.info: RefinerInfo | None = None
        self.error: BaseException | None = None
        self.condition = threading.Condition()
        self._wanted: Wanted | None = Wanted(create, config)
        self._loaded: RefinerConfig | None = None  # what the present refiner was made for
        self._tokens: Callable[[Refiner], int | None] | None = None  # asked for while it loads
        self._questions: deque[Callable[[Refiner], None]] = deque()
        self._on_change = on_change
        self._inlets: Sequence[Inlet] = ()
        self._busy = False
        self._served = 0
        self._failures = 0
        self._refiner: Refiner | None = None
        self._core: OwnCore | None = None  # that it computes on
        self._serving: tuple[Inlet, float] | None = None  # and since when
        self._worker = Worker("inference", self._run, self._fail)

    def start(self, inlets: Sequence[Inlet]) -> None:
        """Start the thread; the refiner is loaded there. The slots must share `condition`."""
        self._inlets = inlets
        self._worker.start()

    def set_inlets(self, inlets: Sequence[Inlet]) -> None:
        """Serve these from now on; frames that wait in the others stay there."""
        with self.condition:
            self._inlets = inlets

    def set_refiner(
        self, create: Callable[[], Refiner], config: RefinerConfig | None = None
    ) -> None:
        """Have another refiner take over; returns at once.

        Where ``config`` differs from the present one's in nothing that a refiner is made for, the
        present one goes on under it, if it can.
        """
        with self.condition:
            self._wanted, self._tokens = Wanted(create, config), None
            self.condition.notify_all()

    def set_tokens(self, tokens: int) -> None:
        """Have the refiner compute finer or coarser from its next frame on, if it can."""
        self._choose_tokens(lambda refiner: tokens)

    def set_level(self, level: int) -> None:
        """The same by resolution level, from 0 to 9."""
        self._choose_tokens(lambda refiner: refiner.tokens_at(level))

    def ask(self, question: Callable[[Refiner], None]) -> None:
        """Have the refiner asked something on its thread, before its next frame."""
        with self.condition:
            self._questions.append(question)
            self.condition.notify_all()

    def _choose_tokens(self, choose: Callable[[Refiner], int | None]) -> None:
        with self.condition:
            if self._refiner is None or self._wanted is not None:
                self._tokens = choose
            elif self._refiner.tokens is not None:
                self._refiner.tokens = choose(self._refiner)

    def stop(self, timeout_s: float) -> bool:
        """End the thread after the frame in work; waiting frames become drops."""
        self._worker.request_stop()
        with self.condition:
            self.condition.notify_all()
        ended = self._worker.join(timeout_s)
        serving = self._serving
        if serving is not None and not ended:
            serving[0].stats.count_drop("refiner hangs")
        for inlet in self._inlets:
            if inlet.slot.take() is not None:
                inlet.stats.count_drop("stopped")
        return ended

    @property
    def busy_s(self) -> float:
        """Seconds that the present frame takes so far; 0 without one."""
        serving = self._serving
        return 0.0 if serving is None else time.monotonic() - serving[1]

    @property
    def is_idle(self) -> bool:
        """Whether no frame waits and none is in work."""
        with self.condition:
            return not self._busy and not any(inlet.slot.is_full for inlet in self._inlets)

    # ---- on the worker's thread --------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self._next(stop)()
        finally:
            self._close()

    def _next(self, stop: threading.Event) -> Callable[[], None]:
        """Wait for a refiner to make, a question, a frame, or the end; return the work."""
        with self.condition:
            self._busy = False
            while not stop.is_set():
                wanted, self._wanted = self._wanted, None
                if wanted is not None:
                    self._busy = True
                    return partial(self._take_over, wanted)
                if self._questions and self._refiner is not None:
                    return partial(self._questions.popleft(), self._refiner)
                full = [inlet for inlet in self._inlets if inlet.slot.is_full]
                if full:
                    inlet = min(full, key=lambda candidate: candidate.served)
                    self._busy = True
                    return partial(self._serve, inlet)
                self.condition.wait()
        return lambda: None

    def _take_over(self, wanted: Wanted) -> None:
        before, after = self._loaded, wanted.config
        same = before is not None and after is not None and after.loads_like(before)
        if same and after and self._refiner is not None and self._refiner.adopt(after):
            self._refiner.finish_with(finish_for(after))
            self.info = self._refiner.info
            self._adjust(self._refiner)
            self._on_change()
        else:
            self._load(wanted)

    def _load(self, wanted: Wanted) -> None:
        self._close()
        self.info, self.error = None, None
        self._enter(RefinerState.LOADING)
        try:
            refiner = wanted.create()
        except Exception as error:
            log.log(
                logging.DEBUG if isinstance(error, LingbotLiveError) else logging.ERROR,
                "the refiner could not start", exc_info=error,
            )  # fmt: skip
            self.error = error
            self._enter(RefinerState.FAILED)
            return
        with self.condition:
            self._adjust(refiner)
            self._refiner, self._loaded = refiner, wanted.config
        self._core = OwnCore() if refiner.computes_here else None
        self.info = refiner.info
        self._enter(RefinerState.READY)

    def _adjust(self, refiner: Refiner) -> None:
        """Apply the tokens that were asked for meanwhile."""
        with self.condition:
            choose, self._tokens = self._tokens, None
            if choose is not None and refiner.tokens is not None:
                refiner.tokens = choose(refiner)

    def _serve(self, inlet: Inlet) -> None:
        taken = inlet.slot.take()
        if taken is None:
            return
        frame, put_ns = taken
        self._served += 1
        inlet.served = self._served
        if self._refiner is None:
            inlet.stats.count_drop("no refiner")
            return
        self._serving = inlet, time.monotonic()
        try:
            refined = self._refiner.refine(frame)
        except NothingRecordedError:
            inlet.stats.count_drop("without recorded depth")
            return
        except Exception as error:  # noqa: BLE001 - counted, logged and shown
            self._note_failure(inlet, error)
            return
        finally:
            self._serving = None
        self._note_success(inlet.stats, refined, put_ns)
        self._check_scale(inlet, refined)
        inlet.on_refined(refined)

    def _note_success(self, stats: FeedStats, refined: RefinedFrame, put_ns: int) -> None:
        stats.count_refined()
        stats.flying_share = refined.flying_share
        stats.add_stage("wait", refined.started_ns - put_ns)
        stats.add_stage("refine", refined.finished_ns - refined.started_ns)
        stats.add_stage("until_refined", refined.finished_ns - refined.frame.timestamp_ns)
        if self.error is not None or refined.refiner != self.info:
            self.error, self.info = None, refined.refiner
            self._on_change()

    def _check_scale(self, inlet: Inlet, refined: RefinedFrame) -> None:
        """Look once a second whether the refiner kept the sensor's scale; 2 ms."""
        if refined.finished_ns < inlet.check_ns or refined.depth_m is refined.frame.depth_m:
            return
        inlet.check_ns = refined.finished_ns + _CHECK_NS
        raw_m, refined_m = refined.frame.depth_m[::3, ::3], refined.depth_m[::3, ::3]
        found = scale_warnings(
            scale_ratio(raw_m, refined_m), moved_regions(refined.frame.depth_m, refined.depth_m)
        )
        if found and not inlet.stats.warnings:
            log.warning("%s: %s", inlet.name, found[0])
        inlet.stats.warnings = found

    def _note_failure(self, inlet: Inlet, error: Exception) -> None:
        inlet.stats.count_drop("refiner failed")
        self._failures += 1
        # Thirty equal tracebacks a second would hide everything else.
        if self._failures & (self._failures - 1) == 0:
            log.error("on a frame of %s (%d so far): %s", inlet.name, self._failures, error)
            log.debug("the refiner failed", exc_info=error)
        self.error = error
        self._on_change()

    def _close(self) -> None:
        with self.condition:
            refiner, self._refiner, self._loaded = self._refiner, None, None
        core, self._core = self._core, None
        if core is not None:
            core.leave()
        if refiner is not None:
            refiner.close()

    def _fail(self, error: BaseException) -> None:
        self.error = error
        self._enter(RefinerState.FAILED)

    def _enter(self, state: RefinerState) -> None:
        self.state = state
        self._on_change()
