"""Every encoding of other programs' images, packed here by the published formulas."""

from __future__ import annotations

import struct
from contextlib import suppress

import cv2
import numpy as np
import pytest
from foreign_files import HEIGHT, WIDTH, OtherProgram, color_image, depth_image, png, stamp_ns
from hypothesis import given, settings
from hypothesis import strategies as st

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording import rvl
from lingbot_live.recording.recording import Recording

DEPTH, COLOR = "/c/depth/image", "/c/color/image"
# One colour for each 2 x 2 pixels, so that shared chroma loses nothing.
BLOCKS = np.kron(color_image(0, WIDTH // 2, HEIGHT // 2), np.ones((2, 2, 1), np.uint8))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "other.mcap"


def read(path):
    with Recording(path) as recording:
        assert len(recording.tracks) == 1
        return recording[0]


def with_color(path, encoding, pixels, size=None, big=False):
    """Return the frame of a file whose colour is given."""
    with OtherProgram(path) as file:
        file.camera("/c/color/camera_info", stamp_ns(0), "c")
        file.image(DEPTH, stamp_ns(0), "c", "16UC1", depth_image())
        file.image(COLOR, stamp_ns(0), "c", encoding, pixels, size=size, big=big)
    return read(path)


def with_depth(path, encoding, pixels, big=False):
    """Return the frame of a file whose depth is given."""
    with OtherProgram(path) as file:
        file.camera("/c/color/camera_info", stamp_ns(0), "c")
        file.image(COLOR, stamp_ns(0), "c", "rgb8", color_image())
        file.image(DEPTH, stamp_ns(0), "c", encoding, pixels, big=big)
    return read(path)


def with_packed_depth(path, kind, data, topic=f"{DEPTH}/compressedDepth"):
    """Return the frame of a file whose depth is packed."""
    with OtherProgram(path) as file:
        file.camera("/c/color/camera_info", stamp_ns(0), "c")
        file.image(COLOR, stamp_ns(0), "c", "rgb8", color_image())
        file.packed(topic, stamp_ns(0), "c", kind, data)
    return read(path)


# ---- colour --------------------------------------------------------------------------------------


def four(rgb):
    return np.dstack([rgb, np.full(rgb.shape[:2], 77, np.uint8)])


def wide(pixels):
    """Return 16-bit values whose upper half is ``pixels``."""
    return pixels.astype(np.uint16) << 8 | 0x34


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("rgb8", lambda rgb: rgb),
        ("bgr8", lambda rgb: rgb[..., ::-1]),
        ("8UC3", lambda rgb: rgb[..., ::-1]),
        ("rgba8", four),
        ("bgra8", lambda rgb: four(rgb[..., ::-1])),
        ("8UC4", lambda rgb: four(rgb[..., ::-1])),
        ("rgb16", wide),
        ("bgr16", lambda rgb: wide(rgb[..., ::-1])),
        ("rgba16", lambda rgb: wide(four(rgb))),
        ("bgra16", lambda rgb: wide(four(rgb[..., ::-1]))),
        ("16UC3", lambda rgb: wide(rgb[..., ::-1])),
    ],
)
@pytest.mark.parametrize("big", [False, True])
def test_interleaved_colour_is_exact(path, encoding, pack, big):
    frame = with_color(path, encoding, pack(color_image()), big=big)
    assert np.array_equal(frame.color, color_image())


@pytest.mark.parametrize("encoding", ["mono8", "8UC1", "mono16"])
def test_grey_is_colour_in_three_equal_channels(path, encoding):
    grey = color_image()[..., 0]
    frame = with_color(path, encoding, wide(grey) if encoding == "mono16" else grey)
    assert np.array_equal(frame.color, np.dstack([grey] * 3))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns(path, pattern, bits):
    rgb = color_image()
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for place, letter in enumerate(pattern):
        y, x = divmod(place, 2)
        mosaic[y::2, x::2] = rgb[y::2, x::2, "rgb".index(letter)]
    pixels = mosaic if bits == 8 else wide(mosaic)
    frame = with_color(path, f"bayer_{pattern}{bits}", pixels)
    inside = np.abs(frame.color.astype(int) - rgb)[2:-2, 2:-2]
    assert inside.max() <= 2  # the image is a plane in each channel


def yuv(rgb):
    """ITU-R BT.601: Y in 16..235, U and V around 128."""
    matrix = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112], [112, -93.786, -18.214]])
    return np.rint(rgb / 255 @ matrix.T + (16, 128, 128)).astype(np.uint8)


