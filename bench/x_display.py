"""A virtual X display, and keys and pixels on it as a person has them: from outside the program."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import subprocess
import time
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint32]  # (H, W) 0x00RRGGBB
Box = tuple[int, int, int, int]  # left, top, width and height

_ALL_PLANES, _Z_PIXMAP = 0xFFFFFFFFFFFFFFFF, 2
_REVERT_TO_PARENT = 2
_POLL_S = 0.002


class _Image(ctypes.Structure):
    """The beginning of Xlib's XImage."""

    _fields_ = [(n, ctypes.c_int) for n in ("width", "height", "xoffset", "format")] + [
        ("data", ctypes.c_void_p),
        *[(n, ctypes.c_int) for n in ("order", "unit", "bits", "pad", "depth", "line_bytes")],
    ]


class XDisplay:
    """Owns an Xvfb and a connection to it; use it in ``with``."""

    def __init__(self, width: int = 1440, height: int = 900) -> None:
        self.size = (width, height)
        reader, writer = os.pipe()
        screen = f"{width}x{height}x24"
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", screen, "-nolisten", "tcp"],
            pass_fds=[writer],
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        with os.fdopen(reader) as lines:
            self.name = f":{lines.readline().strip()}"
        self._x, self._test = (_library(name) for name in ("X11", "Xtst"))
        self._x.XOpenDisplay.restype = ctypes.c_void_p
        self._x.XGetImage.restype = ctypes.POINTER(_Image)
        self._x.XDefaultRootWindow.restype = ctypes.c_ulong
        self._display = ctypes.c_void_p(self._x.XOpenDisplay(self.name.encode()))
        self._root = ctypes.c_ulong(self._x.XDefaultRootWindow(self._display))

    def __enter__(self) -> XDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._x.XCloseDisplay(self._display)
        self._server.terminate()
        self._server.wait(10)

    def focus(self) -> None:
        """Give the keys to the window in the middle: nobody else does so on a bare display."""
        place, child = (ctypes.c_int(), ctypes.c_int()), ctypes.c_ulong()
        middle = (self.size[0] // 2, self.size[1] // 2)
        self._x.XTranslateCoordinates(
            self._display, self._root, self._root, *middle, *map(ctypes.byref, (*place, child))
        )
        if child.value:
            self._x.XSetInputFocus(self._display, child, _REVERT_TO_PARENT, ctypes.c_ulong(0))
        self._x.XSync(self._display, 0)

    def press(self, name: str, *held: str) -> None:
        """Press and release a key, such as ``bracketleft``, while others are held."""
        names = [*held, name]
        codes = [self._x.XStringToKeysym(one.encode()) for one in names]
        codes = [self._x.XKeysymToKeycode(self._display, ctypes.c_ulong(one)) for one in codes]
        for down, order in ((1, codes), (0, codes[::-1])):
            for code in order:
                key = ctypes.c_uint(code & 0xFF)
                self._test.XTestFakeKeyEvent(self._display, key, down, ctypes.c_ulong(0))
        self._x.XFlush(self._display)

    def click(self, x: int, y: int) -> None:
        """Click with the left button at a place of the screen."""
        now = ctypes.c_ulong(0)
        self._test.XTestFakeMotionEvent(self._display, 0, x, y, now)
        for down in (1, 0):
            self._test.XTestFakeButtonEvent(self._display, ctypes.c_uint(1), down, now)
        self._x.XFlush(self._display)

    def look(self, box: Box | None = None) -> Pixels:
        """Return what stands on the screen, in a box or everywhere."""
        left, top, width, height = box or (0, 0, *self.size)
        found = self._x.XGetImage(
            self._display, self._root, left, top, width, height,
            ctypes.c_ulong(_ALL_PLANES), _Z_PIXMAP,
        )  # fmt: skip
        image = found.contents
        size = image.line_bytes * height
        copied = np.frombuffer(ctypes.string_at(image.data, size), np.uint32).copy()
        self._x.XDestroyImage(found)
        return copied.reshape(height, -1)[:, :width]

    def still(self, seconds: float) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        """Watch for a while; returns the last picture, and which pixels never changed."""
        first = last = self.look()
        same = np.ones(first.shape, bool)
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            time.sleep(0.05)
            last = self.look()
            same &= last == first
        return last, same

    def wait_for_change(self, box: Box, before: Pixels, timeout_s: float) -> bool:
        """Return once a box looks different; False if it does not in time."""
        until_s = time.monotonic() + timeout_s
        while np.array_equal(self.look(box), before):
            if time.monotonic() > until_s:
                return False
            time.sleep(_POLL_S)
        return True


def _library(name: str) -> Any:
    path = ctypes.util.find_library(name)
    if path is None:
        raise SystemExit(f"bench window needs lib{name} (Debian: libx11-6, libxtst6) and Xvfb")
    return ctypes.CDLL(path)
