"""RVL, a lossless packing of 16 bit depth (A. D. Wilson, "Fast Lossless Depth Image Compression",
ISS 2017), as ROS 2's ``compressedDepth`` has it: two int32 in front, width and height.

An image is a row of numbers: how many pixels are 0, how many are not, a step of depth for each of
those, and so on. A number is nibbles of 3 bits, the lowest first; the fourth bit says "goes on".
Nothing asks for the fewest nibbles, nor that a step never leads to 0. So here an image is a single
run of steps, and each number fills whole bytes of 6 bits: that is packed by whole arrays, any
reader of RVL reads it, and what packs chunks afterwards (zstd) finds bytes and runs of them.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.pictures import MOST_PIXELS
from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import RawDepth

_SIZE = struct.Struct("<ii")
_BITS = 6  # of a number in a byte
_GOES_ON = 0x08  # the number, into the next byte
_WHOLE = 0x80  # of every byte: its first nibble goes on
_MOST_BYTES, _MOST_NIBBLES = 4, 8  # of a number
_PIECE_BITS = 12
_PIECE = (1 << _PIECE_BITS) - 1
_NOTHING = b"\0"  # no byte of a number is 0

Numbers = npt.NDArray[np.int_]
Octets = npt.NDArray[np.uint8]


def pack(image: RawDepth) -> bytes:
    """Return an (H, W) uint16 image as RVL."""
    flat = np.ascontiguousarray(image).reshape(-1)
    numbers = np.concatenate((_pieces(np.array([0, flat.size])), _pieces(_steps(flat))))
    data = _PAIRS.take(numbers, mode="clip").tobytes().translate(None, _NOTHING)
    data += bytes([_WHOLE]) * (-len(data) % 4)
    height, width = image.shape
    return _SIZE.pack(width, height) + np.frombuffer(data, "<u4").byteswap().tobytes()


def unpack(data: bytes | memoryview) -> RawDepth:
    """Return the (H, W) uint16 image.

    Raises:
        CorruptRecordingError: it is damaged, or larger than any camera's.
    """
    if len(data) < _SIZE.size:
        raise CorruptRecordingError("a depth image is empty")
    width, height = _SIZE.unpack_from(data)
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS // width):
        raise CorruptRecordingError(f"a depth image says it is {width}x{height}")
    numbers = _numbers(memoryview(data)[_SIZE.size :])
    runs = _runs(numbers, width * height)
    if len(runs) == 2:  # as `pack` writes them
        steps = numbers[2 : 2 + runs[1]]
    else:
        sizes = runs.copy()
        sizes[::2] = 2  # two counts stand before each run's steps
        steps = numbers[: sizes.sum()][_every_other(sizes)]
    folded = (steps >> 1) ^ -(steps & 1)
    values = np.cumsum(folded.astype(np.uint16), dtype=np.uint16)
    if len(values) == width * height:
        return values.reshape(height, width)
    image = np.zeros(width * height, np.uint16)
    image[_every_other(runs)] = values
    return image.reshape(height, width)


# ---- packing -------------------------------------------------------------------------------------


def _steps(values: npt.NDArray[np.uint16]) -> npt.NDArray[Any]:
    """Return the step from each value to the next, from 0 on, signs folded into the lowest bit."""
    fits = values.max(initial=0) < 1 << 15
    wide = values.view(np.int16) if fits else values.astype(np.int32)
    steps: npt.NDArray[Any] = np.empty(len(values), wide.dtype)
    steps[:1] = wide[:1]
    np.subtract(wide[1:], wide[:-1], out=steps[1:])
    folded: npt.NDArray[Any] = np.left_shift(steps, 1)
    folded ^= np.right_shift(steps, 8 * steps.itemsize - 1)
    return folded.view(np.uint16 if fits else np.uint32)


def _pieces(numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Return numbers in pieces of 12 bits, which `_PAIRS` turns into bytes; few have two."""
    long = np.flatnonzero(numbers > _PIECE)
    low = (numbers & _PIECE).astype(np.uint16) if len(long) else numbers.astype(np.uint16)
    low[long] |= _PIECE + 1
    return np.insert(low, long + 1, numbers[long] >> _PIECE_BITS) if len(long) else low


def _pairs() -> npt.NDArray[np.uint16]:
    """Return one or two bytes for each number of 12 bits, and two for one that goes on."""
    numbers = np.arange(2 * (_PIECE + 1), dtype=np.uint16)
    goes_on = numbers > _PIECE
    first, second = numbers & 63, (numbers & _PIECE) >> 6
    has_second = goes_on | (second > 0)
    made = np.stack((_octet(first, has_second), _octet(second, goes_on) * has_second), axis=1)
    pairs: npt.NDArray[np.uint16] = made.view("<u2")[:, 0]
    return pairs


def _octet(bits: npt.NDArray[Any], goes_on: npt.NDArray[np.bool_]) -> Octets:
    """Return 6 bits as two nibbles in a byte."""
    return (_WHOLE | (bits & 7) << 4 | bits >> 3 | goes_on * _GOES_ON).astype(np.uint8)


# ---- unpacking -----------------------------------------------------------------------------------


def _numbers(packed: memoryview) -> Numbers:
    words = np.frombuffer(packed[: len(packed) // 4 * 4], "<u4")
    octets = words.byteswap().view(np.uint8) if len(words) else np.zeros(0, np.uint8)
    if (octets >= _WHOLE).all():  # as `pack` writes them
        units = (octets & 7) << 3 | (octets >> 4) & 7
        return _joined(units, octets & _GOES_ON != 0, _BITS, _MOST_BYTES)
    nibbles = np.stack((octets >> 4, octets & 15), axis=1).reshape(-1)
    return _joined(nibbles & 7, nibbles > 7, 3, _MOST_NIBBLES)


def _joined(
    units: npt.NDArray[Any], goes_on: npt.NDArray[np.bool_], bits: int, most: int
) -> Numbers:
    """Return the numbers whose bits lie in units, the lowest first; too long ones are cut."""
    values: Numbers = units.astype(np.int32)
    # Numbers of two units are many: whole arrays take a quarter of the time of picking them out.
    values[:-1] |= (values[1:] << bits) * goes_on[:-1]
    longer = np.flatnonzero(goes_on[:-1] & goes_on[1:])
    for at in range(2, most):
        longer = longer[: np.searchsorted(longer, len(units) - at)]
        values[longer] |= units[longer + at].astype(np.int32) << (bits * at)
        longer = longer[goes_on[longer + at]]
    is_first = np.ones(len(units), bool)
    np.logical_not(goes_on[:-1], out=is_first[1:])
    return values[np.flatnonzero(is_first)]


def _runs(numbers: Numbers, pixels: int) -> Numbers:
    """Return the lengths of runs without and with depth, by turns, up to the last pixel."""
    at = pixel = 0
    runs: list[int] = []
    end, number = len(numbers), memoryview(numbers.data)
    while pixel < pixels:
        if at + 2 > end:
            raise CorruptRecordingError("a depth image ends too early")
        zeros, count = number[at], number[at + 1]
        at, pixel = at + 2 + count, pixel + zeros + count
        if pixel > pixels or at > end or not zeros + count:
            raise CorruptRecordingError("a depth image is damaged")
        runs += (zeros, count)
    return np.array(runs, np.int64)


def _every_other(sizes: Numbers) -> npt.NDArray[np.bool_]:
    """Return so many times False, so many True, and so on."""
    return np.repeat(np.arange(len(sizes)) % 2 == 1, sizes)


_PAIRS = _pairs()
