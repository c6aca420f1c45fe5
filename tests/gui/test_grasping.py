"""Grasps in the 3D view: looked for beside the stream, drawn as lines."""

from __future__ import annotations

import numpy as np
import psutil
import pytest
from gui_wait import wait_for

from lingbot_live.config import RefinerConfig
from lingbot_live.quality.ruler import Box
from ui.cloud.memory import CloudMemory, Job
from ui.cloud.process import CloudRenderer
from ui.cloud.scene import ViewSettings


def test_lines_are_drawn_and_taken_away():
    memory = CloudMemory()
    renderer = CloudRenderer(memory)
    red = (((-0.3, 0.0, 1.5), (0.3, 0.0, 1.5), (255, 0, 0)),)
    try:
        view = ViewSettings(width=160, height=120)
        counts = []
        for lines in ((), red, ()):
            renderer.render(Job(ViewSettings(width=160, height=120, lines=lines)))
            picture = memory.picture(view.width, view.height).astype(int)
            counts.append(int(((picture[..., 0] > 200) & (picture[..., 1] < 60)).sum()))
        assert counts[0] == counts[2] == 0
        assert counts[1] > 20
    finally:
        renderer.close()
        memory.close()


@pytest.fixture
def table(window):
    window.refining.config = RefinerConfig("none")
    window.stage.refiner = RefinerConfig("none")
    window.stage.open(("synthetic:table",))
    wait_for(lambda: window.panels and window.panels[0].refined.has_image, 60)
    return window


def test_grasps_of_the_selected_camera_come_into_the_3d_view(table):
    table.actions_["grasps"].trigger()
    wait_for(lambda: table.perceiving.grasping.scene is not None, 30)
    assert len(table.perceiving.grasping.scene.things) >= 8
    lines = table.cloud.view.lines
    assert len(lines) > 12 * 8
    assert np.isfinite([end for first, last, _ in lines for end in (first, last)]).all()
    (looking,) = lookers()
    table.actions_["grasps"].trigger()
    assert table.cloud.view.lines == ()
    assert not looking.is_running()
    table.actions_["grasps"].trigger()
    wait_for(lambda: table.perceiving.grasping.scene is not None, 30)
    table.actions_["grasps"].trigger()


def test_only_things_in_the_crop_box(table):
    """Also where it is drawn while grasps are looked for."""
    grasping = table.perceiving.grasping
    table.actions_["grasps"].trigger()
    wait_for(lambda: grasping.scene is not None, 30)
    middles = middles_m(grasping.scene)
    left = middles[middles[:, 0].argmin()]
    assert not near(middles, left).all()
    table.cloud.tools._set_box(Box(tuple(left - 0.1), tuple(left + 0.1)))
    wait_for(lambda: near(middles_m(grasping.scene), left).all(), 30)
    assert grasping.scene.things
    table.actions_["grasps"].trigger()


def middles_m(scene):
    return np.array([thing.T_camera_thing[:3, 3] for thing in scene.things])


def near(middles, middle):
    """Whose boxes reach no farther than a thing cut by the crop box may."""
    return (np.abs(middles - middle) < 0.2).all(1)


def lookers():
    """Processes that look for grasps: this one's main thread waits for no such look."""
    children = psutil.Process().children()
    return [child for child in children if "grasp_process" in " ".join(child.cmdline())]


def test_without_a_table_it_says_so_once(window):
    window.stage.refiner = RefinerConfig("none")
    window.actions_["grasps"].trigger()
    window.perceiving.grasping._tell("grasps: no plane is seen")
    assert "no plane" in window.desk.news.text
    window.desk.news.clear()
    window.perceiving.grasping._tell("grasps: no plane is seen")
    assert window.desk.news.text == ""
    window.actions_["grasps"].trigger()
