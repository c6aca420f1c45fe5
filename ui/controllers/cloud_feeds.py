"""Brings all cameras' frames into the 3D view, each where the rig says that it stands."""

from __future__ import annotations

from PySide6.QtCore import QObject

from lingbot_live.frame import Extrinsics
from lingbot_live.quality.ruler import Vector, probe
from ui.cloud.chips import Chip
from ui.cloud.scene import MAX_CLOUDS, Layer
from ui.cloud.view import CloudView
from ui.controllers.rows import Rows
from ui.shell import theme
from ui.shell.bridge import FeedView
from ui.shell.language import phrase, tr
from ui.shell.readout import metres, millimetres
from ui.shell.stage import Stage

_NO_PLACE = phrase(", drawn as if it stood at the first: no rig tells its place")


class CloudFeeds(QObject):
    """Keeps the cloud's layers and switches in step with the window's rows and their rig.

    A camera's slot in the cloud is its number, so that its colour is the same everywhere.
    """

    def __init__(self, stage: Stage, rows: Rows, cloud: CloudView) -> None:
        super().__init__(stage)
        self._rows, self._cloud = rows, cloud
        self._slots: set[int] = set()
        self._layers: tuple[Layer, ...] = ()
        self._cloud.tools.titles = self._title
        self._cloud.tools.values = self._values
        self._cloud.chips.changed.connect(self.follow)
        stage.newsShown.connect(self._show_news)
        stage.statusDue.connect(self.follow)
        stage.statusDue.connect(self._cloud.tools.refresh)
        self._rows.rowsChanged.connect(self.follow)
        self._rows.rigChanged.connect(self.follow)

    def follow(self) -> None:
        """Have a layer and a switch for every row, and no cloud of a row that is gone."""
        views = self._views
        slots = {view.number for view in views}
        for gone in self._slots - slots:
            self._cloud.forget(gone)
        if (len(slots) > 1) != (len(self._slots) > 1):
            self._cloud.suit(len(slots))
        self._slots = slots
        chips = self._cloud.chips
        chips.show_chips([self._chip(view) for view in views])
        layers = [Layer(is_shown=False)] * (max(slots, default=-1) + 1)
        for view in views:
            color = theme.camera_color(view.number)
            rgb = (color.red(), color.green(), color.blue())
            pose = self.pose(view) or Extrinsics()
            layers[view.number] = Layer(chips.is_on(view.number), rgb, pose)
        if tuple(layers) != self._layers:
            self._layers = tuple(layers)
            self._cloud.set_layers(self._layers)

    def pose(self, view: FeedView) -> Extrinsics | None:
        """Return ``T_common_camera``; None where no rig tells it."""
        rig = self._rows.rig
        camera = rig.find(view.feed.name, view.serial) if rig is not None else None
        return camera.pose if camera is not None else None

    @property
    def chosen(self) -> FeedView | None:
        """What the selected camera shows; None without a camera."""
        return self._rows.view

    # ---- private ---------------------------------------------------------------------------

    @property
    def _views(self) -> list[FeedView]:
        """Those that there is room for."""
        return [panel.view for panel in self._rows.panels if panel.view.number < MAX_CLOUDS]

    def _show_news(self, fresh: list[FeedView]) -> None:
        for view in fresh:
            if view.refined is not None and view.number < MAX_CLOUDS:
                self._cloud.show_frame(view.refined, view.number)

    def _chip(self, view: FeedView) -> Chip:
        note = "" if self.pose(view) is not None else tr(_NO_PLACE)
        return Chip(view.number, view.title, theme.camera_color(view.number), note)

    def _title(self, slot: int) -> str:
        return next((view.title for view in self._views if view.number == slot), f"{slot + 1}")

    def _values(self, point_m: Vector) -> list[tuple[int, str]]:
        return [(view.number, self._value(view, point_m)) for view in self._views]

    def _value(self, view: FeedView, point_m: Vector) -> str:
        refined = view.refined
        if refined is None:
            return tr("no frame yet")
        frame = refined.frame
        pose = self.pose(view) or Extrinsics()
        found = probe(point_m, pose.inverse(), frame.intrinsics, frame.depth_m, refined.depth_m)
        if found is None:
            return tr("outside its picture")
        parts = [tr("{true_m:.3f} m away", true_m=found.true_m)]
        for name, depth_m in ((tr("raw"), found.raw_m), (tr("refined"), found.refined_m)):
            text = metres(depth_m or None)
            away = f" ({millimetres(1000 * (depth_m - found.true_m)).strip()})" if depth_m else ""
            parts.append(f"{name} {text}{away}")
        return ", ".join(parts)
