"""What is drawn beside the points, and from where the cloud is seen."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from cloud_pictures import BACKGROUND, points_of, refined_frame, running, until, view
from cloud_pictures import show as shown
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from lingbot_live.colormap import DepthRange
from ui.cloud.guides import Ground
from ui.cloud.memory import Ask
from ui.cloud.scene import FRONT, SIDE, TOP, Guide, Orbit
from ui.shell.elided import ElidedLabel


@pytest.fixture(scope="module")
def painter():
    """One process for all tests that only look at pictures."""
    with running() as process:
        until(lambda: process.pid is not None)
        yield process


def room():
    """A level floor 1 m below the camera and a wall 3 m away, (120, 160) metres."""
    down = (np.arange(120) - 59.5)[:, None] / 150
    floor = np.where(down > 0, 1 / np.maximum(down, 1e-6), np.inf)
    return np.broadcast_to(np.minimum(floor, 3.0), (120, 160)).astype(np.float32)


def test_the_ground_is_the_floor_and_not_the_wall():
    ground = Ground.of(points_of(room()))
    np.testing.assert_allclose(ground.up, [0, -1, 0], atol=0.01)
    assert ground.centre_m[1] == pytest.approx(1.0, abs=0.01)


def test_without_a_floor_the_ground_lies_below_everything():
    ground = Ground.of(points_of(np.full((120, 160), 2.0)))
    np.testing.assert_allclose(ground.up, [0, -1, 0])
    assert ground.centre_m[1] == pytest.approx(0.8, abs=0.03)


def test_from_above_is_above_the_ground_however_the_camera_is_held(painter):
    down = np.radians(25)  # it looks down on the floor
    up, ahead = np.array([[0, -np.cos(down), -np.sin(down)], [0, -np.sin(down), np.cos(down)]])
    y, x = (np.mgrid[:120, :160] - np.array([59.5, 79.5])[:, None, None]) / 150
    rays = np.stack([x, y, np.ones_like(x)], -1)
    below = -(rays @ up)
    floor = np.where(below > 0, 1 / np.maximum(below, 1e-6), np.inf)
    depth = np.minimum(floor, 3 / (rays @ ahead)).astype(np.float32)
    for orbit, row, along in ((TOP, 2, -up), (SIDE, 1, -up), (FRONT, 1, [0, 1, 0])):
        shown(painter, refined_frame(depth, depth), orbit=orbit)
        home = painter.status.home
        found = home.extrinsic(view(orbit=orbit))[row, :3]  # an axis of the picture in the scene
        np.testing.assert_allclose(found, along, atol=0.02)
        place = np.array([0.3, 0.5, 2.0])
        centred = view(orbit=Orbit(offset=home.offset_of(place), is_level=orbit.is_level))
        np.testing.assert_allclose((home.extrinsic(centred) @ [*place, 1])[:2], 0, atol=1e-9)


@pytest.mark.parametrize("guide", list(Guide))
def test_guides_are_drawn_only_where_they_are_wanted(painter, guide):
    hole = room()
    hole[:, :60] = 0  # so that the grid is seen beside the floor
    frame = refined_frame(hole, hole)
    with_it = shown(painter, frame, guides=frozenset({guide}), orbit=TOP)
    without = shown(painter, frame, orbit=TOP)
    changed = (with_it != without).any(-1)
    assert 20 < changed.sum() < changed.size / 2
    if guide is Guide.AXES:  # x points right in the picture from above
        red = (with_it[..., 0] > 120) & (with_it[..., 1:] < 90).all(-1) & changed
        blue = (with_it[..., 2] > 120) & (with_it[..., 0] < 100) & changed
        assert np.nonzero(red)[1].max() > np.nonzero(blue)[1].max()
        assert np.nonzero(blue)[0].min() < np.nonzero(red)[0].min(), "z goes away from the camera"


def test_orthographic_pictures_show_far_things_no_smaller(painter):
    depth = np.zeros((120, 160))
    depth[50:70, 20:40] = 1.0
    depth[55:65, 120:130] = 2.0  # as large, twice as far away

    def heights(**changes):
        frame, far = refined_frame(depth, depth), Orbit(zoom=0.25)
        image = shown(painter, frame, point_size_px=1, orbit=far, **changes)
        seen = (image != BACKGROUND).any(-1)
        return [np.ptp(np.nonzero(half)[0]) for half in (seen[:, :160], seen[:, 160:])]

    near, far = heights()
    assert near > 1.5 * far
    near, far = heights(is_flat=True)
    assert abs(near - far) <= 2


def test_points_are_found_in_orthographic_pictures(painter):
    shown(painter, refined_frame(), is_flat=True)
    painter.ask(Ask("look", (79.5, 59.5)))
    until(lambda: painter.status.answer is not None and painter.status.answer.ask.purpose == "look")
    x, y, z = painter.status.answer.point_m
    assert z == pytest.approx(1.0)
    assert x < -0.1
    assert y < -0.1


def test_a_hint_that_does_not_fit_ends_with_dots(show):
    label = show(ElidedLabel("drag: orbit and much more"), 120, 24)
    assert label.shown.endswith("…")
    label.grab()
    assert label.toolTip() == label.text()
    label.resize(600, 24)
    assert label.shown == label.text()
    label.resize(40, 24)
    assert label.shown == "", "a few letters say nothing"


def test_keys_and_the_menu_choose_guides_and_viewpoints(window):
    cloud = window.cloud
    for key, guide in (("X", Guide.AXES), ("G", Guide.GRID), ("V", Guide.FRUSTUM)):
        QTest.keyClick(window, getattr(Qt.Key, f"Key_{key}"))
        assert guide in cloud.view.guides
    cloud.menu.guides["cloud_grid"].trigger()
    assert cloud.view.guides == {Guide.AXES, Guide.FRUSTUM}
    assert not window.actions_["cloud_grid"].isChecked(), "both menus say the same"
    assert window.actions_["cloud_axes"].isChecked()
    for key, orbit in (("T", TOP), ("S", SIDE), ("F", FRONT)):
        QTest.keyClick(window, getattr(Qt.Key, f"Key_{key}"), Qt.KeyboardModifier.ShiftModifier)
        assert cloud.view.orbit == cloud.canvas.orbit == orbit
    window.actions_["cloud_flat"].trigger()
    assert cloud.view.is_flat
    assert cloud.menu.flat.isChecked()


def test_a_hand_is_answered_at_once_and_what_comes_with_frames_keeps_to_their_pace():
    slow_s = 2.0
    with running(max_fps=1 / slow_s) as process:
        shown(process, refined_frame())
        told = process.status
        line = ((0.0, 0.0, 1.0), (0.1, 0.0, 1.0), (255, 0, 0))
        process.set_view(replace(told.view, lines=(line,)))
        turned = replace(told.view, lines=(line, line), orbit=Orbit(yaw_deg=10))
        process.set_view(turned)
        until(lambda: process.status.view == turned)
        begun_s, pictures = time.monotonic(), process.status.pictures
        for nothing in (turned, replace(turned, depth_range=DepthRange(0.5, 2.0))):
            process.set_view(nothing)  # colours are of the camera: no range is seen
        process.set_view(replace(turned, lines=(line,)))
        until(lambda: process.status.pictures > pictures)
        assert time.monotonic() - begun_s > slow_s / 2
        assert process.status.view.lines == (line,)
