"""Other programs' calibrations: registration, rectified topics, parts of sensors, lenses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from foreign_files import HEIGHT, WIDTH, K, OtherProgram, color_image, depth_image, stamp_ns

from lingbot_live.cameras.previews import shrink
from lingbot_live.errors import CorruptRecordingError, NoCameraError
from lingbot_live.frame import Alignment, Extrinsics, Intrinsics
from lingbot_live.recording.recording import Recording
from lingbot_live.registration import Registration

FRAMES = ("camera_color_optical_frame", "camera_depth_optical_frame")
DEPTH_K, DEPTH_SIZE = (50.0, 51.0, 52.0, 31.0), (106, 64)
RAW = depth_image(0, *DEPTH_SIZE)
MOVED = np.eye(4)
MOVED[:3, :3] = cv2.Rodrigues(np.array([0.02, -0.05, 0.01]))[0]
MOVED[:3, 3] = (0.015, -0.002, 0.004)  # T_color_depth


@pytest.fixture
def path(tmp_path):
    return tmp_path / "other.mcap"


def unaligned(file, rows=2, root="/camera", frames=FRAMES):
    """Write as realsense-ros does by default: depth as its own sensor sees it."""
    for row in range(rows):
        t = stamp_ns(row)
        file.camera(f"{root}/color/camera_info", t, frames[0])
        file.image(f"{root}/color/image_raw", t, frames[0], "rgb8", color_image(row))
        file.camera(f"{root}/depth/camera_info", t, frames[1], DEPTH_K, size=DEPTH_SIZE)
        file.image(f"{root}/depth/image_rect_raw", t, frames[1], "16UC1", RAW)


def registered(matrix):
    """Return what our own registration makes of `RAW`."""
    move = Registration(
        Intrinsics(*DEPTH_SIZE, *DEPTH_K), Intrinsics(WIDTH, HEIGHT, *K),
        Extrinsics.from_matrix(matrix), keep_values=False,
    )  # fmt: skip
    return move(RAW, 0.001)


def in_space(frame, u, v):
    """Return the point that a pixel of a frame shows, in metres."""
    k, z = frame.intrinsics, frame.depth_m[v, u]
    return np.array([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z])


def check_registered(frame, matrix):
    assert frame.alignment is Alignment.OWN
    assert np.array_equal(frame.color, color_image(0))
    assert np.array_equal(frame.depth_raw, registered(matrix))
    assert frame.calibration.color == Intrinsics(WIDTH, HEIGHT, *K, (0.0,) * 5) or (
        frame.calibration.color == Intrinsics(WIDTH, HEIGHT, *K)
    )
    assert np.allclose(frame.calibration.T_color_depth.matrix, matrix, atol=1e-9)
    # A pixel followed by hand: from the depth image into the colour image.
    z = RAW[30, 60] / 1000
    ray = np.array([(60 - DEPTH_K[2]) / DEPTH_K[0], (30 - DEPTH_K[3]) / DEPTH_K[1], 1, 1 / z])
    x, y, distance, _ = matrix @ (ray * z)
    u, v = round(K[0] * x / distance + K[2]), round(K[1] * y / distance + K[3])
    assert abs(frame.depth_m[v, u] - distance) < 0.012  # the slope over one pixel


def test_depth_is_registered_by_the_transforms_of_the_file(path):
    base = np.linalg.inv(MOVED)  # T_depth_color, split over a tree as drivers publish it
    link = np.eye(4)
    link[:3, :3] = cv2.Rodrigues(np.array([0.3, 0.2, -1.0]))[0]
    link[:3, 3] = (1.0, 2.0, 3.0)
    with OtherProgram(path) as file:
        file.transform("world", "camera_link", np.eye(4))
        file.transform("camera_link", FRAMES[1], link)
        file.transform("camera_link", "camera_color_frame", link @ base)
        file.transform("camera_color_frame", FRAMES[0], np.eye(4))
        unaligned(file)
    with Recording(path) as recording:
        check_registered(recording[0], MOVED)
        assert recording.track().remarks == ()


def test_transforms_may_come_by_tf_and_with_a_slash(path):
    with OtherProgram(path) as file:
        file.transform(f"/{FRAMES[0]}", f"/{FRAMES[1]}", MOVED, topic="/tf")
        unaligned(file)
    with Recording(path) as recording:
        check_registered(recording[0], MOVED)


def test_realsense_ros_tells_the_transform_by_a_topic(path):
    from lingbot_live.recording.mcap import cdr

    with OtherProgram(path) as file:
        columns = MOVED[:3, :3].T.ravel()
        data = cdr.Writer().put("d", *columns, *MOVED[:3, 3]).end()
        name = "realsense2_camera_msgs/msg/Extrinsics"
        file.put("/camera/extrinsics/depth_to_color", name, stamp_ns(0), data)
        unaligned(file)
    with Recording(path) as recording:
        check_registered(recording[0], MOVED)


def test_without_a_transform_identity_is_assumed_and_said(path):
    with OtherProgram(path) as file:
        unaligned(file)
    with Recording(path) as recording:
        check_registered(recording[0], np.eye(4))
        (remark,) = recording.track().remarks
        assert "no transform from depth (camera_depth_optical_frame)" in remark


AHEAD = np.eye(4)
AHEAD[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]  # x ahead to z ahead
FAR = np.eye(4)
FAR[0, 3] = 1e30


@pytest.mark.parametrize(("matrix", "words"), [(AHEAD, "by 120 degrees"), (FAR, "by 1e+30 m")])
def test_a_transform_that_cannot_be_is_not_believed(path, matrix, words):
    with OtherProgram(path) as file:
        file.transform(FRAMES[0], FRAMES[1], matrix)
        unaligned(file)
    with Recording(path) as recording:
        check_registered(recording[0], np.eye(4))
        assert f"a transform {words} from depth" in recording.track().remarks[0]


@pytest.mark.parametrize(
    "camera",
    [{"d": (1e200, 0.0, 0.0, 0.0, 0.0)}, {"d": (np.nan,) * 5}, {"k": (1e300, 1e300, 39.5, 29.5)},
     {"k": (np.nan, 75.0, 39.5, 29.5)}],
)  # fmt: skip
def test_numbers_of_no_camera_are_passed_over_for_the_next(path, camera):
    with OtherProgram(path) as file:
        for row in range(3):
            damaged = camera if row == 1 else {}
            file.camera("/c/color/camera_info", stamp_ns(row), "c", **damaged)
            file.image("/c/color/image", stamp_ns(row), "c", "rgb8", color_image(row))
            file.image("/c/depth/image", stamp_ns(row), "c", "16UC1", depth_image(row))
    with Recording(path) as recording:
        wanted = Intrinsics(WIDTH, HEIGHT, *K)
        assert [frame.intrinsics for frame in recording] == [wanted] * 3


def test_one_coordinate_frame_needs_no_transform(path):
    with OtherProgram(path) as file:
        unaligned(file, frames=("camera", "camera"))
    with Recording(path) as recording:
        check_registered(recording[0], np.eye(4))
        assert recording.track().remarks == ()


def test_depth_without_a_calibration_of_its_own_counts_as_aligned_and_it_is_said(path):
    with OtherProgram(path) as file:
        file.camera("/camera/color/camera_info", stamp_ns(0), FRAMES[0])
        file.image("/camera/color/image_raw", stamp_ns(0), FRAMES[0], "rgb8", color_image())
        file.image("/camera/depth/image_raw", stamp_ns(0), FRAMES[1], "16UC1", depth_image())
    with Recording(path) as recording:
        assert np.array_equal(recording[0].depth_raw, depth_image())
        assert recording.track().remarks == (
            "there is no CameraInfo of /camera/depth/image_raw: it is taken as aligned to "
            "/camera/color/image_raw",
        )


def one(path, *, image="image_raw", shown=(WIDTH, HEIGHT), **camera):
    """Return the frame of a file with aligned depth, images of one size and this calibration."""
    width, height = shown
    with OtherProgram(path) as file:
        file.camera("/c/color/camera_info", stamp_ns(0), "c", **camera)
        color = color_image(0, width, height)
        file.image(f"/c/color/{image}", stamp_ns(0), "c", "rgb8", color)
        depth = depth_image(0, width, height)
        file.image("/c/aligned_depth_to_color/image_raw", stamp_ns(0), "c", "16UC1", depth)
    with Recording(path) as recording:
        return recording[0], recording.track().remarks


BENT = (0.1, -0.05, 0.001, -0.002, 0.01)


def test_a_raw_topic_is_described_by_k_and_d(path):
    frame, _ = one(path, d=BENT, p=(70.0, 71.0, 38.0, 28.0))
    assert frame.intrinsics == Intrinsics(WIDTH, HEIGHT, *K, BENT)


@pytest.mark.parametrize("image", ["image_rect", "image_rect_color", "rectified"])
def test_a_rectified_topic_is_described_by_p(path, image):
    frame, _ = one(path, image=image, d=BENT, p=(70.0, 71.0, 38.0, 28.0))
    assert frame.intrinsics == Intrinsics(WIDTH, HEIGHT, 70, 71, 38, 28)


def test_a_rectified_topic_without_p_has_no_distortion(path):
    frame, _ = one(path, image="image_rect_raw", d=BENT)
    assert frame.intrinsics == Intrinsics(WIDTH, HEIGHT, *K)


@pytest.mark.parametrize(
    ("k", "words"),
    [
        ((0.9, 1.2, 0.5, 0.5), "focal length"),
        ((75.0, 75.0, 200.0, 29.5), "principal point"),
        ((75.0, 75.0, 0.0, 0.0), "principal point"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(path, k, words):
    with pytest.raises(NoCameraError, match=words):
        one(path, k=k)


def test_a_calibration_of_images_of_another_shape_is_refused(path):
    with pytest.raises(CorruptRecordingError, match="images of 80x45, these are 80x60"):
        one(path, size=(80, 45), k=(75.0, 75.0, 39.5, 22.0))


def test_a_preview_is_colour_alone(path):
    with OtherProgram(path) as file:
        unaligned(file)
    with Recording(path) as recording:
        assert np.array_equal(recording.track().preview(1), shrink(color_image(1)))


def test_rectifying_turns_the_camera(path):
    turned = cv2.Rodrigues(np.array([0.0, 0.04, 0.0]))[0]  # R of the colour camera
    with OtherProgram(path) as file:
        file.transform(FRAMES[0], FRAMES[1], MOVED)
        file.camera("/camera/color/camera_info", stamp_ns(0), FRAMES[0], (70.0, 70.0, 40.0, 30.0),
                    d=BENT, p=K, r=turned)  # fmt: skip
        file.image("/camera/color/image_rect", stamp_ns(0), FRAMES[0], "rgb8", color_image())
        file.camera("/camera/depth/camera_info", stamp_ns(0), FRAMES[1], DEPTH_K, size=DEPTH_SIZE)
        file.image("/camera/depth/image_raw", stamp_ns(0), FRAMES[1], "16UC1", RAW)
    whole = np.eye(4)
    whole[:3, :3] = turned
    with Recording(path) as recording:
        check_registered(recording[0], whole @ MOVED)


@pytest.mark.parametrize(
    ("camera", "size", "wanted"),
    [
        ({"roi": (10, 6, 40, 30)}, (40, 30), (75, 75, 29.5, 23.5)),
        ({"binning": (2, 2)}, (40, 30), (37.5, 37.5, 19.5, 14.5)),
        ({"roi": (8, 4, 60, 40), "binning": (2, 4)}, (30, 10), (37.5, 18.75, 15.5, 6.0)),
        ({"roi": (0, 0, 80, 60)}, (80, 60), K),
        ({"roi": (10, 6, 40, 30)}, (80, 60), K),  # of the rectified image, not of this one
        ({"binning": (2, 2)}, (80, 60), K),  # already undone
        ({"size": (160, 120)}, (80, 60), (37.5, 37.5, 19.5, 14.5)),  # scaled
        ({"size": (0, 0)}, (80, 60), K),
    ],
)
def test_a_part_of_the_sensor_and_binning(path, camera, size, wanted):
    frame, _ = one(path, shown=size, **camera)
    k = frame.intrinsics
    assert (k.width, k.height) == size
    assert (k.fx, k.fy, k.cx, k.cy) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("model", "d", "kept"),
    [
        ("", (), ()),
        ("plumb_bob", (0.0,) * 5, ()),
        ("plumb_bob", (0.1, 0.02), (0.1, 0.02, 0, 0)),
        ("plumb_bob", BENT[:4], BENT[:4]),
        ("Brown Conrady", BENT, BENT),
        ("rational_polynomial", (*BENT, 0.2, 0.1, 0.05), (*BENT, 0.2, 0.1, 0.05)),
        ("rational_polynomial", (*BENT, 0.2, 0.1, 0.05, *[0.0] * 6), (*BENT, 0.2, 0.1, 0.05)),
    ],
)
def test_lenses_that_are_kept(path, model, d, kept):
    frame, remarks = one(path, model=model, d=d)
    assert frame.intrinsics.distortion == kept
    assert np.array_equal(frame.depth_raw, depth_image())
    assert remarks == ()


def bent_grid(model, d):
    """Return where pixels of an ideal pinhole lie in the bent image, (H, W, 2), by OpenCV."""
    v, u = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    rays = np.stack([(u - K[2]) / K[0], (v - K[3]) / K[1]], -1)
    matrix = Intrinsics(WIDTH, HEIGHT, *K).matrix
    if model == "equidistant":
        return cv2.fisheye.distortPoints(rays.reshape(1, -1, 2), matrix, np.array(d)).reshape(
            HEIGHT, WIDTH, 2
        )
    points = np.dstack([rays, np.ones(rays.shape[:2])]).reshape(-1, 1, 3)
    zero = np.zeros(3)
    return cv2.projectPoints(points, zero, zero, matrix, np.array(d))[0].reshape(HEIGHT, WIDTH, 2)


PRISM = (*BENT, 0.2, 0.1, 0.05, 0.01, -0.02, 0.005, 0.01)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("equidistant", (0.05, -0.02, 0.01, 0.003)),
        ("equidistant", (0.0, 0.0, 0.0, 0.0)),  # still a fisheye
        ("fisheye", ()),
        ("rational_polynomial", PRISM),
        ("rational_polynomial", (*PRISM, 0.02, -0.03)),
        ("thin_prism", PRISM),
    ],
)
def test_other_lenses_are_straightened_and_it_is_said(path, model, d):
    if model == "thin_prism":
        model = "plumb_bob"
    frame, remarks = one(path, model=model, d=d)
    assert frame.intrinsics == Intrinsics(WIDTH, HEIGHT, *K)
    assert len(remarks) == 1
    assert "straightened to a pinhole camera" in remarks[0]
    bent = bent_grid("equidistant" if not d or "equi" in model else model, d or (0.0,) * 4)
    inside = ((bent > 1) & (bent < (WIDTH - 2, HEIGHT - 2))).all(-1)
    assert inside.mean() > 0.5
    u, v = bent[..., 0], bent[..., 1]
    assert np.abs(frame.color[..., 0] - u * 250 / (WIDTH - 1))[inside].max() < 3
    assert np.abs(frame.color[..., 1] - v * 250 / (HEIGHT - 1))[inside].max() < 4
    nearest = 1000 + 4 * np.rint(u) + 2 * np.rint(v)  # depth is not mixed
    off = np.abs(frame.depth_raw - nearest)[inside]
    assert np.mean(off == 0) > 0.95
    assert off.max() <= 6
    outside = ((bent < -1) | (bent > (WIDTH, HEIGHT))).any(-1)
    assert (frame.depth_raw[outside] == 0).all()


def test_inverse_brown_conrady_leads_from_the_image_to_the_ray(path):
    d = (0.08, -0.03, 0.001, 0.002, 0.0)
    frame, remarks = one(path, model="Inverse Brown Conrady", d=d)
    assert "inverse Brown-Conrady" in remarks[0]
    # OpenCV's forward polynomial, applied to a pixel of the image, is where that pixel belongs.
    ideal = bent_grid("", d)[30, 60]
    u, v = np.rint(ideal).astype(int)
    assert abs(int(frame.color[v, u, 0]) - 60 * 250 / (WIDTH - 1)) < 4
    assert abs(int(frame.color[v, u, 1]) - 30 * 250 / (HEIGHT - 1)) < 5


@pytest.mark.parametrize(
    ("model", "d"),
    [("double_sphere", (0.1, 0.6)), ("equidistant", (0.1,) * 6), ("plumb_bob", (0.1,) * 15)],
)
def test_unknown_lenses_are_refused_with_a_word(path, model, d):
    with pytest.raises(NoCameraError, match=r"values (is|are)? ?not known|has 4 distortion values"):
        one(path, model=model, d=d)


def test_a_bent_depth_lens_is_registered(path):
    d = (0.2, -0.1, 0.0, 0.0, 0.02, 0.1, 0.0, 0.0)
    with OtherProgram(path) as file:
        file.transform(FRAMES[0], FRAMES[1], MOVED)
        unaligned(file, rows=0)
        t = stamp_ns(0)
        file.camera("/k/rgb/camera_info", t, FRAMES[0])
        file.image("/k/rgb/image_raw", t, FRAMES[0], "rgb8", color_image())
        file.camera("/k/depth/camera_info", t, FRAMES[1], DEPTH_K, size=DEPTH_SIZE, d=d,
                    model="rational_polynomial")  # fmt: skip
        file.image("/k/depth/image_raw", t, FRAMES[1], "16UC1", RAW)
    move = Registration(
        Intrinsics(*DEPTH_SIZE, *DEPTH_K, d), Intrinsics(WIDTH, HEIGHT, *K),
        Extrinsics.from_matrix(MOVED), keep_values=False,
    )  # fmt: skip
    with Recording(path) as recording:
        assert np.array_equal(recording[0].depth_raw, move(RAW, 0.001))
