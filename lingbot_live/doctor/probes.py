"""What the doctor tries in processes of its own: ``python -m lingbot_live.doctor.probes NAME ...``.

Each probe returns plain data, which the child writes as JSON on its last line of output.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

from lingbot_live.system.graphics import window_opengl


def torch() -> dict[str, Any]:
    """The build of torch, its GPUs, and whether one computes."""
    torch = importlib.import_module("torch")
    cuda = torch.cuda.is_available()
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "works": cuda and float(torch.ones(8, device="cuda").sum()) == 8,
        "mps": torch.backends.mps.is_available(),
        "threads": torch.get_num_threads(),
    }


def opengl() -> list[Any]:
    """Open3D's version, whether it draws, and OpenGL's version and renderer."""
    import open3d

    canvas = open3d.visualization.Visualizer()
    made = bool(canvas.create_window(width=64, height=64, visible=False))
    texts = ["", ""]
    if made:
        texts = _gl_strings(0x1F02, 0x1F01)  # GL_VERSION, GL_RENDERER
        canvas.destroy_window()
    return [open3d.__version__, made, *texts]


def _gl_strings(*keys: int) -> list[str]:
    framework = "/System/Library/Frameworks/OpenGL.framework/OpenGL"
    name = {"win32": "opengl32", "darwin": framework}.get(sys.platform, "libGL.so.1")
    get = ctypes.CDLL(name).glGetString
    get.restype = ctypes.c_char_p
    return [(get(key) or b"").decode() for key in keys]


def display() -> list[Any]:
    """Qt's platform, and the screen's size and scale."""
    gui = importlib.import_module("PySide6.QtGui")
    app = gui.QGuiApplication([])
    screen = app.primaryScreen()
    size = screen.size()
    return [app.platformName(), size.width(), size.height(), screen.devicePixelRatio()]


def renderer() -> list[Any]:
    """What OpenGL draws a window with, and its version; nothing where there is none."""
    app = importlib.import_module("PySide6.QtGui").QGuiApplication([])
    found = window_opengl()
    del app
    return [] if found is None else [found.renderer, *found.version]


def sdk(module: str) -> bool:
    """Whether an SDK can be imported; ends with its error otherwise."""
    importlib.import_module(module)
    return True


def cameras() -> list[Any]:
    """What the drivers list, and by scheme why one could not."""
    from lingbot_live.cameras.discovery import look

    listing = look()
    found = [f"{i.address} ({i.name})" for i in listing.cameras if not i.is_simulated]
    return [found, listing.unavailable]


def libraries(*names: str) -> list[str]:
    """Which of these shared libraries cannot be loaded."""
    return [name for name in names if not _loads(name)]


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def weights() -> list[Any]:
    """Name, state and size of every published network."""
    from lingbot_live.model.weights import store

    return [[s.name, s.state, s.size_bytes] for s in store.known()]


PROBES: dict[str, Callable[..., Any]] = {
    "torch": torch, "opengl": opengl, "display": display, "renderer": renderer,
    "sdk": sdk, "cameras": cameras, "libraries": libraries, "weights": weights,
}  # fmt: skip


def main(name: str, *arguments: str) -> None:
    """Run one probe and write its answer."""
    sys.stdout.write("\n" + json.dumps(PROBES[name](*arguments)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
