"""``measure`` and ``compare`` from end to end, and the report they write."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import json
import math
import re
import threading
import time

import cv2
import numpy as np
import pytest
import typer
from rgbd_folder import write_examples
from sessions import HalfRefiner, NoisyCamera, record
from typer.testing import CliRunner

from lingbot_live.calibration.rig import Rig, RigCamera
from lingbot_live.cli import main
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraNotFoundError, ConfigError
from lingbot_live.frame import Calibration, Extrinsics, Frame, Intrinsics
from lingbot_live.quality import comparison_frames
from lingbot_live.quality.comparison import DISTANCE_EDGES_M, growth_exponent, measure_camera
from lingbot_live.quality.comparison_frames import ComparisonSettings
from lingbot_live.report.svg import Axis, Series, line_plot

SMALL = CameraConfig(width=160, height=120)


def run(*arguments: str):
    return CliRunner().invoke(main.app, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "out"
    done = run(
        "compare", "synthetic:stereo", "synthetic:tof", "--size", "160x120", "--reference", "truth",
        "--refiner", "none", "--refiner", "guided", "--duration", "1.2", "-o", str(folder),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder


def test_compare_writes_three_files_that_agree(report):
    data = json.loads((report / "metrics.json").read_text())
    rows = list(csv.DictReader((report / "metrics.csv").read_text().splitlines()))
    streams = [(c["address"], s["depth"]) for c in data["cameras"] for s in c["streams"]]
    assert streams == [
        ("synthetic:stereo", "raw"), ("synthetic:stereo", "guided"),
        ("synthetic:tof", "raw"), ("synthetic:tof", "guided"),
    ]  # fmt: skip
    assert [(row["camera"], row["depth"]) for row in rows] == streams
    first = data["cameras"][0]["streams"][0]["metrics"]
    assert float(rows[0]["rmse_all_m"]) == first["rmse_all_m"]
    assert data["cameras"][0]["frames_measured"] == 12
    assert data["cameras"][0]["frames_read"] > 30


def test_guided_beats_none_over_all_pixels(report):
    data = json.loads((report / "metrics.json").read_text())
    for camera in data["cameras"]:
        raw, guided = (stream["metrics"] for stream in camera["streams"])
        assert guided["rmse_all_m"] < raw["rmse_all_m"]
        assert guided["coverage_share"] > raw["coverage_share"]
        assert "kept_share" not in raw
        assert guided["kept_share"] + guided["changed_share"] > 0.3


class _Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.sources += [v for k, v in attrs if k in ("src", "href") and v]
        if tag not in ("meta", "img", "line", "circle", "path", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("line", "circle", "path"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_network(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "http" not in text
    assert "$" not in text
    for words in ("RMSE over all pixels", "simulated", "one camera after another"):
        assert words in text
    assert text.count("<svg") == 6
    assert not re.search(r"\bnan\b", text)


def test_without_reference_nothing_is_said_of_truth(tmp_path):
    examples = write_examples(tmp_path / "examples", 3)
    done = run("compare", f"folder:{examples}", "--refiner", "guided", "-o", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    data = json.loads((tmp_path / "out" / "metrics.json").read_text())
    # Single pictures are all measured, however close their stamps.
    assert data["cameras"][0]["frames_measured"] == 3
    for stream in data["cameras"][0]["streams"]:
        assert "rmse_m" not in stream["metrics"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "No reference was given" in page
    assert "kept, changed, filled" in page


def test_a_recording_can_be_the_reference(tmp_path):
    examples = write_examples(tmp_path / "a", 2)
    truth = write_examples(tmp_path / "b", 2)
    for number in range(2):
        path = truth / str(number) / "raw_depth.png"
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), np.where(depth > 0, depth + 50, 0).astype(np.uint16))
    settings = ComparisonSettings(reference=f"folder:{truth}")
    result = measure_camera(f"folder:{examples}", ["none"], settings)
    assert result.streams[0].numbers["bias_m"] == pytest.approx(-0.05, abs=1e-4)
    assert result.streams[0].numbers["rmse_m"] == pytest.approx(0.05, abs=1e-4)


def test_a_reference_must_share_the_view(tmp_path):
    examples = write_examples(tmp_path / "a", 1)
    settings = ComparisonSettings(reference="synthetic:tof")
    with pytest.raises(ConfigError, match="same view"):
        measure_camera(f"folder:{examples}", ["none"], settings)


def test_truth_must_be_known(tmp_path):
    examples = write_examples(tmp_path / "a", 1)
    with pytest.raises(ConfigError, match="knows no truth"):
        measure_camera(f"folder:{examples}", ["none"], ComparisonSettings(reference="truth"))


def test_every_refiner_sees_the_same_frames(monkeypatch):
    from lingbot_live.refiners.base import PassthroughRefiner
    from lingbot_live.refiners.guided import GuidedRefiner

    seen: dict[str, list[tuple[int, int]]] = {"guided": [], "other": []}

    def spy(name, engine):
        inner = engine._refine

        def refine(frame):
            seen[name].append((frame.index, int(frame.depth_raw.sum())))
            return inner(frame)

        engine._refine = refine
        return engine

    class Renamed(PassthroughRefiner):
        def __init__(self):
            super().__init__()
            self.info = dataclasses.replace(self.info, name="other")

    def create(config):
        engine = GuidedRefiner(config) if config.name == "guided" else Renamed()
        return spy(config.name, engine)

    monkeypatch.setattr("lingbot_live.cameras.registry.create_refiner", create)
    settings = ComparisonSettings(duration_s=0.6, camera=SMALL)
    result = measure_camera("synthetic:structured", ["guided", "other"], settings)
    assert [stream.label for stream in result.streams] == ["raw", "guided", "other"]
    assert seen["guided"] == seen["other"]
    assert len(seen["guided"]) == result.frames_measured == 6


def test_measure_prints_tables_json_and_csv():
    common = ("measure", "synthetic:stereo", "--size", "160x120", "--frames", "12")
    table = run(*common, "--refiner", "guided", "--roi", "20,90,40,20", "--distance", "1.2")
    assert table.exit_code == 0, table.output
    assert "Fill rate (RealSense)" in table.output
    assert "Temporal noise" in table.output
    assert "synthetic:stereo, Synthetic stereo" in table.output
    assert "No reference was given" in table.output
    whole = run(*common, "--roi", "100%")
    assert "shows no plane" in whole.output
    assert "Plane-fit RMS (RealSense)" in whole.output
    assert "Sub-pixel RMS  " not in whole.output, "rows without a number are left out"
    data = json.loads(run(*common, "--json").output)
    assert data["frames"] == 12
    assert 0.5 < data["metrics"]["raw"]["fill_share"] <= 1
    assert data["metrics"]["raw"]["temporal_noise_mm"] > 0
    assert data["metrics"]["raw"]["rs_fill_percent"] > 0
    rows = list(csv.reader(run(*common, "--csv").output.splitlines()))
    assert rows[0] == ["metric", "raw"]
    assert dict(rows[1:])["fill_share"] == str(data["metrics"]["raw"]["fill_share"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("measure", "synthetic:stereo", "--roi", "bad"), "40%"),
        (("measure", "synthetic:stereo", "--size", "160x120", "--roi", "0,0,900,9"), "160x120"),
        (("measure", "synthetic:stereo", "--refiner", "gided"), "guided"),
    ],
)
def test_bad_settings_are_said_in_one_line(arguments, message):
    with pytest.raises(ConfigError, match=message):
        run(*arguments)


def test_a_wrong_address_shows_before_anything_is_measured(tmp_path):
    with pytest.raises(CameraNotFoundError, match="stereo"):
        run("compare", "synthetic:tof", "synthetic:stere", "-o", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_growth_exponents():
    centre = (DISTANCE_EDGES_M[1:] + DISTANCE_EDGES_M[:-1]) / 2
    share, pixels = np.ones_like(centre), np.full_like(centre, 1e4)
    for power in (0.5, 1.0, 2.0):
        rows = np.stack([0.003 * centre**power, share, pixels])
        rows[:, :2] = np.nan
        assert growth_exponent(rows) == pytest.approx(power, abs=1e-9)
    rows[0, -4:] = 3.0  # where it fails
    assert growth_exponent(rows) == pytest.approx(2.0, abs=1e-9)
    assert math.isnan(growth_exponent(np.full((3, centre.size), np.nan)))


def test_plots_stay_inside_their_frame():
    x, y = Axis("d [m]", 0.5, 8, log=True), Axis("e [mm]", 1, 100, log=True)
    values = np.array([0.2, 1.0, 2.0, np.nan, 4.0, 9.0])
    svg = line_plot([Series("a < b", values, values**3, "#123456")], x, y, "t")
    assert "a &lt; b" in svg
    path = re.search(r'<path d="([^"]*)"', svg)
    assert path is not None
    numbers = [float(n) for n in re.findall(r"[\d.]+", path[1])]
    assert len(numbers) == 6  # three points inside
    assert path[1].count("M") == 2  # nan interrupts
    assert all(12 <= n <= 446 for n in numbers)


def test_the_commands_are_mounted():
    names = set(typer.main.get_command(main.app).commands)
    assert {"measure", "compare", "eval"} <= names


class _Dozing(HalfRefiner):
    """Refines every third frame or so."""

    def _refine(self, frame):
        time.sleep(0.008)
        return super()._refine(frame)


def test_recorded_depth_is_compared_where_there_is_some(tmp_path):
    path = tmp_path / "take.mcap"
    record(path, NoisyCamera(count=24), refiner=_Dozing)
    result = measure_camera(f"session:{path}", ["recorded"], ComparisonSettings())
    raw, recorded = result.streams
    assert 0 < recorded.frames < raw.frames == 24
    assert recorded.numbers["scale_ratio"] == pytest.approx(0.9371, abs=1e-3)
    assert math.isnan(recorded.numbers["refine_ms"]), "reading it is not refining"
    assert result.title == "session:take.mcap"
    raw_m = result.picture.depth_m
    both = (raw_m > 1) & (raw_m < 30) & (recorded.picture_m > 0)
    ratio = recorded.picture_m[both] / raw_m[both]
    # Depth is in whole millimetres, refined depth in steps that grow with its square.
    np.testing.assert_allclose(ratio, 0.9371, atol=5e-3, err_msg="pictures of one frame")


def test_a_recording_without_refined_depth_is_measured_raw(tmp_path, caplog):
    examples = write_examples(tmp_path / "a", 2)
    result = measure_camera(f"folder:{examples}", ["recorded"], ComparisonSettings())
    assert [stream.label for stream in result.streams] == ["raw"]
    assert "holds no recorded depth" in caplog.text


def test_settings_of_the_sensor_are_among_the_conditions(report):
    data = json.loads((report / "metrics.json").read_text())
    assert data["cameras"][0]["settings"] == {"depth.noise": 1.0}
    assert "depth.noise 1 x" in (report / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def pair(tmp_path):
    """Two cameras with one view each of the same scene, and the file that says where they stand."""
    addresses = [f"folder:{write_examples(tmp_path / name, 2)}" for name in ("a", "b")]

    def rig(**pose):
        path = tmp_path / "rig.toml"
        second = RigCamera(addresses[1], Extrinsics(**pose))
        Rig((RigCamera(addresses[0]), second)).save(path)
        return str(path)

    return *addresses, rig


def compared(tmp_path, *arguments):
    out = tmp_path / "out"
    done = run("compare", *arguments, "--refiner", "none", "-o", str(out))
    assert done.exit_code == 0, done.output
    return json.loads((out / "metrics.json").read_text())["cameras"]


def test_a_reference_is_brought_into_each_view(pair, tmp_path):
    a, b, rig = pair
    path = rig(translation_m=(0.0, 0.0, 0.1))
    first, second = compared(tmp_path, a, b, "--reference", b, "--rig", path)
    numbers = first["streams"][0]["metrics"]
    # The reference stands 0.1 m ahead, so all that it sees lies 0.1 m farther from the first.
    assert numbers["bias_m"] == pytest.approx(-0.1, abs=0.004)
    assert "bias_m" not in second["streams"][0]["metrics"], "it is not compared with itself"


def test_a_region_shows_the_same_place_to_all(pair, tmp_path):
    a, b, rig = pair
    path = rig(translation_m=(0.08, 0.0, 0.0))
    first, second = compared(tmp_path, a, b, "--rig", path, "--roi", "44,45,30,40")
    assert first["roi"] == "44,45,30,40"
    left, top, width, height = map(int, second["roi"].split(","))
    assert left == 44 - round(150 * 0.08 / 0.8)
    assert (top, width, height) == (45, 30, 40)


def test_a_region_out_of_sight_is_told(pair, tmp_path):
    a, b, rig = pair
    settings = ComparisonSettings(rig=Rig.load(rig(translation_m=(3.0, 0.0, 0.0))))
    first = measure_camera(a, ["none"], settings)
    with pytest.raises(ConfigError, match="does not see"):
        measure_camera(b, ["none"], settings, first=first)
    with pytest.raises(ConfigError, match="does not know synthetic:tof"):
        measure_camera("synthetic:tof", ["none"], settings, first=first)


def frames(times_us, camera="t"):
    blank = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint16)
    calibration = Calibration(Intrinsics(2, 2, 2, 2, 1, 1))
    for index, time_us in enumerate(times_us):
        yield Frame(camera, index, 0, time_us, *blank, 0.001, calibration)


def paired(ours, theirs, *later):
    found = comparison_frames._paired(frames(ours), frames(theirs, "other"), False, *later)
    return [(a.index, b.index) for a, b in found]


def test_absolute_stamps_tell_which_frames_belong_together():
    epoch_us = 1_700_000_000_000_000
    ours = [epoch_us + 100_000 * k for k in range(8)]
    late = [epoch_us + 420_000 + 100_000 * k for k in range(8)]  # began 0.42 s later
    assert paired(ours, late) == [(4, 0), (5, 1), (6, 2), (7, 3)]
    assert paired(ours, late, lambda frame, other: 0.22) == [(k, k - 2) for k in range(2, 8)]
    with pytest.raises(ConfigError, match="not recorded at one time"):
        paired(ours, [time_us + 3_600_000_000 for time_us in ours])


def test_a_clock_offset_is_applied_only_if_it_is_known_and_asked_for():
    with pytest.raises(ConfigError, match="give --rig"):
        ComparisonSettings(clock_offset=True)
    rig = Rig((RigCamera("t"), RigCamera("other")))
    (ours,), (theirs,) = frames([0]), frames([0], "other")
    for known, asked, later_s in ((False, False, 0), (True, False, 0), (True, True, 0.04)):
        if known:
            rig = rig.with_camera("other", time_offset_ms=40.0, time_confidence=0.9)
        settings = ComparisonSettings(rig=rig, clock_offset=asked)
        reader = comparison_frames.FrameReader("synthetic:stereo", settings)
        assert reader._later_s(ours, theirs) == pytest.approx(later_s)
        assert reader._later_s(theirs, ours) == pytest.approx(-later_s)
    vague = rig.with_camera("other", time_confidence=0.1)
    settings = ComparisonSettings(rig=vague, clock_offset=True)
    with pytest.raises(ConfigError, match="calibrate --rig FILE --time-offset"):
        comparison_frames.FrameReader("synthetic:stereo", settings)._later_s(ours, theirs)


def test_frames_of_two_recordings_are_paired_by_time():
    ours = [1000 + 33_333 * k for k in range(6)]
    theirs = [50_000 * k for k in range(3)]  # slower, ends earlier
    pairs = comparison_frames._paired(frames(ours), frames(theirs), False)
    found = [(ours_.index, theirs_.index) for ours_, theirs_ in pairs]
    assert found == [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]
    assert list(comparison_frames._paired(frames(ours), frames([]), False)) == []


def test_all_cameras_of_a_session_are_compared(tmp_path):
    path = tmp_path / "take.mcap"
    record(path, NoisyCamera("left", 4), NoisyCamera("right", 4, seed=1))
    cameras = compared(tmp_path, str(path))
    names = {camera["address"].rpartition("#")[2] for camera in cameras}
    assert names == {"noisy:left", "noisy:right"}


def test_measuring_can_be_stopped():
    stop, told = threading.Event(), []

    def progress(done, total):
        told.append((done, total))
        if done == 3:
            stop.set()

    settings = ComparisonSettings(duration_s=60, camera=SMALL)
    result = measure_camera("synthetic:tof", ["guided"], settings, progress, stop=stop)
    assert told == [(1, 600), (2, 600), (3, 600)]
    assert [stream.frames for stream in result.streams] == [3, 3]
    assert result.missed == {}
