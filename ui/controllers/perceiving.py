"""What refined depth is for, in the window: attention, grasps, tracks."""

from __future__ import annotations

from PySide6.QtWidgets import QBoxLayout

from ui.cloud.view import CloudView
from ui.controllers.attention import AttentionControl
from ui.controllers.cloud_feeds import CloudFeeds
from ui.controllers.grasping import Grasping
from ui.controllers.recording import RecordControl
from ui.controllers.rows import Rows
from ui.controllers.tracking import Tracking
from ui.shell.actions import Actions, Command
from ui.shell.desk import Desk
from ui.shell.stage import Stage


class Perceiving:
    """Makes the three, and puts their bars above the pictures."""

    def __init__(
        self,
        stage: Stage,
        desk: Desk,
        rows: Rows,
        feeds: CloudFeeds,
        cloud: CloudView,
        recording: RecordControl,
        actions: Actions,
    ) -> None:
        self.attention = AttentionControl(stage, desk, rows, actions)
        self.grasping = Grasping(stage, desk, feeds, cloud, recording, actions)
        self.tracking = Tracking(stage, desk, rows, feeds, cloud, recording, actions)

    def commands(self) -> dict[str, Command]:
        """Return what they do, by the keys of `Actions`."""
        parts = (self.attention, self.grasping, self.tracking)
        return {key: do for part in parts for key, do in part.commands().items()}

    def place_bars(self, column: QBoxLayout, place: int) -> None:
        """Insert the bars into a column, hidden until they are needed."""
        column.insertWidget(place, self.attention.bar)
        column.insertWidget(place + 1, self.tracking.bar)
