"""A picture drawn by a GPU: pixels as textures, their colours and places by one shader.

Imported only where the GPU draws (see `ui.shell.renderer`): it loads Qt's OpenGL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QHideEvent, QPainter, QPaintEvent
from PySide6.QtOpenGL import (
    QOpenGLPaintDevice,
    QOpenGLPixelTransferOptions,
    QOpenGLShader,
    QOpenGLShaderProgram,
    QOpenGLTexture,
    QOpenGLVertexArrayObject,
)
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtWidgets import QWidget

from lingbot_live.colormap import lookup_rgb32, step_rate
from ui.shell import renderer
from ui.views.compose import Colors, Depths, Painted, Plan, Source, edges, hatched, step

Layer = tuple[Source, float, float]  # and from where to where in the pane it is drawn, pixels
Pixels = Callable[[], npt.NDArray[np.generic]]

# Of OpenGL's registry.
_BLEND, _SCISSOR_TEST, _DEPTH_TEST = 0x0BE2, 0x0C11, 0x0B71
_ONE, _ONE_MINUS_SRC_ALPHA, _TRIANGLES = 1, 0x0303, 0x0004

_CORNERS = """#version 330 core
void main() {  // one triangle over all of the pane
    gl_Position = vec4(4 * (gl_VertexID & 1) - 1, 2 * (gl_VertexID & 2) - 1, 0, 1);
}"""

# The same steps as `compose`: pixels between which a shrunk picture is interpolated are means of
# blocks; a magnified one takes the pixel that it lies in.
_COLORS = """#version 330 core
uniform sampler2D pixels;
uniform sampler2D lookup;  // the color of every depth, 256 x 256
uniform bool is_depth, is_magnified;
uniform float rate, far_m;  // steps of the lookup a metre; where they end
uniform int stride, block;  // every so many pixels count; so many make one
uniform vec4 image;  // left, top, width, height in the pane
uniform float pane_height;
out vec4 color;

ivec2 size = (textureSize(pixels, 0) + stride - 1) / stride;

vec4 pixel(ivec2 at) {
    vec4 texel = texelFetch(pixels, min(at, size - 1) * stride, 0);
    if (!is_depth) return texel;
    int code = min(int(min(texel.r, far_m) * rate), 65535);
    return texelFetch(lookup, ivec2(code & 255, code >> 8), 0);
}

vec4 mean(ivec2 at) {
    vec4 sum = vec4(0);
    for (int y = 0; y < block; y++)
        for (int x = 0; x < block; x++) sum += pixel(at * block + ivec2(x, y));
    return sum / (block * block);
}

