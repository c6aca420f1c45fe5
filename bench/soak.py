"""Run all at once for minutes and tell what grew: ``python -m bench.soak MINUTES [ADDRESS...]``.

The window shows the cameras, refined by ``guided``, and by turns records them, refines the
recording again by ``lingbot-live refine`` and exports it. Memory, threads and handles of the app
and of its lasting children are looked at after every turn, when what comes and goes is gone. Needs
a display (``xvfb-run``). ``--bare`` runs the cameras alone, without a window.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import psutil
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.export.child import ExportJob
from lingbot_live.export.job import ExportRequest
from lingbot_live.pipeline.session import Session
from lingbot_live.system.job import JobState
from ui.main_window import MainWindow
from ui.shell.garbage import MainThreadGarbage
from ui.shell.settings import Settings

_RECORD_S = 4.0
_MOST_S = 600.0  # for a step that must end by itself
_LOOK_MS = 20
_MOST_MB = 30.0  # of growth from the first look on
# By then a simulated camera's sweep is at its widest, and all its poses are in memory.
_WARM_FRAMES = 1700
_CAMERAS = ("synthetic:stereo", "synthetic:tof")


@dataclass(frozen=True)
class Sample:
    """The app and its children at one moment."""

    app_mb: float
    app_threads: int
    app_handles: int
    children: int
    children_mb: float
    children_threads: int
    children_handles: int

    @classmethod
    def now(cls) -> Sample:
        """Look at this process and below."""
        own = psutil.Process()
        found = [_figures(child) for child in own.children(recursive=True)]
        mb, threads, handles = _figures(own)
        sums = [sum(column) for column in zip(*found, strict=True)] or [0, 0, 0]
        return cls(mb, int(threads), int(handles), len(found), sums[0], int(sums[1]), int(sums[2]))


def _figures(process: psutil.Process) -> tuple[float, float, float]:
    try:
        with process.oneshot():
            return process.memory_info().rss / 1e6, process.num_threads(), process.num_fds()
    except psutil.NoSuchProcess:
        return 0.0, 0, 0


class Soak:
    """A window at work."""

    def __init__(self, addresses: list[str], folder: Path) -> None:
        self._folder = folder
        self.window = MainWindow(Settings())
        self.window.refining.use(RefinerConfig("guided"))
        self.window.show()
        self.window.stage.open(addresses)
        self.turns = 0
        self.failures: list[str] = []
        self.window.recording.failed.connect(self.failures.append)

    def warm_up(self) -> None:
        """Wait until every camera has brought refined depth, and all that cameras keep is there."""
        self._until(lambda: self._session() is not None)
        feeds = self._running().feeds
        self._until(lambda: all(feed.stats.refined > 5 for feed in feeds))
        self._until(lambda: all(feed.stats.captured > _WARM_FRAMES for feed in feeds))
        self.turn()

    def turn(self) -> None:
        """Record, refine the recording, export it, remove all that."""
        self.turns += 1
        path = self._folder / "take.mcap"
        written: list[list[Path]] = []
        self.window.recording.written.connect(written.append)
        self.window.recording.start(self._running(), path, {})
        self._wait(_RECORD_S)
        self.window.recording.stop()
        self._until(lambda: bool(written or self.failures))
        self.window.recording.written.disconnect(written.append)
        refined = self._folder / "refined.mcap"
        words = [sys.executable, "-m", "lingbot_live", "refine", path, "-o", refined]
        with subprocess.Popen([*map(str, words), "--refiner", "guided"]) as refining:
            self._until(lambda: refining.poll() is not None)
        kind = ("images", "npz", "mp4", "tum")[self.turns % 4]
        job = ExportJob(ExportRequest(str(refined), kind, self._folder / "out"))
        job.start()
        self._until(lambda: job.state is not JobState.RUNNING)
        if refining.returncode or job.state is not JobState.DONE:
            self.failures.append(f"refine ended with {refining.returncode}, export: {job.error}")
        subprocess.run(["rm", "-rf", path, refined, self._folder / "out"], check=True)

    def tell(self) -> None:
        """Print what the cameras did."""
        for feed in self._running().feeds:
            print(f"{feed.name}: {feed.stats.captured} frames, {feed.stats.refined} refined")

    def _session(self) -> Session | None:
        return self.window.stage.session

    def _running(self) -> Session:
        session = self._session()
        assert session is not None
        return session

    def _wait(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        self._until(lambda: time.monotonic() > until_s, seconds + _MOST_S)

    def _until(self, condition: Callable[[], bool], most_s: float = _MOST_S) -> None:
        loop, begun_s = QEventLoop(), time.monotonic()
        timer = QTimer(interval=_LOOK_MS)
        timer.timeout.connect(
            lambda: loop.quit() if condition() or time.monotonic() - begun_s > most_s else None
        )
        timer.start()
        loop.exec()
        timer.stop()
        if not condition():
            raise TimeoutError(f"waited {most_s:g} s in vain")


def soak(minutes: float, addresses: list[str]) -> int:
    """Print the table; 1 where memory or a count grew, or something failed."""
    app = QApplication(sys.argv[:1])
    samples: list[tuple[float, Sample]] = []
    with tempfile.TemporaryDirectory() as folder, MainThreadGarbage():
        work = Soak(addresses, Path(folder))
        work.warm_up()
        started_s = time.monotonic()
        try:
            while time.monotonic() - started_s < minutes * 60 and not work.failures:
                work.turn()
                app.processEvents()
                samples.append(((time.monotonic() - started_s) / 60, Sample.now()))
                _print_row(work.turns, *samples[-1])
            work.tell()
        finally:
            work.window.close()
    for failure in work.failures:
        print(failure)
    looks = [sample for _, sample in samples]
    return int(bool(work.failures) or not looks or _grew(looks[0], looks[-1]))


def _print_row(turn: int, minute: float, sample: Sample) -> None:
    if turn == 2:  # the first one warms up
        heads = ["turn", "minute", *(field.name.replace("_", " ") for field in fields(Sample))]
        print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    values = [getattr(sample, field.name) for field in fields(Sample)]
    shown = [f"{value:.0f}" for value in values]
    print(f"| {turn} | {minute:.1f} | {' | '.join(shown)} |", flush=True)


def _grew(first: Sample, last: Sample) -> bool:
    megabytes = last.app_mb + last.children_mb - first.app_mb - first.children_mb
    counts = [
        last.app_threads - first.app_threads,
        last.app_handles - first.app_handles,
        last.children - first.children,
        last.children_handles - first.children_handles,
    ]
    print(f"from the first look to the last: {megabytes:+.0f} MB; counts {counts}")
    return megabytes > _MOST_MB or any(count > 2 for count in counts)


def bare(minutes: float, addresses: list[str]) -> int:
    """Print what cameras alone cost; 1 where memory grew by 20 MB after the first minute."""
    samples: list[Sample] = []
    with Session.of(addresses, RefinerConfig("none"), CameraConfig(loop=True)) as session:
        started_s = time.monotonic()
        while (passed_s := time.monotonic() - started_s) < minutes * 60:
            if passed_s > min(60.0, minutes * 30):
                samples.append(Sample.now())
            time.sleep(5.0)
        for feed in session.feeds:
            print(f"{feed.name}: {feed.state.value}, {feed.stats.captured} frames")
    first, last = samples[0], samples[-1]
    print(f"memory {first.app_mb:.1f} -> {last.app_mb:.1f} MB")
    print(f"threads {first.app_threads} -> {last.app_threads}")
    print(f"open files {first.app_handles} -> {last.app_handles}")
    return int(last.app_mb - first.app_mb > 20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("addresses", nargs="*", default=list(_CAMERAS))
    parser.add_argument("--bare", action="store_true", help="cameras alone, without a window")
    asked = parser.parse_intermixed_args()  # --bare may stand between
    sys.exit((bare if asked.bare else soak)(asked.minutes, asked.addresses))
