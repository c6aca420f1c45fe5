"""Layouts of known data sets, depth in every kind of file, and images that are damaged."""

from __future__ import annotations

import json
import logging
import struct

import cv2
import fixtures_folder as made
import numpy as np
import pytest
from command import command
from fixtures_folder import frames, same_pair

from lingbot_live.cameras import registry
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import BadFrameError, BadRecordingError, EndOfStreamError
from lingbot_live.frame import Alignment
from lingbot_live.pipeline.session import Session

LENS = {"fx": 60.0, "fy": 61.0, "cx": 31.5, "cy": 23.5}


def lens(folder, **more):
    (folder / "intrinsics.json").write_text(json.dumps(LENS | more))
    return folder


def images(folder, names, color="color", depth="depth", suffix=".png"):
    for i, (color_name, depth_name) in enumerate(names):
        pixels, raw = made.pair(i)
        made.write(folder / color / f"{color_name}.png", pixels)
        made.write(folder / depth / f"{depth_name}{suffix}", raw)
    return folder


def in_order(found, count):
    assert len(found) == count
    return all(same_pair(frame, i) for i, frame in enumerate(found))


@pytest.mark.parametrize(
    "name", ["frame_{}", "{}", "cam0-{}-x", "{:03}", "Frame{}_of_11", "a1_{}", "1.{}"]
)
def test_numbers_in_names_are_numbers(tmp_path, name):
    order = [10, 2, 0, 11, 1, 9]  # as they lie on the disk
    names = [name.format(i) for i in sorted(order)]
    images(lens(tmp_path), zip(names, names, strict=True))
    assert in_order(frames(tmp_path)[0], 6)


def test_examples_in_natural_order(tmp_path):
    for i in range(12):
        made.example(tmp_path / f"room_{i}", i)
    assert in_order(frames(tmp_path)[0], 12)


def test_names_with_a_dot_in_front_are_passed_over(tmp_path):
    made.plain(tmp_path)
    for name in ("color", "depth"):
        (tmp_path / name / "._0000.png").write_bytes(b"\x00\x05\x16\x07")
        (tmp_path / name / "._0009.png").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "._intrinsics.json").write_bytes(b"\x00\x05")
    found, camera = frames(tmp_path)
    assert in_order(found, 4)
    assert not camera.missed


# ---- data sets -----------------------------------------------------------------------------------


def test_scannet(tmp_path):
    images(tmp_path, [(str(i), str(i)) for i in range(3)])
    for sensor in ("color", "depth"):
        made.matrix(tmp_path / "intrinsic" / f"intrinsic_{sensor}.txt", made.K)
        made.matrix(tmp_path / "intrinsic" / f"extrinsic_{sensor}.txt", np.eye(3))
    found, _ = frames(tmp_path)
    assert in_order(found, 3)
    assert np.allclose(found[0].intrinsics.matrix, made.K)
    assert found[0].alignment is Alignment.NONE