void main() {
    ivec2 most = size / block - 1;
    vec2 at = vec2(gl_FragCoord.x, pane_height - gl_FragCoord.y) - image.xy;
    vec2 place = at * vec2(most + 1) / image.zw;
    if (is_magnified) { color = pixel(clamp(ivec2(floor(place)), ivec2(0), most)); return; }
    place = clamp(place - 0.5, vec2(0), vec2(most));
    ivec2 low = ivec2(place), high = min(low + 1, most);
    vec2 part = place - vec2(low);
    color = mix(mix(mean(low), mean(ivec2(high.x, low.y)), part.x),
                mix(mean(ivec2(low.x, high.y)), mean(high), part.x), part.y);
}"""


class GlassError(Exception):
    """OpenGL did not do what it was asked for; its text says what."""


class _Form(NamedTuple):
    """How pixels lie here, and in the texture."""

    stored: QOpenGLTexture.TextureFormat
    given: QOpenGLTexture.PixelFormat
    kind: QOpenGLTexture.PixelType


_NUMBER, _ORDER = QOpenGLTexture.PixelType, QOpenGLTexture.PixelFormat
_RGB = _Form(QOpenGLTexture.TextureFormat.RGB8_UNorm, _ORDER.RGB, _NUMBER.UInt8)
_ARGB = _Form(QOpenGLTexture.TextureFormat.RGBA8_UNorm, _ORDER.BGRA, _NUMBER.UInt8)
_METRES = _Form(QOpenGLTexture.TextureFormat.R32F, _ORDER.Red, _NUMBER.Float32)


class _Held:
    """A texture, and what is in it: uploaded anew only when that is something else."""

    def __init__(self) -> None:
        self._texture: QOpenGLTexture | None = None
        self._like: object = None
        self._what: object = None

    def bind(self, unit: int, what: object, pixels: Pixels, form: _Form) -> None:
        """Have (H, W) or (H, W, 3) pixels read by a texture unit; asked for where it lacks them."""
        texture = self._texture if what == self._what else None
        (texture or self._load(what, pixels(), form)).bind(unit)

    def _load(self, what: object, pixels: npt.NDArray[np.generic], form: _Form) -> QOpenGLTexture:
        like, texture = (pixels.shape[:2], form), self._texture
        if texture is None or like != self._like:
            self.free()
            self._texture, self._like = texture, like = _texture(pixels, form), like
        packed, options = np.ascontiguousarray(pixels), QOpenGLPixelTransferOptions()
        options.setAlignment(1)
        # The stubs call a pointer int; what has a buffer is taken, an int above 2^31 is not.
        texture.setData(form.given, form.kind, packed, options)  # type: ignore[call-overload]
        self._what = what
        return texture

    def free(self) -> None:
        """Give it back; its context is current."""
        if self._texture is not None:
            self._texture.destroy()
        self._texture = self._what = None


def _texture(pixels: npt.NDArray[np.generic], form: _Form) -> QOpenGLTexture:
    texture = QOpenGLTexture(QOpenGLTexture.Target.Target2D)
    texture.setFormat(form.stored)
    texture.setSize(pixels.shape[1], pixels.shape[0])
    near = QOpenGLTexture.Filter.Nearest
    texture.setMinMagFilters(near, near)
    texture.allocateStorage(form.given, form.kind)
    return texture


class Glass(QOpenGLWidget):
    """Lies on the picture of a pane and paints it there; mouse and keys go to the pane.

    ``paint`` is called with a painter in the coordinates of the pane. What fails is told to the
    `Renderer`, who has the panes take their glass away.
    """

    def __init__(self, pane: QWidget, paint: Callable[[QPainter], None]) -> None:
        super().__init__(pane)
        self._pane, self._paint = pane, paint
        self._held = [_Held(), _Held()]
        self._lookup = _Held()
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def initializeGL(self) -> None:  # noqa: N802, D102
        self._corners = QOpenGLVertexArrayObject()  # core profile draws nothing without one
        self._corners.create()
        self._program = program = QOpenGLShaderProgram()
        kinds = QOpenGLShader.ShaderTypeBit
        steps = ((kinds.Vertex, _CORNERS), (kinds.Fragment, _COLORS))
        self._is_built = all(program.addShaderFromSourceCode(*each) for each in steps)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802, D102
        # The last moment at which the context is certainly there, in a new window it is another.
        super().hideEvent(event)
        if self.isValid():
            self.makeCurrent()
            for held in (*self._held, self._lookup):
                held.free()
            self.doneCurrent()

    def paintGL(self) -> None:  # noqa: N802, D102
        # Not on the widget: while the window is grabbed, that would paint below the picture.
        device = QOpenGLPaintDevice(self.size() * self.devicePixelRatioF())
        device.setDevicePixelRatio(self.devicePixelRatioF())
        painter = QPainter(device)
        painter.setFont(self._pane.font())
        painter.translate(-self.pos())
        try:
            self._paint(painter)
        except Exception as error:  # noqa: BLE001 - told by the renderer: the processor goes on
            _give_up(str(error) or type(error).__name__)
        finally:
            painter.end()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        super().paintEvent(event)
        if not self.isValid() or not self.context().isValid():
            _give_up("no OpenGL")

    def lay(self, painter: QPainter, layers: Sequence[Layer], plan: Plan) -> None:
        """Draw pictures beside each other, over the hatch that stands for nothing.

        Raises:
            GlassError: OpenGL did not do it.
        """
        pane = QRectF(self.geometry())
        if all(isinstance(source, Colors) for source, *_ in layers):
            painter.fillRect(pane, QColor(plan.ground))
        else:
            painter.drawImage(pane, hatched(plan))
        painter.beginNativePainting()
        for held, layer in zip(self._held, layers, strict=False):
            self._draw(held, plan, *layer)
        wrong = self.context().functions().glGetError()
        painter.endNativePainting()
        if wrong:
            raise GlassError(f"OpenGL error 0x{wrong:04x}")

    def _draw(self, held: _Held, plan: Plan, source: Source, begin: float, end: float) -> None:
        if not (self._is_built and self._program.bind()):
            raise GlassError(" ".join(self._program.log().split()) or "its shader is refused")
        if plan.image[2] < 1 or plan.image[3] < 1:
            return
        stride = step(source, plan) if isinstance(source, Depths) else 1
        is_magnified = plan.image[2] >= -(-source.size[0] // stride)
        if not is_magnified:
            x, y, width, height = (float(round(at)) for at in plan.image)
            plan = replace(plan, image=(x, y, width, height))
        self._count("stride", stride)
        self._count("block", 1 if is_magnified else _block(source, stride, plan))
        self._count("is_magnified", is_magnified)
        self._amount("pane_height", float(plan.height))
        self._program.setUniformValue(self._program.uniformLocation("image"), *plan.image)
        self._bind(held, source)
        left, top, right, bottom = edges(plan)
        left, right = round(max(left, begin)), round(min(right, end))
        self._blend(left, plan.height - bottom, right - left, bottom - top, plan)
        self._program.release()

    def _bind(self, held: _Held, source: Source) -> None:
        """Have the texture units hold what a picture is drawn from."""
        self._count("pixels", 0)
        self._count("lookup", 1)
        self._count("is_depth", isinstance(source, Depths))
        if isinstance(source, Depths):
            scale = source.scale
            self._amount("rate", float(step_rate(scale)))
            self._amount("far_m", float(np.float32(scale.far_m)))
            colors = lookup_rgb32(scale, source.colormap).reshape(256, 256)
            self._lookup.bind(1, (scale, source.colormap), lambda: colors, _ARGB)
            held.bind(0, source, source.depth_m, _METRES)
        elif isinstance(source, Painted):
            held.bind(0, source, lambda: source.argb, _ARGB)
        elif isinstance(source, Colors):
            held.bind(0, source, lambda: source.rgb, _RGB)

    def _blend(self, left: int, low: int, width: int, height: int, plan: Plan) -> None:
        gl = self.context().functions()
        gl.glViewport(0, 0, plan.width, plan.height)
        gl.glDisable(_DEPTH_TEST)
        gl.glEnable(_SCISSOR_TEST)
        gl.glScissor(left, low, max(width, 0), max(height, 0))
        gl.glEnable(_BLEND)
        gl.glBlendFunc(_ONE, _ONE_MINUS_SRC_ALPHA)
        self._corners.bind()
        gl.glDrawArrays(_TRIANGLES, 0, 3)
        self._corners.release()
        gl.glDisable(_SCISSOR_TEST)

    def _count(self, name: str, value: int) -> None:
        self._program.setUniformValue1i(self._program.uniformLocation(name), value)

    def _amount(self, name: str, value: float) -> None:
        self._program.setUniformValue1f(self._program.uniformLocation(name), value)


def _block(source: Source, stride: int, plan: Plan) -> int:
    """Return from how many pixels in both directions `compose` makes one before it interpolates."""
    across, down = (-(-length // stride) for length in source.size)
    _, _, width, height = plan.image
    block = 1
    while 2 * width <= across // block and 2 * height <= down // block:
        block *= 2
    return block


def _give_up(why: str) -> None:
    # Not here: a widget in the middle of its painting must not be taken away.
    QTimer.singleShot(0, renderer.current(), lambda: renderer.current().give_up(why))
