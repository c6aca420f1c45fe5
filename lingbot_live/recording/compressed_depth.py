"""``CompressedImage`` of depth as ROS 2's ``compressed_depth_image_transport`` has them, as RVL.

12 bytes lie in front: an enum and two floats, A and B. Metres (32FC1) are 16 bit levels there,
``A / metres + B``; millimetres or a sensor's units (16UC1) are as they were, and A is 0.
"""

from __future__ import annotations

import struct

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import RawDepth
from lingbot_live.recording import rvl
from lingbot_live.recording.mcap import cdr

HEAD = struct.Struct("<iff")
UNITS, METRES = "16UC1; compressedDepth rvl", "32FC1; compressedDepth rvl"
_INVERSE_DEPTH = 0  # the enum's only use


def encode(header: cdr.Header, image: RawDepth, of_one_m: float = 0.0) -> bytes:
    """Return an (H, W) uint16 image as a message; ``of_one_m`` is A of levels of inverse depth."""
    form = METRES if of_one_m else UNITS
    head = HEAD.pack(_INVERSE_DEPTH, of_one_m, 0.0)
    return cdr.encode_compressed(header, form, head + rvl.pack(image))


def decode(data: bytes | memoryview) -> tuple[RawDepth, float]:
    """Return the image of an `encode`d message, and A.

    Raises:
        CorruptRecordingError: it is none, or damaged.
    """
    _, form, packed = cdr.decode_compressed(data)
    if form not in (UNITS, METRES) or len(packed) <= HEAD.size:
        raise CorruptRecordingError(f"depth packed as {form!r} is none of ours")
    _, of_one_m, _ = HEAD.unpack_from(packed)
    if not 0 <= of_one_m < 1e9 or (of_one_m > 0) != (form == METRES):
        raise CorruptRecordingError(f"a depth image was quantised with A {of_one_m}")
    return rvl.unpack(packed[HEAD.size :]), of_one_m
