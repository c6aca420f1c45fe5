"""A reader of RVL as A. D. Wilson's paper has it, number by number."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt


def by_the_paper(data: bytes) -> npt.NDArray[np.uint16]:
    """Unpack; ValueError where a number does not fit, as strict readers say."""
    width, height = struct.unpack_from("<ii", data)
    numbers = _numbers(data[8:])
    image: list[int] = []
    before = 0
    while len(image) < width * height:
        zeros, filled = next(numbers), next(numbers)
        if not zeros + filled:
            raise ValueError("an empty run")
        image += [0] * zeros
        for _ in range(filled):
            folded = next(numbers)
            before += (folded >> 1) ^ -(folded & 1)
            if not 0 <= before < 65536:
                raise ValueError(f"{before} does not fit")
            image.append(before)
    if len(image) > width * height:
        raise ValueError("more pixels than there are")
    return np.array(image, np.uint16).reshape(height, width)


def _numbers(packed: bytes) -> Iterator[int]:
    value = shift = 0
    for (word,) in struct.iter_unpack("<I", packed):
        for place in range(28, -4, -4):
            nibble = word >> place & 15
            value |= (nibble & 7) << shift
            shift += 3
            if nibble < 8:
                yield value
                value = shift = 0
