"""The command calibrate on recordings of a board, as a user runs it."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from boards import CHARUCO, LEFT, picture, standings, write_board_pair, write_folder
from command import command
from rig_scene import CAMERA, TRUE, shot

from lingbot_live.calibration.board import Board
from lingbot_live.calibration.rig import Rig, RigCamera, move_of
from lingbot_live.calibration.watch import BoardViews, Watch
from lingbot_live.cli.main import app, obey
from lingbot_live.errors import CalibrationError, ConfigError
from lingbot_live.frame import Calibration, Frame
from lingbot_live.quality.comparison import measure_camera
from lingbot_live.quality.comparison_frames import ComparisonSettings

BESIDE = move_of((0.2, 0.01, 0.02), (1.0, -10.0, 2.0))


def run(*words: str) -> int:
    app(args=list(words), standalone_mode=False)
    return 0


@pytest.fixture(scope="module")
def board_addresses(tmp_path_factory):
    """Two recordings of a board that is held still in seven places."""
    return write_board_pair(tmp_path_factory.mktemp("board"), BESIDE)


def test_calibrate_writes_a_rig_that_is_true(board_addresses, tmp_path, capsys):
    path = tmp_path / "rig.toml"
    run("calibrate", *board_addresses, "--views", "5", "-o", str(path))
    found = Rig.load(path).camera(board_addresses[1])
    shift = np.subtract(found.pose.translation_m, BESIDE.translation_m)
    assert np.linalg.norm(shift) < 0.002
    assert (found.pose.inverse() @ BESIDE).angle_deg < 0.1
    assert found.views == 5
    out = capsys.readouterr().out
    assert f"residual {found.residual_px:.2f} px over 5 views" in out
    assert out.splitlines()[-1] == str(path)


def test_what_the_board_gave_survives_a_failing_icp(board_addresses, tmp_path):
    blind = tmp_path / "blind"
    shutil.copytree(board_addresses[1].removeprefix("folder:"), blind)
    for path in (blind / "depth").iterdir():
        cv2.imwrite(str(path), np.zeros((LEFT.height, LEFT.width), np.uint16))
    path = tmp_path / "rig.toml"
    words = [board_addresses[0], f"folder:{blind}", "--views", "4", "--icp", "-o", str(path)]
    with pytest.raises(CalibrationError, match=f"less than 10%.*{path} holds what the board gave"):
        run("calibrate", *words)
    assert Rig.load(path).camera(f"folder:{blind}").views == 4


def test_icp_and_time_offset_refine_a_given_rig(tmp_path, capsys):
    start = move_of((0.015, 0, -0.01), (0.5, 0, 0.5)) @ TRUE
    pair = (("left", move_of(), 1), ("right", TRUE, 2))
    addresses = []
    for name, pose, seed in pair:
        seen = shot(pose, seed)
        # The light flickers, the same for both: that is all that moves here.
        rng = np.random.default_rng(7)
        light = np.repeat(rng.uniform(0.6, 1.2, 50), 3)
        colors = [(seen.color * x).clip(0, 255).astype(np.uint8) for x in light]
        shots = [(color, seen.depth_m) for color in colors]
        addresses.append(write_folder(tmp_path / name, shots, CAMERA))
    rig, out = tmp_path / "start.toml", tmp_path / "end.toml"
    Rig((RigCamera(addresses[0]), RigCamera(addresses[1], start))).save(rig)
    run("calibrate", *addresses, "--rig", str(rig), "--icp", "--time-offset", "-o", str(out))
    found = Rig.load(out).camera(addresses[1])
    assert np.linalg.norm(np.subtract(found.pose.translation_m, TRUE.translation_m)) < 0.006
    assert found.icp_rms_mm < 15
    assert abs(found.time_offset_ms) < 1
    assert found.time_confidence > 0.2
    assert "clock" in capsys.readouterr().out


def test_a_rig_brings_a_reference_camera_into_the_view(tmp_path):
    pair = (("ours", TRUE, 2, 0.02), ("truth", move_of(), 1, 0.0))
    addresses = []
    for name, pose, seed, too_far_m in pair:
        color, depth_m, _ = shot(pose, seed)
        addresses.append(write_folder(tmp_path / name, [(color, depth_m + too_far_m)], CAMERA))
    rig = Rig((RigCamera(addresses[1]), RigCamera(addresses[0], TRUE)))
    path = tmp_path / "rig.toml"
    rig.save(path)
    settings = ComparisonSettings(reference=addresses[1], rig=Rig.load(path))
    raw = measure_camera(addresses[0], ["none"], settings).streams[0]
    assert raw.numbers["bias_m"] == pytest.approx(0.02, abs=0.012)
    assert raw.numbers["mae_m"] < 0.06
    folder = tmp_path / "report"
    words = ["--refiner", "none", "--rig", str(path), "-o", str(folder)]
    run("compare", addresses[0], "--reference", addresses[1], *words)
    assert "registered into each camera" in (folder / "report.html").read_text()
    unknown = ComparisonSettings(reference=addresses[1], rig=Rig.of(["a:1", "b:2"]))
    with pytest.raises(ConfigError, match="rig: it does not know"):
        measure_camera(addresses[0], ["none"], unknown)


def test_too_few_views_is_one_clear_line(board_addresses, tmp_path, capsys):
    path = tmp_path / "rig.toml"
    words = [
        "calibrate",
        *board_addresses,
        "--board",
        "charuco:7x5:40mm:30mm:4x4_50",
        "-o",
        str(path),
    ]
    assert obey([*words, "--duration", "1"]) == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    assert "it saw the board 0 times together with" in told
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["synthetic:stereo"], "at least two cameras"),
        (["synthetic:stereo", "synthetic:stereo"], "named twice"),
        (["synthetic:stereo", "synthetic:tof", "--board", "paper"], "write charuco:7x5"),
        (["synthetic:stereo", "synthetic:tof", "-o", "/no/where/rig.toml"], "does not exist"),
        (["synthetic:stereo", "synthetic:tof", "--rig", "/no/rig.toml"], "no such rig file"),
    ],
)
def test_wrong_words_are_told_before_a_camera_opens(words, says, capsys):
    assert obey(["calibrate", *words]) == 2
    assert says in capsys.readouterr().err


def test_the_board_is_drawn_to_be_printed_and_found_again(tmp_path):
    path = tmp_path / "board.png"
    run("calibrate", "--board", "chessboard:8x5:20mm", "--draw", str(path))
    drawn = cv2.resize(cv2.imread(str(path)), None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    found = Board.parse("chessboard:8x5:20mm").find(drawn)
    assert len(found.ids) == 40
    along = found.pixels[1] - found.pixels[0]
    assert np.linalg.norm(along) == pytest.approx(0.3 * round(0.02 / 0.0254 * 300), rel=0.02)


def frame(name, index, color, stamp_s=None):
    stamp = round(1e9 * (index / 30 if stamp_s is None else stamp_s))
    raw = np.full(color.shape[:2], 1000, np.uint16)
    return Frame(name, index, stamp, 0, color, raw, 0.001, Calibration(LEFT))


def test_views_are_kept_when_still_new_and_of_one_moment():
    here, there = standings(CHARUCO, 2, seed=9)
    seen = [{s: picture(CHARUCO, T, LEFT, 5)[0] for s, T in
             (("a", pose), ("b", BESIDE.inverse() @ pose))} for pose in (here, there)]  # fmt: skip
    views = BoardViews(CHARUCO)

    def offer(n, at, late_s=0.0):
        views.offer({"a": frame("a", n, seen[at]["a"]),
                     "b": frame("b", n, seen[at]["b"], n / 30 + late_s)})  # fmt: skip
        return len(views.views)

    assert offer(0, 0) == 0, "nobody knows yet whether it stands still"
    assert offer(1, 0, late_s=0.4) == 0, "not one moment"
    assert offer(2, 0) == 1
    assert offer(3, 0) == 1, "the same view again"
    assert offer(4, 1) == 1, "it moved"
    assert offer(5, 1) == 2


def test_a_watch_waits_for_new_frames_of_all():
    watch = Watch(["a", "b"], CHARUCO)
    blank = np.full((480, 640, 3), 90, np.uint8)
    assert not watch.look()
    watch.see("a", frame("a", 0, blank))
    assert not watch.look()
    with pytest.raises(CalibrationError, match="b: it has delivered no frame"):
        watch.shots()
    watch.see("b", frame("b", 0, blank))
    assert watch.look()
    watch.see("a", frame("a", 1, blank))
    assert not watch.look()
    third = Watch(["a", "b", "c"], CHARUCO)
    third.see("c", frame("c", 0, blank, 1.0))
    for name in "ab":
        third.see(name, frame(name, 90, blank, 3.0))
    assert third.look(), "a camera that fell silent holds up nobody"
    assert (watch.counts(), watch.weakest()) == ({"a": 0, "b": 0}, 0)
    assert set(watch.shots()) == {"a", "b"}


def test_a_damaged_recording_is_said_and_status_1(board_addresses, tmp_path):
    takes = []
    for name, address in zip(("left", "right"), board_addresses, strict=True):
        takes.append(tmp_path / f"{name}.mcap")
        assert obey(["record", address, "--raw-only", "-o", str(takes[-1])]) == 0
    words = ["calibrate", *map(str, takes), "--views", "3", "-o", str(tmp_path / "rig.toml")]
    assert obey(words) == 0
    data = bytearray(takes[1].read_bytes())
    data[len(data) // 2] ^= 0xFF
    takes[1].write_bytes(data)
    done = command(*words)
    assert done.returncode == 1, done.stderr
    assert f"{takes[1]}: damaged: " in done.stderr
    assert Rig.load(tmp_path / "rig.toml").camera(str(takes[1])).views >= 3