def test_scannet_with_larger_colour_is_registered(tmp_path):
    raw = np.full((48, 64), 2000, np.uint16)
    color = np.zeros((96, 128, 3), np.uint8)
    made.write(tmp_path / "color" / "0.jpg", color)
    made.write(tmp_path / "depth" / "0.png", raw)
    twice = made.K * [[2], [2], [1]] + [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
    made.matrix(tmp_path / "intrinsic" / "intrinsic_color.txt", twice)
    made.matrix(tmp_path / "intrinsic" / "intrinsic_depth.txt", made.K)
    (frame,), _ = frames(tmp_path)
    assert frame.depth_raw.shape == (96, 128)
    assert frame.intrinsics.fx == 120
    assert frame.alignment is Alignment.OWN
    assert (frame.depth_raw[2:-2, 2:-2] == 2000).all()


def test_scannet_with_colour_brought_to_depths_size(tmp_path):
    images(tmp_path, [("0", "0")])
    made.matrix(tmp_path / "intrinsic" / "intrinsic_color.txt", made.K * [[20], [20], [1]])
    made.matrix(tmp_path / "intrinsic" / "intrinsic_depth.txt", made.K)
    found, _ = frames(tmp_path)
    assert in_order(found, 1)
    assert np.allclose(found[0].intrinsics.matrix, made.K)


def test_seven_scenes(tmp_path):
    for i in range(3):
        color, raw = made.pair(i)
        raw[0, :4] = 65535
        made.write(tmp_path / f"frame-{i:06}.color.png", color)
        made.write(tmp_path / f"frame-{i:06}.depth.png", raw)
        np.savetxt(tmp_path / f"frame-{i:06}.pose.txt", np.eye(4))
    lens(tmp_path)
    found, camera = frames(tmp_path)
    assert camera.info.details["layout"] == "7-scenes"
    assert [f.out_of_range for f in found] == [4, 4, 4]
    assert not found[1].depth_raw[0, :4].any()
    assert np.array_equal(found[1].depth_raw[1:], made.pair(1)[1][1:])


def test_seven_scenes_has_its_authors_calibration(tmp_path, caplog):
    color, raw = made.pair(0, 640, 480)
    made.write(tmp_path / "frame-000000.color.png", color)
    made.write(tmp_path / "frame-000000.depth.png", raw)
    k = frames(tmp_path)[0][0].intrinsics
    assert (k.fx, k.fy, k.cx, k.cy) == (585.0, 585.0, 320.0, 240.0)
    assert "of the data set is assumed" in caplog.text


def test_bop(tmp_path):
    names = [f"{i:06}" for i in range(3)]
    images(tmp_path, zip(names, names, strict=True), color="rgb")
    cameras = {
        str(i): {"cam_K": (made.K + i * np.eye(3) * [1, 1, 0]).ravel().tolist(),
                 "depth_scale": 0.1 * (i + 1), "cam_R_w2c": [0] * 9}
        for i in (0, 1)
    }  # fmt: skip
    (tmp_path / "scene_camera.json").write_text(json.dumps(cameras))
    found, camera = frames(tmp_path)
    assert in_order(found, 2)
    assert [f.intrinsics.fx for f in found] == [60.0, 61.0]
    assert [f.depth_scale_m for f in found] == pytest.approx([0.0001, 0.0002])
    assert camera.missed["damaged"] == 1  # image 2 has no calibration


def test_redwood_pairs_by_the_microseconds_in_names(tmp_path):
    color = [f"{i + 1:07}-{33_333 * i:012}" for i in range(4)]
    depth = [f"{i + 1:07}-{33_333 * i + 5_000:012}" for i in range(4)]
    images(lens(tmp_path), zip(color, depth, strict=True), color="rgb")
    (tmp_path / "rgb" / f"{color[1]}.png").unlink()
    found, camera = frames(tmp_path)
    assert [next(i for i in range(4) if same_pair(f, i)) for f in found] == [0, 2, 3]
    assert [f.device_timestamp_us for f in found] == [5_000, 71_666, 104_999]
    assert camera.missed["unpaired"] == 1


def test_names_that_share_only_their_number(tmp_path):
    names = [(f"color_{i:04}", f"depth_{i:04}") for i in range(3)]
    assert in_order(frames(images(lens(tmp_path), names, color="RGB", depth="Depth"))[0], 3)


@pytest.mark.parametrize("depth_first", [True, False])
def test_icl_nuim_counts_frames(tmp_path, depth_first, caplog):
    lines = []
    for i in range(12):
        color, raw = made.pair(i, 640, 480)
        made.write(tmp_path / "rgb" / f"{i}.png", color)
        made.write(tmp_path / "depth" / f"{i}.png", raw)
        sides = [f"{i} depth/{i}.png", f"{i} rgb/{i}.png"]
        lines.append(" ".join(sides if depth_first else sides[::-1]))
    (tmp_path / "associations.txt").write_text("\n".join(lines))
    found, _ = frames(tmp_path)
    assert all(np.array_equal(f.depth_raw, made.pair(i, 640, 480)[1]) for i, f in enumerate(found))
    assert np.array_equal(found[5].color, made.pair(5, 640, 480)[0])
    assert found[1].intrinsics.fx == 481.2
    assert found[1].depth_scale_m == pytest.approx(1 / 5000)
    assert [f.device_timestamp_us for f in found][:3] == [0, 33_333, 66_667]  # at 30 a second


# ---- depth in other files ------------------------------------------------------------------------


def store(path, image):
    if path.suffix == ".npy":
        np.save(path, image)
    else:
        path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


@pytest.mark.parametrize("suffix", [".pgm", ".tiff", ".tif", ".npy", ".png"])
def test_whole_numbers(tmp_path, suffix):
    made.plain(tmp_path)
    for i in range(4):
        (tmp_path / "depth" / f"{i:04}.png").unlink()
        store(tmp_path / "depth" / f"{i:04}{suffix}", made.pair(i)[1])
    assert in_order(frames(tmp_path)[0], 4)


@pytest.mark.parametrize("suffix", [".tiff", ".exr", ".npy"])
@pytest.mark.parametrize("unit", ["metres", "millimetres"])
def test_floats(tmp_path, suffix, unit, monkeypatch):
    monkeypatch.setenv("OPENCV_IO_ENABLE_OPENEXR", "1")  # to write one
    made.plain(tmp_path, 1)
    (tmp_path / "depth" / "0000.png").unlink()
    raw = made.pair(0)[1]
    values = raw.astype(np.float32) / (1000 if unit == "metres" else 1)
    values[0, :4] = np.nan, np.inf, -1, 80 * (1 if unit == "metres" else 1000)
    store(tmp_path / "depth" / f"0000{suffix}", values)
    (frame,), _ = frames(tmp_path)
    assert frame.depth_scale_m == 0.001
    assert not frame.depth_raw[0, :4].any()
    assert np.array_equal(frame.depth_raw[1:], raw[1:])
    assert frame.out_of_range == 1  # 80 m


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((48, 64, 2)), "one channel"),
        (np.zeros((48, 64), np.uint8), "not 8 bit"),
        (np.array([{}]), "not a readable array"),
        (np.zeros((0, 64)), "one channel"),
    ],
)
def test_arrays_that_are_no_depth(tmp_path, array, says):
    made.plain(tmp_path, 1)
    (tmp_path / "depth" / "0000.png").unlink()
    np.save(tmp_path / "depth" / "0000.npy", array, allow_pickle=True)
    with pytest.raises(BadRecordingError, match=says):
        frames(tmp_path)


