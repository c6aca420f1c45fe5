"""Pictures of one moment side by side, and frames that have no refined depth."""

from __future__ import annotations

from PySide6.QtCore import QObject

from lingbot_live.pipeline.inference import RefinerState
from ui.controllers.refining import Refining
from ui.controllers.rows import Rows
from ui.shell.actions import Actions, Command
from ui.shell.bridge import FeedView
from ui.shell.desk import Desk
from ui.shell.language import phrase, tr
from ui.shell.stage import Stage
from ui.views.feed_panel import FeedPanel

_LIVE = "live_raw"  # the action, and in the settings
MISSING = phrase("This frame was recorded without refined depth.")


class Scenes(QObject):
    """Blanks refined depth of a refiner that failed; offers to refine a frame that has none."""

    def __init__(
        self, stage: Stage, desk: Desk, rows: Rows, refining: Refining, actions: Actions
    ) -> None:
        super().__init__(stage)
        self._stage, self._desk, self._rows = stage, desk, rows
        self._refining, self._actions = refining, actions
        self._offering: list[FeedPanel] = []
        self._is_anew = False  # the held frame alone is refined; recorded depth comes back
        self._set_live(desk.settings.text(_LIVE) == str(True))
        stage.statusDue.connect(self._look)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {_LIVE: self.toggle_live}

    def toggle_live(self) -> None:
        """Show raw depth as it comes, or of the moment of the refined depth beside it."""
        on = not self._stage.bridge.shows_live
        self._set_live(on)
        self._desk.settings.set_text(_LIVE, str(on))

    def refine_frame(self) -> None:
        """Have the chosen refiner make the depth of the frame that is held."""
        if self._refining.shows_recorded:
            self._is_anew = True
            self._refining.toggle_recorded()

    # ---- private -----------------------------------------------------------------------------

    def _set_live(self, on: bool) -> None:
        self._stage.bridge.set_live(on)
        self._actions[_LIVE].setChecked(on)

    def _look(self) -> None:
        session = self._stage.session
        if session is not None and session.refiner_state is RefinerState.FAILED:
            self._stage.bridge.forget_refined()
        if self._is_anew and not any(view.is_held for view in self._stage.views):
            self._is_anew = False
            if not self._refining.shows_recorded:
                self._refining.toggle_recorded()
        for panel in self._rows.panels:
            self._offer(panel, self._is_missing(panel.view))

    def _is_missing(self, view: FeedView) -> bool:
        newest = view.newest
        is_bare = newest is not None and newest.recorded is None
        return self._refining.shows_recorded and view.is_held and view.refined is None and is_bare

    def _offer(self, panel: FeedPanel, is_missing: bool) -> None:
        self._offering = [other for other in self._offering if other in self._rows.panels]
        if is_missing and panel not in self._offering:
            self._offering.append(panel)
            panel.notice.show_offer(tr(MISSING), (tr("Refine this frame"), self.refine_frame))
        elif not is_missing and panel in self._offering:
            self._offering.remove(panel)
            if panel.notice.text == tr(MISSING):
                panel.notice.clear()
