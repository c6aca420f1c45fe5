"""What is in exported files: the options of clouds, far depth, videos."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import export_takes
import numpy as np
import pytest
from command import command
from export_takes import ask
from fixtures_folder import frames, plain
from sessions import HalfRefiner, NoisyCamera, record

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.errors import ConfigError, RefinerError
from lingbot_live.export.images import ImageWriter
from lingbot_live.export.job import run_export
from lingbot_live.export.shot import DepthSource, Shot, Target
from lingbot_live.export.source import Span
from lingbot_live.frame import Calibration, Frame, Intrinsics
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions


@pytest.fixture(scope="module")
def take(tmp_path_factory) -> Path:
    return export_takes.make(tmp_path_factory.mktemp("take"))


def test_options_of_clouds(take, tmp_path):
    import open3d as o3d

    counts = {}
    for name, options in {
        "all": {},
        "coarse": {"voxel_mm": 500},
        "clean": {"outliers": True, "normals": True},
    }.items():
        run_export(ask(take, "pcd", tmp_path / name, span=Span(0, 1), options=options))
        cloud = o3d.io.read_point_cloud(tmp_path / name / "000000.pcd")
        counts[name] = len(cloud.points)
    assert counts["all"] == 40 * 30 - 1
    assert max(counts["coarse"], counts["clean"]) < counts["all"]
    normals, points = np.asarray(cloud.normals), np.asarray(cloud.points)
    assert (np.einsum("ij,ij->i", normals, points) <= 1e-9).all()  # towards the camera


def test_depth_too_far_for_a_format_is_said(take, tmp_path):
    report = run_export(ask(take, "tum", tmp_path / "out", span=Span(0, 1)))
    (depth,) = (tmp_path / "out" / "depth").iterdir()
    written = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
    with Recording(take) as recording:
        raw = recording.tracks["noisy:left"][0].depth_raw
    far = raw > 13106
    assert (written[far] == 0).all()
    assert np.array_equal(written[~far], raw[~far] * 5)
    assert report.remarks == [f"{far.sum()} pixels lie beyond 13.1 m: 0"]


def one_frame(depth_m, scale_m=0.00025, distortion=()):
    """A shot of a 2x2 picture, and the target of an images export."""
    raw = np.rint(np.array(depth_m).reshape(2, 2) / scale_m).astype(np.uint16)
    lens = Intrinsics(2, 2, 50.0, 50.0, 0.5, 0.5, distortion)
    frame = Frame(
        "a", 0, 0, 0, np.zeros((2, 2, 3), np.uint8), raw, scale_m, Calibration(lens)
    )  # fmt: skip
    return Shot(0, 0.0, frame, DepthSource.RAW, frame.depth_m)


def images(tmp_path, shot, unit_m=0.001):
    info = CameraInfo("a", "b", "c")
    tmp_path.mkdir(exist_ok=True)
    writer = ImageWriter(Target(tmp_path, info, {"depth_unit_m": unit_m}, DepthSource.RAW))
    writer.add(shot)
    raw = cv2.imread(str(tmp_path / "000000" / "raw_depth.png"), cv2.IMREAD_UNCHANGED)
    return raw.ravel().tolist(), writer.finish()


def test_images_say_what_is_too_far_and_only_that(tmp_path):
    near = one_frame([0.00025, 0.5, 1.0, 0])  # a quarter of a millimetre rounds to none
    assert images(tmp_path / "a", near) == ([0, 500, 1000, 0], [])
    far = one_frame([65.5, 65.534, 65.536, 70.0], 0.002)
    raw, remarks = images(tmp_path / "b", far)
    assert raw == [65500, 65534, 0, 0]
    assert remarks == ["2 raw pixels lie beyond 65.5 m: 0"]


def test_images_in_another_unit_play_as_they_were(tmp_path):
    shot = one_frame([0.00025, 0.5, 1.00025, 0])
    assert images(tmp_path / "a", shot, 0.00025)[0] == shot.frame.depth_raw.ravel().tolist()
    assert images(tmp_path / "c", one_frame([7, 6.5, 1, 0], 0.001), 0.0001) == (
        [0, 65000, 10000, 0], ["1 raw pixels lie beyond 6.6 m: 0"],
    )  # fmt: skip
    written = json.loads((tmp_path / "a" / "000000" / "intrinsics.json").read_text())
    assert written["depth_scale_m"] == 0.00025


def test_images_say_that_others_do_not_see_the_distortion(tmp_path):
    assert images(tmp_path / "a", one_frame([1, 1, 1, 1]))[1] == []
    assert not (tmp_path / "a" / "000000" / "intrinsics.json").exists()
    distorted = one_frame([1, 1, 1, 1], distortion=(0.1, -0.2, 0.0, 0.0, 0.01))
    (remark,) = images(tmp_path / "b", distorted)[1]
    assert "no place for the lens' distortion" in remark
    written = json.loads((tmp_path / "b" / "000000" / "intrinsics.json").read_text())
    assert written["distortion"] == [0.1, -0.2, 0.0, 0.0, 0.01]


def test_what_would_change_nothing_is_refused(take, tmp_path):
    with pytest.raises(ConfigError, match="as recorded"):
        run_export(ask(take, "mp4", tmp_path / "a", drop_flying=True))


def test_the_unit_and_the_lens_come_back_from_the_folder(tmp_path):
    path = plain(tmp_path / "in", 2, distortion=[0.1, 0, 0, 0, 0], depth_scale_m=0.0002)
    done = command(
        "export", path, "--to", "images", "-o", tmp_path / "out", "--depth-unit", "0.0002"
    )
    assert done.returncode == 0, done.stderr
    assert "no place for the lens' distortion" in done.stderr
    for before, after in zip(frames(path)[0], frames(tmp_path / "out")[0], strict=True):
        assert np.array_equal(before.depth_raw, after.depth_raw)
        assert before.depth_scale_m == after.depth_scale_m
        assert before.intrinsics == after.intrinsics
    wrong = command("export", path, "--to", "ply", "-o", tmp_path / "x", "--depth-unit", "0.0002")
    assert wrong.returncode == 2
    assert "no option 'depth_unit_m'" in wrong.stderr


class Sleepy(HalfRefiner):
    """Gives nothing for its first two frames, nor for the fourth."""

    def _refine(self, frame):
        if frame.index in (0, 1, 3):
            raise RefinerError("not awake")
        return super()._refine(frame)


@pytest.mark.parametrize("source", list(DepthSource))
@pytest.mark.parametrize("kept", ["empty", "last"])
def test_a_video_holds_every_frame_refined_or_not(tmp_path, kept, source):
    import av

    raw, take = tmp_path / "raw.mcap", tmp_path / "a.mcap"
    camera = NoisyCamera("left", 5, scale_m=1e-4)
    record(raw, camera, options=RecorderOptions(refined=False))
    assert refine_file(raw, take, Sleepy()) == 3
    options = {"quality": 0, "colors": "grey", "not_refined": kept}
    report = run_export(ask(take, "mp4", tmp_path / "a.mp4", source=source, options=options))
    assert (report.frames, report.left_out) == (5, 0)
    assert "3 of 5 frames hold no refined depth" in report.remarks
    with av.open(str(tmp_path / "a.mp4")) as container:
        pictures = [p.to_ndarray(format="rgb24") for p in container.decode(video=0)]
    assert [picture.shape for picture in pictures] == [(30, 120, 3)] * 5
    refined = [picture[:, 82:].astype(int) for picture in pictures]
    assert max(refined[0].std(), refined[1].std()) < 8  # dark all over: nothing yet
    assert refined[2].std() > 30
    assert np.abs(refined[3] - refined[2 if kept == "last" else 0]).mean() < 8
    assert np.abs(refined[4] - refined[3]).mean() > 30