def pairs(order):
    """Pack 4:2:2; ``order`` such as UYVY, a second Y is of the pixel on the right."""

    def pack(rgb):
        y, u, v = np.moveaxis(yuv(rgb), -1, 0)
        parts = {"U": u[:, ::2], "V": v[:, ::2]}
        ys = iter((y[:, ::2], y[:, 1::2]))
        four_bytes = [next(ys) if letter == "Y" else parts[letter] for letter in order]
        return np.stack(four_bytes, -1).reshape(len(rgb), -1, 2)

    return pack


def planes(first, second, half):
    def pack(rgb):
        values = np.moveaxis(yuv(rgb), -1, 0)
        step = 2 if half else 1
        both = np.stack([values["yuv".index(c)][::step, ::step] for c in (first, second)], -1)
        return np.vstack([values[0], both.reshape(-1, rgb.shape[1])])

    return pack


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("yuv422", pairs("UYVY")),
        ("uyvy", pairs("UYVY")),
        ("yuv422_yuy2", pairs("YUYV")),
        ("yuyv", pairs("YUYV")),
        ("yvyu", pairs("YVYU")),
        ("nv12", planes("u", "v", True)),
        ("nv21", planes("v", "u", True)),
        ("nv24", planes("u", "v", False)),
    ],
)
@pytest.mark.parametrize("counts_chroma", [False, True])
def test_luma_and_chroma(path, encoding, pack, counts_chroma):
    pixels = pack(BLOCKS)
    size = (WIDTH, len(pixels) if counts_chroma else HEIGHT)
    frame = with_color(path, encoding, pixels, size)
    assert frame.color.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(frame.color.astype(int) - BLOCKS).max() <= 3


@pytest.mark.parametrize(
    ("kind", "data", "most"),
    [
        ("rgb8; png compressed bgr8", png(color_image()), 0),
        ("png", png(color_image()), 0),
        ("bgr8; png compressed bgr8", png(color_image()), 0),
        ("jpeg", png(BLOCKS, ".jpg"), 12),
        ("rgb8; jpeg compressed bgr8", png(BLOCKS, ".jpg"), 12),
        ("rgb16; png compressed bgr16", png(wide(color_image())), 0),
        ("webp", png(BLOCKS, ".webp"), 12),
    ],
)
def test_packed_colour(path, kind, data, most):
    with OtherProgram(path) as file:
        file.camera("/c/color/camera_info", stamp_ns(0), "c")
        file.image(DEPTH, stamp_ns(0), "c", "16UC1", depth_image())
        file.packed(f"{COLOR}/compressed", stamp_ns(0), "c", kind, data)
    truth = BLOCKS if most else color_image()
    assert np.abs(read(path).color.astype(int) - truth).max() <= most


def test_a_packed_mosaic_becomes_colour(path):
    rgb = color_image()
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for (y, x), channel in {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}.items():
        mosaic[y::2, x::2] = rgb[y::2, x::2, channel]
    with OtherProgram(path) as file:
        file.camera("/c/color/camera_info", stamp_ns(0), "c")
        file.image(DEPTH, stamp_ns(0), "c", "16UC1", depth_image())
        kind = "bayer_rggb8; png compressed "
        file.packed(f"{COLOR}/compressed", stamp_ns(0), "c", kind, png(mosaic))
    assert np.abs(read(path).color.astype(int) - rgb)[2:-2, 2:-2].max() <= 2


# ---- depth ---------------------------------------------------------------------------------------

METRES = depth_image() / 1000


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("16UC1", depth_image()),
        ("mono16", depth_image()),
        ("16SC1", depth_image().astype(np.int16)),
        ("32FC1", METRES.astype(np.float32)),
        ("64FC1", METRES),
    ],
)
@pytest.mark.parametrize("big", [False, True])
def test_depth_is_millimetres_whatever_it_was(path, encoding, pixels, big):
    frame = with_depth(path, encoding, pixels, big=big)
    assert np.array_equal(frame.depth_raw, depth_image())
    assert frame.depth_scale_m == 0.001
    assert frame.out_of_range == 0


def test_whole_numbers_without_a_measurement(path):
    depth = depth_image()
    depth[:2], depth[2:5] = 65535, 65534
    frame = with_depth(path, "16UC1", depth)
    assert (frame.depth_raw[:2] == 0).all()
    assert (frame.depth_raw[2:5] == 65534).all()
    assert frame.out_of_range == 2 * WIDTH


@pytest.mark.parametrize(("encoding", "dtype"), [("32FC1", np.float32), ("64FC1", np.float64)])
def test_metres_without_a_measurement(path, encoding, dtype):
    depth = METRES.astype(dtype)
    nothing = (np.nan, np.inf, -np.inf, 0.0, -1.0, 65.534, 65.536, 80.0, 1e30)
    depth[0, : len(nothing)] = nothing
    frame = with_depth(path, encoding, depth)
    assert frame.depth_raw[0, : len(nothing)].tolist() == [0, 0, 0, 0, 0, 65534, 0, 0, 0]
    assert np.array_equal(frame.depth_raw[1:], depth_image()[1:])
    assert frame.out_of_range == 3  # what is too far; the others said that they are nothing


