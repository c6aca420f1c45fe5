"""Every command, asked to end by SIGTERM in the middle of its work: how long it takes to.

``python tests/stopping.py`` prints the table; the tests run it too.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
from faults import App
from fixtures_folder import examples
from hostile import chunk_bomb, session
from hub_server import Hub

from lingbot_live.model.weights import store

MOST_S = 2.0
WORK_S = 2.5  # into the work, after the start
IDLE_S = 1.5  # without any work
AT_ONCE = 2  # commands; more would stand in each other's way


@dataclass(frozen=True)
class Case:
    """One command, and what it needs."""

    name: str
    words: tuple[object, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    statuses: tuple[int, ...] = (130,)  # it may end with


@dataclass(frozen=True, slots=True)
class Stop:
    """What became of it."""

    name: str
    status: int | None  # None: it had to be killed
    seconds: float  # from the signal to the end
    said: str
    left: tuple[str, ...]  # hidden folders, half files
    slowness: float  # of this machine meanwhile: 1 where it is idle
    statuses: tuple[int, ...]  # that are right

    @property
    def is_good(self) -> bool:
        """Whether it ended as is promised, by an idle machine's clock."""
        is_clean = self.status in self.statuses and "Traceback" not in self.said and not self.left
        return is_clean and self.seconds < MOST_S * self.slowness


def cases(folder: Path, hub: str) -> Iterator[Case]:
    """Yield a case for every command; what they read is made in ``folder``."""
    take = session(folder / "take.mcap", frames=4000)
    pictures = examples(folder / "examples", 40)
    bomb = chunk_bomb(folder / "bomb.mcap", 240 << 20, 128, b"\x05\x16" + bytes(29))
    for command in (("info", bomb), ("repair", bomb, "-o", "r.mcap"), ("run", "--headless", bomb)):
        yield Case(f"{command[0]} of a chunk bomb", command)
    yield Case("repair", ("repair", take, "-o", "r.mcap"))
    for kind in ("ply", "images", "mp4", "mesh", "npz", "tum"):
        yield Case(f"export to {kind}", ("export", take, "--to", kind, "-o", f"out-{kind}"))
    endless, span = ("--frames", "100000"), ("--frames", "0:100000")
    over = ("record", "run headless", "measure", "compare")  # end with what is there by then
    brief = ("devices", "doctor")  # may have said all by then
    for name, words in {
        "run headless": ("run", "--headless", "fine:good", "--refiner", "guided"),
        "record": ("record", "fine:good", "-o", "rec.mcap", "--refiner", "guided"),
        "measure": ("measure", "fine:good", *endless, "--refiner", "guided"),
        "compare": ("compare", "fine:good", "-o", "report", "--duration", "1000"),
        "eval": ("eval", pictures, "--seeds", "1000"),
        "refine to a folder": ("refine", "fine:good", "-o", "shots", *endless),
        "refine to a session": ("refine", take, "-o", "b.mcap", "--refiner", "guided"),
        "calibrate": ("calibrate", "fine:good", "fine:other"),
        "calibrate recordings": ("calibrate", take, pictures),
        "track": ("track", "fine:good", "-o", "t.csv", "--grid", "5", *endless),
        "snapshot": ("snapshot", "fine:silent", "-o", "shot"),
        "devices": ("devices",),
        "doctor": ("doctor",),
        "bench --cpu": ("bench", "--cpu", "--rounds", "1000"),
    }.items():
        statuses = (0, 1, 130) if name in brief else (0, 130) if name in over else (130,)
        yield Case(name, words, statuses=statuses)
    for fault in ("stuck", "hang-3", "deaf-3"):
        camera = f"fine:{fault}"
        for name, words in {
            "run headless": ("run", "--headless", camera, "fine:good", "--refiner", "none"),
            "record": ("record", camera, "fine:good", "-o", f"rec-{fault}.mcap", "--raw-only"),
            "calibrate": ("calibrate", "fine:good", camera),
            "measure": ("measure", camera),
            "compare": ("compare", camera, "-o", f"report-{fault}"),
            "refine to a folder": ("refine", camera, "-o", f"shots-{fault}", *endless),
            "snapshot": ("snapshot", camera, "-o", f"shot-{fault}", "--frame", "9"),
            "track": ("track", camera, "-o", "t.csv", "--grid", "5", *endless),
            "export": ("export", camera, "--to", "images", "-o", f"out-{fault}", *span),
        }.items():
            statuses = (0, 1, 130) if name in over else (130,)
            yield Case(f"{name}, camera {fault}", words, statuses=statuses)
    for fault in ("load", "hang"):
        for name, words in {
            "run headless": ("run", "--headless", "fine:good"),
            "record": ("record", "fine:good", "-o", f"rec-{fault}.mcap"),
            "measure": ("measure", "fine:good"),
            "compare": ("compare", "fine:good", "-o", f"report-{fault}"),
            "refine to a folder": ("refine", "fine:good", "-o", f"shots-{fault}", *endless),
            "refine to a session": ("refine", take, "-o", f"b-{fault}.mcap"),
            "snapshot": ("snapshot", "fine:good", "-o", f"shot-{fault}"),
            "eval": ("eval", pictures),
        }.items():
            refining = (*words, "--refiner", f"faulty:{fault}")
            statuses = (0, 1, 130) if name in over else (130,)
            yield Case(f"{name}, refiner {fault}s", refining, statuses=statuses)
    environment = {
        "HF_ENDPOINT": hub, "HF_HOME": str(folder / "hf"), "NO_PROXY": "127.0.0.1",
        "LINGBOT_LIVE_CACHE": str(folder / "cache"),
    }  # fmt: skip
    weights = folder / "weights" / "model.pt"
    weights.parent.mkdir()
    with weights.open("wb") as file:
        file.truncate(100 << 30)  # of holes
    yield Case("models verify", ("models", "verify", weights))
    yield Case("models download", ("models", "download", "v0.5", "--any"), environment)


