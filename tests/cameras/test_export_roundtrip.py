"""From each make's recording through a session into each format, read back by others' libraries."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import sdks

from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import ExportError
from lingbot_live.export.job import ExportReport, ExportRequest, run_export
from lingbot_live.export.shot import DepthSource
from lingbot_live.export.source import Span
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.geometry import deproject
from lingbot_live.pipeline.session import Session
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions

SOURCES = {
    "realsense-bag": "realsense/d435_single_frame.bag",
    "realsense-db3": "realsense/virtual_d435.db3",  # in units of 0.25 mm
    "orbbec": "orbbec/virtual_gemini335.bag",
    "kinect": "azure_kinect/recording.mkv",
    "folder": "lingbot_examples",
}
MOST = 3  # frames of each

pytestmark = pytest.mark.testdata


@dataclass
class Take:
    """A recording's frames as its SDK gives them, and the session that was made of it."""

    frames: list[Frame]
    session: Path
    refined: list[RefinedFrame]

    def export(self, form: str, out: Path, source: DepthSource = DepthSource.RAW) -> ExportReport:
        request = ExportRequest(str(self.session), form, out, source=source)
        report = run_export(request)
        assert report.frames == len(self.frames)
        assert report.left_out == 0
        return report


@pytest.fixture(scope="module", params=SOURCES)
def take(request, testdata, tmp_path_factory) -> Take:
    sdks.need(request.param.partition("-")[0])
    address = str(testdata / "data" / SOURCES[request.param])
    folder = tmp_path_factory.mktemp(request.param)
    with registry.create_camera(address, OFFLINE) as camera:
        frames = list(itertools.islice(every_frame(camera), MOST))
    raw, refined = folder / "raw.mcap", folder / "refined.mcap"
    record(address, raw)
    engine = registry.create_refiner(RefinerConfig("guided"))
    assert refine_file(raw, refined, engine, exact=True) == 0
    engine.close()
    with Recording(refined) as recording:
        results = [recording.refined(i) for i in range(len(recording))]
    return Take(frames, refined, [r for r in results if r is not None])


def record(address: str, path: Path) -> None:
    """Record the first frames, colour without loss."""
    config = CameraConfig(loop=False, realtime=False)
    session = Session.of([address], RefinerConfig("none"), config)
    recorder = Recorder(path, RecorderOptions(refined=False, lossless=True), {})
    recorder.start(session)
    session.start(max_frames=MOST)
    session.wait()
    session.stop()
    recorder.stop()
    assert recorder.stats().drops == {}


def folders(out: Path) -> list[Path]:
    return sorted(path for path in out.iterdir() if path.is_dir())


def files(out: Path, suffix: str) -> list[Path]:
    return sorted(out.glob(f"*{suffix}"))


