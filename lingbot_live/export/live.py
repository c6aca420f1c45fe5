"""A scene reconstructed while a session runs, in a process of its own.

::

 tap (any thread) ─▶ one place for the newest result ─▶ "scene" thread ─▶ child process
                       └─ a newer one replaces it: dropped here, counted
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import cast

from lingbot_live.errors import ReconstructionError
from lingbot_live.export.live_memory import LiveJob, LiveMemory, LiveNews, SaveOrder
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.perception.reconstruction import Depth, Fusing
from lingbot_live.perception.surface import SceneSurface
from lingbot_live.quality.ruler import Box
from lingbot_live.recording.state import TapSource
from lingbot_live.system.children import ONE_BLAS_THREAD, Child, ChildError
from lingbot_live.system.cores import are_few
from lingbot_live.system.worker import Worker

log = logging.getLogger(__name__)

LIVE = Fusing(tuple(Depth), voxel_m=0.02, far_m=4.0)
# Between two frames, by the number of cores: a scene needs no more than ten a second where each one
# is taken from the refiner.
_PERIOD_S = 0.2
_RATE_OVER_S = 3.0
_WAIT_S = 0.5


class LiveState(str, Enum):
    """Where a live reconstruction stands."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """What is shown of it; cheap enough to ask for at every repaint."""

    state: LiveState = LiveState.STARTING
    news: LiveNews = field(default_factory=LiveNews)
    shown: Depth = Depth.REFINED
    dropped: int = 0  # frames replaced by a newer one before they were looked at
    rate_hz: float = 0.0  # frames fused a second, lately
    surfaces: int = 0  # that came so far
    saved: Path | None = None  # the last file that was written
    saves: int = 0
    error: str = ""  # of the last order, or why it FAILED


class LiveReconstruction:
    """Follows one camera of a session. Start it once; all methods return at once.

    An error ends this, never the session. Where the process dies, the scene is gone: it FAILED.

    Example::

        scene = LiveReconstruction("synthetic:stereo")
        scene.start(session)
        ...
        scene.save(Path("room.ply"))
        scene.close()
    """

    def __init__(self, camera: str, fusing: Fusing = LIVE) -> None:
        self.camera = camera
        self._fusing = fusing
        self._changed = threading.Condition()
        self._newest: RefinedFrame | None = None
        self._orders: deque[LiveJob] = deque()
        self._status = LiveStatus(shown=fusing.depths[-1])
        self._surface: SceneSurface | None = None
        self._times_s: deque[float] = deque(maxlen=200)
        self._is_paused = False
        self._due_s = 0.0  # when the next frame may be taken
        self._source: TapSource | None = None
        self._child: Child | None = None
        self._worker = Worker("scene", self._run, self._fail)

    # ---- for the owner -----------------------------------------------------------------------

    def start(self, source: TapSource | None) -> None:
        """Begin with the results of ``source`` (a Session, started or not)."""
        self._worker.start()
        self.follow(source)

    def follow(self, source: TapSource | None) -> None:
        """Take the results of another session, or of none, from now on."""
        before, self._source = self._source, source
        if before is not None:
            before.remove_tap(self._tap)
        if source is not None:
            source.add_tap(self._tap)

    def pause(self, is_paused: bool) -> None:
        """Take no frames meanwhile; the scene stays."""
        with self._changed:
            self._is_paused = is_paused
            self._newest = None

    def reset(self) -> None:
        """Forget the scene and begin anew with the next frame."""
        self._order(begins_anew=True, wants_surface=True)

    def show(self, depth: Depth) -> None:
        """Have the surface of this depth from now on."""
        with self._changed:
            self._status = replace(self._status, shown=depth)
        self._order(wants_surface=True)

    def save(self, path: Path, box: Box | None = None) -> None:
        """Write the surface of the depth that is shown, or what of it lies in a box.

        The file is a ``.ply`` or a ``.glb``.
        """
        self._order(save=SaveOrder(path, box=box))

    def save_way(self, path: Path) -> None:
        """Write the camera's way as TUM has it."""
        self._order(save=SaveOrder(path, is_way=True))

    def close(self, timeout_s: float = 5.0) -> bool:
        """End the process and the thread; safe more than once. False if something hangs."""
        self.follow(None)
        self._worker.request_stop()
        with self._changed:
            child = self._child
            self._changed.notify_all()
        if child is not None:
            child.process.kill()  # it holds nothing that was not written
        return self._worker.join(timeout_s)

    @property
    def status(self) -> LiveStatus:
        """How it goes."""
        with self._changed:
            since_s = time.monotonic() - _RATE_OVER_S
            lately = sum(done_s > since_s for done_s in self._times_s)
            paused = self._is_paused and self._status.state is LiveState.RUNNING
            state = LiveState.PAUSED if paused else self._status.state
            return replace(self._status, state=state, rate_hz=lately / _RATE_OVER_S)

    @property
    def surface(self) -> SceneSurface | None:
        """The newest surface; None before the first."""
        with self._changed:
            return self._surface

    # ---- on the refiner's thread -------------------------------------------------------------

    def _tap(self, camera: str, what: Frame | RefinedFrame) -> None:
        if camera != self.camera or not isinstance(what, RefinedFrame):
            return
        with self._changed:
            if self._is_paused:
                return
            if self._newest is not None:
                self._status = replace(self._status, dropped=self._status.dropped + 1)
            self._newest = what
            self._changed.notify_all()

    # ---- on the scene's thread ---------------------------------------------------------------

    def _order(
        self,
        *,
        begins_anew: bool = False,
        wants_surface: bool = False,
        save: SaveOrder | None = None,
    ) -> None:
        with self._changed:
            shown = self._status.shown
            job = LiveJob(self._fusing, shown, None, begins_anew, wants_surface, save)
            self._orders.append(job)
            self._changed.notify_all()

    def _run(self, stop: threading.Event) -> None:
        memory = LiveMemory()
        module = "lingbot_live.export.live_child"
        try:
            with Child(
                module, memory.handle, environment=_threads(), pass_fds=memory.pass_fds
            ) as child:
                with self._changed:
                    self._child = child
                try:
                    self._serve(child, memory, stop)
                finally:
                    with self._changed:
                        self._child = None
                    child.process.kill()
        finally:
            memory.close()
        self._set(LiveState.STOPPED)

    def _serve(self, child: Child, memory: LiveMemory, stop: threading.Event) -> None:
        while not stop.is_set():
            job = self._next_job(memory)
            if job is None or stop.is_set():
                continue
            try:
                news = cast(LiveNews, child.ask(job))
            except ChildError as error:
                if stop.is_set():
                    return
                words = f"the reconstruction's process {error}; its scene is lost"
                raise ReconstructionError(words) from error
            self._take(memory, job, news)

    def _next_job(self, memory: LiveMemory) -> LiveJob | None:
        with self._changed:
            wait_s = self._due_s - time.monotonic() if self._newest is not None else _WAIT_S
            if not self._orders and wait_s > 0:
                self._changed.wait(wait_s)
            if self._orders:
                return self._orders.popleft()
            if self._newest is None or time.monotonic() < self._due_s:
                return None
            frame, self._newest = self._newest, None
            shown = self._status.shown
        self._due_s = time.monotonic() + _PERIOD_S / (os.cpu_count() or 1)
        header = memory.write_frame(frame, self._fusing.least_trust)
        return LiveJob(self._fusing, shown, header)

    def _take(self, memory: LiveMemory, job: LiveJob, news: LiveNews) -> None:
        surface = None if news.surface is None else memory.read_surface(news.surface)
        with self._changed:
            before = self._status
            if news.frames > before.news.frames and not job.begins_anew:
                self._times_s.append(time.monotonic())
            has_cleared = job.begins_anew and surface is None
            if surface is not None or has_cleared:
                self._surface = surface
            self._status = replace(
                before,
                state=LiveState.RUNNING,
                news=news,
                surfaces=before.surfaces + (surface is not None or has_cleared),
                saved=news.saved or before.saved,
                saves=before.saves + (news.saved is not None),
                error=news.error if news.error or job.frame is None else before.error,
            )

    def _set(self, state: LiveState, error: str = "") -> None:
        with self._changed:
            self._status = replace(self._status, state=state, error=error or self._status.error)

    def _fail(self, error: BaseException) -> None:
        log.error("%s", error)
        self.follow(None)
        self._set(LiveState.FAILED, " ".join(str(error).split()))


def _threads() -> dict[str, str]:
    """Return how many threads Open3D and NumPy may take in the scene's process.

    Open3D cuts each frame for all cores and waits, busily, for the last part: for a core that
    another thread has, where there are few.
    """
    few = are_few() and "OMP_NUM_THREADS" not in os.environ
    return {**ONE_BLAS_THREAD, "OMP_NUM_THREADS": "1"} if few else dict(ONE_BLAS_THREAD)