def stop_one(folder: Path, case: Case, work_s: float) -> Stop:
    """Start a command, ask it to end after ``work_s`` of work, wait for that."""
    app = App(folder, *case.words, environment=case.environment)
    try:
        app.until_heard()
        _work(app, work_s)
        slowness = slowness_now()
        begun_s, statuses = time.monotonic(), case.statuses
        if app.process.poll() is None:
            app.signal(signal.SIGTERM)
        else:
            statuses = (0, 1, 2)  # it ended by itself before
        try:
            status: int | None = app.end(30)
        except AssertionError:
            status = None
        seconds = time.monotonic() - begun_s
        slowness = max(slowness, slowness_now())
        left = tuple(path.name for path in folder.glob(".*") if path.name != ".plugins")
        for name in left:
            shutil.rmtree(folder / name, ignore_errors=True)
        said = app.err + app.out
        return Stop(case.name, status, seconds, said, left, slowness, statuses)
    finally:
        app.kill()


def slowness_now() -> float:
    """Return how many seconds pass for a second of processor time."""
    begun_s, used_s = time.monotonic(), time.process_time()
    while time.process_time() - used_s < 0.1:
        pass
    return max(1.0, (time.monotonic() - begun_s) / 0.1)


def _work(app: App, cpu_s: float) -> None:
    """Wait until the command has used so much processor time, or waits for something itself."""
    now_s = time.monotonic()
    until_s, used_s, moved_s = now_s + 4 * cpu_s + 4, 0.0, now_s
    process = psutil.Process(app.process.pid)
    while now_s < until_s and app.process.poll() is None and now_s - moved_s < IDLE_S:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            if times.user + times.system >= cpu_s:
                return
            if times.user + times.system > used_s:
                used_s, moved_s = times.user + times.system, now_s
        time.sleep(0.05)
        now_s = time.monotonic()


def battery(folder: Path, only: Callable[[str], bool] = lambda name: True) -> Iterator[Stop]:
    """Stop every command; the hub that it may download from hangs in the middle."""
    hub = Hub(store.ZOO[0].huggingface, {"model.pt": bytes(3_000_000)})
    hub.gate = threading.Event()
    try:
        chosen = [case for case in cases(folder, hub.url) if only(case.name)]
        with ThreadPoolExecutor(AT_ONCE) as at_work:
            yield from at_work.map(partial(_stop_in_own_folder, folder), range(10**6), chosen)
    finally:
        hub.close()


def _stop_in_own_folder(folder: Path, number: int, case: Case) -> Stop:
    own = folder / f"stop{number}"
    own.mkdir()
    return stop_one(own, case, WORK_S)


def main() -> None:
    """Print the table; fails where a command did not end as is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only commands with one of these in their names")
    asked = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        only = lambda name: not asked.words or any(word in name for word in asked.words)  # noqa: E731
        for stop in battery(Path(folder), only):
            bad += not stop.is_good
            said = "" if stop.is_good else f"  <-- {stop.left} {stop.said[-400:]}"
            sys.stdout.write(
                f"{stop.name:38} {stop.seconds:6.2f} s (machine x{stop.slowness:.1f})"
                f"  status {stop.status}{said}\n"
            )
            sys.stdout.flush()
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
