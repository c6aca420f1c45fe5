"""Calibration files of other programs: each form gives its values, or is refused with a word."""

from __future__ import annotations

import json
import logging

import fixtures_folder as made
import numpy as np
import pytest
from fixtures_folder import frames

from lingbot_live.errors import BadRecordingError
from lingbot_live.frame import Intrinsics

FLAT = [60.0, 0, 31.5, 0, 61.0, 23.5, 0, 0, 1]  # row by row
FOUR = made.K.tolist()
FOUR = [[*row, 0] for row in FOUR] + [[0, 0, 0, 1]]
SIZE = {"width": made.WIDTH, "height": made.HEIGHT}


def text(rows):
    return "\n".join(" ".join(map(str, row)) for row in rows)


ROS = {
    "image_width": 64, "image_height": 48, "camera_name": "left", "distortion_model": "plumb_bob",
    "camera_matrix": {"rows": 3, "cols": 3, "data": FLAT},
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, -0.2, 0.001, 0.002, 0.03]},
}  # fmt: skip
ROS_YAML = """image_width: 64
image_height: 48
camera_name: left
camera_matrix:
  rows: 3
  cols: 3
  data: [60.0, 0, 31.5, 0, 61.0, 23.5, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0.001, 0.002, 0.03]}
"""
ORB = """%YAML:1.0
---
Camera.type: "PinHole"
Camera.fx: 60.0
Camera.fy: 61.0
Camera.cx: 31.5
Camera.cy: 23.5
Camera.k1: 0.1
Camera.k2: -0.2
Camera.p1: 0.001
Camera.p2: 0.002
Camera.k3: 0.03
DepthMapFactor: 2000.0
ORBextractor.nFeatures: 1000
"""
SCANNET = """colorWidth = 64
colorHeight = 48
fx_color = 60.0
fy_color = 61.0
mx_color = 31.5
my_color = 23.5
fx_depth = 577.8
"""
SENS = """m_colorWidth = 64
m_colorHeight = 48
m_depthShift = 1000
m_calibrationColorIntrinsic = 60 0 31.5 0 0 61 23.5 0 0 0 1 0 0 0 0 1
m_calibrationDepthIntrinsic = 577 0 318 0 0 578 242 0 0 0 1 0 0 0 0 1
"""
COLUMNS = np.array(FLAT).reshape(3, 3).T.ravel().tolist()

FORMS = {
    "open3d": ("camera_intrinsic.json", json.dumps({**SIZE, "intrinsic_matrix": COLUMNS})),
    "open3d parameters": (
        "camera.json",
        json.dumps({"class_name": "PinholeCameraParameters", "extrinsic": [0] * 16,
                    "intrinsic": {**SIZE, "intrinsic_matrix": COLUMNS}}),
    ),
    "byte order mark": (
        "intrinsics.json", "\ufeff" + json.dumps({"fx": 60, "fy": 61, "cx": 31.5, "cy": 23.5}),
    ),
    "ros message": (
        "camera_info.json", json.dumps({**SIZE, "k": FLAT, "d": [0] * 5, "p": [0] * 12}),
    ),
    "ros json": ("camera_info.json", json.dumps(ROS)),
    "ros yaml": ("camera_info.yaml", ROS_YAML),
    "orb-slam": ("camera.yaml", ORB),
    "bop": ("camera.json", json.dumps({**SIZE, "fx": 60, "fy": 61, "cx": 31.5, "cy": 23.5,
                                       "depth_scale": 1.0})),
    "4x4": ("intrinsic.txt", text(FOUR)),
    "4x4 of ScanNet": ("intrinsic/intrinsic_color.txt", text(FOUR)),
    "3x4": ("camera.txt", text(FOUR[:3])),
    "3x3 with commas": ("K.txt", text(made.K).replace(" ", ", ")),
    "one line": ("intrinsics.txt", "60.0 61.0 31.5 23.5\n"),
    "one line of nine": ("intrinsics.txt", " ".join(map(str, FLAT))),
    "remark": ("intrinsics.txt", "# fx fy cx cy\n60 61 31.5 23.5\n"),
    "names": ("intrinsics.txt", "fx: 60\nfy: 61\ncx: 31.5\ncy: 23.5\n"),
    "scannet": ("scene0000_00_info.txt", SENS),
    "scannet text": ("_info.txt", SCANNET),
}  # fmt: skip


