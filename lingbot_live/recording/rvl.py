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
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.pictures import MOST_PIXELS
from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import RawDepth

_SIZE = struct.Struct("<ii")
_BITS = 6  # of a number in a byte
_GOES_ON = 0x08  # the number, into the next byte
_WHOLE = 0x80  # of every byte: its first nibble goes on
_BOTH_GO_ON = _GOES_ON << 8 | _GOES_ON  # of two bytes
_BEHIND = 4  # bytes of 0 behind those that are read: no number goes on past the end
_MOST_NIBBLES = 8  # of a number
_PIECE_BITS = 12
_PIECE = (1 << _PIECE_BITS) - 1
_NOTHING = b"\0"  # no byte of a number is 0

Numbers = npt.NDArray[np.int_]
Octets = npt.NDArray[np.uint8]


def pack(image: RawDepth) -> bytes:
    """Return an (H, W) uint16 image as RVL."""
    flat = np.ascontiguousarray(image).reshape(-1)
    data = _counts(flat.size) + _bytes_of(_steps(flat))
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
    octets = _octets(memoryview(data)[_SIZE.size :])
    values = _single_run(octets, width * height)
    if values is None:
        values = _any_runs(octets[:-_BEHIND], width * height)
    return values.reshape(height, width)


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


@lru_cache(maxsize=16)
def _counts(pixels: int) -> bytes:
    """Return what stands before the steps of an image of a single run."""
    return _bytes_of(np.array([0, pixels]))


def _bytes_of(numbers: npt.NDArray[Any]) -> bytes:
    return _PAIRS.take(_pieces(numbers), mode="clip").tobytes().translate(None, _NOTHING)


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


def _bits(octets: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Return the 6 bits in each byte."""
    return ((octets & 7) << 3 | (octets >> 4) & 7).astype(np.uint16)


# ---- unpacking -----------------------------------------------------------------------------------


def _octets(packed: memoryview) -> Octets:
    """Return the bytes in order, with zeros behind them."""
    words = np.frombuffer(packed[: len(packed) // 4 * 4], ">u4")
    octets = np.zeros(len(words) + 1, "<u4")
    octets[:-1] = words
    return octets.view(np.uint8)


def _single_run(octets: Octets, pixels: int) -> npt.NDArray[np.uint16] | None:
    """Return the (N,) values of an image as `pack` writes it; None where it is another's."""
    counts = _counts(pixels)
    start = len(counts)
    if octets[:start].tobytes() != counts or octets[:-_BEHIND].min() < _WHOLE:
        return None
    # A number begins behind each byte that does not go on.
    at = np.flatnonzero(octets[start - 1 : -_BEHIND - 1] & _GOES_ON == 0)[:pixels]
    if len(at) < pixels:
        return None
    octets = octets[start:]
    pairs = cv2.merge((octets[:-1], octets[1:])).view("<u2").take(at)
    steps = _STEPS.take(pairs)
    # Of a third byte, 5 bits are left in a step of 16; of a fourth, none.
    longer = np.flatnonzero(pairs & _BOTH_GO_ON == _BOTH_GO_ON)
    steps[longer] ^= _bits(octets[at[longer] + 2]) << (2 * _BITS - 1)
    return _sums(steps)


def _any_runs(octets: Octets, pixels: int) -> npt.NDArray[np.uint16]:
    """Return the (N,) values of any image."""
    numbers = _numbers(octets)
    runs = _runs(numbers, pixels)
    sizes = runs.copy()
    sizes[::2] = 2  # two counts stand before each run's steps
    steps = numbers[: sizes.sum()][_every_other(sizes)]
    image = np.zeros(pixels, np.uint16)
    image[_every_other(runs)] = _sums((steps >> 1) ^ -(steps & 1))
    return image


def _sums(steps: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    # A quarter of the time that adding up 16 bits takes; what flows over is cut off in both.
    return np.cumsum(steps.astype(np.uint16, copy=False), dtype=np.uint32).astype(np.uint16)


def _numbers(octets: Octets) -> Numbers:
    """Return the numbers that bytes hold; too long ones are cut."""
    nibbles = np.stack((octets >> 4, octets & 15), axis=1).reshape(-1)
    units, goes_on = nibbles & 7, nibbles > 7
    values: Numbers = units.astype(np.int32)
    # Numbers of two units are many: whole arrays take a quarter of the time of picking them out.
    values[:-1] |= (values[1:] << 3) * goes_on[:-1]
    longer = np.flatnonzero(goes_on[:-1] & goes_on[1:])
    for at in range(2, _MOST_NIBBLES):
        longer = longer[: np.searchsorted(longer, len(units) - at)]
        values[longer] |= units[longer + at].astype(np.int32) << (3 * at)
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


def _steps_of_pairs() -> npt.NDArray[np.uint16]:
    """Return the step that begins with each two bytes, the first of them in the low half."""
    pairs = np.arange(1 << 16, dtype=np.uint16)
    numbers = _bits(pairs & 255) | (_bits(pairs >> 8) << _BITS) * (pairs & _GOES_ON > 0)
    return ((numbers >> 1) ^ -(numbers & 1)).astype(np.uint16)


_PAIRS = _pairs()
_STEPS = _steps_of_pairs()
