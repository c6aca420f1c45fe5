"""The OpenGL that a window gets, and whether a GPU is behind it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

NEEDED = (3, 3)  # core profile
# By which Mesa, Chrome, Windows and macOS call what draws with the processor.
_BY_CPU = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software", "basic render", "gdi gen")
_GL_RENDERER = 0x1F01


@dataclass(frozen=True, slots=True)
class OpenGl:
    """Who draws, such as ``NVIDIA H200/PCIe``, and the version of OpenGL."""

    renderer: str
    version: tuple[int, int]

    @property
    def is_enough(self) -> bool:
        """Whether the window's shader runs on it."""
        return self.version >= NEEDED

    @property
    def is_gpu(self) -> bool:
        """Whether a GPU draws quickly enough to be asked; see `drawn_by_cpu`."""
        return self.is_enough and not drawn_by_cpu(self.renderer)


def drawn_by_cpu(renderer: str) -> bool:
    """Return whether the renderer of this name is a program, without a GPU."""
    return any(name in renderer.lower() for name in _BY_CPU)


def window_opengl() -> OpenGl | None:
    """Ask for OpenGL as the window would; None where there is none. Needs a `QGuiApplication`."""
    gui = importlib.import_module("PySide6.QtGui")
    context = gui.QOpenGLContext()
    context.setFormat(window_format())
    if not context.create() or context.isOpenGLES():
        return None
    surface = gui.QOffscreenSurface()
    surface.setFormat(context.format())
    surface.create()
    if not context.makeCurrent(surface):
        return None
    renderer = context.functions().glGetString(_GL_RENDERER)
    context.doneCurrent()
    return OpenGl(str(renderer), tuple(context.format().version()))


def window_format() -> Any:
    """Return the `QSurfaceFormat` that the window asks for."""
    gui = importlib.import_module("PySide6.QtGui")
    form = gui.QSurfaceFormat()
    form.setVersion(*NEEDED)
    form.setProfile(gui.QSurfaceFormat.OpenGLContextProfile.CoreProfile)
    return form