def with_lens(folder, name, content):
    path = made.plain(folder)
    (path / "intrinsics.json").unlink()
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_text(content, "utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_its_values(tmp_path, form, caplog):
    found = frames(with_lens(tmp_path, *FORMS[form]))[0]
    assert len(found) == 4
    assert np.allclose(found[0].intrinsics.matrix, made.K)
    distorted = form in ("ros json", "ros yaml", "orb-slam")
    wanted = (0.1, -0.2, 0.001, 0.002, 0.03) if distorted else ()
    assert found[0].intrinsics.distortion == wanted
    assert found[0].depth_scale_m == pytest.approx(0.0005 if form == "orb-slam" else 0.001)
    assert "unknown name" not in caplog.text


@pytest.mark.parametrize(
    ("value", "unit_m"),
    [(0.001, 0.001), (0.0001, 0.0001), (0.00025, 0.00025), (1000, 0.001), (5000, 0.0002),
     (1.0, 0.001), (0.1, 0.0001)],
)  # fmt: skip
def test_depth_scale_as_programs_write_it(tmp_path, value, unit_m):
    path = made.plain(tmp_path, depth_scale=value)
    frame = frames(path)[0][0]
    assert frame.depth_scale_m == pytest.approx(unit_m)
    assert np.array_equal(frame.depth_raw, made.pair(0)[1])


def test_names_nobody_knows_are_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        frames(made.plain(tmp_path, depth_scal_m=0.1))
    assert "unknown name 'depth_scal_m' is passed over" in caplog.text
    assert "depth_scale_m" in caplog.text


def test_a_calibration_of_another_size_is_scaled_with_a_word(tmp_path, caplog):
    whole = {"fx": 120, "fy": 122, "cx": 63.5, "cy": 47.5, "width": 128, "height": 96}
    with caplog.at_level(logging.WARNING):
        found = frames(made.plain(tmp_path, **whole))[0][0].intrinsics
    assert found == Intrinsics(64, 48, 60.0, 61.0, 31.5, 23.5)
    assert "is for 128x96, the images are 64x48; it is scaled by 0.5" in caplog.text


def k(**changes):
    rows = made.K.copy()
    for place, value in changes.items():
        rows[int(place[1]), int(place[2])] = value
    return text(rows)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("K.txt", text(made.K / [[64], [48], [1]]), "divided by the picture's size"),
        ("K.txt", text(made.K.T), "transposed"),
        ("K.txt", k(_02=0), "principal point 0, 23.5 lies on or outside"),
        ("K.txt", k(_02=63), "lies on or outside the border of 64x48"),
        ("K.txt", k(_12=-3), "lies on or outside"),
        ("K.txt", k(_02=319.5, _12=239.5), "look like those of pictures of 640x480"),
        ("K.txt", k(_00=9.5), "focal length 9.5, 61 is below 10 px"),
        ("K.txt", k(_01=4), "skew of 4"),
        ("K.txt", k(_22=2), "ends with"),
        ("K.txt", k(_21=0.5), "ends with"),
        ("K.txt", text([[*row, 7] for row in made.K]), "last column is not 0"),
        ("K.txt", "60 61 31.5", "3x3 matrix is needed"),
        ("K.txt", "60 0 31.5\n0 61\n0 0 1", "different counts"),
        ("camera.json", json.dumps({**SIZE, "intrinsic_matrix": FLAT}), "transposed"),
        ("camera_info.json", json.dumps({"K": FLAT, "D": [0.1, 0.2, 0.3, 0.4],
                                         "distortion_model": "equidistant"}), "equidistant"),
        ("camera_info.json", json.dumps({"K": FLAT, "D": [0.1] * 14}), "14 distortion values"),
        ("camera.json", json.dumps({"fx": 60, "fy": 61, "cx": 31.5, "cy": 23.5,
                                    "depth_scale": 40}), "depth_scale 40.0 is no unit"),
        ("camera.yaml", "fx: [1\n", "no YAML"),
        ("camera.yaml", "- 1\n", "an object with fx"),
        ("K.txt", "fx is 60", "could not convert"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused(tmp_path, name, content, says):
    with pytest.raises(BadRecordingError, match=says) as caught:
        frames(with_lens(tmp_path, name, content))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_calibration_names_what_would_do(tmp_path):
    path = made.plain(tmp_path)
    (path / "intrinsics.json").unlink()
    with pytest.raises(BadRecordingError, match=r"no calibration in it; add intrinsics\.json"):
        frames(path)
