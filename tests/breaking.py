"""Breaks the app in every way we know, and prints what became of it; see ``scripts/break.sh``.

Tried, survived, and lost of each kind. Fails where anything was lost beyond the promise.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kills
import stopping

TESTS = Path(__file__).parent / "core"
SHORT_STOPS = (
    "info of a chunk bomb", "doctor", "record, refiner hangs", "models download",
    "record, camera stuck", "track, camera deaf-3",
)  # fmt: skip
PROMISED_S = 1.0  # lost by a kill


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of breakage."""

    what: str
    tried: int
    survived: int
    lost: str = "nothing"
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Tests:
    """Tests that break one thing; ``short`` chooses some of them."""

    what: str
    file: str
    choose: str = ""
    short: str = ""


TESTED = (
    Tests("signals", "test_signals.py", short="recording or empty or nohup"),
    Tests("full and failing disks", "test_full_disks.py", short="statistics or rig or repair"),
    Tests("files taken away meanwhile", "test_files_taken.py", short="deleted"),
    Tests("hostile files", "test_hostile_files.py", short="pipes or pictur or wrong or json"),
    Tests("hostile files of others", "test_hostile_readers.py", short="bags or databases or clock"),
    Tests("a stranger's modules", "test_children.py", "stranger", "stranger and (export or icp)"),
    Tests("plug-ins that misbehave", "test_failures_said.py", short="refused or stands_alone"),
    Tests("weights that are not published", "test_weights_trusted.py"),
    Tests("any bytes as a session", "test_recording_damage.py", short="no_session or bomb"),
)


def faults(count: int) -> Iterator[Row]:
    """Damage sessions, packed and not, ``count`` times in all; read and repair each."""
    begun_s = time.monotonic()
    done = _pytest("test_recording_faults.py", "own_chunk", LINGBOT_LIVE_FAULTS=str(count // 2))
    text = done.stdout
    for what, title in (("damaged sessions, read", "damaged files read"),
                        ("damaged sessions, repaired", "and repaired")):  # fmt: skip
        parts = re.findall(rf"{title}[^\n]*\n((?:  [^\n]+\n)+)", text + "\n")
        rows = [list(map(int, line.split()[-5:])) for part in parts for line in part.splitlines()]
        tried, survived, frames, may, lost = (sum(column) for column in zip(*rows, strict=True))
        said = f"{lost} of {frames} frames; {may} lay in what was hit, and one chunk"
        yield Row(what, tried, survived, said, time.monotonic() - begun_s)
        begun_s = time.monotonic()
    if done.returncode:
        yield Row("damage said", 1, 0, _last_line(text))


def killed(count: int) -> Row:
    """Kill recordings beside four busy loops."""
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = kills.battery(Path(folder), count, 4)
    ages = [kill.lost_s for kill in found]
    kept = sum(kill.kept for kill in found)
    lost = f"{sum(k.lost for k in found)} of {kept} frames, the oldest {max(ages):.2f} s old"
    survived = sum(age <= PROMISED_S for age in ages)
    return Row("recordings killed", len(found), survived, lost, time.monotonic() - begun_s)


def stopped(is_short: bool) -> Row:
    """Ask every command to end while it works."""
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        only = SHORT_STOPS.__contains__ if is_short else lambda name: True
        found = list(stopping.battery(Path(folder), only))
    slow = [f"{s.name} ({s.seconds:.1f} s, {s.status})" for s in found if not s.is_good]
    lost = "; ".join(slow) or "nothing"
    return Row(
        "commands asked to end", len(found), len(found) - len(slow), lost,
        time.monotonic() - begun_s,
    )  # fmt: skip


def tested(tests: Tests, is_short: bool) -> Row:
    """Run tests that break one thing."""
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        choose = tests.short if is_short else tests.choose
        done = _pytest(tests.file, choose, f"--junitxml={report}")
        if not report.exists():
            return Row(tests.what, 1, 0, _last_line(done.stdout + done.stderr))
        cases = list(ET.parse(report).iter("testcase"))
    tried = [case for case in cases if case.find("skipped") is None]
    bad = [c for c in tried if c.find("failure") is not None or c.find("error") is not None]
    lost = "; ".join(str(case.get("name")) for case in bad) or "nothing"
    if not tried:
        lost = "not tried: nothing of it runs here"
    seconds = time.monotonic() - begun_s
    return Row(tests.what, len(tried), len(tried) - len(bad), lost, seconds)


def _pytest(
    file: str, choose: str, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS / file)]
    if choose:
        command += ["-k", choose]
    return subprocess.run(
        [*command, *words], env={**os.environ, **environment}, text=True, check=False,
        capture_output=True, cwd=TESTS.parent.parent,
    )  # fmt: skip


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1]


def rows(is_short: bool) -> Iterator[Row]:
    """Yield all kinds, one after another."""
    yield from faults(28 if is_short else 300)
    yield killed(3 if is_short else 50)
    yield stopped(is_short)
    for tests in TESTED:
        yield tested(tests, is_short)


def main() -> None:
    """Print the table as it grows; 1 where something was lost beyond the promise."""
    parser = argparse.ArgumentParser(prog="scripts/break.sh", description=__doc__)
    parser.add_argument("--short", action="store_true", help="some of each kind")
    asked = parser.parse_args()
    write = sys.stdout.write
    write(f"{'what was broken':28} {'tried':>6} {'survived':>8} {'s':>5}  lost\n")
    is_bad = False
    for row in rows(asked.short):
        is_bad |= row.survived < row.tried
        write(f"{row.what:28} {row.tried:6} {row.survived:8} {row.seconds:5.0f}  {row.lost}\n")
        sys.stdout.flush()
    sys.exit(is_bad)


if __name__ == "__main__":
    main()
