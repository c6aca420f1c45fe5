"""``lingbot-live refine``: what it writes, what it skips, and how it fails."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from command import command
from made_network import save_made

from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.export.snapshot import FILES
from lingbot_live.pipeline.session import Session
from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.recording import Recording


def refine(*arguments: object) -> subprocess.CompletedProcess[str]:
    return command("refine", *arguments)


def write_example(folder: Path, millimetres: int) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(millimetres)
    cv2.imwrite(str(folder / "rgb.png"), rng.integers(0, 256, (48, 64, 3), np.uint8))
    depth = np.full((48, 64), millimetres, np.uint16)
    depth[:, :20] = 0
    cv2.imwrite(str(folder / "raw_depth.png"), depth)
    np.savetxt(folder / "intrinsics.txt", [[50, 0, 32], [0, 50, 24], [0, 0, 1]])
    return folder


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    for number in (1, 2, 10):
        write_example(tmp_path / "in" / str(number), 500 + number)
    return tmp_path / "in"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def meta(folder: Path) -> dict[str, dict[str, object]]:
    return json.loads((folder / "meta.json").read_text())


def test_one_example_becomes_the_output_folder(examples, tmp_path):
    done = refine(examples / "2", "-o", tmp_path / "out", "--refiner", "none")
    assert done.returncode == 0, done.stderr
    assert set(names(tmp_path / "out")) == set(FILES)
    assert np.load(tmp_path / "out" / "depth_refined.npy").max() == pytest.approx(0.502)
    assert "1 refined, 0 were there, 0 failed" in done.stdout


def test_examples_go_on_where_they_were_interrupted(examples, tmp_path):
    out = tmp_path / "out"
    done = refine(examples, "-o", out, "--refiner", "none", "--frames", 2)
    assert done.returncode == 0, done.stderr
    assert names(out) == ["1", "2"]
    written_ns = (out / "1" / "meta.json").stat().st_mtime_ns
    (out / "2" / "point_cloud.ply").unlink()  # no longer complete, but not ours to overwrite
    again = refine(examples, "-o", out, "--refiner", "none")
    assert again.returncode == 1
    assert "it exists and is not empty" in again.stderr
    assert "1 refined, 1 were there, 1 failed" in again.stdout
    assert (out / "1" / "meta.json").stat().st_mtime_ns == written_ns
    assert set(names(out / "10")) == set(FILES)


def test_force_makes_them_again(examples, tmp_path):
    out = tmp_path / "out"
    refine(examples, "-o", out, "--refiner", "none")
    done = refine(examples, "-o", out, "--refiner", "guided", "--force")
    assert done.returncode == 0, done.stderr
    assert "3 refined, 0 were there" in done.stdout
    assert meta(out / "10")["refiner"]["name"] == "guided"


def test_one_bad_example_is_reported_and_skipped(examples, tmp_path):
    (examples / "2" / "raw_depth.png").write_bytes(b"no picture")
    (examples / "10" / "intrinsics.txt").unlink()
    (examples / "notes").mkdir()
    done = refine(examples, "-o", tmp_path / "out", "--refiner", "none")
    assert done.returncode == 1
    assert names(tmp_path / "out") == ["1"]
    assert "1 refined, 0 were there, 2 failed" in done.stdout
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["2", "10"]
    assert "Traceback" not in done.stderr


def test_an_example_without_any_depth_is_no_failure(examples, tmp_path):
    cv2.imwrite(str(examples / "2" / "raw_depth.png"), np.zeros((48, 64), np.uint16))
    done = refine(examples, "-o", tmp_path / "out", "--refiner", "none")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "3 refined, 0 were there, 0 failed" in done.stdout
    assert set(names(tmp_path / "out" / "2")) == set(FILES)
    cloud = (tmp_path / "out" / "2" / "point_cloud.ply").read_text()
    assert "element vertex 0\n" in cloud
    assert cloud.endswith("end_header\n")


def test_lingbot_depth_with_its_options(examples, tmp_path):
    model = save_made(tmp_path / "model.pt")
    done = refine(
        examples, "-o", tmp_path / "out", "--model", model, "--tokens", 12, "--precision", "bf16",
        "--device", "cpu", "--keep-raw", "--frames", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = meta(tmp_path / "out" / "1")["refiner"]
    assert (written["name"], written["tokens"], written["precision"]) == ("lingbot", 12, "bf16")
    refined = np.load(tmp_path / "out" / "1" / "depth_refined.npy")
    assert (np.abs(refined[:, 20:] - 0.501) < 1e-6).all()


def test_all_frames_of_a_folder_with_a_damaged_one(tmp_path):
    source = tmp_path / "in"
    for part in ("color", "depth"):
        (source / part).mkdir(parents=True)
        for number in range(4):
            shape = (48, 64, 3) if part == "color" else (48, 64)
            picture = np.full(shape, number + 1, np.uint8 if part == "color" else np.uint16)
            cv2.imwrite(str(source / part / f"{number:04d}.png"), picture)
    matrix = {"fx": 50, "fy": 50, "cx": 32, "cy": 24, "width": 64, "height": 48}
    (source / "intrinsics.json").write_text(json.dumps(matrix))
    (source / "depth" / "0002.png").write_bytes(b"no picture")
    done = refine(source, "-o", tmp_path / "out", "--refiner", "none")
    assert done.returncode == 1
    assert names(tmp_path / "out") == ["frame-000000", "frame-000001", "frame-000003"]
    assert done.stderr.startswith("frame-000002: ")


def test_live_cameras_need_a_number_of_frames(tmp_path):
    done = refine("synthetic:stereo", "-o", tmp_path / "out", "--refiner", "none")
    assert done.returncode == 2
    assert "--frames N" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def session_file(tmp_path: Path) -> Path:
    path = tmp_path / "desk.mcap"
    camera = CameraConfig(width=64, height=48, fps=30)
    session = Session.of(["synthetic:stereo"], RefinerConfig("none"), camera)
    recorder = Recorder(path)
    recorder.start(session)
    session.start(max_frames=3)
    session.wait(30)
    session.stop()
    recorder.stop()
    return path


def test_sessions_into_folders_and_into_sessions(session_file, tmp_path):
    done = refine(session_file, "-o", tmp_path / "out", "--refiner", "none")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "out") == ["frame-000000", "frame-000001", "frame-000002"]
    again = refine(session_file, "-o", tmp_path / "again.mcap", "--refiner", "guided")
    assert again.returncode == 0, again.stderr
    with Recording(tmp_path / "again.mcap") as recording:
        assert len(recording) == 3
    mixed = refine(session_file, "-o", tmp_path / "x.mcap", "--refiner", "none", "--force")
    assert mixed.returncode == 2
    assert "--force" in mixed.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--refiner", "gided"), "Did you mean 'guided'?"),
        (("--level", "12"), "level 12 must lie in 0 to 9"),
        (("--precision", "int8"), "known: auto, fp16, bf16, fp32"),
        (("--device", "gpu"), "device 'gpu'; known: auto, cpu, cuda"),
        (("--tokens", "0"), "tokens 0 must lie in 1 to 20000"),
        (("--model", "/nowhere/model.pt"), "no such file or folder"),
    ],
)
def test_wrong_options_end_before_anything_is_written(examples, tmp_path, arguments, words):
    done = refine(examples, "-o", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_input_that_is_not_there(tmp_path):
    done = refine(tmp_path / "none", "-o", tmp_path / "out", "--refiner", "none")
    assert done.returncode == 2
    assert "no such file or folder" in done.stderr


def test_run_takes_the_same_options(tmp_path):
    model, stats = save_made(tmp_path / "model.pt"), tmp_path / "s.json"
    done = command(
        "run", "synthetic:stereo", "--size", "64x48", "--headless", "--frames", "2",
        "--refiner", f"lingbot:{model}", "--level", "0", "--precision", "fp32", "--device", "cpu",
        "--no-mask", "--stats", stats,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refiner = json.loads(stats.read_text())["refiner"]
    assert (refiner["name"], refiner["precision"], refiner["state"]) == ("lingbot", "fp32", "ready")
    assert refiner["tokens"] == 35  # 5 by 7 patches are nearest to 40


@pytest.mark.testdata
def test_the_published_examples(testdata, tmp_path):
    source = testdata / "data" / "lingbot_examples"
    done = refine(source, "-o", tmp_path / "out", "--refiner", "none", "--frames", 1)
    assert done.returncode == 0, done.stderr
    assert set(names(tmp_path / "out" / "0")) == set(FILES)


def test_only_a_session_becomes_a_session(examples, tmp_path):
    done = refine(examples, "-o", tmp_path / "out.mcap", "--refiner", "none")
    assert done.returncode == 2
    assert "record it first" in done.stderr
    assert "Traceback" not in done.stderr