def test_a_signalling_nan_is_nothing(path):
    depth = METRES.astype(np.float32)
    depth.view(np.uint32)[0, 0] = 0x7F800001
    assert with_depth(path, "32FC1", depth).depth_raw[0, 0] == 0


def quantised(metres, a, b):
    """As compressed_depth_image_transport: 0 for nothing, else A / metres + B."""
    levels = np.zeros(metres.shape, np.uint16)
    np.divide(a, metres, out=(found := np.zeros(metres.shape)), where=metres > 0)
    levels[metres > 0] = np.rint(found + b)[metres > 0]
    return levels


def nibbles(values):
    """Pack numbers by RVL's rule, eight nibbles to a little-endian word, the first uppermost."""
    found = []
    for value in values:
        while True:
            more = value >> 3
            found.append(value & 7 | (8 if more else 0))
            value = more
            if not value:
                break
    found += [0] * (-len(found) % 8)
    words = [sum(n << (28 - 4 * i) for i, n in enumerate(found[at : at + 8]))
             for at in range(0, len(found), 8)]  # fmt: skip
    return struct.pack(f"<{len(words)}I", *words)


def packed_rvl(image):
    """Pack by A. D. Wilson's paper, slowly."""
    flat, at, before, numbers = image.ravel().tolist(), 0, 0, []
    while at < len(flat):
        start = at
        while at < len(flat) and flat[at] == 0:
            at += 1
        numbers.append(at - start)
        start = at
        while at < len(flat) and flat[at] != 0:
            at += 1
        numbers.append(at - start)
        for value in flat[start:at]:
            step, before = value - before, value
            numbers.append(step << 1 ^ step >> 31)
    return struct.pack("<ii", image.shape[1], image.shape[0]) + nibbles(numbers)


def holes():
    depth = depth_image()
    depth[5:9, 3:30] = 0
    depth[0, :7] = 0
    depth[-1, -3:] = 0
    depth[20, ::2] = 60_000
    return depth


HEAD = struct.Struct("<iff")


@pytest.mark.parametrize(
    ("kind", "pack"),
    [
        ("16UC1; compressedDepth", png),
        ("16UC1; compressedDepth png", png),
        ("mono16; compressedDepth png", png),
        ("16UC1; compressedDepth rvl", packed_rvl),
    ],
)
def test_packed_depth_is_exact(path, kind, pack):
    frame = with_packed_depth(path, kind, HEAD.pack(0, 0, 0) + pack(holes()))
    assert np.array_equal(frame.depth_raw, holes())


@pytest.mark.parametrize("pack", [png, packed_rvl])
def test_packed_metres_keep_their_quantisation(path, pack):
    metres = np.linspace(0.4, 9.5, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
    metres[3:6] = 0
    quantum, most = 100.0, 10.0  # the plug-in's own defaults
    a = quantum * (quantum + 1)
    b = 1 - a / most
    codec = "png" if pack is png else "rvl"
    data = HEAD.pack(0, a, b) + pack(quantised(metres, a, b))
    frame = with_packed_depth(path, f"32FC1; compressedDepth {codec}", data)
    assert (frame.depth_raw[3:6] == 0).all()
    error = np.abs(frame.depth_m - metres)[metres > 0]
    assert (error <= (metres**2 / a / 2 + 0.00051)[metres > 0]).all()  # half a level, and rounding


@pytest.mark.parametrize("kind", ["16UC1; png compressed ", "png", "mono16; png compressed"])
def test_depth_as_a_plain_png(path, kind):
    frame = with_packed_depth(path, kind, png(holes()), f"{DEPTH}/compressed")
    assert np.array_equal(frame.depth_raw, holes())


def test_depth_in_metres_as_tiff(path):
    data = cv2.imencode(".tiff", METRES.astype(np.float32))[1].tobytes()
    frame = with_packed_depth(path, "32FC1; tiff compressed ", data, f"{DEPTH}/compressed")
    assert np.array_equal(frame.depth_raw, depth_image())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rvl_holds_every_image(data):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    one = st.sampled_from([0, 0, 1, 2, 1000, 65535])
    values = data.draw(st.lists(one, min_size=height * width, max_size=height * width))
    image = np.array(values, np.uint16).reshape(height, width)
    assert np.array_equal(rvl.unpack(packed_rvl(image)), image)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 200))
def test_rvl_refuses_what_it_cannot_be(junk, keep):
    good = packed_rvl(holes())[: 8 + keep]
    for data in (junk, good + junk):
        with suppress(CorruptRecordingError):
            assert rvl.unpack(data).dtype == np.uint16
