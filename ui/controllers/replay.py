"""Steers the recordings on the screen, all together."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from lingbot_live.cameras.playback import Mark, Playback
from ui.shell.actions import Actions, Command
from ui.shell.desk import Desk
from ui.shell.language import tr
from ui.shell.stage import Stage

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # of the keys; the field takes any between
_COMMANDS = ("step_back", "step_on", "to_start", "to_end", "slower", "faster", "loop",
    "range_start", "range_end", "range_marks", "range_clear")  # fmt: skip


class Replay(QObject):
    """The recordings' playbacks and the commands for them.

    ``changed`` is sent when others play, ``marked(list)`` when their marks were read,
    ``ranged`` when another range of frames was chosen.
    """

    changed = Signal()
    marked = Signal(list)
    ranged = Signal()

    def __init__(self, stage: Stage, desk: Desk, actions: Actions) -> None:
        super().__init__(stage)
        self._stage, self._desk, self._actions = stage, desk, actions
        self.playbacks: tuple[Playback, ...] = ()
        self.marks: list[Mark] = []
        self._ends: tuple[int | None, int | None] = (None, None)  # frames of the lead
        stage.statusDue.connect(self.look)
        stage.sessionChanged.connect(self.look)

    @property
    def lead(self) -> Playback | None:
        """Whose time is shown: the first camera's; None where none is a recording."""
        return self.playbacks[0] if self.playbacks else None

    def look(self) -> None:
        """Find out which of the cameras play a recording now."""
        session = self._stage.session
        found: list[Playback] = []
        for feed in session.feeds if session is not None else ():
            playback = feed.playback
            if playback is not None and not any(playback is other for other in found):
                found.append(playback)
        if [*map(id, found)] != [*map(id, self.playbacks)]:
            self.playbacks = tuple(found)
            self._read_marks()
            self.enable_commands()
            self.changed.emit()

    # ---- commands ------------------------------------------------------------------------------

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "step_back": self.step_back,
            "step_on": self.step_on,
            "to_start": self.to_start,
            "to_end": self.to_end,
            "slower": self.slower,
            "faster": self.faster,
            "loop": self.toggle_loop,
            "range_start": self.begin_range,
            "range_end": self.end_range,
            "range_marks": self.range_between_marks,
            "range_clear": self.clear_range,
        }

    def play_or_pause(self) -> None:
        """Pause, or go on."""
        if self.lead is not None and self.lead.is_paused:
            self.play()
        else:
            self.pause()

    def play(self) -> None:
        """Let all go on."""
        for playback in self.playbacks:
            playback.play()

    def pause(self) -> None:
        """Hold all."""
        for playback in self.playbacks:
            playback.pause()

    def seek(self, position_s: float) -> None:
        """Take all to a time."""
        for playback in self.playbacks:
            playback.seek(position_s)

    def seek_frame(self, frame: int) -> None:
        """Take all to a frame of the first."""
        if self.lead is None:
            return
        self.lead.seek_frame(frame)
        position_s = self.lead.duration_s * frame / max(1, self.lead.frames - 1)
        for playback in self.playbacks[1:]:  # other files: to about the same time
            playback.seek(position_s)

    def step_on(self) -> None:
        """Pause and show the next frame."""
        self._step(1)

    def step_back(self) -> None:
        """Pause and show the frame before."""
        self._step(-1)

    def to_start(self) -> None:
        """Go to the first frame."""
        self.seek(0.0)

    def to_end(self) -> None:
        """Go to the last frame and stay there."""
        if self.lead is not None:
            self.pause()
            self.seek_frame(self.lead.frames - 1)

    def set_speed(self, speed: float) -> None:
        """Play faster or slower."""
        for playback in self.playbacks:
            playback.speed = speed

    def slower(self) -> None:
        """Take the next lower of `SPEEDS`."""
        if self.lead is not None:
            self.set_speed(max((s for s in SPEEDS if s < self.lead.speed), default=SPEEDS[0]))

    def faster(self) -> None:
        """Take the next higher of `SPEEDS`."""
        if self.lead is not None:
            self.set_speed(min((s for s in SPEEDS if s > self.lead.speed), default=SPEEDS[-1]))

    def toggle_loop(self) -> None:
        """Begin again at the end, or stay there."""
        on = self.lead is not None and not self.lead.loop
        for playback in self.playbacks:
            playback.loop = on

    # ---- a range ---------------------------------------------------------------------------------

    @property
    def range(self) -> tuple[int, int] | None:
        """First and last frame of the chosen range; None where there is none."""
        if self.lead is None or self._ends == (None, None):
            return None
        first, last = self._ends
        return first or 0, self.lead.frames - 1 if last is None else last

    def begin_range(self) -> None:
        """Have the range begin at the frame on the screen."""
        if self.lead is not None:
            last = self._ends[1]
            at = self.lead.frame
            self._set_ends(at, last if last is None or last >= at else None)

    def end_range(self) -> None:
        """Have the range end with the frame on the screen."""
        if self.lead is not None:
            first = self._ends[0]
            at = self.lead.frame
            self._set_ends(first if first is None or first <= at else None, at)

    def range_between_marks(self) -> None:
        """Have the range reach from the marker before the present frame to the one after it."""
        if self.lead is None:
            return
        at_s = self.lead.position_s
        markers = [mark.position_s for mark in self.marks if mark.kind == "marker"]
        before = [self._frame_at(m) for m in markers if m <= at_s]
        after = [self._frame_at(m) for m in markers if m > at_s]
        if not markers:
            self._desk.say(tr("No markers in this recording; I and Shift+I set the ends."))
            return
        self._set_ends(max(before, default=None), min(after, default=None))

    def clear_range(self) -> None:
        """Have all frames count again."""
        self._set_ends(None, None)

    def position_of(self, frame: int) -> float:
        """Return about when a frame of the lead is shown, in seconds from the start."""
        lead = self.lead
        return lead.duration_s * frame / max(1, lead.frames - 1) if lead is not None else 0.0

    def _frame_at(self, position_s: float) -> int:
        assert self.lead is not None
        return round(position_s / max(self.lead.duration_s, 1e-9) * (self.lead.frames - 1))

    def _set_ends(self, first: int | None, last: int | None) -> None:
        self._ends = first, last
        self.ranged.emit()

    # ---- keys ------------------------------------------------------------------------------------

    def enable_commands(self) -> None:
        """Let keys that steer recordings reach other parts while there is none."""
        for key in _COMMANDS:
            self._actions[key].setEnabled(bool(self.playbacks))
        if self.lead is not None:
            self._actions["loop"].setChecked(self.lead.loop)

    # ---- private -------------------------------------------------------------------------------

    def _step(self, frames: int) -> None:
        for playback in self.playbacks:
            playback.step(frames)

    def _read_marks(self) -> None:
        self._set_ends(None, None)
        self.marks = []
        self.marked.emit([])
        lead = self.lead
        if lead is not None:
            self._desk.tasks.run("reading marks", lead.marks, lambda m: self._take(lead, m))

    def _take(self, playback: Playback, marks: tuple[Mark, ...]) -> None:
        if playback is self.lead:
            self.marks = list(marks)
            self.marked.emit(self.marks)
