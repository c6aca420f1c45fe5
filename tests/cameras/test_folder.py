"""Folders of RGB-D images as cameras."""

from __future__ import annotations

import os
import time
from pathlib import Path

import fixtures_folder as made
import numpy as np
import pytest

from lingbot_live.cameras import registry
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadRecordingError,
    CameraError,
    CameraNotFoundError,
    CameraTimeoutError,
)

frames, same_pair = made.frames, made.same_pair


@pytest.mark.parametrize(
    ("layout", "count", "scale_m"),
    [("example", 1, 0.001), ("examples", 3, 0.001), ("plain", 4, 0.001), ("tum", 4, 1 / 5000)],
)
def test_delivers_what_is_on_disk(tmp_path, layout, count, scale_m):
    path = getattr(made, layout)(tmp_path / "größe 1")
    found, camera = frames(path)
    assert len(found) == count
    assert all(same_pair(frame, i) for i, frame in enumerate(found))
    assert all(frame.depth_scale_m == pytest.approx(scale_m) for frame in found)
    assert np.allclose(found[0].intrinsics.matrix, made.K)
    assert not camera.missed["unpaired"]
    assert registry.find_camera(str(path)).driver == "folder"


def test_labels_name_the_folder_or_file(tmp_path):
    assert [f.label for f in frames(made.examples(tmp_path / "a", 11))[0]] == [
        str(i) for i in range(11)
    ]
    assert frames(made.plain(tmp_path / "b"))[0][2].label == "0002.png"


def test_one_pair_repeats_no_faster_than_its_rate(tmp_path):
    begun_ns = time.monotonic_ns()
    config = CameraConfig(fps=20)
    with registry.create_camera(f"folder:{made.example(tmp_path)}", config) as camera:
        found = [camera.read(1.0) for _ in range(5)]
    assert found[-1].timestamp_ns - begun_ns > 4 * 50e6
    assert [f.index for f in found] == list(range(5))
    with registry.create_camera(f"folder:{tmp_path}", CameraConfig(fps=0.1)) as camera:
        camera.read(1.0)
        with pytest.raises(CameraTimeoutError):
            camera.read(0.01)


def test_json_carries_scale_and_distortion(tmp_path):
    path = made.plain(tmp_path, distortion=[0.1, -0.2, 0.001, 0.002, 0.03], depth_scale_m=0.0002)
    frame = frames(path)[0][0]
    assert frame.depth_scale_m == 0.0002
    assert frame.intrinsics.distortion == (0.1, -0.2, 0.001, 0.002, 0.03)


def test_tum_pairs_by_time_and_counts_the_rest(tmp_path):
    path = made.tum(tmp_path)
    lines = (path / "depth.txt").read_text().splitlines()
    (path / "depth.txt").write_text("\n".join(lines[:2] + lines[3:]))  # without depth 1
    found, camera = frames(path)
    assert [next(i for i in range(4) if same_pair(f, i)) for f in found] == [0, 2, 3]
    assert camera.missed["unpaired"] == 1
    assert [f.device_timestamp_us for f in found] == [1000_004000, 1000_070667, 1000_104000]


def test_tum_without_intrinsics_has_the_benchmarks(tmp_path):
    path = made.tum(tmp_path)
    (path / "intrinsics.txt").unlink()
    with pytest.raises(
        BadRecordingError, match=r"not its data set's 640x480; add an intrinsics\.json"
    ):
        frames(path)
    for name in ("rgb", "depth"):
        for i, file in enumerate(sorted((path / name).iterdir())):
            made.write(file, made.pair(i, 640, 480)[name == "depth"])
    k = frames(path)[0][0].intrinsics
    assert (k.fx, k.fy, k.cx, k.cy) == (525.0, 525.0, 319.5, 239.5)


def spoil_depth_size(path):
    made.write(path / "raw_depth.png", made.pair(0, 32, 24)[1])


def spoil_depth_bits(path):
    made.write(path / "raw_depth.png", made.pair(0)[1].astype(np.uint8))


def spoil_image(path):
    data = (path / "rgb.png").read_bytes()
    (path / "rgb.png").write_bytes(data[:30])


def spoil_empty_image(path):
    (path / "rgb.png").write_bytes(b"")


def spoil_nan(path):
    k = made.K.copy()
    k[0, 0] = np.nan
    np.savetxt(path / "intrinsics.txt", k)


def spoil_shape(path):
    np.savetxt(path / "intrinsics.txt", made.K[:2])


def spoil_words(path):
    (path / "intrinsics.txt").write_text("fx is 60\n")


