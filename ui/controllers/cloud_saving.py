"""Writes the cloud on the screen to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PySide6.QtWidgets import QFileDialog

from lingbot_live.errors import ExportError
from lingbot_live.export.cloud import write_points_in_child
from lingbot_live.frame import Extrinsics, Matrix, RefinedFrame
from lingbot_live.geometry import deproject
from lingbot_live.quality.ruler import Box
from ui.cloud.view import CloudView
from ui.controllers.cloud_feeds import CloudFeeds
from ui.controllers.rows import Rows
from ui.shell.actions import Command
from ui.shell.desk import Desk, open_file, show_folder
from ui.shell.language import phrase, tr

_FILES = phrase("Point clouds (*.ply *.pcd)")


@dataclass(frozen=True, slots=True)
class _Part:
    refined: RefinedFrame
    pose: Extrinsics  # T_common_camera


class CloudSaving:
    """The refined points of all cameras, of the crop box where there is one, in one file."""

    def __init__(self, desk: Desk, rows: Rows, feeds: CloudFeeds, cloud: CloudView) -> None:
        self._desk, self._rows, self._feeds, self._cloud = desk, rows, feeds, cloud

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {"save_cloud": self.ask_and_save}

    def ask_and_save(self) -> None:
        """Ask for a file and write the cloud there."""
        if not self._parts():
            self._desk.say(tr("Nothing to save yet: no refined frame."))
            return
        parent = self._desk.widget
        text, _ = QFileDialog.getSaveFileName(parent, tr("Save cloud"), "cloud.ply", tr(_FILES))
        if text:
            path = Path(text)
            self.save(path if path.suffix.lower() in (".ply", ".pcd") else path.with_suffix(".ply"))

    def save(self, path: Path) -> None:
        """Write a PLY or PCD, on a thread and by a process of its own."""
        parts, box, desk = self._parts(), self._cloud.tools.box, self._desk
        desk.tasks.run(
            "saving the cloud",
            lambda: _write(path, parts, box),
            lambda count: desk.say(
                tr("{count} points written to {path}", count=count, path=path),
                show_folder(path),
                open_file(path),
            ),
            lambda error: desk.show_error(str(error)),
        )

    def _parts(self) -> list[_Part]:
        views = [panel.view for panel in self._rows.panels]
        return [
            _Part(view.refined, self._feeds.pose(view) or Extrinsics())
            for view in views
            if view.refined is not None
        ]


def _write(path: Path, parts: list[_Part], box: Box | None) -> int:
    points, colors = zip(*(_points(part, box) for part in parts), strict=True)
    all_points, all_colors = np.concatenate(points), np.concatenate(colors)
    if len(all_points) == 0:
        raise ExportError(f"{path}: no point lies in the crop box; press Esc to see them all")
    write_points_in_child(path, all_points, all_colors)
    return len(all_points)


def _points(part: _Part, box: Box | None) -> tuple[Matrix, npt.NDArray[np.uint8]]:
    """Return a camera's points (N, 3), metres in common axes, and their colours (N, 3) RGB."""
    frame, depth_m = part.refined.frame, part.refined.depth_m
    valid = depth_m > 0
    points = part.pose.apply(deproject(depth_m, frame.intrinsics)[valid].astype(np.float64))
    inside = np.ones(len(points), bool) if box is None else box.holds(points)
    return points[inside], frame.color[valid][inside]
