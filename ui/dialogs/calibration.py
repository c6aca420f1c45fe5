"""Calibration in the window: a board held before running cameras, ICP, the hand; seen in 3D."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
)

from lingbot_live.calibration.board import Board
from lingbot_live.calibration.extrinsics import LEAST_VIEWS
from lingbot_live.calibration.rig import Rig
from lingbot_live.errors import ConfigError, LingbotLiveError
from ui.controllers.rigging import Rigging
from ui.controllers.rows import Rows
from ui.dialogs.calibration_table import CalibrationTable
from ui.dialogs.calibration_work import CalibrationWork
from ui.dialogs.nudging import Nudging
from ui.shell.bridge import FeedView
from ui.shell.desk import Desk
from ui.shell.language import tr
from ui.shell.notice import Notice
from ui.shell.stage import Stage

BOARDS = ("charuco:7x5:40mm:30mm", "charuco:11x8:30mm:22mm", "chessboard:9x6:25mm")
_PERIOD_MS = 200
_GOOD_VIEWS = 10


class CalibrationDialog(QDialog):
    """Stays open beside the running window; every rig it finds is used at once.

    Searching, solving and ICP run elsewhere (`CalibrationWork`); closing ends them.
    """

    def __init__(self, stage: Stage, desk: Desk, rows: Rows, rigging: Rigging) -> None:
        super().__init__(desk.widget)
        self.setWindowTitle(tr("Calibrate cameras against each other"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._stage, self._desk, self._rows, self._rigging = stage, desk, rows, rigging
        self._work: CalibrationWork | None = None
        self._views: list[FeedView] = []
        self._said = ""  # the last outcome
        self._make_parts()
        self._lay_out()
        stage.sessionChanged.connect(self._follow_session)
        rows.rigChanged.connect(self._show_rig)
        self.nudging.nudged.connect(self._on_nudged)
        self._timer = QTimer(self, interval=_PERIOD_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        self._follow_session()
        self.nudging.set_rig(rows.rig)

    # ---- parts -------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.board_box = QComboBox(editable=True)
        self.board_box.addItems(BOARDS)
        self.board_box.setAccessibleName(tr("Board"))
        self.board_box.setToolTip(
            tr(
                "charuco:COLUMNSxROWS:SQUARE:MARKER counts squares, chessboard:COLUMNSxROWS:SQUARE "
                "inner corners. Measure the printed squares."
            )
        )
        self.notice = Notice()
        self.table = CalibrationTable()
        self.nudging = Nudging()
        self.status = QLabel(wordWrap=True)
        self.look_button = self._button(
            tr("Look for it"), self._toggle_look, tr("Begin with no views")
        )
        self.draw_button = self._button(
            tr("Save picture..."), self._save_board, tr("To print the board")
        )
        self.solve_button = self._button(tr("Calibrate"), self._solve, tr("By the views so far"))
        self.icp_button = self._button(
            tr("Refine by ICP"),
            self._refine,
            tr(
                "By shape and colour of the scene; between sensors of different kinds, "
                "trust the board"
            ),
        )
        self.clock_button = self._button(
            tr("Compare clocks"), self._clocks, tr("By what has moved before the cameras")
        )
        rigging = self._rigging
        self.load_button = self._button(tr("Load..."), rigging.ask_and_load, tr("A rig file"))
        self.save_button = self._button(tr("Save..."), rigging.ask_and_save, tr("A rig file"))

    def _button(self, text: str, slot: Callable[[], None], tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tip)
        button.setAutoDefault(False)
        button.clicked.connect(lambda _on=False: slot())
        return button

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(QLabel(tr("Board")))
        row.addWidget(self.board_box, 1)
        row.addWidget(self.look_button)
        row.addWidget(self.draw_button)
        steps = QHBoxLayout()
        buttons = (self.solve_button, self.icp_button, self.clock_button,
                   self.load_button, self.save_button)  # fmt: skip
        for button in buttons:
            steps.addWidget(button)
        column = QVBoxLayout(self)
        column.addLayout(row)
        column.addWidget(self.notice)
        column.addWidget(self.table, 1)
        column.addWidget(self.status)
        column.addLayout(steps)
        column.addWidget(self.nudging)
        self.resize(900, 420)

    # ---- session -----------------------------------------------------------------------------

    def _follow_session(self) -> None:
        self._end_work()
        session = self._stage.session
        self._views = [panel.view for panel in self._rows.panels] if session else []
        self.table.show_cameras(self._views)
        if session is not None and len(self._views) > 1:
            self._work = CalibrationWork(session, self._desk.tasks)
        self._show_rig()
        self._tick()

    @property
    def is_looking(self) -> bool:
        """Whether views of the board are being gathered."""
        return self._work is not None and self._work.watch.boards is not None

    def _end_work(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.close()

    # ---- commands ----------------------------------------------------------------------------

    def _board(self) -> Board | None:
        try:
            return Board.parse(self.board_box.currentText())
        except ConfigError as error:
            self.notice.show_error(str(error), can_retry=False)
            return None

    def _toggle_look(self) -> None:
        if self._work is None:
            return
        if self._work.watch.boards is not None:
            self._work.look_for(None)
        elif (board := self._board()) is not None:
            self.notice.clear()
            self._said = ""
            self._work.look_for(board)
        self._tick()

    def _save_board(self) -> None:
        board = self._board()
        if board is None:
            return
        name = f"{board.kind}.png"
        path, _ = QFileDialog.getSaveFileName(self, tr("Save the board's picture"), name, "*.png")
        if path:
            self._desk.tasks.run(
                "board picture",
                lambda: board.save_picture(Path(path)),
                lambda _: self._say(tr("{path}: print it at 300 dpi without scaling.", path=path)),
                self._show_error,
            )

    def _solve(self) -> None:
        if self._work is not None:
            self.notice.clear()
            self._work.solve(self._use, self._show_error)
            self._tick()

    def _refine(self) -> None:
        work, rig = self._work, self._session_rig()
        if work is not None and work.is_busy:
            work.cancel()
        elif work is not None and rig is not None:
            self.notice.clear()
            work.refine(rig, self._use, self._show_error)
            self._tick()

    def _clocks(self) -> None:
        rig = self._session_rig()
        if self._work is not None and rig is not None:
            self.notice.clear()
            self._work.clocks(rig, self._use, self._show_error)
            self._tick()

    def _session_rig(self) -> Rig | None:
        """Return the rig of the running cameras; all in one place where none is known."""
        names, rig = self._names, self._rows.rig
        if rig is None:
            return Rig.of([address for address, _ in names])
        try:
            return rig.among(names)
        except LingbotLiveError as error:
            self._show_error(error)
            return None

    # ---- what happens ------------------------------------------------------------------------

    @property
    def _names(self) -> list[tuple[str, str]]:
        return [(view.feed.name, view.serial) for view in self._views]

    def _use(self, rig: Rig) -> None:
        if self._work is not None:
            self.nudging.set_rig(rig)
            self._say(tr("Done; the 3D view shows the cameras so. Save it to keep it."))
            self._rigging.use(rig)

    def _on_nudged(self, rig: Rig) -> None:
        self._rows.set_rig(rig)

    def _show_rig(self) -> None:
        rig = self._rows.rig
        self.table.show_rig(rig, self._names)
        if rig is not self.nudging.rig:
            self.nudging.set_rig(rig)
        self.save_button.setEnabled(rig is not None)

    def _show_error(self, error: BaseException) -> None:
        if self._work is not None:
            self.notice.show_error(str(error), can_retry=False)

    def _say(self, text: str) -> None:
        self._said = text

    def _tick(self) -> None:
        """Show what is seen and what can be done now."""
        work = self._work
        is_looking = work is not None and work.watch.boards is not None
        busy = work is not None and work.is_busy
        self.look_button.setText(tr("Stop looking") if is_looking else tr("Look for it"))
        self.icp_button.setText(tr("Cancel") if busy else tr("Refine by ICP"))
        self.look_button.setEnabled(work is not None and not busy)
        self.icp_button.setEnabled(work is not None)
        self.clock_button.setEnabled(work is not None and not busy)
        least = work.watch.weakest() if work is not None and is_looking else 0
        self.solve_button.setEnabled(is_looking and not busy and least >= LEAST_VIEWS)
        if work is None:
            self.status.setText(tr("Start at least two cameras that see one scene."))
            return
        counts = work.watch.counts()
        for row, name in enumerate(work.names):
            seen = work.watch.seen.get(name) if is_looking else None
            self.table.show_sight(row, len(seen.ids) if seen else None, counts[name])
        if work.error:
            self.notice.show_error(work.error, can_retry=False)
        self.status.setText(self._advice(is_looking, busy, least))

    def _advice(self, is_looking: bool, busy: bool, least: int) -> str:
        if busy:
            return tr("Working ...")
        if self._said:
            return self._said
        if not is_looking:
            return tr(
                "Print the board, press “Look for it”, and hold it where two cameras see it; or "
                "load a rig; or refine by ICP where the cameras already stand nearly right."
            )
        if least < _GOOD_VIEWS:
            return tr(
                "{count} of {good} views. Hold the board still for a moment, "
                "then tilt it, move it, hold it again; {least} views are the "
                "least.",
                count=least,
                good=_GOOD_VIEWS,
                least=LEAST_VIEWS,
            )
        return tr(
            "{count} views: press Calibrate. More views from other places make it better.",
            count=least,
        )

    def done(self, result: int) -> None:
        """End what runs, however the dialog is closed."""
        self._timer.stop()
        self._end_work()
        super().done(result)