def test_65535_is_no_measurement_and_counted(tmp_path):
    made.plain(tmp_path / "in", 2)
    raw = made.pair(0)[1]
    raw[2, 2:5] = 65535
    made.write(tmp_path / "in" / "depth" / "0000.png", raw)
    found, _ = frames(tmp_path / "in")
    assert not found[0].depth_raw[2, 2:5].any()
    assert [f.out_of_range for f in found] == [3, 0]
    done = command("export", f"folder:{tmp_path / 'in'}", "--to", "npz", "-o", tmp_path / "out")
    assert "3 pixels held no depth" in done.stderr
    session = Session.of([f"folder:{tmp_path / 'in'}"], RefinerConfig("none"), made.ONCE)
    session.start()
    session.wait()
    session.stop()
    assert next(iter(session.stats().as_dict()["feeds"].values()))["out_of_range_pixels"] == 3


# ---- orientation ---------------------------------------------------------------------------------


def turned_jpeg(path, image, orientation):
    """Write a JPEG that asks viewers to turn it."""
    data = cv2.imencode(".jpg", image)[1].tobytes()
    tiff = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)
    exif = b"Exif\x00\x00" + tiff
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_colour_lies_on_depth_whatever_exif_says(tmp_path, orientation):
    made.plain(tmp_path, 1)
    (tmp_path / "color" / "0000.png").unlink()
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = 255
    turned_jpeg(tmp_path / "color" / "0000.jpg", image, orientation)
    (frame,), _ = frames(tmp_path)
    assert frame.color.shape == (48, 64, 3)
    assert frame.color[5, 5].min() > 200
    assert frame.color[40, 60].max() < 50


def test_exif_is_followed_where_depth_follows_it(tmp_path):
    made.plain(tmp_path, 1)
    (tmp_path / "color" / "0000.png").unlink()
    image = np.zeros((64, 48, 3), np.uint8)  # stored upright, shown lying by orientation 6
    image[:32, :24] = 255
    turned_jpeg(tmp_path / "color" / "0000.jpg", image, 6)
    (frame,), _ = frames(tmp_path)
    assert frame.color.shape == (48, 64, 3)
    assert frame.color[5, 60].min() > 200  # what lay top left is top right
    assert frame.color[5, 5].max() < 50


