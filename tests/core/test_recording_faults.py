"""One damaged spot costs its own chunk, in reading and in repair, and is said.

``LINGBOT_LIVE_FAULTS`` sets how many faults are tried; `scripts/break.sh` tries 300.
"""

from __future__ import annotations

import os
import random
import sys

import pytest
from file_faults import FAULTS, Sound, Tally, readable, table
from sessions import NoisyCamera, record

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording import session_file
from lingbot_live.recording.repair import repair

TRIED = int(os.environ.get("LINGBOT_LIVE_FAULTS", "28"))


@pytest.fixture(scope="module", params=["lz4", "none"])
def sound(request, tmp_path_factory):
    """A session of two cameras whose chunks hold a few frames each."""
    from lingbot_live.recording.state import RecorderOptions

    path = tmp_path_factory.mktemp("sound") / "a.mcap"
    usual, session_file.CHUNK_BYTES = session_file.CHUNK_BYTES, 64_000
    try:
        size = (160, 120)
        options = RecorderOptions(compression=request.param)
        cameras = (NoisyCamera("left", 25, size=size), NoisyCamera("right", 25, size=size, seed=1))
        record(path, *cameras, options=options)
    finally:
        session_file.CHUNK_BYTES = usual
    sound = Sound.of(path)
    assert len(sound.frames) == 50
    assert len(sound.spans) > 12
    return sound


def test_a_fault_costs_its_own_chunk(sound, tmp_path, capsys):
    rng = random.Random(11)
    reading = {name: Tally() for name in FAULTS}
    repairing = {name: Tally() for name in FAULTS}
    path, faults, unsaid = tmp_path / "a.mcap", list(FAULTS), []
    for number in range(TRIED):
        name = faults[number % len(faults)]
        data, stretches = FAULTS[name](sound, rng)
        path.write_bytes(data)
        most = sound.most_lost(stretches)
        count, damage = readable(path, sound.frames)
        reading[name].add(len(sound.frames), most, len(sound.frames) - count)
        if count < len(sound.frames) and not damage:
            unsaid.append((name, number))
        kept = _repaired(path, tmp_path / "b.mcap", sound)
        repairing[name].add(len(sound.frames), most, len(sound.frames) - kept)
    with capsys.disabled():
        sys.stdout.write(f"\n{table('damaged files read', reading)}\n")
        sys.stdout.write(f"{table('and repaired', repairing)}\n")
    assert not unsaid
    for tally in (*reading.values(), *repairing.values()):
        assert tally.survived == tally.tried


def _repaired(path, out, sound) -> int:
    out.unlink(missing_ok=True)
    try:
        repair(path, out)
    except CorruptRecordingError:
        return 0
    count, damage = readable(out, sound.frames)
    assert damage == ()
    return count
