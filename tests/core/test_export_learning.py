"""Exports for robot learning: HDF5 and LeRobot; clouds of a whole rig; what goes along."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import av
import cv2
import export_takes
import moving_room
import numpy as np
import pytest
from export_takes import ask, names
from sessions import HalfRefiner, NoisyCamera, record

from lingbot_live.calibration.rig import Rig
from lingbot_live.errors import ExportError
from lingbot_live.export.job import ExportRequest, run_export
from lingbot_live.export.moments import moments
from lingbot_live.export.shot import DepthSource
from lingbot_live.export.source import Span, open_sources
from lingbot_live.frame import Extrinsics
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    """Two cameras, the first with inertial readings, every frame refined."""
    folder = tmp_path_factory.mktemp("take")
    cameras = (
        NoisyCamera("left", 12, with_imu=True, period_s=0.02),
        NoisyCamera("right", 12, 0.00025, seed=1, period_s=0.02),
    )
    options = RecorderOptions(lossless=True, refined=False)
    record(folder / "raw.mcap", *cameras, options=options)
    refine_file(folder / "raw.mcap", folder / "desk.mcap", HalfRefiner(), exact=True)
    return folder / "desk.mcap"


def test_hdf5_holds_all_there_is(take, tmp_path):
    h5py = pytest.importorskip("h5py")
    request = ask(take, "hdf5", tmp_path / "a.h5", source=DepthSource.REFINED)
    report = run_export(replace(request, options={"trajectory": True}))
    assert report.frames == 12
    with Recording(take) as recording, h5py.File(tmp_path / "a.h5") as file:
        track = recording.track("noisy:left")
        for row in (0, 5, 11):
            frame, refined = track[row], track.refined(row)
            assert np.array_equal(file["color"][row], frame.color)
            assert np.array_equal(file["depth_raw"][row], frame.depth_raw)
            assert np.array_equal(file["refined_m"][row], refined.depth_m)
            assert np.array_equal(file["mask"][row], refined.mask)
            assert file["device_timestamp_us"][row] == frame.device_timestamp_us
        assert file["depth_raw"].attrs["depth_scale_m"] == frame.depth_scale_m
        assert np.array_equal(file.attrs["K"], frame.intrinsics.matrix)
        assert json.loads(file.attrs["recorded"])["refiner"] == "passthrough" or file.attrs
        given = [s for f in track for s in f.imu]
        assert file["imu/acceleration_m_s2"].shape == (len(given), 3) == (36, 3)
        assert np.isnan(file["imu/acceleration_m_s2"][2]).all()  # that reading holds turning alone
        assert file["trajectory"].shape[1] == 8
    again = run_export(replace(request, force=True, output=tmp_path / "a.h5"))
    assert again.frames == 12  # it is known as our own


def test_lerobot_rows_depth_videos_and_descriptions(take, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "set"
    request = ExportRequest(str(take), "lerobot", out, source=DepthSource.REFINED)
    report = run_export(request)
    info = json.loads((out / "meta" / "info.json").read_text())
    table = pq.read_table(out / "data" / "chunk-000" / "file-000.parquet")
    assert info["codebase_version"] == "v3.0"
    assert info["total_frames"] == table.num_rows > 8
    assert (info["total_episodes"], report.left_out) == (1, 0)
    columns = {key for key, f in info["features"].items() if f["dtype"] != "video"}
    assert set(table.column_names) == columns
    fps = info["fps"]
    assert table["timestamp"].to_pylist() == pytest.approx(np.arange(table.num_rows) / fps)
    assert table["frame_index"].to_pylist() == list(range(table.num_rows))
    with Recording(take) as recording:
        raw = {
            name: {t.device_timestamp_us: (t, track.refined(i)) for i, t in enumerate(track)}
            for name, track in recording.tracks.items()
        }
    for name, scale in (("noisy_left", 0.001), ("noisy_right", 0.00025)):
        seen = raw[name.replace("_", ":", 1)]
        for row in table.to_pylist():
            frame, refined = seen[round(row[f"observation.{name}.time_s"] * 1e6)]
            for key, depth_m in (
                ("depth", frame.depth_raw * scale),
                ("refined", refined.depth_m.astype(np.float64)),
            ):
                packed = np.frombuffer(row[f"observation.images.{name}_{key}"]["bytes"], np.uint8)
                found = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED)
                units = np.rint(depth_m / 0.001)
                assert np.array_equal(found, np.where(units > 65534, 0, units))
        video = out / "videos" / f"observation.images.{name}" / "chunk-000" / "file-000.mp4"
        with av.open(str(video)) as container:
            times = [float(p.pts * p.time_base) for p in container.decode(video=0)]
        assert times == pytest.approx(np.arange(table.num_rows) / fps, abs=1e-4)
    (episode,) = pq.read_table(
        out / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    ).to_pylist()
    assert (episode["dataset_from_index"], episode["dataset_to_index"]) == (0, table.num_rows)
    stats = json.loads((out / "meta" / "stats.json").read_text())
    assert set(stats) == set(info["features"])
    assert stats["index"]["max"] == [table.num_rows - 1]
    assert np.shape(stats["observation.images.noisy_left"]["mean"]) == (3, 1, 1)
    assert len(table["observation.noisy_left.imu"][1].as_py()) == 6


def test_lerobot_rows_say_where_each_camera_was(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    walk = moving_room.walk(tmp_path / "walk", 3, of=60)
    ask_for = ExportRequest(str(walk), "lerobot", tmp_path / "set", options={"trajectory": True})
    report = run_export(ask_for)
    table = pq.read_table(tmp_path / "set" / "data" / "chunk-000" / "file-000.parquet")
    (key,) = (name for name in table.column_names if name.endswith(".pose"))
    assert table.num_rows == 3
    assert table.column_names[-1] == key, "behind those that were written before"
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    assert info["features"][key]["shape"] == [7]
    poses = np.array(table[key].to_pylist())
    assert poses[0] == pytest.approx([0, 0, 0, 0, 0, 0, 1])
    assert np.linalg.norm(poses[:, 3:], axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    run_export(replace(ask_for, format="tum", output=tmp_path / "tum"))
    way = np.loadtxt(tmp_path / "tum" / "trajectory.txt")
    assert poses == pytest.approx(way[:, 1:], abs=1e-4)
    stats = json.loads((tmp_path / "set" / "meta" / "stats.json").read_text())[key]
    assert stats["max"] == pytest.approx(poses.max(axis=0))
    assert stats["count"] == [3]
    assert any("the camera went" in remark for remark in report.remarks)


def test_a_rerun_recording_shows_where_the_camera_was(tmp_path):
    pytest.importorskip("rerun")
    walk = moving_room.walk(tmp_path / "walk", 3, of=60)
    ask_for = ExportRequest(str(walk), "rrd", tmp_path / "a.rrd", options={"trajectory": True})
    assert any("the camera went" in remark for remark in run_export(ask_for).remarks)
    run_export(replace(ask_for, format="tum", output=tmp_path / "tum"))
    way = np.loadtxt(tmp_path / "tum" / "trajectory.txt")
    dataframe = pytest.importorskip("rerun.dataframe", reason="rerun-sdk 0.23 reads it back")
    view = dataframe.load_recording(tmp_path / "a.rrd").view(index="frame", contents="/**")
    table = view.select().read_all()
    (column,) = (name for name in table.column_names if "Translation3D" in name)
    places = table[column].to_pylist()
    found = [np.reshape(place, 3) for place in places if place is not None]
    assert np.array(found) == pytest.approx(way[:, 1:4], abs=1e-4)


def test_moments_come_steadily_or_with_the_first_camera(take):
    with open_sources(str(take)) as sources:
        steady = list(moments(sources, Span(), 100.0))
        assert [m.time_s for m in steady] == pytest.approx([n / 100 for n in range(len(steady))])
        lead = sources[0].times_ns
        assert len(steady) == pytest.approx((lead[-1] - lead[0]) / 1e7 + 1, abs=1)
        assert [m.is_first for m in steady] == [True] + [False] * (len(steady) - 1)
        each = list(moments(sources, Span(2, 10, 3), None))
        assert [m.frames[0].index for m in each] == [2, 5, 8]
        for moment in each:
            apart = moment.frames[0].timestamp_ns - moment.frames[1].timestamp_ns
            assert abs(apart) < 30_000_000


def test_one_cloud_of_all_cameras_of_a_rig(take, tmp_path):
    import open3d as o3d

    turn = Extrinsics(((0, -1, 0), (1, 0, 0), (0, 0, 1)), (0.5, 0.0, 0.2))
    rig = Rig.of(["noisy:left", "noisy:right"]).with_camera("noisy:right", pose=turn)
    rig.save(tmp_path / "rig.json")
    request = ExportRequest(
        str(take), "ply", tmp_path / "out", Span(0, 3), rig=tmp_path / "rig.json"
    )  # fmt: skip
    assert run_export(request).frames == 3
    assert names(tmp_path / "out") == ["000000.ply", "000001.ply", "000002.ply", "export.json"]
    points = np.asarray(o3d.io.read_point_cloud(tmp_path / "out" / "000000.ply").points)
    alone = {}
    for name in ("left", "right"):
        out = tmp_path / name
        run_export(ask(take, "ply", out, camera=f"noisy:{name}", span=Span(0, 12)))
        alone[name] = [
            np.asarray(o3d.io.read_point_cloud(path).points) for path in sorted(out.glob("*.ply"))
        ]
    moved = [right @ np.array(turn.rotation).T + turn.translation_m for right in alone["right"]]
    # The recording says which camera came first, and which frames are nearest in time.
    pairs = [(left, right) for left in alone["left"] for right in moved]
    expected = [np.concatenate(pair) for both in pairs for pair in (both, both[::-1])]
    assert any(
        len(points) == len(wanted) and np.allclose(points, wanted, atol=1e-5) for wanted in expected
    )
    with pytest.raises(ExportError, match="a rig merges clouds"):
        run_export(replace(request, format="npz", output=tmp_path / "other"))


def test_readings_and_settings_go_along(take, tmp_path):
    run_export(ask(take, "tum", tmp_path / "tum"))
    lines = (tmp_path / "tum" / "accelerometer.txt").read_text().splitlines()
    assert len(lines) == 2 + 24  # of three readings one has no acceleration
    run_export(ask(take, "npz", tmp_path / "npz", span=Span(0, 1)))
    with np.load(io.BytesIO((tmp_path / "npz" / "000000.npz").read_bytes())) as arrays:
        assert arrays["imu_acceleration_m_s2"].shape == (3, 3)
    note = json.loads((tmp_path / "npz" / "export.json").read_text())
    assert "refiner" in note["recorded"]["noisy:left"]


def test_a_folder_becomes_a_dataset_at_its_drivers_rate(tmp_path):
    pytest.importorskip("pyarrow")
    out = tmp_path / "set"
    request = ExportRequest("synthetic:stereo", "lerobot", out, Span(0, 4))
    assert run_export(request).frames == 4
    assert json.loads((out / "meta" / "info.json").read_text())["total_frames"] == 4
    assert export_takes.names(out) == ["data", "export.json", "meta", "videos"]
