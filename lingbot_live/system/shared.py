"""Memory that a process and its child share.

It has no name that could be left behind: on POSIX it is an unlinked file whose descriptor the
child inherits, on Windows a mapping that ends with its last handle. So nothing has to be cleaned
up, even where both processes are killed.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import uuid
from typing import TypeVar

import numpy as np

T = TypeVar("T", bound=np.generic)
S = TypeVar("S", bound="SharedMemory")


class SharedMemory:
    """``size`` bytes for ``name``, of which pages that nothing fills are never there.

    ``handle`` is what `attached` needs in the child, ``pass_fds`` what `subprocess` must hand on.
    """

    def __init__(self, size: int, name: str) -> None:
        self.pass_fds: tuple[int, ...] = ()
        if sys.platform == "win32":
            self.handle = f"lingbot-live-{name}-{uuid.uuid4()}"
            self._map = mmap.mmap(-1, size, tagname=self.handle)
        else:
            descriptor = _unnamed_file(f"lingbot-live-{name}")
            os.ftruncate(descriptor, size)
            self.pass_fds = (descriptor,)
            self.handle = str(descriptor)
            self._map = mmap.mmap(descriptor, size)

    @classmethod
    def attached(cls: type[S], handle: str, size: int) -> S:
        """Map the parent's memory, in the child."""
        memory = cls.__new__(cls)
        memory.handle, memory.pass_fds = handle, ()
        if sys.platform == "win32":
            memory._map = mmap.mmap(-1, size, tagname=handle)
        else:
            memory._map = mmap.mmap(int(handle), size)
        return memory

    def close(self) -> None:
        """Give the memory back."""
        self._map.close()
        for descriptor in self.pass_fds:
            os.close(descriptor)
        self.pass_fds = ()

    def array(
        self, offset: int, shape: tuple[int, ...], dtype: type[T]
    ) -> np.ndarray[tuple[int, ...], np.dtype[T]]:
        """Return an array that lies in it."""
        return np.ndarray(shape, np.dtype(dtype), self._map, offset)


def _unnamed_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
