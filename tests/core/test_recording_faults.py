"""One damaged spot costs its own chunk, in reading and in repair, and is said.

``LINGBOT_LIVE_FAULTS`` sets how many faults are tried; `scripts/break.sh` tries 300.
"""

from __future__ import annotations

import os
import random
import sys

import pytest
from command import command
from file_faults import FAULTS, Sound, Tally, readable, table
from sessions import NoisyCamera, record

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording import session_file
from lingbot_live.recording.recording import Recording
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


@pytest.mark.timeout(120 + 3 * TRIED)
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


def test_damage_is_said_by_every_command(sound, tmp_path):
    start, end = sound.spans[len(sound.spans) // 2]
    data = bytearray(sound.data)
    data[start + 5 : start + 9] = b"abcd"  # the head: found when the file is opened
    _, other = sound.spans[2]
    data[other - 30 : other - 26] = b"abcd"  # the content: found when it is read
    path = tmp_path / "a.mcap"
    path.write_bytes(bytes(data))
    done = command("info", path)
    assert done.returncode == 1
    assert done.stdout.count("damaged: ") >= 2, done.stdout
    assert "lingbot-live repair" in done.stdout
    done = command("export", path, "--to", "images", "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "damaged: " in done.stderr
    done = command("refine", path, "-o", tmp_path / "b.mcap", "--refiner", "none")
    assert done.returncode == 1
    assert "damaged: " in done.stderr
    for words in (
        ("run", path, "--headless", "--refiner", "none"),
        ("measure", path),
        ("compare", path, "-o", tmp_path / "report", "--refiner", "none"),
        ("eval", path, "--refiner", "none", "--frames", 3),
        ("refine", path, "-o", tmp_path / "folder", "--refiner", "none"),
        ("record", path, "-o", tmp_path / "d.mcap", "--refiner", "none"),
    ):
        done = command(*words)
        assert done.returncode == 1, (words, done.stderr)
        assert "damaged: " in done.stderr, words
    assert command("repair", path, "-o", tmp_path / "c.mcap").returncode == 0
    assert command("info", tmp_path / "c.mcap").returncode == 0
    assert end > start


def test_the_first_chunk_is_no_more_than_any_other(sound, tmp_path):
    """Its damage cost every frame: definitions and the camera's description stood there alone."""
    first, end = sound.spans[0]
    path = tmp_path / "a.mcap"
    for size in (len(sound.data), sound.spans[-1][1]):  # with a summary, and without
        data = sound.data[: first + 60] + bytes(end - first - 60) + sound.data[end:size]
        path.write_bytes(data)
        count, damage = readable(path, sound.frames)
        assert damage
        assert count >= len(sound.frames) - sum(owner == 0 for owner in sound.owners.values())
        with Recording(path) as recording:
            track = recording.track("noisy:left")
            assert track.info is not None
            assert track.info.name == "Noisy left"
            frame = recording[len(recording) - 1]
            assert frame.calibration == sound.frames[frame.camera, frame.index].calibration
