"""What calibrating does beside the main thread: watching, solving, ICP, clocks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from lingbot_live.calibration.board import Board
from lingbot_live.calibration.icp import refine_in_child
from lingbot_live.calibration.rig import Rig
from lingbot_live.calibration.watch import Watch
from lingbot_live.errors import CalibrationError
from lingbot_live.pipeline.session import Session
from lingbot_live.system.worker import Worker
from ui.shell.bridge import Tasks
from ui.shell.language import told, tr

_END_S = 5.0
_PAUSE_S = (
    0.05  # between two looks, so that a chessboard's search leaves the cameras some processor
)


class CalibrationWork:
    """Watches a session for one dialog, until `close`; knows no widget.

    Results come to the main thread by `ui.shell.bridge.Tasks`. One task at a time: `is_busy`.
    """

    def __init__(self, session: Session, tasks: Tasks) -> None:
        self._session = session
        self._tasks = tasks
        self._cancel = threading.Event()
        self._worker: Worker | None = None
        self._error = ""
        self.is_busy = False
        self.watch = self._begin(None)

    @property
    def names(self) -> Sequence[str]:
        """The cameras, the reference first."""
        return self.watch.names

    @property
    def error(self) -> str:
        """Why nothing is looked for any more; empty while all is well."""
        return self._error

    def look_for(self, board: Board | None) -> None:
        """Watch for this board from now on, with no views yet; None: for motion alone.

        Recordings begin anew together, so that they show one moment.
        """
        self._end_watch()
        playbacks = [feed.playback for feed in self._session.feeds]
        if board is not None and all(playbacks):
            for playback in playbacks:
                if playback is not None:
                    playback.seek(0.0)
        self.watch = self._begin(board)

    def solve(self, done: Callable[[Rig], None], failed: Callable[[BaseException], None]) -> None:
        """Find the rig by the views so far."""
        self._run("solving", lambda: self._with_serials(self.watch.solve()), done, failed)

    def refine(
        self, rig: Rig, done: Callable[[Rig], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Refine by ICP in a child process; `cancel` ends it."""
        self._cancel.clear()
        try:
            shots = self.watch.shots()
        except CalibrationError as error:
            failed(error)
            return
        self._run("ICP", lambda: refine_in_child(rig, shots, self._cancel), done, failed)

    def clocks(
        self, rig: Rig, done: Callable[[Rig], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Estimate the time offsets by what has moved so far."""
        self._run("clocks", lambda: self.watch.with_time_offsets(rig), done, failed)

    def cancel(self) -> None:
        """End ICP soon."""
        self._cancel.set()

    def close(self) -> None:
        """Watch no more; a task under way is cancelled and its outcome not told."""
        self.cancel()
        self._end_watch()

    # ---- private ---------------------------------------------------------------------------

    def _begin(self, board: Board | None) -> Watch:
        watch = Watch([feed.name for feed in self._session.feeds], board)
        self._session.add_tap(watch.see)
        if board is not None:
            self._error = ""
            self._worker = Worker("board", lambda stop: _look(watch, stop), self._died)
            self._worker.start()
        return watch

    def _end_watch(self) -> None:
        self._session.remove_tap(self.watch.see)
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.request_stop()
            # A search under way may take half a second, which the window must not wait for.
            self._tasks.run("ending the search", lambda: worker.join(_END_S))

    def _died(self, error: BaseException) -> None:
        self._error = tr("looking for the board failed: {error}", error=told(str(error)))

    def _run(
        self,
        name: str,
        work: Callable[[], Rig],
        done: Callable[[Rig], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.is_busy = True

        def ended(outcome: Callable[[], None]) -> None:
            self.is_busy = False
            outcome()

        self._tasks.run(
            f"calibration: {name}",
            work,
            lambda rig: ended(lambda: done(rig)),
            lambda error: ended(lambda: failed(error)),
        )

    def _with_serials(self, rig: Rig) -> Rig:
        for feed in self._session.feeds:
            if feed.info is not None and feed.info.serial and rig.find(feed.name) is not None:
                rig = rig.with_camera(feed.name, serial=feed.info.serial)
        return rig


def _look(watch: Watch, stop: threading.Event) -> None:
    while not stop.wait(_PAUSE_S):
        watch.look()
