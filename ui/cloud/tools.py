"""Measuring in the 3D view: point, distance, plane, crop box; what is asked and what it means."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton

from lingbot_live.quality.ruler import EDGES, Box, Plane, Vector, angle_deg, length_m
from ui.cloud.canvas import Aim, CloudCanvas
from ui.cloud.marks import Mark
from ui.cloud.memory import Answer
from ui.shell import theme
from ui.shell.language import phrase, tr


class Tool(str, Enum):
    """What the left button measures."""

    NONE = "none"
    POINT = "point"
    LENGTH = "length"
    PLANE = "plane"
    CROP = "crop"


@dataclass(frozen=True, slots=True)
class _About:
    name: str
    aim: Aim
    how: str


_ABOUT = {
    Tool.POINT: _About(
        phrase("Point values"), Aim.POINT, phrase("Click a point: every camera's depth there.")
    ),
    Tool.LENGTH: _About(
        phrase("Distance"), Aim.POINT, phrase("Click two points: the distance between them.")
    ),
    Tool.PLANE: _About(
        phrase("Plane"), Aim.REGION, phrase("Drag over a flat region: a plane for each camera.")
    ),
    Tool.CROP: _About(
        phrase("Crop box"), Aim.REGION, phrase("Drag over what is to be kept; the rest is hidden.")
    ),
}
_KEPT = {
    Aim.POINT: phrase(" · drag: orbit · right drag: pan · wheel: zoom · Esc: end"),
    Aim.REGION: phrase(" · Ctrl drag: orbit · right drag: pan · wheel: zoom · Esc: end"),
}


class CloudTools(QFrame):
    """The strip over the cloud that tells what was measured; there only while a tool is chosen.

    ``titles`` returns number and name of the camera in a slot, ``values`` a line per camera about a
    point in the common axes; the owner sets both. ``asked(purpose, place, place or None)`` wants to
    know what lies there, in fractions of the picture; `take` gets the answer. ``boxChanged`` tells
    what alone is to be shown, None for all, ``hinted(str)`` what the mouse does now.
    """

    asked = Signal(str, object, object)
    boxChanged = Signal(object)  # noqa: N815
    hinted = Signal(str)

    def __init__(self, canvas: CloudCanvas) -> None:
        super().__init__(canvas)
        self.setObjectName("tools")
        self._canvas = canvas
        self.tool = Tool.NONE
        self.titles: Callable[[int], str] = lambda slot: f"{slot + 1}"
        self.values: Callable[[Vector], list[tuple[int, str]]] = lambda point: []
        self._first: Vector | None = None  # of a distance
        self._point: tuple[Vector, int] | None = None  # the last, and whose it is
        self._box: Box | None = None
        self.label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.RichText)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.clear_button = QToolButton()
        self.clear_button.setText(tr("End"))
        self.clear_button.setToolTip(tr("End measuring, show everything again (Esc)"))
        self.clear_button.clicked.connect(self.end)
        self.button = QToolButton()
        self.button.setText(tr("Measure"))
        self.button.setToolTip(tr("Measure in the 3D view"))
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.actions_ = self._make_menu()
        self._lay_out()
        canvas.pointChosen.connect(self._on_point)
        canvas.regionChosen.connect(self._on_region)
        canvas.installEventFilter(self)
        self.hide()

    # ---- commands ----------------------------------------------------------------------------

    def choose(self, tool: Tool) -> None:
        """Measure with this tool from now on; choosing it again ends it."""
        if tool in (self.tool, Tool.NONE):
            self.end()
            return
        self.tool, self._first, self._point = tool, None, None
        about = _ABOUT[tool]
        self.actions_[tool].setChecked(True)
        self._canvas.set_aim(about.aim)
        self._canvas.set_marks(self._box_marks())
        self.hinted.emit(tr(about.name) + tr(_KEPT[about.aim]))
        self._say(tr(about.how))
        self.show()

    def choose_point(self) -> None:
        """Show all cameras' values at a point."""
        self.choose(Tool.POINT)

    def choose_length(self) -> None:
        """Measure between two points."""
        self.choose(Tool.LENGTH)

    def choose_plane(self) -> None:
        """Fit planes in a region."""
        self.choose(Tool.PLANE)

    @property
    def box(self) -> Box | None:
        """Return what is shown alone; None for everything."""
        return self._box

    def choose_crop(self) -> None:
        """Show only what lies in a box."""
        self.choose(Tool.CROP)

    def end(self) -> None:
        """Measure no more, show everything."""
        self.tool, self._first, self._point = Tool.NONE, None, None
        for action in self.actions_.values():
            action.setChecked(False)
        self._set_box(None)
        self._canvas.set_aim(Aim.NOTHING)
        self._canvas.set_marks(())
        self.hinted.emit("")
        self.hide()

    def refresh(self) -> None:
        """Show the newest values at the chosen point."""
        if self._point is not None:
            point_m, slot = self._point
            head = tr(
                "Point of {title} at {point_m}", title=self._title(slot), point_m=_metres(point_m)
            )
            values = self.values(point_m)
            lines = [f"{self._title(other)}: {html.escape(text)}" for other, text in values]
            self._say("<br>".join([head, *lines]))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Stay at the foot of the picture."""
        if event.type() == QEvent.Type.Resize:
            self._settle()
        return super().eventFilter(watched, event)

    # ---- parts -------------------------------------------------------------------------------

    def _make_menu(self) -> dict[Tool, QAction]:
        menu, group = QMenu(self), QActionGroup(self)
        group.setExclusionPolicy(QActionGroup.ExclusionPolicy.ExclusiveOptional)
        actions = {}
        for tool, about in _ABOUT.items():
            action = group.addAction(tr(about.name))
            action.setCheckable(True)
            action.setToolTip(tr(about.how))
            action.triggered.connect(lambda _on, chosen=tool: self.choose(chosen))
            actions[tool] = action
        menu.addActions(group.actions())
        menu.addSeparator()
        menu.addAction(tr("End measuring"), self.end)
        self.button.setMenu(menu)
        return actions

    def _lay_out(self) -> None:
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.Button)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.GRID_PX, theme.GRID_PX // 2, theme.GRID_PX, theme.GRID_PX // 2)
        row.addWidget(self.label, 1)
        row.addWidget(self.clear_button, 0, Qt.AlignmentFlag.AlignTop)

    # ---- what happens ------------------------------------------------------------------------

    def _on_point(self, place: QPointF) -> None:
        self.asked.emit(self.tool.value, place, None)

    def _on_region(self, first: QPointF, last: QPointF) -> None:
        self.asked.emit(self.tool.value, first, last)

    def take(self, answer: Answer) -> None:
        """Show what was found."""
        if answer.ask.purpose != self.tool.value:
            return  # of a tool that is no longer chosen
        if self.tool is Tool.PLANE:
            self._show_planes(answer.planes)
        elif self.tool is Tool.CROP:
            self._crop(answer.box)
        elif answer.point_m is None or answer.slot is None:
            self._say(tr("Nothing there: click on a point of a cloud."))
        elif self.tool is Tool.POINT:
            self._show_point(answer.point_m, answer.slot)
        else:
            self._show_length(answer.point_m)

    def _show_point(self, point_m: Vector, slot: int) -> None:
        self._mark(Mark((point_m,), text=f"{point_m[2]:.3f} m"))
        self._point = (point_m, slot)
        self.refresh()

    def _show_length(self, point_m: Vector) -> None:
        first, self._first = self._first, None
        if first is None:
            self._first = point_m
            self._mark(Mark((point_m,)))
            self._say(tr("From {point_m}; click the second point.", point_m=_metres(point_m)))
            return
        far_m = length_m(first, point_m)
        self._mark(Mark((first, point_m), ((0, 1),), f"{far_m:.3f} m"))
        way_mm = [1000 * (b - a) for a, b in zip(first, point_m, strict=True)]
        parts = ", ".join(f"{name} {mm:+.0f}" for name, mm in zip("xyz", way_mm, strict=True))
        self._say(
            tr(
                "<b>{far_m:.1f} mm</b> ({parts} mm); click again for another distance.",
                far_m=1000 * far_m,
                parts=parts,
            )
        )

    def _show_planes(self, planes: tuple[tuple[int, Plane], ...]) -> None:
        if not planes:
            self._say(tr("No plane there: drag over a flat region of a cloud."))
            return
        # Needles of several cameras stand on one spot: their numbers would hide each other.
        marks = tuple(_plane_mark(plane, with_text=len(planes) == 1) for _, plane in planes)
        self._mark(*marks)
        lines = [f"{self._title(slot)}: {_plane_text(plane)}" for slot, plane in planes]
        (base_slot, base), *others = planes
        for slot, plane in others:
            apart_mm = 1000 * (_along(base, plane.centre_m) + base.offset_m)
            turned = angle_deg(base.normal, plane.normal)
            lines.append(
                tr(
                    "{slot} against {base_slot}: {apart_mm:+.1f} mm, {turned:.2f}° apart",
                    slot=slot + 1,
                    base_slot=base_slot + 1,
                    apart_mm=apart_mm,
                    turned=turned,
                )
            )
        self._say("<br>".join(lines))

    def _crop(self, box: Box | None) -> None:
        if box is None:
            self._say(tr("Nothing there: drag over a part of the clouds."))
            return
        self._set_box(box)
        self._mark()
        sides = " × ".join(f"{b - a:.2f}" for a, b in zip(box.low_m, box.high_m, strict=True))
        self._say(
            tr(
                "Only a box of {sides} m is shown. Drag again to cut more, from any side.",
                sides=sides,
            )
        )

    def _set_box(self, box: Box | None) -> None:
        self._box = box
        self.boxChanged.emit(box)

    def _mark(self, *marks: Mark) -> None:
        self._canvas.set_marks((*self._box_marks(), *marks))

    def _box_marks(self) -> tuple[Mark, ...]:
        if self._box is None:
            return ()
        corners = tuple((float(x), float(y), float(z)) for x, y, z in self._box.corners_m)
        return (Mark(corners, EDGES, has_dots=False),)

    def _title(self, slot: int) -> str:
        color = theme.camera_color(slot).name()
        return f'<span style="color:{color}">■</span> {html.escape(self.titles(slot))}'

    def _say(self, text: str) -> None:
        self.label.setText(text)
        self._settle()

    def _settle(self) -> None:
        canvas = self._canvas
        width = canvas.width()
        inner = width - self.clear_button.sizeHint().width() - 4 * theme.GRID_PX
        needed = self.label.heightForWidth(inner) + theme.GRID_PX
        height = min(max(needed, self.clear_button.sizeHint().height() + 8), canvas.height())
        self.setGeometry(0, canvas.height() - height, width, height)


def _metres(point_m: Vector) -> str:
    return ", ".join(f"{n} {v:+.3f}" for n, v in zip("xyz", point_m, strict=True)) + " m"


def _plane_text(plane: Plane) -> str:
    share = tr(
        ", {inlier_share:.0%} of {points:,} points",
        inlier_share=plane.inlier_share,
        points=plane.points,
    )
    return tr(
        "<b>RMS {rms_mm:.2f} mm</b>, tilted {tilt_deg:.1f}°, {distance_m:.3f} m away{share}",
        rms_mm=plane.rms_mm,
        tilt_deg=plane.tilt_deg,
        distance_m=plane.distance_m,
        share=share,
    )


def _plane_mark(plane: Plane, *, with_text: bool) -> Mark:
    """A needle on the plane, 15 cm along its normal towards the camera."""
    tip = (
        plane.centre_m[0] - 0.15 * plane.normal[0],
        plane.centre_m[1] - 0.15 * plane.normal[1],
        plane.centre_m[2] - 0.15 * plane.normal[2],
    )
    text = f"{plane.rms_mm:.1f} mm" if with_text else ""
    return Mark((plane.centre_m, tip), ((0, 1),), text)


def _along(plane: Plane, point_m: Vector) -> float:
    return sum(n * p for n, p in zip(plane.normal, point_m, strict=True))
