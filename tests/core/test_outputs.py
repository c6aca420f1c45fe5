"""No output is an input, nor takes the place of what this app did not write."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import command
from fixtures_folder import examples, plain
from sessions import NoisyCamera, record

from lingbot_live.calibration.rig import Rig, RigCamera
from lingbot_live.cameras import registry
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Extrinsics
from lingbot_live.recording.state import RecorderOptions
from lingbot_live.report.sheet import safe_row
from lingbot_live.system.outputs import check_apart, is_ours, local_path, understood


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Path:
    """A folder with a session, a folder of images, and a file of the user's."""
    root = tmp_path_factory.mktemp("master")
    record(root / "take.mcap", NoisyCamera("left", 3), options=RecorderOptions(refined=False))
    plain(root / "images", 3)
    (root / "notes.txt").write_text("mine")
    return root


@pytest.fixture
def place(master, tmp_path, monkeypatch) -> Path:
    shutil.copytree(master, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def state(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def link(place: Path) -> str:
    (place / "other.mcap").symlink_to("take.mcap")
    return "other.mcap"


def hard(place: Path) -> str:
    os.link(place / "take.mcap", place / "other.mcap")
    return "other.mcap"


def way_round(place: Path) -> str:
    return str(place / "images" / ".." / "take.mcap")


def linked_folder(place: Path) -> str:
    (place.parent / "door").symlink_to(place)
    return str(place.parent / "door" / "take.mcap")


NAMES = {
    "same": lambda place: "take.mcap",
    "dot": lambda place: "./take.mcap",
    "absolute": lambda place: str(place / "take.mcap"),
    "file address": lambda place: (place / "take.mcap").as_uri(),
    "link": link,
    "hard link": hard,
    "way round": way_round,
    "linked folder": linked_folder,
}
COMMANDS = {
    "export": ("export", "{in}", "--to", "npz", "-o", "{out}", "--force"),
    "export a file": ("export", "{in}", "--to", "mp4", "-o", "{out}", "--force"),
    "refine": ("refine", "{in}", "-o", "{out}", "--refiner", "none"),
    "repair": ("repair", "{in}", "-o", "{out}"),
    "record": ("record", "{in}", "-o", "{out}", "--raw-only"),
    "snapshot": ("snapshot", "{in}", "-o", "{out}", "--refiner", "none"),
    "stats": ("run", "{in}", "--headless", "--refiner", "none", "--stats", "{out}"),
    "screenshot": ("run", "{in}", "--screenshot", "{out}"),
    "snapshot of run": ("run", "{in}", "--snapshot", "{out}"),
    "compare": ("compare", "{in}", "-o", "{out}"),
    "board": ("calibrate", "--draw", "{out}"),
    "rig": ("calibrate", "{in}", "synthetic:tof", "-o", "{out}"),
}


def run(words, source, out):
    filled = [word.replace("{in}", str(source)).replace("{out}", str(out)) for word in words]
    return command(*filled)


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_output_is_the_input(place, words, name):
    out = name(place)
    before = state(place)
    done = run(words, "take.mcap", out)
    assert done.returncode == 2, done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert state(place) == before


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("address", ["images", "folder:images"])
@pytest.mark.parametrize("out", ["images", "images/out", "images/color/0001.png", "."])
def test_no_output_lies_in_or_around_the_input(place, words, address, out):
    if words[0] in ("repair", "calibrate"):
        return  # they take no folder
    if "/" not in out and (words[0] == "record" or (words[0], out) == ("compare", ".")):
        return  # FOLDER.mcap beside it, files of its own beside it
    before = state(place)
    done = run(words, address, out)
    assert done.returncode == 2, done.stdout
    assert state(place) == before


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_nothing_of_the_users_is_replaced(place, words):
    (place / "theirs").mkdir()
    for name in ("report.html", "metrics.csv", "own.txt"):
        (place / "theirs" / name).write_text("mine")
    for out in ("notes.txt", "theirs"):
        before = state(place)
        done = run(words, "take.mcap", out)
        after = state(place)
        assert {name: after.get(name) for name in before} == before
        adds = words[0] == "record" or (words[0], out) == ("refine", "theirs")
        assert done.returncode == (0 if adds else 2), done.stdout
        assert adds or after == before


@pytest.mark.parametrize("suffix", [".mp4", ".ply", ".glb", ".rrd"])
def test_force_replaces_a_file_only_if_an_export_wrote_it(place, suffix):
    if suffix == ".rrd":
        pytest.importorskip("rerun")
    take = export_takes_room(place) if suffix in (".ply", ".glb") else place / "take.mcap"
    form = {".mp4": "mp4", ".rrd": "rrd"}.get(suffix, "mesh")
    out = place / f"out{suffix}"
    words = ("export", take, "--to", form, "-o", out, "--force")
    out.write_bytes(b"ply\nmine")
    done = command(*words)
    assert done.returncode == 2, done.stdout
    assert "no export wrote this file" in done.stderr
    out.unlink()
    assert command(*words).returncode == 0
    assert is_ours(out)
    assert command(*words[:-1]).returncode == 2
    assert command(*words).returncode == 0


def export_takes_room(place: Path) -> Path:
    path = place / "room.mcap"
    done = command(
        "record", "synthetic:tof", "-o", path, "--raw-only", "--frames", 3, "--size", "160x120"
    )
    assert done.returncode == 0, done.stderr
    return path


def test_force_spares_a_folder_with_anything_added(place):
    words = ("export", "take.mcap", "--to", "tum", "-o", "out", "--force")
    assert command(*words[:-1]).returncode == 0
    assert command(*words).returncode == 0
    (place / "out" / "rgb" / "mine.txt").write_text("mine")
    done = command(*words)
    assert done.returncode == 2
    assert "no export wrote rgb/mine.txt in this folder" in done.stderr
    assert (place / "out" / "rgb" / "mine.txt").read_text() == "mine"


def test_force_takes_no_recording_for_an_export(place):
    shutil.copy("take.mcap", "second.mcap")
    before = state(place)
    done = command("export", "take.mcap", "--to", "npz", "-o", "second.mcap", "--force")
    assert done.returncode == 2
    assert state(place) == before


def test_refine_spares_what_was_added_to_a_snapshot(place):
    examples(place / "rooms", 1)
    words = ("refine", "rooms", "-o", "out", "--refiner", "none", "--force")
    assert command(*words).returncode == 0
    (place / "out" / "0" / "mine.txt").write_text("mine")
    done = command(*words)
    assert done.returncode == 1
    assert "mine.txt was not written by refine" in done.stderr
    assert (place / "out" / "0" / "mine.txt").exists()


def test_names_that_a_copy_uses_on_the_way_are_nobodys(place):
    """FILE.part is a browser's; OUT.part0.mcap may be the input itself."""
    shutil.copy("take.mcap", "new.mcap.part")
    before = state(place)
    assert command("repair", "new.mcap.part", "-o", "new.mcap").returncode == 0
    assert is_ours(place / "new.mcap")
    (place / "new.mcap").unlink()
    shutil.copy("take.mcap", "best.part0.mcap")
    done = command("refine", "best.part0.mcap", "-o", "best.mcap", "--refiner", "none")
    assert done.returncode == 2
    (place / "last.part0.mcap").write_bytes(b"mine, and no recording")
    done = command("refine", "take.mcap", "-o", "last.mcap", "--refiner", "none")
    assert done.returncode == 2
    assert (place / "last.part0.mcap").read_bytes() == b"mine, and no recording"
    assert {name: digest for name, digest in state(place).items() if name in before} == before


def test_what_this_app_wrote_before_is_replaced(place):
    stats = ("run", "take.mcap", "--headless", "--refiner", "none", "--stats", "stats.json")
    for words in (stats, ("calibrate", "--draw", "board.png")):
        assert command(*words).returncode == 0
        assert command(*words).returncode == 0
    report = ("compare", "take.mcap", "-o", "report", "--refiner", "none", "--duration", "0.2")
    assert command(*report).returncode == 0
    assert command(*report).returncode == 0
    rig = Rig(
        (RigCamera("synthetic:tof", Extrinsics()), RigCamera("synthetic:stereo", Extrinsics()))
    )
    rig.save("rig.toml")
    rig.save("rig.toml")
    assert is_ours(place / "rig.toml")
    with pytest.raises(ConfigError, match="this app did not write it"):
        rig.save("notes.txt")


# ---- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/../../b", "..", "C:\\evil", "\x00"])
def test_names_from_a_file_stay_in_the_output(tmp_path, name):
    cameras = NoisyCamera(name, 2), NoisyCamera("right", 2, seed=1)
    record(tmp_path / "in.mcap", *cameras, options=RecorderOptions(refined=False))
    (tmp_path / "deep" / "er").mkdir(parents=True)
    done = command("export", tmp_path / "in.mcap", "--to", "npz", "-o", tmp_path / "deep/er/out")
    assert done.returncode == 0, done.stderr
    written = {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()}
    assert all(p.parts[:3] == ("deep", "er", "out") for p in written - {Path("in.mcap")})
    assert len(list((tmp_path / "deep" / "er" / "out").glob("*/*.npz"))) == 4


def test_cells_that_a_spreadsheet_would_run_are_quoted():
    row = ["=1+1", " =1", "+1", "-1", "@x", "\t=1", "fine", "a=b", -1.5, 7, ""]
    assert safe_row(row) == [
        "'=1+1", "' =1", "'+1", "'-1", "'@x", "'\t=1", "fine", "a=b", -1.5, 7, "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "title", ["=HYPERLINK(1)", "<img src=x onerror=alert(1)>", os.fsdecode(b"caf\xe9")]
)
def test_names_in_a_report_are_text(tmp_path, title):
    folder = plain(tmp_path / "x" / title, 2)
    done = command("compare", f"folder:{folder}", "-o", tmp_path / "out", "--refiner", "none")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<img src=x" not in page
    with (tmp_path / "out" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith("=")]


# ---- consoles, addresses -------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
@pytest.mark.parametrize("words", [("export", "--to", "npz"), ("info",), ("measure",)])
def test_a_console_without_a_letter_shows_its_code(tmp_path, encoding, words):
    folder = tmp_path / "größe Ω 深度"
    plain(folder, 2)
    out = ["-o", f"{folder}-out"] if words[0] == "export" else []
    done = subprocess.run(
        [sys.executable, "-m", "lingbot_live", words[0], str(folder), *words[1:], *out],
        env={**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}, capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"\\u6df1\\u5ea6" in done.stdout


def test_names_that_are_no_text_are_shown(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    plain(folder, 2)
    done = subprocess.run(
        [sys.executable, "-m", "lingbot_live", "export", str(folder), "--to", "npz", "-o",
         str(folder) + "-out"], capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"caf\\udce9-out: 2 frames" in done.stdout


def test_paths_as_people_write_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    spaced = tmp_path / "a b#c.mcap"
    assert local_path("~/x.mcap") == tmp_path / "x.mcap"
    assert local_path("~nobody-at-all/x") == Path("~nobody-at-all/x")
    assert local_path(spaced.as_uri()) == spaced
    assert local_path("file://localhost/tmp/x") == Path("/tmp/x")
    assert local_path("file:/tmp/x") == Path("/tmp/x")
    assert local_path("file.mcap") == Path("file.mcap")
    assert understood("--output=~/x") == f"--output={tmp_path}/x"
    assert understood(f"--stats={spaced.as_uri()}") == f"--stats={spaced}"
    assert understood("--set=a=~b") == "--set=a=~b"
    assert understood("folder:~/x") == "folder:~/x"


def test_addresses_as_people_write_them(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    shutil.copy("take.mcap", "12:30:00 desk.mcap")
    shutil.copytree("images", "a:b")
    for address in (
        "take.mcap", "~/take.mcap", (place / "take.mcap").as_uri(), "12:30:00 desk.mcap",
        "session:~/take.mcap", "session:" + (place / "take.mcap").as_uri(), "a:b", "~/a:b",
        "folder:a:b", "folder:~/images", "folder:" + (place / "images").as_uri(),
        (place / "12:30:00 desk.mcap").as_uri(),
    ):  # fmt: skip
        assert registry.find_camera(address).is_recording, address
        assert command("info", address).returncode == 0, address
        assert registry.files_of([address]), address
    (name,) = json.loads(command("info", "take.mcap", "--json").stdout)["cameras"]
    assert registry.find_camera("session:12:30:00 desk.mcap#" + name).is_recording


def test_an_output_may_be_written_as_an_address(place):
    out = (place / "ou t").as_uri()
    assert command("export", "take.mcap", "--to", "npz", "-o", out).returncode == 0
    assert (place / "ou t" / "000000.npz").exists()
    assert command("export", "take.mcap", "--to", "npz", f"--output={out}").returncode == 2


def test_apart_and_together(tmp_path):
    (tmp_path / "a").mkdir()
    check_apart(tmp_path / "ab", [tmp_path / "a"])
    check_apart(tmp_path / "a.mcap", [tmp_path / "a"])
    for out in (tmp_path / "a", tmp_path / "a" / "b" / "c", tmp_path, tmp_path / "b" / ".." / "a"):
        with pytest.raises(ConfigError):
            check_apart(out, [tmp_path / "a"])
