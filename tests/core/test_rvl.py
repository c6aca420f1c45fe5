"""Depth as RVL: any reader of the paper's form gets every pixel, and ours is quick about it."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rvl_by_paper import by_the_paper

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording import rvl

RNG = np.random.default_rng(0)
SIZE = (48, 64)
SMOOTH = np.linspace(500, 9000, SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint16)
IMAGES = {
    "noise": RNG.integers(0, 65536, SIZE).astype(np.uint16),
    "nothing": np.zeros(SIZE, np.uint16),
    "one value": np.full(SIZE, 65535, np.uint16),
    "smooth": SMOOTH,
    "holes": np.where(RNG.random(SIZE) < 0.1, 0, SMOOTH).astype(np.uint16),
    "mostly holes": np.where(RNG.random(SIZE) < 0.99, 0, SMOOTH).astype(np.uint16),
    "far edges": np.where(np.indices(SIZE)[1] % 7 < 3, 60_000, 5).astype(np.uint16),
    "a pixel": np.array([[7]], np.uint16),
    "columns": np.ascontiguousarray(SMOOTH.T)[::2, ::3],
    "more pixels than 18 bits hold": np.zeros((600, 800), np.uint16),
    "and all with depth": np.full((600, 800), 3, np.uint16),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_every_pixel_comes_back_in_our_reader_and_in_the_papers(name):
    packed = rvl.pack(IMAGES[name])
    assert np.array_equal(rvl.unpack(packed), IMAGES[name])
    assert np.array_equal(by_the_paper(packed), IMAGES[name])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_image_comes_back(data):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    one = st.sampled_from([0, 0, 0, 1, 2, 33, 1000, 4097, 32_767, 32_768, 65_535])
    values = data.draw(st.lists(one, min_size=height * width, max_size=height * width))
    image = np.array(values, np.uint16).reshape(height, width)
    packed = rvl.pack(image)
    assert np.array_equal(rvl.unpack(packed), image)
    assert np.array_equal(by_the_paper(packed), image)


def in_whole_bytes(number: int, size: int) -> bytes:
    """A number in so many bytes, though fewer may hold it."""
    bits = [number >> 6 * at & 63 for at in range(size)]
    return bytes(
        0x80 | (six & 7) << 4 | six >> 3 | (8 if at < size - 1 else 0)
        for at, six in enumerate(bits)
    )


@pytest.mark.parametrize("sizes", [(1,), (2,), (3,), (1, 2, 3)])
@pytest.mark.parametrize(
    "numbers", [[0, 12, *range(0, 24, 2)], [2, 3, 40, 1, 4, 0, 1, 8, 3, 3, 7, 2, 4]]
)
def test_bytes_and_runs_of_others_are_read(sizes, numbers):
    data = b"".join(in_whole_bytes(n, sizes[at % len(sizes)]) for at, n in enumerate(numbers))
    data += b"\x80" * (-len(data) % 4)
    packed = struct.pack("<ii", 4, 3) + np.frombuffer(data, "<u4").byteswap().tobytes()
    assert np.array_equal(rvl.unpack(packed), by_the_paper(packed))


def test_smooth_depth_takes_a_byte_a_pixel():
    assert len(rvl.pack(SMOOTH)) <= SMOOTH.size + 24


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=12))
def test_damage_is_said_or_gives_an_image(at, junk):
    packed = bytearray(rvl.pack(IMAGES["holes"]))
    packed[8 + at : 8 + at + len(junk)] = junk
    with contextlib.suppress(CorruptRecordingError):
        assert rvl.unpack(bytes(packed)).shape == SIZE
    with pytest.raises(CorruptRecordingError):
        rvl.unpack(bytes(packed[: 8 + at // 8 * 4]))
