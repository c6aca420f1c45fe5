"""What every test gets: settings of its own, and a check that nothing outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest

# A runner in a shell's background ignores Ctrl-C, one under nohup a lost terminal, and its children
# would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


# The same examples in every run: chance is for the bench, not for what must pass.
hypothesis.settings.register_profile("tests", derandomize=True)
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated room's pictures, rendered once for all tests."""
    return tmp_path_factory.mktemp("rendered")


@pytest.fixture(autouse=True)
def own_settings(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    rendered: Path,
) -> None:
    """No test reads or writes the user's settings and caches."""
    monkeypatch.setenv("LINGBOT_LIVE_CONFIG", str(tmp_path / "config"))
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LINGBOT_LIVE_CACHE", str(cache))
    with contextlib.suppress(OSError):  # Windows may forbid links; then each test renders anew
        (cache / "synthetic").symlink_to(rendered, target_is_directory=True)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread or a child process."""
    threads = set(threading.enumerate())
    children = set(psutil.Process().children())
    yield
    deadline = time.monotonic() + 30  # long, for a busy machine
    while time.monotonic() < deadline:
        new_threads = [t for t in set(threading.enumerate()) - threads if _is_ours(t)]
        new_children = [
            p for p in set(psutil.Process().children()) - children
            if p.is_running() and p.status() != psutil.STATUS_ZOMBIE
        ]  # fmt: skip
        if not new_threads and not new_children:
            return
        time.sleep(0.05)
    pytest.fail(f"left behind: threads {new_threads}, processes {new_children}")


def _is_ours(thread: threading.Thread) -> bool:
    """Whether a thread is alive and Python's; an SDK's own, once it logged, is listed for ever."""
    return thread.is_alive() and not isinstance(thread, threading._DummyThread)


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real recordings; the test is skipped where there is none."""
    value = os.environ.get("LINGBOT_LIVE_TESTDATA")
    if not value:
        pytest.skip("LINGBOT_LIVE_TESTDATA is not set")
    return Path(value)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount on this system")
    if done.returncode:
        pytest.skip(f"a small disk needs root: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
