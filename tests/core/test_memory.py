"""The heaps that a session's threads share, and what stays in them."""

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

_PICTURES = """
import resource
import numpy as np
from lingbot_live.system.malloc import keep_freed

def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        [np.ones(3 << 20, np.uint8) for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed()
faults(3)
print(faults(10))
"""

needs_glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc"
)


def told(program: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    ).stdout


def heaps(**environment: str) -> int:
    return told(_CHILD, **environment).count("<heap nr=")


@needs_glibc
def test_threads_share_two_heaps_unless_the_environment_says_otherwise() -> None:
    assert heaps() <= 2
    assert heaps(MALLOC_ARENA_MAX="16") > 2


@needs_glibc
def test_freed_pictures_stay_for_the_next_unless_the_environment_says_otherwise() -> None:
    pages = 10 * 8 * (3 << 20) // 4096
    assert int(told(_PICTURES)) < pages / 20
    given_back = {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072"}
    assert int(told(_PICTURES, **given_back)) > pages / 4  # huge pages are few faults
