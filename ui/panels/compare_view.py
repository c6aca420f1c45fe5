"""The pane that compares the selected camera's depth with its raw depth, the truth or a camera."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from lingbot_live.colormap import DepthRange
from lingbot_live.frame import Extrinsics
from ui.controllers.rows import Rows
from ui.panels import compare_words
from ui.shell import theme
from ui.shell.background import Background
from ui.shell.bridge import FeedView
from ui.shell.flow import FlowBar, together
from ui.shell.language import phrase, tr
from ui.shell.readout import metres, millimetres
from ui.views.compare_pictures import Base, Comparison, Mode, Side, Task, compare
from ui.views.compose import Colors, Painted, Plan, Source
from ui.views.pair_view import Made, PairView, make
from ui.views.signed_bar import SignedBar

# Slower than the stream on purpose: a detail view must not cost the live ones their rate.
_PERIOD_S, _LONGEST_S = 0.1, 0.5  # between two pictures, and where one takes long
_SHARE = 0.05  # of a processor, that comparing may take
_LEGEND_S = 0.25  # numbers that change faster cannot be read
_TICK_MS = 33  # of sweeping and blinking
_SWEEP_S = 6.0  # there and back
_BLINK_S = 0.6  # each picture
_LIMITS_MM = (5, 10, 20, 50, 100, 200, 500, 1000)
UNCALIBRATED = phrase("No calibration between these cameras: assumed at the same place.")


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What the thread is to do, and where it will stand."""

    task: Task
    plan: Plan | None


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What came of it, ready for the screen."""

    comparison: Comparison
    made: Made
    took_s: float  # of the processor's time


class CompareView(QWidget):
    """One linked picture: what changed, by how much, or a wipe or blinking between two depths.

    What is shown belongs to the selected camera and stands in its view; `base_box` chooses what it
    is compared with. Pictures are made on a thread of their own, ten a second at most, fewer where
    one takes long: what people came for comes first.
    """

    def __init__(self, rows: Rows, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = rows
        self._link = rows.link
        self._scale, self._colormap = DepthRange(), "viridis"
        self._last: Comparison | None = None
        self._listed: list[tuple[str, bool]] = []
        self._due_s = self._legend_due_s = 0.0
        self._period_s = _PERIOD_S
        self._work = Background("compare", _compare, self, yields=True)
        self._work.done.connect(self._show)
        self._work.failed.connect(self._say)
        self._timer = QTimer(self, interval=_TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._make_parts()
        self._lay_out()
        self._link.cursorChanged.connect(self._on_cursor)
        rows.rowsChanged.connect(self._list_bases)
        rows.selectedChanged.connect(self._on_selected)
        rows.rigChanged.connect(self._submit)
        self._on_choice()

    # ---- for the window ----------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """How it is compared now."""
        return list(Mode)[self.mode_box.currentIndex()]

    def set_mode(self, mode: Mode) -> None:
        """Show another comparison."""
        self.mode_box.setCurrentIndex(list(Mode).index(mode))

    def set_sweeping(self, on: bool) -> None:
        """Move the line of the wipe by itself, for demonstrations."""
        self.sweep_button.setChecked(on)

    def set_scale(self, scale: DepthRange, colormap: str) -> None:
        """Colour depths as the depth views do."""
        self._scale, self._colormap = scale, colormap
        self._submit()

    def show_news(self, fresh: Sequence[FeedView]) -> None:
        """Take new results; drawn a few times a second, and only while visible."""
        if self._listed != self._listing():
            self._list_bases()
        shown = self._rows.view
        if shown is not None and shown in fresh and time.monotonic() >= self._due_s:
            self._submit()

    def on_tick(self) -> None:
        """Drop the picture of a camera that failed, and of one without refined depth."""
        view = self._rows.view
        if self._last is None or view is None:
            return
        if view.feed.state.is_lost:
            self._say(tr("{title}: no picture", title=view.title))
        elif view.refined is None:
            self._say(tr("{title}: no refined depth yet", title=view.title))

    def stop(self) -> None:
        """End the thread; safe more than once."""
        self._timer.stop()
        self._work.stop()

    # ---- parts -------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.image = PairView("", self._link)
        self.image.set_compact(True)
        self.image.set_readout(self._readout)
        self.image.regionDrawn.connect(self._pass_region)
        self.mode_box = _box([tr(mode.value) for mode in Mode], tr("How to compare"))
        self.shown_box = _box(
            [tr(Base.REFINED.value), tr(Base.RAW.value)], tr("Of the selected camera")
        )
        self.base_box = _box([], tr("What it is compared with"))
        self.limit_box = _box(
            [f"±{limit} mm" for limit in _LIMITS_MM], tr("The ends of the colours")
        )
        self.limit_box.setCurrentIndex(_LIMITS_MM.index(50))
        self.sweep_button = QToolButton()
        self.sweep_button.setText(tr("Sweep"))
        self.sweep_button.setCheckable(True)
        self.sweep_button.setToolTip(tr("Let the line move by itself"))
        self.against = QLabel(tr("against"))
        self.bar = SignedBar()
        self.legend, self.warning = QLabel(), QLabel(tr(UNCALIBRATED))
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        for label in (self.legend, self.warning):
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            label.setContentsMargins(theme.GRID_PX, 0, theme.GRID_PX, 2)
        self.warning.setStyleSheet(f"color: {theme.current().warning}")
        self.warning.hide()
        # Names of cameras are long; they elide.
        self.base_box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.base_box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._list_bases()
        for box in (self.mode_box, self.shown_box, self.base_box, self.limit_box):
            box.currentIndexChanged.connect(self._on_choice)
        self.sweep_button.toggled.connect(self._on_choice)

    def _lay_out(self) -> None:
        self.controls = FlowBar(
            self.mode_box, self.shown_box, base := together(self.against, self.base_box),
            self.limit_box, self.sweep_button, filler=base,
        )  # fmt: skip
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.controls)
        column.addWidget(self.warning)
        column.addWidget(self.image, 1)
        column.addWidget(self.bar)
        column.addWidget(self.legend)

    def _list_bases(self) -> None:
        """Offer the selected camera's own depths, then those of all other cameras."""
        chosen = self.base_box.currentText()
        self.base_box.blockSignals(True)
        self.base_box.clear()
        own = self._rows.view
        self.base_box.addItem(tr(Base.RAW.value), (None, Base.RAW))
        if own is None or own.knows_truth:
            self.base_box.addItem(tr(Base.TRUTH.value), (None, Base.TRUTH))
        for view in [panel.view for panel in self._rows.panels if panel.view is not own]:
            for source in Base:
                if source is not Base.TRUTH or view.knows_truth:
                    self.base_box.addItem(f"{view.title}, {tr(source.value)}", (view, source))
        self._listed = self._listing()
        self.base_box.setCurrentIndex(max(0, self.base_box.findText(chosen)))
        self.base_box.blockSignals(False)

    def _listing(self) -> list[tuple[str, bool]]:
        """What the choice depends on."""
        return [(panel.view.title, panel.view.knows_truth) for panel in self._rows.panels]

    # ---- what happens ------------------------------------------------------------------------

    def _on_choice(self) -> None:
        mode = self.mode
        self.limit_box.setVisible(mode is Mode.DIFFERENCE)
        self.bar.setVisible(mode is Mode.DIFFERENCE)
        self.sweep_button.setVisible(mode is Mode.WIPE)
        self.bar.set_limit(self._limit_mm)
        self.image.set_split(0.5)
        self._run_timer()
        self._submit()

    def _on_selected(self) -> None:
        self._last = None
        self._list_bases()
        self._submit()

    def _submit(self) -> None:
        task = self._task() if self.isVisible() else None
        if task is not None:
            self._due_s = time.monotonic() + self._period_s
            self._work.submit(_Asked(task, self.image.wanted_plan()))

    def _task(self) -> Task | None:
        view = self._rows.view
        other, source = self.base_box.currentData()
        base = view if other is None else other
        if view is None or view.refined is None or base is None or base.refined is None:
            return None
        T = Extrinsics() if base is view else self._rows.transform(view, base)
        self.warning.setVisible(T is None)
        shown = (Base.REFINED, Base.RAW)[self.shown_box.currentIndex()]
        prefix, own = ("", "") if base is view else (f"{base.title}, ", f"{view.title}, ")
        return Task(
            self.mode,
            Side(base.refined, source, prefix + tr(source.value)),
            Side(view.refined, shown, own + tr(shown.value)),
            T or Extrinsics(),
            self._scale,
            self._colormap,
            self._limit_mm / 1000,
        )

    def _show(self, answer: object) -> None:
        if answer is None:
            self._say(tr("No truth is known here: choose another depth to compare with."))
            return
        assert isinstance(answer, _Answer)
        self._period_s = min(max(_PERIOD_S, answer.took_s / _SHARE), _LONGEST_S)
        panel, found = self._rows.selected, answer.comparison
        task = found.task
        if panel is None or task.mode is not self.mode:
            return
        is_other = self._last is None or self._last.task.mode is not task.mode
        self._last = found
        self.image.set_title(compare_words.title(task))
        self.image.set_region(panel.region, theme.camera_color(panel.view.number))
        self.image.show_made(answer.made, (task.base.name, task.shown.name))
        if is_other or time.monotonic() >= self._legend_due_s:
            self._legend_due_s = time.monotonic() + _LEGEND_S
            self._set_legend(*compare_words.legend(found))

    def _say(self, text: str) -> None:
        """Show words instead of a picture."""
        self._last = None
        self.image.set_title("")
        self.image.set_placeholder(text)
        self.image.clear()
        self._set_legend("")

    def _set_legend(self, *texts: str) -> None:
        """Show the first text that fits, or the last."""
        for text in texts:
            self.legend.setText(text)
            if self.legend.sizeHint().width() <= self.image.width():
                break
        self.legend.setToolTip(texts[0])
        self.legend.setVisible(bool(texts[0]))

    # ---- wipe and blink ----------------------------------------------------------------------

    def _run_timer(self) -> None:
        moving = self.mode is Mode.BLINK or (
            self.mode is Mode.WIPE and self.sweep_button.isChecked()
        )
        if moving and self.isVisible():
            self._timer.start()
        else:
            self._timer.stop()

    def _tick(self) -> None:
        now_s = time.monotonic()
        if self.mode is Mode.BLINK:
            self.image.set_split(float(now_s % (2 * _BLINK_S) < _BLINK_S))
        else:
            self.image.set_split(0.5 - 0.5 * math.cos(2 * math.pi * now_s / _SWEEP_S))

    def _on_cursor(self) -> None:
        place = self._link.cursor
        if self.mode is Mode.WIPE and place is not None and not self._timer.isActive():
            self.image.set_split(place.x())

    def _readout(self, x: int, y: int) -> str:
        last = self._last
        if last is None or y >= last.shown_m.shape[0] or x >= last.shown_m.shape[1]:
            return ""
        base_m, shown_m = (float(depth_m[y, x]) for depth_m in (last.base_m, last.shown_m))
        text = f"{metres(base_m or None)}  {metres(shown_m or None)}"
        step = millimetres(1000 * (shown_m - base_m)) if base_m and shown_m else ""
        trust = "" if last.trust is None else tr("  trust {trust:.2f}", trust=last.trust[y, x])
        return f"{text}  {step}{trust}"

    def _pass_region(self, place: QRectF, done: bool) -> None:
        if self._rows.selected is not None:
            self._rows.selected.regionDrawn.emit(place, done)

    @property
    def _limit_mm(self) -> int:
        return _LIMITS_MM[self.limit_box.currentIndex()]

    # ---- Qt ----------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802, D102
        self._run_timer()
        self._submit()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802, D102
        self._timer.stop()


def _compare(asked: object) -> _Answer | None:
    assert isinstance(asked, _Asked)
    began_s = time.thread_time()
    found = compare(asked.task)
    if found is None:
        return None
    sources: list[Source] = [Painted(picture) for picture in found.pair or ()]
    if found.single is not None:
        sources = [Colors(found.single)]
    made = make(tuple(sources), asked.plan)
    return _Answer(found, made, time.thread_time() - began_s)


def _box(texts: Sequence[str], tip: str) -> QComboBox:
    box = QComboBox()
    box.addItems(list(texts))
    box.setToolTip(tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    box.setMinimumContentsLength(4)
    box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    return box
