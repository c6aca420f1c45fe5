"""Commands spread over workers give what they give in one process; on Ray where it is installed."""

from __future__ import annotations

import json
import pickle

import moving_room
import numpy as np
import open3d as o3d
import pytest
from command import command
from rgbd_folder import write_examples
from sessions import NoisyCamera, record

from lingbot_live.recording.state import RecorderOptions
from lingbot_live.system import cluster


def _one_behind_the_other(items, make, cluster, on_done, stop):
    """Do in this process what workers would: all that travels is pickled, the last comes first."""
    do = pickle.loads(pickle.dumps(make))()
    for item in reversed(items):
        on_done(item, pickle.loads(pickle.dumps(do(pickle.loads(pickle.dumps(item))))))


@pytest.fixture(params=["here", "ray"])
def workers(request, monkeypatch):
    """What ``--ray local`` goes to."""
    if request.param == "ray":
        pytest.importorskip("ray")
    else:
        monkeypatch.setattr(cluster, "spread", _one_behind_the_other)


def done(*arguments, status=0):
    told = command(*arguments)
    assert told.returncode == status, told.stderr
    return told


def without_times(data):
    """What a command found, without how long it took."""
    if isinstance(data, dict):
        return {k: without_times(v) for k, v in data.items() if k not in ("refine_ms", "created")}
    return list(map(without_times, data)) if isinstance(data, list) else data


def corners(path):
    """A mesh's triangles in an order of their own: Open3D's hangs on its threads."""
    mesh = o3d.io.read_triangle_mesh(str(path))
    found = np.asarray(mesh.vertices)[np.asarray(mesh.triangles)].reshape(-1, 9)
    return found[np.lexsort(found.T)]


def takes(folder):
    for number, name in enumerate(("a", "b")):
        camera = NoisyCamera("left", 3, seed=number)
        record(folder / f"{name}.mcap", camera, options=RecorderOptions(refined=False))
    return folder / "a.mcap", folder / "b.mcap"


@pytest.mark.usefixtures("workers")
def test_one_that_fails_is_told_and_the_others_go_on(tmp_path):
    good, bad = takes(tmp_path)
    bad.write_bytes(b"no session")
    arguments = ("export", bad, good, "--to", "npz", "-o", tmp_path / "out", "--ray", "local")
    told = done(*arguments, status=1)
    assert f"{tmp_path / 'out' / 'b'}: not made: " in told.stderr
    assert told.stdout.startswith(f"{tmp_path / 'out' / 'a'}: 3 frames")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    again = done(*arguments, status=1)
    assert again.stdout == f"{tmp_path / 'out' / 'a'}: it is there already\n"


@pytest.mark.usefixtures("workers")
def test_a_session_that_cannot_be_read_costs_itself_alone(tmp_path):
    good, bad = takes(tmp_path)
    bad.write_bytes(b"no session")
    arguments = ("refine", bad, good, "-o", tmp_path / "out", "--refiner", "none", "--ray", "local")
    told = done(*arguments, status=1)
    assert told.stdout == f"{tmp_path / 'out' / 'a.mcap'}\n"
    assert f"{tmp_path / 'out' / 'b.mcap'}: not made: " in told.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.mcap"]


@pytest.mark.usefixtures("workers")
def test_grasps(tmp_path):
    options = ("--refiner", "none", "--region", "240,180,200,160")  # few things, quickly
    files = "-o", tmp_path / "g.json", "-o", tmp_path / "g.mcap"
    done("grasps", "synthetic:table", *files, *options)
    told = done("grasps", "synthetic:table", *files, *options, "--ray", "local")
    spread = tmp_path / "synthetic_table"
    assert (spread / "g.json").read_bytes() == (tmp_path / "g.json").read_bytes()
    assert sorted(path.name for path in spread.iterdir()) == ["g.json", "g.mcap"]
    assert f"{spread / 'g.json'}, {spread / 'g.mcap'}: " in told.stdout
    again = done("grasps", "synthetic:table", *files, *options, "--ray", "local")
    assert "it is there already" in again.stdout


@pytest.mark.usefixtures("workers")
def test_reconstruct(tmp_path):
    walk = moving_room.walk(tmp_path / "walk", 2)
    options = ("--depth", "raw", "--voxel-mm", "30", "--far-m", "5")
    files = "-o", tmp_path / "room.ply", "--trajectory", tmp_path / "way.txt"
    done("reconstruct", walk, *files, *options)
    files = "-o", tmp_path / "out" / "room.ply", "--trajectory", tmp_path / "out" / "way.txt"
    done("reconstruct", walk, *files, *options, "--ray", "local")
    spread = tmp_path / "out" / "walk"
    assert (spread / "way.txt").read_bytes() == (tmp_path / "way.txt").read_bytes()
    assert np.array_equal(corners(spread / "room.ply"), corners(tmp_path / "room.ply"))


@pytest.mark.usefixtures("workers")
def test_compare(tmp_path):
    folders = [write_examples(tmp_path / name, 2) for name in ("a", "b")]
    options = (*(f"folder:{folder}" for folder in folders), "--refiner", "guided")
    found = []
    for name, ray in (("one", ()), ("many", ("--ray", "local"))):
        done("compare", *options, "-o", tmp_path / name, *ray)
        found.append(without_times(json.loads((tmp_path / name / "metrics.json").read_text())))
    assert len(found[0]["cameras"]) == 2
    assert found[0] == found[1]


@pytest.mark.usefixtures("workers")
def test_eval(tmp_path):
    folder = write_examples(tmp_path / "examples", 2)
    options = ("eval", folder, "--refiner", "telea", "--refiner", "guided", "--seeds", "2")
    one = json.loads(done(*options, "--json").stdout)
    many = json.loads(done(*options, "--json", "--ray", "local").stdout)
    assert len(one) == 4
    assert without_times(one) == without_times(many)


def test_a_live_camera_is_refused(tmp_path):
    pytest.importorskip("websockets")
    live = "foxglove:ws://127.0.0.1:9"
    told = command("compare", live, "-o", tmp_path / "out", "--ray", "local")
    assert told.returncode == 2
    assert f"{live} is attached to this machine alone; record it first" in told.stderr
