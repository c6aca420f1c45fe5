"""Sessions refined in ranges, in any order, by whoever; joined they are as from one process."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from command import command
from sessions import NoisyCamera, record

from lingbot_live.cameras import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.recording import ranges
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.ranges import join_ranges, refine_range, split
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions
from lingbot_live.system import cluster, remote

GUIDED = RefinerConfig.parse("guided")


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    path = tmp_path_factory.mktemp("take") / "desk.mcap"
    cameras = NoisyCamera("left", 14, with_imu=True), NoisyCamera("right", 9, 0.00025, seed=1)
    record(
        path, *cameras, options=RecorderOptions(refined=False), during=lambda s, r: r.marker("x")
    )
    return path


def messages(path):
    """All messages of a session by channel and time; of results all but when they were made."""
    with Recording(path) as recording:
        reader = recording._reader
        found = {}
        for number, channel in reader.index.channels.items():
            entries = reader.index.entries.get(number)
            if entries is None or channel.topic.endswith(("/refined/info", "/camera", "tf_static")):
                continue
            for row in range(len(entries.times_ns)):
                key = channel.topic, int(entries.times_ns[row]), row
                found[key] = bytes(reader.payload(number, row))
        notes = [
            (track.name, row, str(track.refined(row).refiner))
            for track in recording.tracks.values()
            for row in range(len(track))
        ]
        return found, notes


def test_ranges_in_any_order_give_what_one_process_gives(take, tmp_path):
    refiner = registry.create_refiner(GUIDED)
    assert refine_file(take, tmp_path / "one.mcap", refiner) == 0
    parts = split(str(take), str(tmp_path / "many.mcap"), GUIDED, False, size=5)
    assert [(p.first, p.end) for p in parts] == [(0, 5), (5, 10), (10, 15), (15, 20), (20, 23)]
    for work in (parts[3], parts[0], parts[4], parts[1], parts[2]):
        assert refine_range(work, refiner) == work.end - work.first
        assert refine_range(work, refiner) == 0, "not twice"
    assert join_ranges(parts) == str(tmp_path / "many.mcap")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["many.mcap", "one.mcap"]
    assert messages(tmp_path / "many.mcap") == messages(tmp_path / "one.mcap")
    with Recording(tmp_path / "many.mcap") as many, Recording(tmp_path / "one.mcap") as one:
        assert [e.text for e in many.events] == [e.text for e in one.events]
        for row in range(23):
            assert np.array_equal(many.refined(row).depth_m, one.refined(row).depth_m)


def test_colour_as_video_may_be_cut_anywhere(tmp_path):
    refiner, video = registry.create_refiner(GUIDED), RecorderOptions(refined=False, color="h264")
    record(tmp_path / "v.mcap", NoisyCamera("left", 19), options=video)
    refine_file(tmp_path / "v.mcap", tmp_path / "one.mcap", refiner)
    parts = split(str(tmp_path / "v.mcap"), str(tmp_path / "many.mcap"), GUIDED, False, size=7)
    for work in reversed(parts):
        refine_range(work, refiner)
    join_ranges(parts)
    assert messages(tmp_path / "many.mcap") == messages(tmp_path / "one.mcap")
    with Recording(tmp_path / "many.mcap") as many, Recording(tmp_path / "v.mcap") as before:
        for row in range(19):
            assert np.array_equal(many.track().frame(row).color, before.track().frame(row).color)


def test_other_work_is_never_taken_for_this(take, tmp_path):
    out = str(tmp_path / "a.mcap")
    ours = split(str(take), out, GUIDED, False, size=5)[0]
    for other in (
        split(str(take), out, RefinerConfig.parse("none"), False, size=5)[0],
        split(str(take), out, GUIDED, True, size=5)[0],
        split(str(take), out, GUIDED, False, size=7)[0],
    ):
        assert other.part != ours.part
    assert len(split(str(take), out, replace(GUIDED, steady=True), False, size=5)) == 1


def test_a_range_that_ends_in_the_middle_leaves_nothing(take, tmp_path, monkeypatch):
    work = split(str(take), str(tmp_path / "a.mcap"), GUIDED, False, size=5)[1]

    def killed(*arguments, **others):
        ranges_run(*arguments, **others)
        raise KeyboardInterrupt

    ranges_run = ranges.refine_rows
    monkeypatch.setattr(ranges, "refine_rows", killed)
    with pytest.raises(KeyboardInterrupt):
        refine_range(work, registry.create_refiner(GUIDED))
    assert list(tmp_path.iterdir()) == []


def test_files_in_a_store_are_fetched_once_and_put_whole(tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr(remote.platformdirs, "user_cache_path", lambda name: tmp_path / "cache")
    (tmp_path / "a").write_bytes(b"one")
    remote.put(tmp_path / "a", "memory://store/a.mcap")
    assert remote.exists("memory://store/a.mcap")
    first = remote.local_copy("memory://store/a.mcap")
    assert first.read_bytes() == b"one"
    assert remote.local_copy("memory://store/a.mcap") == first
    fsspec.filesystem("memory").pipe("/store/a.mcap", b"another")
    assert remote.local_copy("memory://store/a.mcap").read_bytes() == b"another"
    remote.remove("memory://store/a.mcap")
    assert not remote.exists("memory://store/a.mcap")
    with pytest.raises(remote.RemoteError, match=r"memory://store/a.mcap: .*check the address"):
        remote.local_copy("memory://store/a.mcap")


# ---- on a real cluster of this machine -----------------------------------------------------------


def _make_frail():
    """A worker that dies once over its third item."""

    def do(item):
        number, flag = item
        if number == 2 and not os.path.exists(flag):
            with open(flag, "w") as file:
                file.write("died")
            os._exit(1)
        return number * 10, os.getpid()

    return do


@pytest.fixture
def on_ray(monkeypatch):
    """Workers import this file, and what it imports."""
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.mark.usefixtures("on_ray")
def test_a_workers_death_costs_nothing(tmp_path):
    done = {}
    items = [(number, str(tmp_path / "flag")) for number in range(8)]
    cluster.spread(
        items, _make_frail, cluster.Cluster("local"),
        lambda item, result: done.setdefault(item[0], []).append(result), threading.Event(),
    )  # fmt: skip
    assert {number: [r[0] for r in results] for number, results in done.items()} == {
        number: [number * 10] for number in range(8)
    }
    assert (tmp_path / "flag").exists()
    assert os.getpid() not in {results[0][1] for results in done.values()}


class _Unknown:
    """What a machine without lingbot-live makes of our work."""

    def __call__(self):
        raise AssertionError

    def __reduce__(self):
        return __import__, ("no_such_module",)


@pytest.mark.usefixtures("on_ray")
@pytest.mark.parametrize(
    ("make", "cpus", "text"),
    [
        (_Unknown(), 1.0, "no worker starts on the cluster: .*no_such_module"),
        (_make_frail, 1000.0, "no machine of the cluster has 1000 processors"),
    ],
)
def test_a_cluster_that_cannot_work_is_said(make, cpus, text):
    where = cluster.Cluster("local", cpus)
    with pytest.raises(cluster.ClusterError, match=text):
        cluster.spread([1], make, where, print, threading.Event())


def test_the_command_refines_sessions_on_a_cluster_and_says_what_is_there(take, tmp_path):
    pytest.importorskip("ray")
    arguments = ("refine", take, "-o", tmp_path / "out", "--refiner", "guided", "--ray", "local")
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'out' / 'desk.mcap'}\n"), done.stderr
    refiner = registry.create_refiner(GUIDED)
    refine_file(take, tmp_path / "one.mcap", refiner)
    assert messages(tmp_path / "out" / "desk.mcap") == messages(tmp_path / "one.mcap")
    again = command(*arguments)
    assert again.returncode == 0
    assert "it is there already" in again.stderr


def test_exports_of_many_sessions_on_a_cluster(take, tmp_path):
    pytest.importorskip("ray")
    other = tmp_path / "other.mcap"
    other.write_bytes(take.read_bytes())
    arguments = ("export", take, other, "--to", "npz", "-o", tmp_path / "out", "--ray", "local")
    done = command(*arguments, "--camera", "noisy:left", "--frames", "0:3")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["desk", "other"]
    assert len(list((tmp_path / "out" / "other").glob("*.npz"))) == 3
    again = command(*arguments, "--camera", "noisy:left", "--frames", "0:3")
    assert again.stdout.count("it is there already") == 2


def test_several_inputs_and_no_cluster_are_said(take, tmp_path):
    done = command("refine", take, take, "-o", tmp_path / "out", "--refiner", "none")
    assert done.returncode == 2
    assert "several inputs need --ray" in done.stderr
