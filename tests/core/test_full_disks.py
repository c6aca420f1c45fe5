"""Full and failing disks in every command that writes: one line, what is kept, what to do."""

from __future__ import annotations

import pytest
from command import command
from faults import App, failing_disk, one_line
from hub_server import Hub

from lingbot_live.calibration.rig import Rig
from lingbot_live.errors import WriteError
from lingbot_live.model.weights import store


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    path = tmp_path_factory.mktemp("sessions") / "a.mcap"
    words = ("record", "synthetic:tof", "-o", path, "--frames", "20", "--refiner", "none")
    done = command(*words)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def full(small_disk):
    """A disk with 1 MB left."""
    (small_disk / "ballast").write_bytes(bytes(15 << 20))
    return small_disk


def check(done, target, kept="nothing was written"):
    assert done.returncode == 2, (done.stdout, done.stderr)
    (line,) = [line for line in done.stderr.strip().splitlines() if line.startswith("lingbot-live")]
    assert f"{target}: " in line
    assert "disk is full" in line
    assert kept in line
    assert "Make room" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "name"),
    [("ply", "out"), ("pcd", "out"), ("images", "out"), ("npz", "out"), ("tum", "out"),
     ("mp4", "out.mp4"), ("mesh", "out.ply"), ("rrd", "out.rrd")],
)  # fmt: skip
def test_export(session, full, kind, name):
    if kind == "rrd":
        pytest.importorskip("rerun")
    if kind in ("mp4", "mesh"):  # they need little
        (full / "more").write_bytes(bytes((1 << 20) - 70_000))
    done = command("export", session, "--to", kind, "-o", full / name)
    check(done, full / name)
    assert sorted(path.name for path in full.iterdir() if path.name != "more") == ["ballast"]


def test_snapshot(full):
    words = ("snapshot", "synthetic:tof", "-o", full / "shot", "--refiner", "none")
    check(command(*words), full / "shot")
    assert [path.name for path in full.iterdir()] == ["ballast"]


def test_refine_to_a_session_keeps_what_is_done(session, full):
    done = command("refine", session, "-o", full / "b.mcap", "--refiner", "guided")
    check(done, full / "b.mcap", "what is refined is kept")
    (full / "ballast").unlink()
    assert [path.name for path in full.iterdir()] == ["b.part0.mcap"]


def test_refine_to_a_folder_ends_at_the_first_that_has_no_room(session, full):
    done = command("refine", session, "-o", full / "shots", "--refiner", "none")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert f"{full / 'shots' / 'frame-000000'}: the disk is full" in line
    assert "Make room" in line
    assert "the same command goes on then, 0 frames are done" in line
    assert not list((full / "shots").iterdir())
    (full / "ballast").unlink()
    words = ("refine", session, "-o", full / "shots", "--refiner", "none", "--frames", "1")
    assert command(*words).returncode == 0


def test_models_download(full, tmp_path):
    hub = Hub(store.ZOO[0].huggingface, {"model.pt": bytes(3_000_000)})
    environment = {
        "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1",
        "LINGBOT_LIVE_CACHE": str(full / "cache"),
    }  # fmt: skip
    app = App(tmp_path, "models", "download", "v0.5", "--any", environment=environment)
    try:
        assert app.end() == 2, app.err
    finally:
        app.kill()
        hub.close()
    line = one_line(app.err)
    assert f"{full / 'cache'}" in line
    assert "the disk is full" in line
    assert "Free some space" in line
    assert not [path for path in (full / "cache").rglob("model.pt*") if path.stat().st_size]


def test_the_windows_screenshot(stuffed, tmp_path):
    app = App(
        tmp_path, "run", "fine:good", "--refiner", "none", "--duration", "2",
        "--screenshot", stuffed / "shot.png", environment={"QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    try:
        assert app.end(120) == 2, app.err
    finally:
        app.kill()
    (line,) = [line for line in app.err.splitlines() if "propagateSizeHints" not in line]
    assert f"{stuffed / 'shot.png'}: the disk is full" in line
    assert "as it was. Make room" in line
    assert [path.name for path in stuffed.iterdir()] == ["ballast"]


def test_repair(session, full):
    check(command("repair", session, "-o", full / "b.mcap"), full / "b.mcap")
    assert [path.name for path in full.iterdir()] == ["ballast"]


def stuff(path):
    """Write into ``path`` until nothing is left of its disk."""
    try:
        with path.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        return


@pytest.fixture
def stuffed(small_disk):
    """A disk with nothing left."""
    stuff(small_disk / "ballast")
    return small_disk


def test_statistics(stuffed):
    words = ("run", "--headless", "synthetic:tof", "--frames", "2", "--refiner", "none")
    check(command(*words, "--stats", stuffed / "s.json"), stuffed / "s.json", "as it was")


def test_compare(stuffed, session):
    words = ("compare", session, "-o", stuffed / "report", "--duration", "1", "--refiner", "none")
    check(command(*words), stuffed / "report", "no report was written")


def test_the_picture_of_a_board(stuffed):
    words = ("calibrate", "--draw", stuffed / "board.png")
    check(command(*words), stuffed / "board.png")


def test_a_rig_that_was_there_stays(small_disk):
    rig = Rig.of(["synthetic:tof", "synthetic:stereo"])
    path = small_disk / "rig.toml"
    rig.save(path)
    text = path.read_text()
    stuff(small_disk / "ballast")
    with pytest.raises(WriteError, match="what stood there is as it was"):
        rig.save(path)
    assert path.read_text() == text


@pytest.mark.parametrize(("number", "words"), [(5, "Input/output error"), (28, "disk is full")])
@pytest.mark.parametrize("kind", ["images", "ply", "npz", "mp4"])
def test_a_disk_that_fails(session, tmp_path, kind, number, words):
    folder = tmp_path / "exports"
    folder.mkdir()
    app = App(
        tmp_path, "export", session, "--to", kind, "-o", "exports/out",
        environment=failing_disk("/.out-", number, 30_000),
    )  # fmt: skip
    assert app.end() == 2, app.err
    (line,) = app.err.strip().splitlines()
    assert line.startswith("lingbot-live: exports/out: ")
    assert words in line or kind == "ply"  # Open3D does not say why
    assert "nothing was written" in line
    assert not list(folder.iterdir())
