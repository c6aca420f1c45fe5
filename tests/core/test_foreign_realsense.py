"""RealSense's own topics in an MCAP file: its unit of depth and its extrinsics count."""

from __future__ import annotations

import sqlite3

import cv2
import numpy as np
import pytest
from foreign_files import HEIGHT, WIDTH, K, OtherProgram, color_image, depth_image, png, stamp_ns

from lingbot_live.frame import Alignment, Extrinsics, Intrinsics
from lingbot_live.recording.recording import Recording
from lingbot_live.registration import Registration

SENSORS = "/device_{0}/sensor_0/Depth_0", "/device_{0}/sensor_1/Color_0"
DEPTH_K = (50.0, 50.0, 38.0, 30.0)


def pose(turn, shift):
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.array(turn))[0]
    matrix[:3, 3] = shift
    return matrix


TO_DEPTH = pose((0.0, 0.01, 0.0), (0.001, 0.0, 0.0))  # from ref_1
TO_COLOR = pose((0.02, -0.03, 0.01), (0.015, 0.001, -0.002))
T_COLOR_DEPTH = TO_COLOR @ np.linalg.inv(TO_DEPTH)


def told(matrix):
    """Return a transform as the recorder writes it, rotation by columns."""
    turn = ",".join(f"{value:.9f}" for value in matrix[:3, :3].T.ravel())
    return f"rotation={turn};translation={','.join(f'{v:.9f}' for v in matrix[:3, 3])}"


def device(file, number=0, unit="0.000250", option="Depth_Units", raw=False, transforms="own"):
    """Write one device's topics; arrival stamps jitter, log times are the device's."""
    depth, color = (name.format(number) for name in SENSORS)
    file.text(f"/device_{number}/sensor_0/option/Stereo_Baseline/value", "50.000000")
    if unit:
        file.text(f"/device_{number}/sensor_0/option/{option}/value", unit)
    if transforms == "own":
        file.text(f"{depth}/tf/ref_1", told(TO_DEPTH))
        file.text(f"{color}/tf/ref_1", told(TO_COLOR))
    elif transforms == "tf_static":
        file.transform("ref_1", "Depth", np.linalg.inv(TO_DEPTH))
        file.transform("ref_1", "Color", np.linalg.inv(TO_COLOR))
    for row in range(4):
        t, late = stamp_ns(row), (row * 7 % 3) * 9_000_000
        values = depth_image(row + 10 * number)
        if raw:
            file.image(f"{depth}/image/data", t + late, "Depth", "mono16", values, log_ns=t)
        else:
            data, kind = bytes(12) + png(values), "16UC1; compressedDepth png"
            file.packed(
                f"{depth}/image/data/compressedDepth", t + late, "Depth", kind, data, log_ns=t
            )
        file.text(f"{depth}/image/metadata", "Frame number=0;depth_units=0.000500;Frame Counter=0;")
        file.camera(f"{depth}/image/camera_info", t, "Depth", DEPTH_K, model="Brown Conrady")
        kind, data = "rgb8; png compressed bgr8", png(color_image(row + 10 * number))
        file.packed(f"{color}/image/data/compressed", t + 3 * late, "Color", kind, data, log_ns=t)
        file.camera(f"{color}/image/camera_info", t, "Color", model="Inverse Brown Conrady")


def check(frame, row, unit_m=0.00025):
    assert frame.depth_scale_m == unit_m
    move = Registration(
        Intrinsics(WIDTH, HEIGHT, *DEPTH_K), Intrinsics(WIDTH, HEIGHT, *K),
        Extrinsics.from_matrix(T_COLOR_DEPTH), keep_values=False,
    )  # fmt: skip
    truth = move(depth_image(row), unit_m)
    off = np.abs(frame.depth_raw.astype(int) - truth)
    assert np.mean(off <= 4) > 0.995  # the transform is written with nine digits
    assert np.array_equal(frame.color, color_image(row))
    assert frame.alignment is Alignment.OWN
    assert frame.calibration.baseline_m == 0.05
    assert np.allclose(frame.calibration.T_color_depth.matrix, T_COLOR_DEPTH, atol=1e-7)


@pytest.mark.parametrize("transforms", ["own", "tf_static"])
@pytest.mark.parametrize("raw", [False, True])
def test_unit_and_extrinsics_count(tmp_path, transforms, raw):
    path = tmp_path / "converted.mcap"
    with OtherProgram(path) as file:
        device(file, transforms=transforms, raw=raw)
    with Recording(path) as recording:
        assert recording.track().remarks == ()
        assert len(recording) == 4
        for row in range(4):
            check(recording[row], row)


@pytest.mark.parametrize(
    ("unit", "option", "unit_m"),
    [
        ("0.000100", "Depth_Units", 0.0001),
        ("0.000100", "Depth Units", 0.0001),
        ("", "", 0.0005),  # the images' own notes
        ("junk", "Depth_Units", 0.001),
        ("-1", "Depth_Units", 0.001),
    ],
)
def test_where_the_unit_is_looked_for(tmp_path, unit, option, unit_m):
    path = tmp_path / "converted.mcap"
    with OtherProgram(path) as file:
        device(file, unit=unit, option=option)
    with Recording(path) as recording:
        check(recording[1], 1, unit_m)


def test_two_devices_keep_what_is_theirs(tmp_path):
    path = tmp_path / "converted.mcap"
    with OtherProgram(path) as file:
        device(file, 0)
        device(file, 1, unit="0.001")
    with Recording(path) as recording:
        names = [f"{SENSORS[0].format(n)}/image/data/compressedDepth" for n in range(2)]
        assert sorted(recording.tracks) == names
        check(recording.track(names[0])[2], 2)
        check(recording.track(names[1])[2], 12, 0.001)


@pytest.mark.testdata
def test_a_converted_recording_measures_as_the_sdk_does(testdata, tmp_path):
    pytest.importorskip("pyrealsense2")
    from lingbot_live.cameras import registry
    from lingbot_live.cameras.readings import OFFLINE, every_frame

    source, path = testdata / "data" / "realsense" / "virtual_d435.db3", tmp_path / "converted.mcap"
    with (
        sqlite3.connect(f"file:{source}?mode=ro", uri=True) as database,
        OtherProgram(path) as file,
    ):
        rows = database.execute(
            "SELECT name, type, timestamp, data FROM messages JOIN topics "
            "ON topics.id = topic_id ORDER BY timestamp"
        )
        for topic, kind, time_ns, data in rows:
            file.put(topic, kind, time_ns, data)
    database.close()
    with registry.create_camera(f"realsense:{source}", OFFLINE) as camera:
        theirs = list(every_frame(camera))
    with Recording(path) as recording:
        assert len(recording) == 60
        for row in (0, 30, 59):
            ours = recording[row]
            (same,) = (f for f in theirs if np.array_equal(f.color, ours.color))
            assert ours.depth_scale_m == pytest.approx(same.depth_scale_m)
            both = (same.depth_raw > 0) & (ours.depth_raw > 0)
            assert both.sum() > 0.95 * (same.depth_raw > 0).sum()
            assert np.median(np.abs(same.depth_m - ours.depth_m)[both]) < 0.005
