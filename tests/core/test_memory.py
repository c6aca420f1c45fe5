"""The heaps that a session's threads share."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

_CHILD = """
import ctypes
from lingbot_live.config import RefinerConfig
from lingbot_live.session import Session

with Session.of(["synthetic:stereo", "synthetic:tof"], RefinerConfig("guided")) as session:
    session.wait(duration_s=1)
    libc = ctypes.CDLL(None)
    libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
    libc.fflush(None)
"""


def heaps(**environment: str) -> int:
    kept = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    told = subprocess.run(
        [sys.executable, "-c", _CHILD],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return told.stdout.count("<heap nr=")


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc"
)
def test_threads_share_two_heaps_unless_the_environment_says_otherwise() -> None:
    assert heaps() <= 2
    assert heaps(MALLOC_ARENA_MAX="16") > 2
