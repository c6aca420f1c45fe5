"""Recordings killed at any moment, beside busy loops or not: what each kill cost.

``python tests/kills.py --kills 50 --busy 4`` prints the table; the tests run a few.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from kill_child import CAMERAS
from sessions import NoisyCamera

from lingbot_live.recording.recording import Recording
from lingbot_live.recording.repair import repair

CHILD = Path(__file__).parent / "kill_child.py"


@dataclass(frozen=True, slots=True)
class Kill:
    """What one kill left."""

    kept: int  # frames
    lost: int
    lost_s: float  # age of the oldest frame that is lost, at the kill


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep so many processes computing meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def kill_one(folder: Path, after_s: float) -> int:
    """Record into a new folder, kill after its first frames and ``after_s``; return when (ns)."""
    folder.mkdir()
    child = subprocess.Popen([sys.executable, str(CHILD), str(folder)], stderr=subprocess.DEVNULL)
    journal = folder / "journal"
    while not (journal.exists() and journal.stat().st_size):
        assert child.poll() is None
        time.sleep(0.01)
    time.sleep(after_s)
    killed_ns = time.monotonic_ns()
    child.kill()
    child.wait()
    return killed_ns


def _look(folder: Path, killed_ns: int) -> Kill:
    rows = [line.split() for line in (folder / "journal").read_text().splitlines()]
    given = {(camera, int(index)): int(t) for camera, index, t in rows}
    try:
        found = _frames(folder / "a.mcap")
    except Exception:  # noqa: BLE001 - nothing in it: then all is lost
        found = {}
    _check_pixels(found)
    lost_ns = [killed_ns - t for key, t in given.items() if key not in found]
    return Kill(len(found), len(lost_ns), max(lost_ns, default=0) / 1e9)


def _frames(path: Path) -> dict[tuple[str, int], np.ndarray]:
    with Recording(path) as recording:
        found = {(frame.camera, frame.index): frame.depth_raw for frame in recording}
        assert recording.damage
    whole = path.with_name("b.mcap")
    repair(path, whole)
    with Recording(whole) as repaired:
        assert repaired.damage == ()
        assert {(frame.camera, frame.index) for frame in repaired} == set(found)
    return found


def _check_pixels(found: dict[tuple[str, int], np.ndarray]) -> None:
    for name, seed in CAMERAS.items():
        most = max((i for c, i in found if c == f"noisy:{name}"), default=-1)
        with NoisyCamera(name, count=10_000, period_s=0, seed=seed) as same:
            for index in range(most + 1):
                given = same.read(1.0)
                if (f"noisy:{name}", index) in found:
                    assert np.array_equal(found[f"noisy:{name}", index], given.depth_raw)


def battery(folder: Path, kills: int, loops: int, seed: int = 7) -> list[Kill]:
    """Kill so many recordings, each after 0.3 to 2.5 s of frames, beside busy loops."""
    rng = random.Random(seed)
    folders = [folder / str(number) for number in range(kills)]
    with busy(loops):
        killed_ns = [kill_one(each, rng.uniform(0.3, 2.5)) for each in folders]
    return [_look(each, at_ns) for each, at_ns in zip(folders, killed_ns, strict=True)]


def main() -> None:
    """Print the table; fails if a kill cost more than a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--busy", type=int, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = battery(Path(folder), asked.kills, asked.busy)
    ages = sorted(kill.lost_s for kill in found)
    over = sum(age > 1 for age in ages)
    rows = (
        ("kills", "busy loops", "frames kept", "frames lost", "median", "most", "over 1 s"),
        ("---",) * 7,
        (
            len(found), asked.busy, sum(k.kept for k in found), sum(k.lost for k in found),
            f"{ages[len(ages) // 2]:.2f} s", f"{ages[-1]:.2f} s", over,
        ),
    )  # fmt: skip
    for row in rows:
        sys.stdout.write(f"| {' | '.join(map(str, row))} |\n")
    sys.exit(over > 0)


if __name__ == "__main__":
    main()
