"""A figure of what a network attends to: queries, measured depth, attention, refined depth."""

from __future__ import annotations

import math

import cv2
import numpy as np

from lingbot_live.colormap import auto_range, colorize
from lingbot_live.errors import WriteError
from lingbot_live.frame import ColorImage, RefinedFrame
from lingbot_live.refiners.attended import Weights, overlay

_WIDTH, _BAR, _GAP = 480, 26, 6  # pixels: of a picture, of its caption, between two
_ACROSS = 5  # pictures of a row
_INK, _PAPER = (30, 32, 36), (255, 255, 255)
_STARS = ((255, 214, 10), (64, 196, 255), (255, 105, 180), (124, 252, 0), (255, 140, 0))


def figure(refined: RefinedFrame, pixels: Weights, weights: Weights) -> bytes:
    """Return a PNG of the pictures side by side.

    Args:
        refined: the frame and what became of it.
        pixels: (Q, 2) of the queries, u and v.
        weights: (Q, h, w) on colour tokens.

    Raises:
        WriteError: it is too large to be coded.
    """
    frame = refined.frame
    scale = auto_range(np.concatenate([frame.depth_m, refined.depth_m]))
    masked, filled = (colorize(depth_m, scale) for depth_m in (frame.depth_m, refined.depth_m))
    parts = [("Colour and queries", frame.color), ("Measured depth", masked)]
    parts = [(text, _with_stars(picture, pixels, range(len(pixels)))) for text, picture in parts]
    for query, part in enumerate(weights):
        star = _with_stars(overlay(frame.color, part), pixels, [query])
        parts.append((f"Attention of query {query + 1}", star))
    parts.append(("Refined depth", _with_stars(filled, pixels, [])))
    done, coded = cv2.imencode(".png", _sheet(parts)[..., ::-1])
    if not done:
        raise WriteError(f"the figure of {len(parts)} pictures cannot be coded as PNG")
    return coded.tobytes()


def _with_stars(picture: ColorImage, pixels: Weights, queries: range | list[int]) -> ColorImage:
    """Return the picture at the figure's width with a star at each query."""
    factor = _WIDTH / picture.shape[1]
    size = (_WIDTH, max(1, round(picture.shape[0] * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    shown = np.ascontiguousarray(cv2.resize(picture, size, interpolation=method))
    for query in queries:
        at = np.rint((pixels[query] + 0.5) * factor - 0.5).astype(int)
        outline = (at + _star(11)).astype(np.int32)
        cv2.fillPoly(shown, [outline], _STARS[query % len(_STARS)], cv2.LINE_AA)
        cv2.polylines(shown, [outline], True, _INK, 1, cv2.LINE_AA)
    return shown


def _star(radius_px: float) -> Weights:
    turn = np.arange(10) * math.pi / 5 - math.pi / 2
    far = np.where(np.arange(10) % 2, 0.42 * radius_px, radius_px)
    return np.asarray(np.stack([far * np.cos(turn), far * np.sin(turn)], -1), np.float32)


def _sheet(parts: list[tuple[str, ColorImage]]) -> ColorImage:
    """Return pictures below their captions, in rows of the same length."""
    height = parts[0][1].shape[0] + _BAR
    across = min(len(parts), _ACROSS)
    rows = -(-len(parts) // across)
    size = (rows * (height + _GAP) - _GAP, across * (_WIDTH + _GAP) - _GAP, 3)
    sheet = np.full(size, _PAPER, np.uint8)
    for place, (text, picture) in enumerate(parts):
        top, left = (place // across) * (height + _GAP), (place % across) * (_WIDTH + _GAP)
        sheet[top + _BAR : top + height, left : left + _WIDTH] = picture
        cv2.putText(
            sheet, text, (left + 2, top + 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _INK, 1, cv2.LINE_AA
        )
    return sheet
