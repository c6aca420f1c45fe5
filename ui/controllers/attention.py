"""Which colours LingBot-Depth looked at for the depth of a place, laid over the colour picture."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QSpinBox

from lingbot_live.errors import LingbotLiveError
from lingbot_live.refiners.attended import Attended, Weights, centres_px, heat
from lingbot_live.refiners.base import Refiner
from ui.controllers.rows import Rows
from ui.shell import theme
from ui.shell.actions import Actions, Command
from ui.shell.desk import Desk
from ui.shell.language import phrase, tr
from ui.shell.stage import Stage
from ui.views.feed_panel import FeedPanel
from ui.views.image_view import ImageView

_KEY = "attention"  # among what lies above a picture
_HINT = phrase("Click a place in the refined picture")
_MEAN, _ROLLOUT, _ONE = "mean", "rollout", "one"
_MARK_PX = 5.0


class AttentionBar(QFrame):
    """Chooses what of the attention is shown. ``chosen`` is sent on a change."""

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.kind_box, self.layer_box, self.head_box = QComboBox(), QSpinBox(), QSpinBox()
        for text, kind in (
            (tr("Mean of layers and heads"), _MEAN),
            (tr("Through all layers (rollout)"), _ROLLOUT),
            (tr("One layer and head"), _ONE),
        ):
            self.kind_box.addItem(text, kind)
        self.kind_box.setAccessibleName(tr("What of the attention"))
        self.layer_box.setAccessibleName(tr("Layer"))
        self.head_box.setAccessibleName(tr("Head"))
        self.layer_box.setPrefix(tr("layer "))
        self.head_box.setPrefix(tr("head "))
        self.words = QLabel(tr(_HINT))
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * theme.GRID_PX, theme.GRID_PX // 2, theme.GRID_PX, 0)
        row.addWidget(self.words, 1)
        for box in (self.kind_box, self.layer_box, self.head_box):
            row.addWidget(box)
        self.kind_box.currentIndexChanged.connect(self._on_choice)
        self.layer_box.valueChanged.connect(self._on_choice)
        self.head_box.valueChanged.connect(self._on_choice)
        self._on_choice()
        self.hide()

    def weights(self, told: Attended) -> Weights:
        """Return the chosen weights of the first query, (h, w)."""
        self.layer_box.setMaximum(told.layers[-1])
        self.head_box.setMaximum(told.to_color.shape[1] - 1)
        kind = self.kind_box.currentData()
        if kind == _ROLLOUT and told.rollout is not None:
            return np.asarray(told.rollout[0])
        one = kind == _ONE
        layer, head = (self.layer_box.value(), self.head_box.value()) if one else (None, None)
        return np.asarray(told.of(layer, head)[0])

    def _on_choice(self) -> None:
        one = self.kind_box.currentData() == _ONE
        self.layer_box.setVisible(one)
        self.head_box.setVisible(one)
        self.chosen.emit()


class AttentionControl(QObject):
    """While on, a click into a refined picture asks the network, and the answer stays above colour.

    The network is asked on its own thread, between two frames.
    """

    _answered = Signal(object, object)  # the panel, an Attended or words

    def __init__(self, stage: Stage, desk: Desk, rows: Rows, actions: Actions) -> None:
        super().__init__(stage)
        self._stage, self._desk, self._rows, self._actions = stage, desk, rows, actions
        self.bar = AttentionBar()
        self.is_on = False
        self._followed: list[FeedPanel] = []
        self._told: dict[FeedPanel, Attended] = {}
        self._answered.connect(self._on_answer, Qt.ConnectionType.QueuedConnection)
        self.bar.chosen.connect(self._show_all)
        rows.rowsChanged.connect(self._follow)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {"attention": self.toggle}

    def toggle(self) -> None:
        """Begin to ask on clicks, or end that."""
        session = self._stage.session
        info = session.refiner_info if session is not None else None
        if not self.is_on and (info is None or info.name != "lingbot"):
            who = info.name if info is not None else tr("no refiner")
            self._desk.say(tr("Attention is LingBot-Depth's own; at work is {who}.", who=who))
        else:
            self.is_on = not self.is_on
        self._actions["attention"].setChecked(self.is_on)
        self.bar.setVisible(self.is_on)
        self.bar.words.setText(tr(_HINT))
        if not self.is_on:
            self._forget()

    def ask(self, panel: FeedPanel, place: QPointF) -> None:
        """Ask what the depth token at a place of the refined picture attends to."""
        refined, session = panel.view.refined, self._stage.session
        if not self.is_on or refined is None or session is None:
            return
        frame = refined.frame
        height, width = frame.depth_raw.shape
        pixel = (place.x() * width - 0.5, place.y() * height - 0.5)

        def question(refiner: Refiner) -> None:
            told: Attended | str | None
            try:
                told = refiner.attend(frame, [pixel])
            except LingbotLiveError as error:
                told = str(error)
            nothing = tr("{name} has no attention", name=refiner.info.name)
            self._answered.emit(panel, told or nothing)

        self.bar.words.setText(tr("Asking the network ..."))
        session.ask(question)

    # ---- private -----------------------------------------------------------------------------

    def _follow(self) -> None:
        panels = self._rows.panels
        for panel in panels:
            if panel not in self._followed:
                panel.refined.pressed.connect(lambda place, p=panel: self.ask(p, place))
        self._followed = list(panels)
        self._told = {panel: told for panel, told in self._told.items() if panel in panels}

    def _on_answer(self, panel: FeedPanel, told: Attended | str) -> None:
        if not self.is_on or panel not in self._rows.panels:
            return
        if isinstance(told, str):
            self.bar.words.setText(told)
            return
        self._told[panel] = told
        row, column = told.cells[0]
        what = tr("without depth of its own") if told.masked[0] else tr("with depth")
        around = len(told.cells) - told.asked
        near = tr("; {around} tokens around the hole are outlined", around=around) if around else ""
        self.bar.words.setText(
            tr("Token {column}, {row}, {what}{near}", column=column, row=row, what=what, near=near)
        )
        self._show(panel)

    def _show_all(self) -> None:
        for panel in self._told:
            self._show(panel)

    def _show(self, panel: FeedPanel) -> None:
        told, view = self._told[panel], panel.color
        picture = _image(self.bar.weights(told))
        places = _places(told)
        view.above[_KEY] = lambda painter: _paint(painter, view, picture, places)
        view.update()

    def _forget(self) -> None:
        for panel in self._told:
            panel.color.above.pop(_KEY, None)
            panel.color.update()
        self._told.clear()


def _image(weights: Weights) -> QImage:
    rgba = heat(weights)
    height, width = weights.shape
    return QImage(rgba.data, width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()


def _places(told: Attended) -> list[QPointF]:
    """Return where the asked token and those around its hole are, in fractions of the picture."""
    rows, columns = told.kept.shape
    middles = centres_px(told.cells, (rows, columns), (rows, columns))
    return [QPointF((u + 0.5) / columns, (v + 0.5) / rows) for u, v in middles.tolist()]


def _paint(painter: QPainter, view: ImageView, picture: QImage, places: list[QPointF]) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.drawImage(view.image_rect(), picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(255, 255, 255, 200), 1.5))
    for place in places[1:]:
        at = view.position_of(place)
        size = _MARK_PX
        painter.drawRect(QRectF(at.x() - size / 2, at.y() - size / 2, size, size))
    at = view.position_of(places[0])
    painter.setBrush(QColor(255, 214, 10))
    painter.setPen(QPen(QColor(0, 0, 0), 1))
    star = [(0, -8), (2, -2), (8, 0), (2, 2), (0, 8), (-2, 2), (-8, 0), (-2, -2)]
    painter.drawPolygon(QPolygonF([QPointF(at.x() + x, at.y() + y) for x, y in star]))
    painter.restore()
