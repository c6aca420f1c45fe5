"""Every command ends within two seconds of SIGTERM, whatever it is at.

Here are those that were slow; `scripts/break.sh` stops all of them.
"""

from __future__ import annotations

import sys

import pytest
import stopping

NAMES = (
    "info of a chunk bomb",
    "doctor",
    "record, refiner hangs",
    "run headless, refiner loads",
    "measure, refiner hangs",
    "compare, refiner loads",
    "refine to a folder",
    "models download",
    "models verify",
    "calibrate",
    "record, camera hang-3",
    "track, camera deaf-3",
    "refine to a folder, camera stuck",
    "refine to a folder, camera hang-3",
)


@pytest.mark.skipif(sys.platform != "linux", reason="signals, and /proc to see who hears them")
@pytest.mark.timeout(300)
def test_sigterm_ends_what_is_at_work(tmp_path):
    stops = list(stopping.battery(tmp_path, set(NAMES).__contains__))
    assert {stop.name for stop in stops} == set(NAMES)
    assert [stop for stop in stops if not stop.is_good] == []
