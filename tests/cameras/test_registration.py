"""Depth to colour, in NumPy and in torch: against geometry, against the SDKs; the table on disk."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from registrations import (
    COLOR,
    DEPTH,
    DEPTH_LENSED,
    LENSED,
    POSE,
    TILTED,
    Made,
    every_implementation,
    in_numpy,
    in_torch,
    pose,
    scene,
    turned,
)

from lingbot_live import registration
from lingbot_live.errors import CameraError
from lingbot_live.frame import Extrinsics, Intrinsics, RawDepth
from lingbot_live.registration import corner_rays, valid_radius


def by_definition(
    depth: Intrinsics, color: Intrinsics, at: Extrinsics, raw: RawDepth, keep_values: bool
) -> RawDepth:
    """Every pixel's square through OpenCV in double precision, nearest wins, pixel by pixel."""
    v, u = np.nonzero(raw)
    z_m = raw[v, u] * 0.001

    def through(du: float, dv: float) -> tuple[np.ndarray, np.ndarray]:
        pixels = np.stack([u + du, v + dv], -1).reshape(-1, 1, 2).astype(float)
        lens = np.array(depth.distortion or (0.0,) * 5)
        ideal = cv2.undistortPointsIter(
            pixels, depth.matrix, lens, np.eye(3), np.eye(3), (3, 60, 1e-12)
        ).reshape(-1, 2)
        points = np.c_[ideal * z_m[:, None], z_m] @ at.matrix[:3, :3].T + at.translation_m
        lens = np.array(color.distortion or (0.0,) * 5)
        seen, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), color.matrix, lens)
        return np.floor(seen.reshape(-1, 2) + 0.5).astype(int), points[:, 2]

    first, _ = through(-0.5, -0.5)
    last, _ = through(0.5, 0.5)
    value = raw[v, u] if keep_values else np.rint(through(0, 0)[1] * 1000).astype(np.uint16)
    out = np.zeros((color.height, color.width), np.uint16)
    for (x0, y0), (x1, y1), d in sorted(
        zip(first.tolist(), last.tolist(), value.tolist(), strict=True), key=lambda item: -item[2]
    ):
        out[max(y0, 0) : max(y1 + 1, 0), max(x0, 0) : max(x1 + 1, 0)] = d
    return out


@every_implementation
@pytest.mark.parametrize("keep_values", [True, False])
@pytest.mark.parametrize("at", [POSE, TILTED], ids=["parallel", "tilted"])
@pytest.mark.parametrize("color", [COLOR, LENSED], ids=["ideal", "rational"])
@pytest.mark.parametrize("depth", [DEPTH, DEPTH_LENSED], ids=["ideal", "lens"])
def test_lands_where_the_geometry_says(
    made: Made, depth: Intrinsics, color: Intrinsics, at: Extrinsics, keep_values: bool
) -> None:
    raw = scene()
    own = made(depth, color, at, keep_values=keep_values)(raw, 0.001)
    expected = by_definition(depth, color, at, raw, keep_values)
    # Single precision moves an edge to the next pixel now and then.
    assert (np.abs(own.astype(int) - expected) <= 1).mean() > 0.998
    assert (expected > 0).mean() > 0.5


@every_implementation
@settings(max_examples=40, deadline=None)
@given(
    value=st.integers(300, 9000),
    scale_m=st.sampled_from([0.001, 0.0001, 0.00025]),
    shift_m=st.floats(-0.05, 0.05),
)
def test_a_wall_keeps_its_value_everywhere(
    made: Made, value: int, scale_m: float, shift_m: float
) -> None:
    # Where the wall's right and left end must lie, by similar triangles.
    x = (np.array([-0.5, 95.5]) - DEPTH.cx) / DEPTH.fx + shift_m / (value * scale_m)
    left, right = x * COLOR.fx + COLOR.cx
    assume(left < 126 and right > 1)  # near walls may lie beside the view
    at = pose(np.eye(3), shift_m, 0, 0)
    raw = np.full((72, 96), value, np.uint16)
    out = made(DEPTH, COLOR, at, keep_values=False)(raw, scale_m)
    assert set(np.unique(out)) <= {0, value}
    seen = np.flatnonzero(out[48])
    assert seen[0] == pytest.approx(max(left, 0), abs=1)
    assert seen[-1] == pytest.approx(min(right, 127), abs=1)
    assert (np.diff(seen) == 1).all(), "holes in a closed wall"