def rgb(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def millimetres(frame: Frame) -> np.ndarray:
    return np.rint(frame.depth_raw * (frame.depth_scale_m * 1000.0))


def test_the_session_holds_what_the_sdk_delivered(take):
    with registry.create_camera(str(take.session), OFFLINE) as camera:
        replayed = list(every_frame(camera))
    assert len(replayed) == len(take.frames) == len(take.refined)
    for found, frame, refined in zip(replayed, take.frames, take.refined, strict=True):
        assert np.array_equal(found.depth_raw, frame.depth_raw)
        assert np.array_equal(found.color, frame.color)
        assert found.depth_scale_m == frame.depth_scale_m
        assert found.calibration == frame.calibration
        assert found.device_timestamp_us == frame.device_timestamp_us
        assert found.recorded is not None
        assert np.array_equal(found.recorded.depth_m, refined.depth_m)


@pytest.mark.parametrize(("form", "source"), [("ply", "raw"), ("pcd", "refined")])
def test_clouds_by_open3d(take, tmp_path, form, source):
    import open3d as o3d

    take.export(form, tmp_path / "out", DepthSource(source))
    written = files(tmp_path / "out", f".{form}")
    for path, frame, refined in zip(written, take.frames, take.refined, strict=True):
        depth_m = frame.depth_m if source == "raw" else refined.depth_m
        cloud = o3d.io.read_point_cloud(path)
        points = deproject(depth_m, frame.intrinsics)[depth_m > 0]
        assert np.allclose(np.asarray(cloud.points), points, atol=1e-5)
        colors = np.asarray(cloud.colors) * 255
        assert np.abs(colors - frame.color[depth_m > 0]).max() < 1.01


def test_images_by_opencv_and_as_a_folder(take, tmp_path):
    take.export("images", tmp_path / "out", DepthSource.REFINED)
    written = folders(tmp_path / "out")
    for path, frame, refined in zip(written, take.frames, take.refined, strict=True):
        assert np.array_equal(rgb(path / "rgb.png"), frame.color)
        raw = cv2.imread(str(path / "raw_depth.png"), cv2.IMREAD_UNCHANGED)
        assert raw.dtype == np.uint16
        assert np.array_equal(raw, millimetres(frame))
        depth = cv2.imread(str(path / "refined_depth.png"), cv2.IMREAD_UNCHANGED)
        assert np.abs(depth - refined.depth_m * 1000).max() < 0.51
        assert np.allclose(np.loadtxt(path / "intrinsics.txt"), frame.intrinsics.matrix)
    with registry.create_camera(f"folder:{tmp_path / 'out'}", OFFLINE) as camera:
        played = list(every_frame(camera))
    for found, frame in zip(played, take.frames, strict=True):
        assert np.array_equal(found.color, frame.color)
        assert np.array_equal(found.depth_raw, millimetres(frame))


def test_arrays_by_numpy(take, tmp_path):
    take.export("npz", tmp_path / "out", DepthSource.REFINED)
    written = files(tmp_path / "out", ".npz")
    for path, frame, refined in zip(written, take.frames, take.refined, strict=True):
        found = np.load(path)
        assert np.array_equal(found["color"], frame.color)
        assert np.array_equal(found["depth_raw"], frame.depth_raw)
        assert found["depth_scale_m"] == frame.depth_scale_m
        assert np.array_equal(found["depth_m"], refined.depth_m)
        assert np.array_equal(found["mask"], refined.mask)
        assert np.array_equal(found["K"], frame.intrinsics.matrix)
        assert tuple(found["distortion"]) == frame.intrinsics.distortion
        assert found["time_s"] == pytest.approx(frame.device_timestamp_us / 1e6, abs=1e-6)


def test_a_tum_sequence_by_opencv_and_as_a_folder(take, tmp_path):
    out = tmp_path / "out"
    if len({frame.intrinsics for frame in take.frames}) > 1:
        with pytest.raises(ExportError, match="frame 1 has another calibration"):
            take.export("tum", out)
        return
    take.export("tum", out)
    rows = [line.split() for line in (out / "associations.txt").read_text().splitlines()]
    for row, frame in zip(rows, take.frames, strict=True):
        color_s, color, depth_s, depth = row
        assert float(color_s) == float(depth_s) == frame.device_timestamp_us / 1e6
        assert np.array_equal(rgb(out / color), frame.color)
        units = cv2.imread(str(out / depth), cv2.IMREAD_UNCHANGED)
        true_m = frame.depth_raw * frame.depth_scale_m
        near = true_m < 13.1
        assert np.abs(units / 5000 - true_m)[near].max() <= 1.001e-4
    lists = [(out / name).read_text().splitlines()[2:] for name in ("rgb.txt", "depth.txt")]
    assert [len(rows) for rows in lists] == [len(take.frames)] * 2
    with registry.create_camera(f"folder:{out}", OFFLINE) as camera:
        played = list(every_frame(camera))
    assert [f.device_timestamp_us for f in played] == [f.device_timestamp_us for f in take.frames]
    assert [f.intrinsics for f in played] == [f.intrinsics for f in take.frames]


def test_a_video_by_pyav(take, tmp_path):
    av = pytest.importorskip("av")
    take.export("mp4", tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        pictures = list(container.decode(stream))
        times_us = [float(p.pts * stream.time_base) * 1e6 for p in pictures]
        images = [p.to_ndarray(format="rgb24") for p in pictures]
    stamps_us = [f.device_timestamp_us - take.frames[0].device_timestamp_us for f in take.frames]
    assert np.allclose(times_us, stamps_us, atol=6)  # half a tick of 1/90000 s
    for image, frame in zip(images, take.frames, strict=True):
        height, width = frame.depth_raw.shape
        assert image.shape == (height, 3 * width, 3)
        left = image[:, :width].astype(int)
        assert np.abs(left - frame.color).mean() < 8  # compressed, with half the colour resolution
        hole = frame.depth_raw == 0
        middle = image[:, width : 2 * width]
        if hole.mean() > 0.05:
            assert middle[hole].mean() < 60 < middle[~hole].mean()


def test_a_mesh_by_open3d(take, tmp_path):
    import open3d as o3d

    request = ExportRequest(
        str(take.session), "mesh", tmp_path / "a.glb", Span(0, 1), options={"voxel_mm": 20}
    )
    run_export(request)
    mesh = o3d.io.read_triangle_mesh(tmp_path / "a.glb")
    frame = take.frames[0]
    depth_m = frame.depth_m
    near = (depth_m > 0) & (depth_m < 4)
    cloud = o3d.geometry.PointCloud()
    points = deproject(depth_m, frame.intrinsics)[near].astype(np.float64)
    cloud.points = o3d.utility.Vector3dVector(points)
    surface = o3d.geometry.PointCloud()
    surface.points = mesh.vertices
    assert len(mesh.triangles) > 1000
    assert np.median(surface.compute_point_cloud_distance(cloud)) < 0.01  # half a voxel
    assert np.median(np.asarray(cloud.compute_point_cloud_distance(surface))[::50]) < 0.02


def test_a_rerun_recording_by_rerun(take, tmp_path):
    dataframe = pytest.importorskip("rerun.dataframe", reason="rerun-sdk 0.23 reads it back")
    take.export("rrd", tmp_path / "a.rrd")
    view = dataframe.load_recording(tmp_path / "a.rrd").view(index="frame", contents="/**")
    table = view.select().read_all()

    def column(name: str) -> list:
        (full,) = (n for n in table.column_names if n.endswith(name))
        return [value for value in table[full].to_pylist() if value is not None]

    raws, metres = column("/depth:ImageBuffer"), column("/depth:DepthMeter")
    refineds, pinholes = column("/refined:ImageBuffer"), column(":PinholeProjection")
    colors = column("/color:Blob")
    for k, (frame, refined) in enumerate(zip(take.frames, take.refined, strict=True)):
        shape = frame.depth_raw.shape
        raw = np.array(raws[k][0], np.uint8).view(np.uint16).reshape(shape)
        assert np.array_equal(raw, frame.depth_raw)
        assert metres[k][0] == pytest.approx(1 / frame.depth_scale_m)
        found = np.array(refineds[k][0], np.uint8).view(np.float32).reshape(shape)
        assert np.array_equal(found, refined.depth_m)
        color = cv2.imdecode(np.array(colors[k][0], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(color.astype(int) - frame.color).mean() < 4  # JPEG
    matrix = np.reshape(pinholes[0][0], (3, 3)).T
    assert np.allclose(matrix, take.frames[0].intrinsics.matrix)


def test_exports_straight_from_the_recording(request, testdata, tmp_path):
    """Without a session in between; its own take, since only one make is needed."""
    address = str(testdata / "data" / SOURCES["orbbec"])
    told = []
    request = ExportRequest(address, "npz", tmp_path / "out", Span(1, None, 3))
    run_export(request, lambda *news: told.append(news))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with registry.create_camera(address, OFFLINE) as camera:
        frames = list(every_frame(camera))
    for number in (1, 4, 7, 10):
        found = np.load(tmp_path / "out" / f"{number:06d}.npz")
        assert np.array_equal(found["depth_raw"], frames[number].depth_raw)
    assert json.loads((tmp_path / "out" / "export.json").read_text())["frames"] == 4
