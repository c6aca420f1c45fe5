"""Results that go to a store: all of them or none, under the names that were given."""

from __future__ import annotations

import json

import moving_room
import pytest
from command import command
from sessions import NoisyCamera, record

from lingbot_live.recording.state import RecorderOptions
from lingbot_live.system import remote

fsspec = pytest.importorskip("fsspec")
SMALL = ("--refiner", "none", "--region", "240,180,200,160")  # few things, quickly


@pytest.fixture
def store():
    """An empty store in this process; says what is in it."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield lambda: sorted(path.removeprefix("/") for path in files.find("/"))
    files.store.clear()


def told(*arguments, status=0):
    found = command(*arguments)
    assert found.returncode == status, found.stderr
    return found


def take(folder):
    record(folder / "a.mcap", NoisyCamera(count=3), options=RecorderOptions(refined=False))
    return folder / "a.mcap"


def test_an_export_is_a_folder_or_a_file_of_the_store(tmp_path, store):
    here = take(tmp_path)
    said = told("export", here, "--to", "tum", "-o", "memory://out/a/tum").stdout
    assert said.startswith("memory://out/a/tum: 3 frames")
    told("export", here, "--to", "tum", "-o", tmp_path / "tum")
    local = [path for path in (tmp_path / "tum").rglob("*") if path.is_file()]
    names = sorted(path.relative_to(tmp_path).as_posix() for path in local)
    assert store() == [f"out/a/{name}" for name in names]
    depth = next(name for name in names if "/depth/" in name)
    stored = fsspec.filesystem("memory").cat_file(f"memory://out/a/{depth}")
    assert stored == (tmp_path / depth).read_bytes()
    told("export", here, "--to", "mp4", "-o", "memory://out/a.mp4")
    assert "out/a.mp4" in store()


def test_what_is_in_a_store_is_not_written_over(tmp_path, store):
    remote.put(take(tmp_path), "memory://out/a.mp4")
    arguments = ("export", tmp_path / "a.mcap", "--to", "mp4", "-o", "memory://out/a.mp4")
    for more in ((), ("--force",)):
        said = told(*arguments, *more, status=2).stderr
        assert "memory://out/a.mp4: it is there already; remove it or choose another name" in said
    assert store() == ["out/a.mp4"]


def test_a_command_that_fails_leaves_nothing_and_says_the_name_that_was_given(tmp_path, store):
    walk = moving_room.walk(tmp_path / "walk", 1)
    said = told("reconstruct", walk, "-o", "memory://out/room.stl", status=2).stderr
    assert "memory://out/room.stl: name a file that ends in .ply or .glb" in said
    arguments = ("track", walk, "-o", "memory://out/t.csv", "--points", "9999,9")
    assert "9999" in told(*arguments, "--refiner", "none", status=2).stderr
    assert store() == []


def test_a_store_that_fails_in_the_middle_keeps_nothing(store, monkeypatch):
    files = type(fsspec.filesystem("memory"))
    puts = files.put

    def put(self, local, path, **options):
        if path.endswith("b"):
            raise OSError("the line broke")
        puts(self, local, path, **options)

    monkeypatch.setattr(files, "put", put)
    delivery = remote.Delivery()
    place = delivery.place("memory://out/x")
    place.mkdir()
    for name in ("a", "b", "c"):
        (place / name).write_text(name)
    with pytest.raises(remote.RemoteError, match="memory://out/x/b: the line broke; check"):
        delivery.__exit__(None, None, None)
    assert store() == []
    assert not place.exists()


def test_grasps_and_tracks(store):
    files = ("-o", "memory://out/g.json", "-o", "memory://out/g.mcap")
    said = told("grasps", "synthetic:table", *files, *SMALL).stdout
    assert said.startswith("memory://out/g.json, memory://out/g.mcap: ")
    assert store() == ["out/g.json", "out/g.mcap"]
    data = json.loads(fsspec.filesystem("memory").cat_file("memory://out/g.json"))
    assert data["frames"][0]["things"]
    arguments = ("track", "synthetic:table", "--frames", 2, "--grid", 2, "--refiner", "none")
    said = told(*arguments, "-o", "memory://out/t.csv").stdout
    assert said.startswith("memory://out/t.csv: 8 rows; at the end 4 of 4 points are seen")
    assert "out/t.csv" in store()


def test_both_surfaces_of_a_scene_and_its_way(tmp_path, store):
    walk = moving_room.walk(tmp_path / "walk", 2)
    options = ("--depth", "both", "--refiner", "none", "--voxel-mm", "30", "--far-m", "5")
    files = ("-o", "memory://out/room.ply", "--trajectory", "memory://way/way.txt")
    said = told("reconstruct", walk, *files, *options).stdout
    assert "memory://out/room.raw.ply: " in said
    assert store() == ["out/room.raw.ply", "out/room.refined.ply", "way/way.txt"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("refine", "synthetic:tof", "--frames", "1", "-o", "memory://out"),
        ("compare", "synthetic:tof", "-o", "memory://out"),
        ("record", "synthetic:tof", "--duration", "0.1", "-o", "memory://out/a.mcap"),
        ("pack", "nowhere.mcap", "-o", "memory://out/a.mcap"),
        ("index", ".", "-o", "memory://out/a.parquet"),
    ],
)
def test_what_does_not_write_to_stores_says_so(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = told(*arguments, status=2).stderr
    assert "memory:/" in said
    assert "store" in said
    assert not any(tmp_path.iterdir())