@every_implementation
def test_the_nearest_surface_hides_what_lies_behind(made: Made) -> None:
    raw = np.full((72, 96), 3000, np.uint16)
    raw[:, 40:50] = 500
    out = made(DEPTH, COLOR, pose(np.eye(3), 0.05, 0, 0), keep_values=True)(raw, 0.001)
    # The post's disparity is 6 times that of the wall; it covers wall and leaves a gap.
    post = np.flatnonzero(out[48] == 500)
    expected = ((np.array([39.5, 49.5]) - DEPTH.cx) / DEPTH.fx + 0.05 / 0.5) * COLOR.fx + COLOR.cx
    assert post[0] == pytest.approx(expected[0], abs=1)
    assert post[-1] == pytest.approx(expected[1], abs=1)
    assert (np.diff(post) == 1).all()
    assert (out[48] == 0).any(), "what the post hides from the sensor is not invented"


@every_implementation
@pytest.mark.parametrize("value", [1, 2, 65534, 65535])
def test_the_whole_range_of_values_survives(made: Made, value: int) -> None:
    raw = np.full((72, 96), value, np.uint16)
    out = made(DEPTH, COLOR, Extrinsics(), keep_values=True)(raw, 0.001)
    assert out[48, 64] == value


@every_implementation
def test_no_measurement_stays_none(made: Made) -> None:
    raw = np.zeros((72, 96), np.uint16)
    assert not made(DEPTH, COLOR, POSE, keep_values=True)(raw, 0.001).any()
    assert not made(DEPTH, LENSED, TILTED, keep_values=False)(raw, 0.001).any()


@every_implementation
def test_a_sensor_mounted_upside_down_gives_a_closed_image(made: Made) -> None:
    at = pose(turned(180, (0, 0, 1)), 0.0, 0.0, 0.0)
    raw = np.full((72, 96), 1500, np.uint16)
    raw[:20] = 900  # the sensor's top is the colour camera's bottom
    out = made(DEPTH, COLOR, at, keep_values=True)(raw, 0.001)
    assert (out > 0).mean() > 0.95
    assert out[90, 64] == 900
    assert out[10, 64] == 1500


@every_implementation
def test_what_lies_behind_the_colour_camera_is_not_seen(made: Made) -> None:
    raw = np.full((72, 96), 100, np.uint16)
    out = made(DEPTH, COLOR, pose(np.eye(3), 0, 0, -0.2), keep_values=True)(raw, 0.001)
    assert not out.any()


@every_implementation
def test_a_lens_that_folds_back_shows_nothing_from_outside_its_view(made: Made) -> None:
    folding = (-0.4, 0.0, 0.0, 0.0)  # r (1 - 0.4 r2) turns back at r = 0.913
    assert valid_radius(folding) == pytest.approx(np.sqrt(1 / 1.2), abs=0.01)
    wide = Intrinsics(96, 72, 20.0, 20.0, 47.5, 35.5)
    raw = np.full((72, 96), 1000, np.uint16)
    raw[:, 60:] = 800  # x/z above 0.6
    raw[:, 75:] = 400  # beyond the fold, nearest of all
    narrow = Intrinsics(128, 96, 120.0, 120.0, 63.5, 47.5, folding)
    out = made(wide, narrow, Extrinsics(), keep_values=True)(raw, 0.001)
    assert set(np.unique(out)) == {0, 800, 1000} or set(np.unique(out)) == {800, 1000}


@every_implementation
def test_depth_of_another_size_is_refused(made: Made) -> None:
    with pytest.raises(CameraError, match="depth is 10x10"):
        made(DEPTH, COLOR, POSE, keep_values=True)(np.zeros((10, 10), np.uint16), 0.001)


# ---- the table on disk -------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corner_rays.cache_clear()
    yield tmp_path / "rays of ä lens"
    corner_rays.cache_clear()


def test_a_table_is_kept_and_used_again(folder: Path) -> None:
    first = corner_rays(DEPTH_LENSED, folder)
    (kept,) = folder.iterdir()
    np.save(kept, first + 1)
    corner_rays.cache_clear()
    np.testing.assert_array_equal(corner_rays(DEPTH_LENSED, folder), first + 1)
    assert corner_rays(DEPTH, folder) is not None
    assert [*folder.iterdir()] == [kept], "an ideal lens needs no file, and nothing is left over"


