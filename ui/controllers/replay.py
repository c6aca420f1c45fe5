"""Steers the recordings on the screen, all together."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from lingbot_live.cameras.playback import Mark, Playback
from ui.shell.actions import Actions, Command
from ui.shell.desk import Desk
from ui.shell.stage import Stage

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # of the keys; the field takes any between
_COMMANDS = ("step_back", "step_on", "to_start", "to_end", "slower", "faster", "loop")


class Replay(QObject):
    """The recordings' playbacks and the commands for them.

    ``changed`` is sent when others play, ``marked(list)`` when their marks were read.
    """

    changed = Signal()
    marked = Signal(list)

    def __init__(self, stage: Stage, desk: Desk, actions: Actions) -> None:
        super().__init__(stage)
        self._stage, self._desk, self._actions = stage, desk, actions
        self.playbacks: tuple[Playback, ...] = ()
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
        self.marked.emit([])
        lead = self.lead
        if lead is not None:
            self._desk.tasks.run("reading marks", lead.marks, lambda m: self._take(lead, m))

    def _take(self, playback: Playback, marks: tuple[Mark, ...]) -> None:
        if playback is self.lead:
            self.marked.emit(list(marks))
