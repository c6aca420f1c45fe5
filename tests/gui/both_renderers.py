"""Shows pictures by GPU and by processor in real windows; tells how far apart they are, as JSON."""

from __future__ import annotations

import gc
import json
import sys

import numpy as np
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from lingbot_live.colormap import DepthRange, colorize_rgb32
from lingbot_live.quality.depth_errors import change_map, change_picture
from ui.shell import renderer
from ui.shell.theme import apply_theme
from ui.views.compose import Colors, Depths, Painted
from ui.views.pair_view import PairView, make

BAR_PX = 48  # header and read-out line


def scene():
    """Return pictures with an edge in every pixel, and with holes."""
    rng = np.random.default_rng(5)
    depth_m = rng.uniform(0, 6, (120, 160)).astype(np.float32)
    depth_m[rng.random(depth_m.shape) < 0.3] = 0
    other_m = np.where(rng.random(depth_m.shape) < 0.5, depth_m, depth_m[::-1]).copy()
    rgb = rng.integers(0, 255, (120, 160, 3), np.uint8)
    scale = DepthRange(0.3, 5.0)
    argb = colorize_rgb32(depth_m, scale, "inferno", transparent=True)
    changes = Colors(change_picture(change_map(depth_m, other_m)))
    return {
        "picture": (Colors(rgb),),
        "depth": (Depths(depth_m, scale, "turbo"),),
        "grey": (Depths(other_m, DepthRange(1, 2), "grey"),),
        "changes": (changes,),
        "wipe": (Painted(argb), Depths(other_m, scale, "inferno")),
    }


def grabbed(view):
    """Return what the whole pane shows, (H, W, 3)."""
    image = view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), np.uint8)
    return pixels.reshape(image.height(), image.width(), 4)[..., :3].astype(int)


def window(is_gpu):
    """Open a pane."""
    renderer.current().is_gpu = is_gpu
    view = PairView("Pane")
    view.show()
    QTest.qWaitForWindowExposed(view, 10_000)
    return view


def show(view, sources):
    """Show pictures, and a cross-hair."""
    view.show_made(make(sources, view.wanted_plan()))
    view.link.set_cursor(QPointF(0.3, 0.4))
    QApplication.processEvents()


def difference(view, other):
    """Return the largest difference, the share of pixels over 1, and how uneven a picture is."""
    one, two = grabbed(view), grabbed(other)
    apart = np.abs(one - two).max(-1)
    return [int(apart.max()), float((apart > 1).mean()), float(two.std())]


def main() -> None:
    """Compare all; then let the GPU fail."""
    gc.disable()  # as the app does: a widget that ends within a painting takes the context along
    app = QApplication([])
    apply_theme(app)
    told = {"hindrance": renderer.current().choose("gpu"), "name": renderer.current().name}
    views = [window(is_gpu) for is_gpu in (True, False)]
    for zoom, size in (("whole", (160, 168)), ("double", (320, 288)), ("odd", (410, 350)),
                       ("shrunk", (96, 112))):  # fmt: skip
        for view in views:
            view.setMinimumSize(*size)
            view.resize(*size)
        for name, sources in scene().items():
            for view in views:
                show(view, sources)
            told[f"{zoom} {name}"] = difference(*views)
    told["failed"] = failing()
    sys.stdout.write(json.dumps(told) + "\n")


def failing() -> dict[str, object]:
    """Have the GPU refuse its work; tell what was said, and whether the picture is still there."""
    from ui.views import glass

    said: list[str] = []
    renderer.current().gaveUp.connect(said.append)
    glass._COLORS = "#version 330 core\nnonsense"
    views = [window(is_gpu) for is_gpu in (False, True)]  # the second one cannot draw
    for view in views:
        view.resize(320, 288)
        show(view, scene()["depth"])
    for _ in range(200):
        QTest.qWait(20)
        if said:
            break
    return {"said": said, "is_gpu": renderer.current().is_gpu, "apart": difference(*views)}


if __name__ == "__main__":
    main()
