"""Things on a table and grasps of them, looked for beside the stream and drawn in the 3D view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QObject

from lingbot_live.errors import ConfigError
from lingbot_live.frame import Extrinsics, Frame, Mask, RefinedFrame
from lingbot_live.geometry import deproject
from lingbot_live.perception.grasp_picture import Segments, box_lines, gripper_lines
from lingbot_live.perception.grasp_process import GraspProcess, Look
from lingbot_live.perception.grasps import GraspScene, GraspSettings
from lingbot_live.perception.seen_through import Sight
from lingbot_live.quality.ruler import Box
from lingbot_live.recording.found import FoundGrasps
from ui.cloud.scene import Line, Rgb
from ui.cloud.view import CloudView
from ui.controllers.cloud_feeds import CloudFeeds
from ui.controllers.recording import RecordControl
from ui.shell.actions import Actions, Command
from ui.shell.background import Background
from ui.shell.bridge import FeedView
from ui.shell.desk import Desk
from ui.shell.stage import Stage

_BOX_RGB, _BEST_RGB, _OTHER_RGB = (255, 200, 60), (80, 255, 120), (90, 150, 255)
_OTHERS = 2  # grasps of a thing besides its best


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    view: FeedView
    scene: GraspScene


class Grasping(QObject):
    """While on, looks at the selected camera's newest refined depth, again and again.

    For things in the 3D view's crop box, where there is one.
    A process that gives way to all else does the work; a newer frame replaces one that waits.
    """

    def __init__(
        self,
        stage: Stage,
        desk: Desk,
        feeds: CloudFeeds,
        cloud: CloudView,
        recording: RecordControl,
        actions: Actions,
    ) -> None:
        super().__init__(stage)
        self._recording = recording
        self._desk, self._feeds, self._cloud, self._actions = desk, feeds, cloud, actions
        self.is_on = False
        self.scene: GraspScene | None = None  # as drawn
        self._settings = GraspSettings()
        self._said = ""
        self._process = GraspProcess()
        self._work = Background("grasps", self._look, self, yields=True)
        self._work.done.connect(self._show)
        self._work.failed.connect(self._tell)
        stage.newsShown.connect(self._on_news)
        stage.ending.connect(self.stop)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {"grasps": self.toggle}

    def toggle(self) -> None:
        """Begin to look for grasps, or take them out of the 3D view."""
        self.is_on, self._said = not self.is_on, ""
        self._actions["grasps"].setChecked(self.is_on)
        if not self.is_on:
            self.stop()

    def stop(self) -> None:
        """End the process, and draw nothing; safe more than once."""
        self._process.close()
        self._work.stop()
        self._process = GraspProcess()
        self._clear()

    # ---- private -----------------------------------------------------------------------------

    def _on_news(self, fresh: list[FeedView]) -> None:
        chosen = self._feeds.chosen
        if self.is_on and chosen is not None and chosen in fresh and chosen.refined is not None:
            self._work.submit((chosen, chosen.refined, self._cloud.tools.box))

    def _look(self, item: object) -> _Found | None:
        if not isinstance(item, tuple) or not isinstance(item[1], RefinedFrame):
            raise ConfigError(f"grasps: {item!r} is no frame")
        view, refined, box = item
        frame = refined.frame
        region = None if box is None else _inside(box, refined, self._feeds.pose(view))
        sight = Sight(frame.color, frame.depth_m)
        look = Look(refined.depth_m, frame.intrinsics, self._settings, sight, region)
        found = self._process.find(look)
        if found is None:
            return None
        self._recording.keep(view.feed.name, lambda: _kept(frame, found))
        return _Found(view, found)

    def _show(self, found: _Found | None) -> None:
        if self.is_on and found is not None:
            self.scene, self._said = found.scene, ""
            lines = _lines(found.scene, self._feeds.pose(found.view), self._settings)
            self._cloud.set_lines("grasps", lines)

    def _tell(self, why: str) -> None:
        """Say once why there is nothing."""
        self._clear()
        if why != self._said:
            self._said = why
            self._desk.say(why)

    def _clear(self) -> None:
        self.scene = None
        self._cloud.set_lines("grasps", ())


def _inside(box: Box, refined: RefinedFrame, pose: Extrinsics | None) -> Mask:
    """Return which pixels (H, W) lie in a box of the 3D view; those without depth do not."""
    points = deproject(refined.depth_m, refined.frame.intrinsics).reshape(-1, 3).astype(np.float64)
    placed = points if pose is None else pose.apply(points)
    return box.holds(placed).reshape(refined.depth_m.shape) & (refined.depth_m > 0)


def _kept(frame: Frame, scene: GraspScene) -> FoundGrasps:
    return FoundGrasps(frame, [Extrinsics.from_matrix(g.T_camera_gripper) for g in scene.grasps])


def _lines(scene: GraspScene, pose: Extrinsics | None, settings: GraspSettings) -> tuple[Line, ...]:
    """Return boxes and grippers as lines in the 3D view's axes."""
    lines: list[Line] = []

    def put(segments: Segments, rgb: Rgb) -> None:
        placed = segments if pose is None else pose.apply(segments)
        for first, last in np.asarray(placed).tolist():
            lines.append((tuple(first), tuple(last), rgb))

    for number, thing in enumerate(scene.things):
        put(box_lines(thing.T_camera_thing, thing.size_m), _BOX_RGB)
        for place, grasp in enumerate(scene.of(number)[: 1 + _OTHERS]):
            rgb = _OTHER_RGB if place else _BEST_RGB
            put(gripper_lines(grasp, settings.gripper), rgb)
    return tuple(lines)
