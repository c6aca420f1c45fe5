"""The scene that the window reconstructs while it runs."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QFileDialog

from lingbot_live.errors import ConfigError
from lingbot_live.export.live import LiveReconstruction, LiveState, LiveStatus
from lingbot_live.perception.odometry import TrackState
from lingbot_live.perception.reconstruction import Depth
from lingbot_live.system.outputs import check_replaceable
from ui.cloud.view import CloudView
from ui.controllers.rows import Rows
from ui.shell.actions import Actions, Command
from ui.shell.desk import Desk, open_file, show_folder
from ui.shell.language import phrase, told, tr
from ui.shell.stage import Stage

_LOOK_MS = 200
_MESHES, _WAYS = phrase("Meshes (*.ply *.glb)"), phrase("Trajectories (*.txt)")


class Reconstructing(QObject):
    """Owns the reconstruction of the selected camera; the 3D view shows its surface meanwhile."""

    def __init__(
        self, stage: Stage, desk: Desk, rows: Rows, cloud: CloudView, actions: Actions
    ) -> None:
        super().__init__(stage)
        self.scene: LiveReconstruction | None = None
        self._stage, self._desk, self._rows = stage, desk, rows
        self._cloud, self._actions = cloud, actions
        self._seen = LiveStatus()
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)
        stage.sessionChanged.connect(self._follow)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "scene": self.toggle,
            "scene_depth": self.switch_depth,
            "scene_pause": self.pause_or_go_on,
            "scene_reset": self.reset,
            "save_scene": self.ask_and_save,
            "save_way": self.ask_and_save_way,
        }

    def toggle(self) -> None:
        """Begin a scene with the selected camera, or end it and show the cloud again."""
        if self.scene is not None:
            self.finish()
            return
        view = self._rows.view
        if view is None or self._stage.session is None:
            self._desk.say(tr("No camera streams, so there is nothing to reconstruct."))
            self._mirror()
            return
        self.scene, self._seen = LiveReconstruction(view.feed.name), LiveStatus()
        self.scene.start(self._stage.session)
        self._timer.start()
        self._look()

    def switch_depth(self) -> None:
        """Show the surface of the other depth: both are fused."""
        if self.scene is not None:
            shown = self.scene.status.shown
            self.scene.show(Depth.RAW if shown is Depth.REFINED else Depth.REFINED)

    def pause_or_go_on(self) -> None:
        """Take no more frames, or go on."""
        if self.scene is not None:
            self.scene.pause(self.scene.status.state is not LiveState.PAUSED)
        self._mirror()

    def reset(self) -> None:
        """Forget the scene and begin anew, also after its process died."""
        if self.scene is None:
            return
        if self.scene.status.state is LiveState.FAILED:
            self.finish()
            self.toggle()
        else:
            self.scene.reset()

    def ask_and_save(self) -> None:
        """Ask for a file and write the surface that is shown."""
        path = self._asked(tr("Save scene"), "scene.ply", tr(_MESHES))
        if path is not None and self.scene is not None:
            is_mesh = path.suffix.lower() in (".ply", ".glb")
            self.scene.save(path if is_mesh else path.with_suffix(".ply"), self._cloud.tools.box)

    def ask_and_save_way(self) -> None:
        """Ask for a file and write the camera's way."""
        path = self._asked(tr("Save trajectory"), "trajectory.txt", tr(_WAYS))
        if path is not None and self.scene is not None:
            self.scene.save_way(path)

    def finish(self) -> None:
        """End it, at once for the eye; its process ends beside the main thread."""
        scene, self.scene = self.scene, None
        self._timer.stop()
        self._cloud.show_scene(False)
        self._mirror()
        if scene is not None:
            scene.follow(None)
            self._desk.tasks.run("end the reconstruction", scene.close)

    def stats(self) -> dict[str, object]:
        """Return how the scene goes, for the statistics; empty without one."""
        if self.scene is None:
            return {}
        status = self.scene.status
        return {
            "state": status.state.value,
            "frames": status.news.frames,
            "left_out": status.news.left_out,
            "dropped": status.dropped,
            "fps": round(status.rate_hz, 3),
            "busy_ms": round(status.news.busy_ms, 3),
        }

    # ---- private ---------------------------------------------------------------------------

    def _asked(self, title: str, name: str, kinds: str) -> Path | None:
        if self.scene is None or not self.scene.status.news.frames:
            self._desk.say(tr("Nothing to save yet: no scene is reconstructed (Y begins one)."))
            return None
        text, _ = QFileDialog.getSaveFileName(self._desk.widget, title, name, kinds)
        if not text:
            return None
        try:
            check_replaceable(Path(text))
        except ConfigError as error:
            self._desk.show_error(str(error))
            return None
        return Path(text)

    def _follow(self) -> None:
        if self.scene is not None:
            self.scene.follow(self._stage.session)

    def _look(self) -> None:
        if self.scene is None:
            return
        status, seen = self.scene.status, self._seen
        self._seen = status
        surface = self.scene.surface
        if status.surfaces != seen.surfaces and surface is not None:
            self._cloud.show_surface(surface)
        if status.saves != seen.saves and status.saved is not None:
            path = status.saved
            self._desk.say(tr("Written to {path}", path=path), show_folder(path), open_file(path))
        if status.error and status.error != seen.error:
            self._desk.show_error(status.error)
        self._cloud.show_scene(True, words(status))
        self._mirror()

    def _mirror(self) -> None:
        scene = self.scene
        self._actions["scene"].setChecked(scene is not None)
        is_paused = scene is not None and scene.status.state is LiveState.PAUSED
        self._actions["scene_pause"].setChecked(is_paused)


def words(status: LiveStatus) -> str:
    """Say in a line how a scene goes."""
    news = status.news
    if status.state is LiveState.FAILED:
        return tr("Scene: failed; 3D > Scene anew begins another")
    if status.state is LiveState.PAUSED:
        doing = tr("paused")
    elif not news.frames:
        doing = tr("waiting for the first frame")
        if news.left_out:
            doing = tr("no frame has depth enough to begin with")
    elif news.state is TrackState.LOST:
        doing = tr("lost: go back to where it was")
    else:
        doing = tr("found again, tracking") if news.found_again else tr("tracking")
    parts = [
        tr("Scene: {doing}", doing=doing),
        tr("{kind} depth", kind=told(status.shown.value)),
        tr("{count} frames", count=news.frames),
    ]
    parts += [tr("{rate:.1f} a second", rate=status.rate_hz), f"{news.length_m:.2f} m"]
    parts += [tr("{count} places seen again", count=news.loops)] if news.loops else []
    return " · ".join(parts)