# ---- damage --------------------------------------------------------------------------------------


def bomb(data):
    """A PNG whose head says 60000x60000."""
    return data[:16] + struct.pack(">II", 60000, 60000) + data[24:]


DAMAGE = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "bomb": bomb,
    "text": lambda data: b"<html>no such file</html>",
    "gone": None,
    "one bit": lambda data: data[:700] + bytes([data[700] ^ 64]) + data[701:],
}


def spoil(path, how):
    data = path.read_bytes()
    path.unlink()
    if how is not None:
        path.write_bytes(how(data))


@pytest.mark.parametrize("side", ["rgb", "depth"])
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_bad_image_loses_itself_alone(tmp_path, side, damage, place):
    path = made.tum(tmp_path)
    spoil(sorted((path / side).iterdir())[place], DAMAGE[damage])
    found, camera = frames(path)
    good = [i for i in range(4) if i != place]
    assert [next(i for i in range(4) if same_pair(f, i)) for f in found] == good
    assert camera.missed["damaged"] == 1
    assert [f.index for f in found] == good


@pytest.mark.parametrize("place", [0, 1])
def test_every_command_goes_on_after_a_bad_image(tmp_path, place):
    path = made.plain(tmp_path / "in", 3)
    spoil(path / "depth" / f"{place:04}.png", DAMAGE["cut"])
    address = f"folder:{path}"
    exported = command("export", address, "--to", "npz", "-o", tmp_path / "out")
    assert exported.returncode == 0, exported.stderr
    assert "2 frames, 1 left out" in exported.stdout
    assert [p.name for p in sorted((tmp_path / "out").glob("*.npz"))] == [
        f"{i:06}.npz" for i in range(3) if i != place
    ]
    refined = command("refine", address, "-o", tmp_path / "refined", "--refiner", "none")
    assert len(list((tmp_path / "refined").glob("frame-*"))) == 2
    assert f"frame-{place:06}" in refined.stderr
    ran = command("run", address, "--headless", "--refiner", "none", "--every-frame")
    assert ran.returncode == 0, ran.stderr
    (feed,) = json.loads(ran.stdout)["feeds"].values()
    assert (feed["captured"], feed["missed"]) == (2, {"damaged": 1})
    told = command("measure", address, "--frames", "3", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["frames"] == 2
    assert command("info", path).returncode == 0


def test_a_loop_over_nothing_but_damage_ends(tmp_path):
    """Images that vanish while they play do not keep the reader busy for ever."""
    path = made.plain(tmp_path, 2)
    with registry.create_camera(f"folder:{path}", CameraConfig(realtime=False)) as camera:
        for image in (path / "depth").iterdir():
            image.unlink()
        camera._cache.clear()
        for _ in range(2):
            with pytest.raises(BadFrameError):
                camera.read(1.0)
        with pytest.raises(EndOfStreamError):
            camera.read(1.0)
    assert camera.missed["damaged"] == 2


def test_a_bad_image_in_a_loop_is_told_once(tmp_path, caplog):
    path = made.plain(tmp_path, 3)
    spoil(path / "depth" / "0001.png", DAMAGE["cut"])
    config = CameraConfig(realtime=False)
    session = Session.of([f"folder:{path}"], RefinerConfig("none"), config)
    session.start(max_frames=9)
    session.wait()
    session.stop()
    (feed,) = session.stats().as_dict()["feeds"].values()
    assert feed["missed"]["damaged"] >= 4
    assert caplog.text.count("0001.png: not a readable image") == 1


def test_an_example_with_a_bad_calibration_loses_itself_alone(tmp_path, caplog):
    made.examples(tmp_path, 3)
    (tmp_path / "0" / "intrinsics.txt").write_text("nonsense")
    (tmp_path / "2" / "raw_depth.png").unlink()
    with caplog.at_level(logging.WARNING):
        found, camera = frames(tmp_path)
    assert [f.label for f in found] == ["1"]
    assert camera.missed["damaged"] == 2


def test_nothing_but_damage_says_what_is_wrong_with_the_first(tmp_path):
    path = made.plain(tmp_path, 3)
    for image in (path / "depth").iterdir():
        image.write_bytes(b"")
    with pytest.raises(BadRecordingError, match=r"0000\.png: not a readable image"):
        frames(path)