@pytest.mark.parametrize("content", [b"", b"junk", b"\x93NUMPY\x01\x00"])
def test_a_damaged_table_is_computed_again(folder: Path, content: bytes) -> None:
    first = corner_rays(DEPTH_LENSED, folder)
    (kept,) = folder.iterdir()
    kept.write_bytes(content)
    corner_rays.cache_clear()
    np.testing.assert_array_equal(corner_rays(DEPTH_LENSED, folder), first)
    assert np.load(kept).shape == first.shape


def test_a_table_that_cannot_be_kept_still_serves(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING, registration.__name__):
        assert corner_rays(DEPTH_LENSED, folder).shape == (2, 73, 97)
    assert "could not be kept" in caplog.text


def test_another_calibration_is_another_table(folder: Path) -> None:
    corner_rays(DEPTH_LENSED, folder)
    corner_rays(LENSED, folder)
    assert len([*folder.iterdir()]) == 2


# ---- agreement with the SDKs -------------------------------------------------------------------


def agreement(own: RawDepth, reference: RawDepth, unit_mm: float) -> float:
    """Share of the reference's valid pixels within max(2 mm, 1 %)."""
    a, b = own * unit_mm, reference * unit_mm
    close = (own > 0) & (np.abs(a - b) <= np.maximum(2, 0.01 * b))
    return float(close[reference > 0].mean())


@pytest.mark.testdata
@every_implementation
@pytest.mark.parametrize("name", ["d435_single_frame.bag", "virtual_d435.db3"])
def test_agrees_with_the_realsense_sdk(testdata: Path, name: str, made: Made) -> None:
    rs = pytest.importorskip("pyrealsense2")
    from drivers.realsense import data

    pipeline, config = rs.pipeline(), rs.config()
    config.enable_device_from_file(
        str(testdata / "data" / "realsense" / name), repeat_playback=False
    )
    profile = pipeline.start(config)
    try:
        frames = pipeline.wait_for_frames(5000)
        aligned = rs.align(rs.stream.color).process(frames).get_depth_frame()
        found = data.calibration(rs, profile)
        raw, reference = data.to_depth(frames.get_depth_frame()), data.to_depth(aligned)
        scale_m = frames.get_depth_frame().get_units()
        del frames, aligned
    finally:
        pipeline.stop()
    own = made(found.depth, found.color, found.T_color_depth, keep_values=True)
    assert agreement(own(raw, scale_m), reference, scale_m * 1000) >= 0.995


_ENGINE = """
import sys
import numpy as np, pyk4a
file = pyk4a.PyK4APlayback(sys.argv[1], thread_safe=False)
file.open()
capture = file.get_next_capture()
found = capture.transformed_depth
np.savez(sys.argv[2], raw=capture.depth, reference=np.zeros(0) if found is None else found)
"""


@pytest.mark.testdata
def test_agrees_with_the_kinects_depth_engine(testdata: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyk4a")
    if sys.platform == "linux" and shutil.which("xvfb-run") is None:
        pytest.skip("the depth engine needs a display; install xvfb")
    from drivers.kinect import data
    from drivers.kinect.driver import sdk

    recording, result = testdata / "data" / "azure_kinect" / "recording.mkv", tmp_path / "r.npz"
    command = [sys.executable, "-c", _ENGINE, str(recording), str(result)]
    if sys.platform == "linux":
        command = ["xvfb-run", "-a", "-n", "72", *command]
    subprocess.run(command, check=True, timeout=90, cwd=tmp_path, capture_output=True)
    with np.load(result) as images:
        raw, reference = images["raw"], images["reference"]
    if not reference.any():
        pytest.skip("the depth engine found no OpenGL 4.4")
    k4a = sdk()
    file = k4a.PyK4APlayback(recording, thread_safe=False)
    file.open()
    color, depth = data.recorded(file.configuration)
    found = data.calibration(k4a, file.calibration, color, depth)
    file.close()
    for made in (in_numpy, in_torch):
        own = made(found.depth, found.color, found.T_color_depth, keep_values=False)
        assert agreement(own(raw, 0.001), reference, 1.0) >= 0.989, made
