"""Who draws the panes: the processor, or a GPU. Chosen once, at the start."""

from __future__ import annotations

import functools
import logging

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QSurfaceFormat

from lingbot_live.system.graphics import NEEDED, OpenGl, window_format, window_opengl
from ui.shell.language import tr

log = logging.getLogger(__name__)


class Renderer(QObject):
    """``gaveUp(str)`` is sent when the GPU fails, with the reason; the processor goes on."""

    gaveUp = Signal(str)  # noqa: N815

    def __init__(self) -> None:
        super().__init__()
        self.is_gpu = False
        self.name = ""  # of what OpenGL draws with, where it does

    def choose(self, asked: str) -> str:
        """Take ``auto``, ``gpu`` or ``software``; returns what hinders, empty if nothing does.

        ``auto`` takes a GPU where there is a real one. Call it before the first window.
        """
        found = None if asked == "software" else window_opengl()
        self.is_gpu = found is not None and (found.is_gpu if asked == "auto" else found.is_enough)
        self.name = found.renderer if found is not None and self.is_gpu else ""
        if self.is_gpu:
            QSurfaceFormat.setDefaultFormat(window_format())
        log.info("pictures are drawn by %s", self.name or "the processor")
        return _hindrance(found) if asked == "gpu" and not self.is_gpu else ""

    def give_up(self, why: str) -> None:
        """Leave it to the processor from now on."""
        if self.is_gpu:
            self.is_gpu, self.name = False, ""
            log.warning("the GPU draws no more (%s); the processor goes on", why)
            self.gaveUp.emit(tr("The GPU draws no more ({why}); the processor goes on.", why=why))


@functools.cache
def current() -> Renderer:
    """Return the one of this process."""
    return Renderer()


def _hindrance(found: OpenGl | None) -> str:
    wanted = ".".join(map(str, NEEDED))
    if found is None:
        return tr("There is no OpenGL here, so the processor draws the pictures.")
    return tr(
        "{name} has OpenGL {version}; {wanted} is needed, so the processor draws the pictures.",
        name=found.renderer, version=".".join(map(str, found.version)), wanted=wanted,
    )  # fmt: skip