def spoil_missing(path):
    (path / "intrinsics.txt").unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_depth_size, r"rgb\.png: colour is 64x48 but depth 32x24; align"),
        (
            spoil_depth_bits,
            r"raw_depth\.png: depth must be one channel of 16 bit or of floats, not 8 bit",
        ),
        (spoil_image, r"rgb\.png: not a readable image; save it again"),
        (spoil_empty_image, r"rgb\.png: not a readable image; save it again"),
        (spoil_nan, r"intrinsics\.txt: .*fx nan.*must be finite"),
        (spoil_shape, r"intrinsics\.txt: .*3x3 matrix is needed, not shape \(2, 3\)"),
        (spoil_words, r"intrinsics\.txt: .*3x3 pixels or fx, fy, cx, cy are needed"),
        (spoil_missing, r"intrinsics\.txt missing"),
    ],
)
def test_bad_files_are_named(tmp_path, spoil, says):
    path = made.example(tmp_path / "bad")
    spoil(path)
    camera = registry.create_camera(f"folder:{path}", made.ONCE)
    with pytest.raises(BadRecordingError, match=says) as caught:
        camera.open()
    assert "\n" not in str(caught.value)
    made.example(path)
    with camera:
        assert same_pair(camera.read(1.0), 0)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("{", "no JSON"),
        ("[1]", "an object with fx"),
        ('{"fx": 1}', "fy, cx, cy missing"),
        ('{"fx": "wide", "fy": 1, "cx": 1, "cy": 1}', "wide"),
        ('{"fx": 60, "fy": 60, "cx": 31, "cy": 23, "width": 640}', "is for 640x48, the images are"),
        ('{"fx": 60, "fy": 60, "cx": 31, "cy": 23, "distortion": [1]}', "1 distortion values"),
        ('{"fx": 60, "fy": 60, "cx": 31, "cy": 23, "distortion": 3}', "3x3 pixels or fx"),
        ('{"fx": 60, "fy": 60, "cx": 31, "cy": 23, "depth_scale_m": 1000}', "depth_scale_m 1000"),
    ],
)
def test_bad_json_is_named(tmp_path, values, says):
    path = made.plain(tmp_path)
    (path / "intrinsics.json").write_text(values)
    with pytest.raises(BadRecordingError, match=says) as caught:
        frames(path)
    assert "intrinsics.json" in str(caught.value)


def test_bad_tum_line_is_named(tmp_path):
    path = made.tum(tmp_path)
    (path / "rgb.txt").write_text("# rgb\nnow rgb/1.png\n")
    with pytest.raises(BadRecordingError, match=r"rgb\.txt: line 2 is 'now rgb/1\.png'"):
        frames(path)
    (path / "rgb.txt").write_text("1.0 rgb/gone.png\n")
    (path / "depth.txt").write_text("1.0 depth/gone.png\n")
    with pytest.raises(BadRecordingError, match=r"gone\.png: No such file"):
        frames(path)
    (path / "depth.txt").write_text("5.0 depth/gone.png\n")
    with pytest.raises(BadRecordingError, match="no colour image has a depth image"):
        frames(path)


def test_what_is_no_folder_of_images(tmp_path):
    with pytest.raises(CameraNotFoundError, match="no such folder"):
        registry.find_camera(f"folder:{tmp_path / 'gone'}")
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    with pytest.raises(CameraNotFoundError, match="is a file; name its folder"):
        registry.find_camera(f"folder:{file}")
    with pytest.raises(CameraNotFoundError, match="has no known layout; it needs rgb"):
        frames(tmp_path)
    file.unlink()
    with pytest.raises(CameraNotFoundError, match="is empty"):
        frames(tmp_path)
    assert not registry.driver("folder").plays(tmp_path)


def test_a_size_cannot_be_asked_for(tmp_path):
    path = made.example(tmp_path)
    with pytest.raises(CameraError, match="images keep their own size"):
        frames(path, CameraConfig(width=320, height=240))


def test_cache_is_bounded(tmp_path, monkeypatch):
    pair_bytes = made.WIDTH * made.HEIGHT * 5
    monkeypatch.setattr("drivers.folder.driver.CACHE_BYTES", 2 * pair_bytes)
    config = CameraConfig(realtime=False)
    with registry.create_camera(f"folder:{made.plain(tmp_path)}", config) as camera:
        found = [camera.read(1.0) for _ in range(8)]
        assert all(same_pair(frame, i % 4) for i, frame in enumerate(found))
        kept = [found[i].color is found[i + 4].color for i in range(4)]
    assert kept == [True, True, False, False]


@pytest.mark.testdata
def test_published_examples():
    root = os.environ.get("LINGBOT_LIVE_TESTDATA")
    if not root:
        pytest.skip("LINGBOT_LIVE_TESTDATA is not set")
    found, _ = frames(Path(root) / "data" / "lingbot_examples")
    assert [f.label for f in found] == ["0", "1", "2", "3"]
    assert {f.depth_raw.shape for f in found} == {(480, 640)}
    assert found[1].intrinsics.fx == pytest.approx(461.2757263183594)
    assert found[3].depth_m.max() > 50
