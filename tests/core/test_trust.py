"""Trust is an order: what is trusted more is wrong by less, on scenes whose truth is known."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from command import command

from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import every_frame
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.export.job import ExportRequest, run_export
from lingbot_live.export.shot import DepthSource
from lingbot_live.frame import Calibration, Frame, Intrinsics, RefinedFrame, RefinerInfo
from lingbot_live.perception.trust import trust_at, trust_map
from lingbot_live.recording.info import describe
from lingbot_live.recording.recording import Recording

HEIGHT, WIDTH = 240, 320


def result(depth_m, raw_m=None, **others):
    height, width = depth_m.shape
    calibration = Calibration(Intrinsics(width, height, 300, 300, width / 2, height / 2))
    raw = np.rint(1000 * (depth_m if raw_m is None else raw_m)).astype(np.uint16)
    color = np.zeros((height, width, 3), np.uint8)
    frame = Frame("test", 0, 0, 0, color, raw, 0.001, calibration)
    return RefinedFrame(frame, depth_m, depth_m > 0, RefinerInfo("x"), 0, 1, **others)


def deciles(kind, refiner):
    """Mean relative error of the tenths of all pixels, from the most to the least trusted."""
    config = CameraConfig(realtime=False, fps=1, width=WIDTH, height=HEIGHT)
    engine = registry.create_refiner(RefinerConfig.parse(refiner))
    trusts, errors = [], []
    with registry.create_camera(f"synthetic:{kind}", config) as camera:
        for frame in islice(every_frame(camera), 12):  # a second apart: what moves has moved
            refined = engine.refine(frame)
            truth = refined.frame.reference_m
            known = (truth > 0) & (refined.depth_m > 0)
            trusts.append(trust_map(refined)[known])
            errors.append(np.abs(refined.depth_m - truth)[known] / truth[known])
    order = np.argsort(-np.concatenate(trusts), kind="stable")
    return [float(part.mean()) for part in np.array_split(np.concatenate(errors)[order], 10)]


@pytest.mark.parametrize("refiner", ["guided", "guided+steady"])
@pytest.mark.parametrize("kind", ["stereo", "tof", "structured"])
def test_errors_grow_from_decile_to_decile(kind, refiner):
    errors = deciles(kind, refiner)
    assert all(after > before for before, after in itertools.pairwise(errors))
    assert errors[-1] > 10 * errors[0]


def test_trust_falls_with_the_distance_from_what_was_measured():
    depth_m = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    raw_m = depth_m.copy()
    raw_m[60:180, 80:240] = 0
    trust = trust_map(result(depth_m, raw_m))
    row = trust[120, 60:160]
    assert (np.diff(row[15:60]) <= 0).all()
    assert row[0] > 0.9
    assert row[-1] < 0.3


def test_trust_falls_where_raw_depth_disagrees():
    depth_m = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    raw_m = depth_m.copy()
    raw_m[100:140, 100:140] = 2.3
    trust = trust_map(result(depth_m, raw_m))
    assert trust[120, 120] < 0.4 < 0.9 < trust[30, 30]


def test_the_mask_and_steadying_count():
    rng = np.random.default_rng(0)
    depth_m = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    raw_m = depth_m + 0.03 * rng.standard_normal(depth_m.shape).astype(np.float32)
    plain = result(depth_m, raw_m)
    unsure = replace(plain, mask=np.zeros_like(plain.mask))
    assert np.allclose(trust_map(unsure), trust_map(plain) / 2)
    aged = replace(plain, age=np.full(depth_m.shape, 12, np.uint8))
    assert (trust_map(aged) > trust_map(plain)).all()


def test_no_depth_is_no_trust_and_no_measurement_at_all_little():
    depth_m = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth_m[:10] = 0
    trust = trust_map(result(depth_m, np.zeros_like(depth_m)))
    assert (trust[:10] == 0).all()
    assert ((trust[20:] > 0) & (trust[20:] < 0.15)).all()


@pytest.mark.parametrize("refiner", ["guided", "guided+steady"])
@pytest.mark.parametrize("size", [(320, 240), (640, 480)])
def test_around_some_pixels_it_is_what_the_map_tells_there(refiner, size):
    config = CameraConfig(realtime=False, fps=10, width=size[0], height=size[1])
    engine = registry.create_refiner(RefinerConfig.parse(refiner))
    with registry.create_camera("synthetic:stereo", config) as camera:
        for frame in islice(every_frame(camera), 2):
            refined = engine.refine(frame)
    engine.close()
    rng = np.random.default_rng(0)
    pixels = rng.uniform(-3, np.array(size) + 3, (40, 2)).astype(np.float32)
    corners = [(0, 0), (size[0] - 1, size[1] - 1), (np.nan, 3), (size[0] - 0.4, 5)]
    pixels[:4] = corners
    trust = trust_map(refined)
    column, row = np.rint(np.nan_to_num(pixels)).astype(int).T
    inside = (column >= 0) & (column < size[0]) & (row >= 0) & (row < size[1])
    wanted = np.zeros(len(pixels), np.float32)
    wanted[inside] = trust[row[inside], column[inside]]
    np.testing.assert_allclose(trust_at(refined, pixels), wanted, atol=1e-5)
    assert 0 < inside.sum() < len(pixels)
    many = np.repeat(pixels, 20, axis=0)
    np.testing.assert_allclose(trust_at(refined, many), np.repeat(wanted, 20), atol=1e-5)


@pytest.mark.parametrize("size", [(640, 480), (160, 120), (40, 6), (3, 1)])
@pytest.mark.parametrize("measured", [0.0, 0.0002, 0.5])
def test_around_some_pixels_it_is_the_same_however_far_away_the_nearest_measurement_is(
    size, measured
):
    rng = np.random.default_rng(1)
    depth_m = rng.uniform(1, 1.2, size[::-1]).astype(np.float32)
    depth_m[rng.random(depth_m.shape) < 0.1] = 0
    refined = result(depth_m, np.where(rng.random(depth_m.shape) < measured, depth_m, 0))
    rows, columns = (rng.integers(0, end, 60) for end in depth_m.shape)
    told = trust_at(refined, np.stack([columns, rows], -1).astype(np.float32))
    np.testing.assert_allclose(told, trust_map(refined)[rows, columns], atol=1e-5)
    assert (told[depth_m[rows, columns] > 0] > 0).all()


def test_a_few_followed_points_cost_no_map():
    depth_m = np.full((480, 640), 2.0, np.float32)
    refined, pixels = result(depth_m), np.array([[320, 240], [100, 100]], np.float32)

    def took_s(work):
        begun_s = time.thread_time()
        work()
        return time.thread_time() - begun_s

    rounds = range(7)
    few_s = min(took_s(lambda: trust_at(refined, pixels)) for _ in rounds)
    assert few_s < 0.2 * min(took_s(lambda: trust_map(refined)) for _ in rounds)


def test_clouds_carry_it(tmp_path):
    import open3d as o3d

    request = ExportRequest("synthetic:tof", "ply", tmp_path / "out", options={"trust": True})
    run_export(replace(request, span=replace(request.span, end=1)))
    (path,) = (tmp_path / "out").glob("*.ply")
    cloud = o3d.t.io.read_point_cloud(str(path))
    trust = cloud.point["trust"].numpy()
    assert trust.shape == (len(cloud.point.positions), 1)
    assert 0 < trust.min() < trust.max() <= 1
    assert cloud.point.colors.dtype == o3d.core.uint8, "what every program reads"
    colors = np.asarray(o3d.io.read_point_cloud(str(path)).colors)
    np.testing.assert_array_equal(np.rint(255 * colors), cloud.point.colors.numpy())
    assert colors.max() > 0.5


def test_the_window_paints_it():
    from lingbot_live.colormap import DepthRange, table
    from lingbot_live.frame import Extrinsics
    from ui.views.compare_pictures import Base, Mode, Side, Task, compare

    depth_m = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth_m[:10] = 0
    made = result(depth_m)
    sides = (Side(made, Base.RAW, "raw"), Side(made, Base.REFINED, "refined"))
    task = Task(Mode.TRUST, *sides, Extrinsics(), DepthRange(0.3, 4), "viridis", 0.1)
    answer = compare(task)
    colors = table("viridis")
    assert (answer.single[5, 5] == colors[0]).all()
    assert np.abs(answer.single[120, 160].astype(int) - colors[-1]).max() < 30
    assert np.array_equal(answer.trust, trust_map(made))


def test_trust_is_recorded_and_known_to_replay_export_and_info(tmp_path):
    import open3d as o3d

    path = tmp_path / "a.mcap"
    options = ("--size", "96x72", "--refiner", "guided", "--steady", "--frames", 3, "--trust")
    done = command("record", "synthetic:tof", *options, "-o", path)
    assert done.returncode == 0, done.stderr
    about = describe(path)
    assert about["options"]["trust"]
    assert any("/refined/trust/" in topic["topic"] for topic in about["topics"])
    with Recording(path) as recording:
        (track,) = recording.tracks.values()
        refined = track.refined(0)
    assert trust_map(refined) is refined.trust, "not told anew: what it rested on is not recorded"
    with registry.create_camera(str(path), CameraConfig(realtime=False)) as camera:
        shown = registry.create_refiner(RefinerConfig("recorded")).refine(camera.read(20.0))
    np.testing.assert_array_equal(shown.trust, refined.trust)
    request = ExportRequest(str(path), "ply", tmp_path / "out", options={"trust": True})
    request = replace(request, source=DepthSource.REFINED)
    run_export(replace(request, span=replace(request.span, end=1)))
    (cloud,) = (tmp_path / "out").glob("*.ply")
    trust = o3d.t.io.read_point_cloud(str(cloud)).point["trust"].numpy().ravel()
    np.testing.assert_allclose(trust, refined.trust[refined.depth_m > 0], atol=1e-6)


def test_refining_anew_forgets_the_trust_in_what_was(tmp_path):
    options = ("--size", "96x72", "--refiner", "guided", "--frames", 2, "--trust")
    assert command("record", "synthetic:tof", *options, "-o", tmp_path / "a.mcap").returncode == 0
    done = command("refine", tmp_path / "a.mcap", "--refiner", "none", "-o", tmp_path / "b.mcap")
    assert done.returncode == 0, done.stderr
    with Recording(tmp_path / "b.mcap") as recording:
        (track,) = recording.tracks.values()
        assert track.refined(0).trust is None
