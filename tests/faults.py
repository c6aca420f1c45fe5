"""Faults from outside: disks that fail or are slow, plug-ins that misbehave, the app as a process.

The disk is a library loaded before the C library, compiled here from ``faulty_disk.c``. Plug-ins
are modules of ``faulty_plugins`` registered by a folder on PYTHONPATH, as an installed package is.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
from faulty_plugins import DRIVERS

HERE = Path(__file__).parent
T = TypeVar("T")
_numbers = itertools.count()


@functools.cache
def _library() -> str:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a faulty disk needs Linux and a C compiler")
    library = Path(tempfile.mkdtemp(prefix="faulty-disk-")) / "faulty_disk.so"
    source = str(HERE / "faulty_disk.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), source, "-ldl"], check=True
    )
    return str(library)


def failing_disk(part: str, number: int, after: int = 0) -> dict[str, str]:
    """Return the environment in which paths with ``part`` take ``after`` bytes and then fail."""
    return {
        "LD_PRELOAD": _library(), "FAULTY_PATH": part, "FAULTY_ERRNO": str(number),
        "FAULTY_AFTER": str(after),
    }  # fmt: skip


def slow_disk(part: str, sleep_ms: int) -> dict[str, str]:
    """Return the environment in which every write to paths with ``part`` takes its time."""
    return {"LD_PRELOAD": _library(), "FAULTY_PATH": part, "FAULTY_SLEEP_MS": str(sleep_ms)}


def plugins(folder: Path, *schemes: str) -> dict[str, str]:
    """Return the environment in which these drivers of `faulty_plugins` are installed.

    Its refiner is too, as ``faulty:FAULT``.
    """
    about = folder / "faulty_plugins-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-plugins\nVersion: 1.0\n")
    lines = ["[lingbot_live.drivers]"]
    lines += [f"{scheme} = faulty_plugins:{DRIVERS[scheme]}" for scheme in schemes]
    lines += ["[lingbot_live.refiners]", "faulty = faulty_plugins:FaultyRefiner"]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return {"PYTHONPATH": os.pathsep.join((str(folder), str(HERE)))}


class App:
    """``lingbot-live ARGUMENTS`` as a process in a folder, heard while it runs.

    Without another word on plug-ins, the camera ``fine:good`` and the refiner are there.
    """

    def __init__(
        self, folder: Path, *arguments: object, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        installed = plugins(folder / ".plugins", "fine")
        said = folder / ".plugins" / f"said{next(_numbers)}"
        self._out, self._err = said.with_suffix(".out"), said.with_suffix(".err")
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lingbot_live", *map(str, arguments)],
                cwd=folder, env={**os.environ, **installed, **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip

    @property
    def out(self) -> str:
        """What it printed so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it said on stderr so far."""
        return self._err.read_text()

    def until(self, condition: Callable[[], T], limit_s: float = 30.0) -> T:
        """Wait until ``condition`` is true; return its value."""
        deadline = time.monotonic() + limit_s
        while not (value := condition()):
            assert self.process.poll() is None or time.monotonic() < deadline, self.err
            assert time.monotonic() < deadline, f"waited in vain: {self.err}"
            time.sleep(0.02)
        return value

    def until_heard(self) -> None:
        """Wait until it handles SIGTERM, as it does from its first line on."""
        path = Path(f"/proc/{self.process.pid}/status")
        bit = 1 << (signal.SIGTERM - 1)
        self.until(lambda: int(path.read_text().split("SigCgt:")[1].split()[0], 16) & bit)

    def signal(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal to it alone."""
        self.process.send_signal(number)

    def end(self, limit_s: float = 60.0) -> int:
        """Wait for its end; return the exit status."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end within {limit_s:g} s: {self.err}") from None

    def kill(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def one_line(text: str) -> str:
    """Return the only line of ``text``, which must hold no traceback."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]
