"""The window's process: makes the application, opens the window, ends everything."""

from __future__ import annotations

import json
import logging
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QBuffer, QByteArray, QTimer
from PySide6.QtGui import QIcon, QImageWriter
from PySide6.QtWidgets import QApplication

from lingbot_live.cameras import registry
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import ConfigError, ExportError, WriteError
from lingbot_live.pipeline.session import Session
from lingbot_live.publish.place import Place
from lingbot_live.system.outputs import MARK
from lingbot_live.system.signals import is_echo, stop_signals
from lingbot_live.system.writing import write_bytes, write_text
from ui.controllers import languages
from ui.main_window import MainWindow
from ui.shell import renderer, spoken
from ui.shell.garbage import MainThreadGarbage
from ui.shell.language import tr
from ui.shell.settings import Settings
from ui.shell.theme import apply_theme, asset_path

log = logging.getLogger(__name__)
_SIGNAL_POLL_MS = 200
_PATIENCE_S = 1.0  # for cameras and refiner, where a signal ends the app
# Painting lets go of the interpreter dozens of times a picture, and each time waits up to this
# long for a thread that computes; Python's own 5 ms add up to what people see as a stutter.
_SWITCH_S = 0.0005


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """What the command line asks of the window."""

    addresses: tuple[str, ...] = ()
    refiner: RefinerConfig = field(default_factory=RefinerConfig)
    is_refiner_given: bool = True  # otherwise the remembered one runs, with the other settings
    camera: CameraConfig = field(default_factory=CameraConfig)
    frames: int | None = None
    duration_s: float | None = None
    screenshot: Path | None = None
    snapshot: Path | None = None
    stats: Path | None = None
    reset: bool = False
    rig: Path | None = None
    publish: tuple[Place, ...] = ()
    renderer: str = "auto"


def run_window(options: WindowOptions) -> int:
    """Show the window until it is closed; returns the exit status.

    The status is 1 if a camera had failed by then. With a duration or a number of frames the window
    closes by itself, and the status is 2 if no camera delivered anything.
    """
    application = QApplication.instance()
    app = application if isinstance(application, QApplication) else QApplication(sys.argv[:1])
    app.setApplicationName("lingbot-live")
    app.setDesktopFileName("lingbot-live")
    sys.setswitchinterval(_SWITCH_S)
    settings = Settings()
    if options.reset:
        settings.reset()
    apply_theme(app, settings.text("theme", "dark"))
    app.setWindowIcon(QIcon(str(asset_path("icon.png"))))
    hindrances = (
        spoken.start(app, settings.text(languages.KEY)),
        renderer.current().choose(options.renderer),
    )
    window = MainWindow(settings)
    renderer.current().gaveUp.connect(window.desk.show_note)
    for hindrance in filter(None, hindrances):
        window.desk.show_note(hindrance)
    _install_excepthook(window)
    runner = _Runner(app, window, options)
    window.show()
    QTimer.singleShot(0, runner.start)
    with _CtrlC(app, window), MainThreadGarbage():
        app.exec()
        window.close()
    return runner.finish()


class _Runner:
    """Starts the session once the window is on the screen, and ends the run as asked."""

    def __init__(self, app: QApplication, window: MainWindow, options: WindowOptions) -> None:
        self._app = app
        self._window = window
        self._options = options
        self._error: BaseException | None = None
        self._session: Session | None = None  # the last one, once it ended
        window.stage.ending.connect(self._note_session)
        self._result: dict[str, object] = {}
        self._has_ended = False

    def start(self) -> None:
        """Open what was asked for; a run that ends by itself ends if that fails, too."""
        options = self._options
        if options.duration_s is not None:
            QTimer.singleShot(round(options.duration_s * 1000), self._end)
        elif options.frames is not None:
            self._window.stage.sessionDone.connect(self._end)
        try:
            self._open()
        except Exception as error:
            if options.duration_s is None and options.frames is None:
                raise
            self._error = error
            self._end()

    def _open(self) -> None:
        window, options = self._window, self._options
        # A recording that ends can be steered back; with a number of frames, the run ends instead.
        window.stage.camera_config = replace(options.camera, hold=options.frames is None)
        window.sensor.prepare(asked=options.camera.extras)
        window.stage.max_frames = options.frames
        refiner = options.refiner
        if not options.is_refiner_given:
            name, model = window.settings.refiner
            refiner = replace(refiner, name=name, model=model)
        window.refining.use(refiner)
        window.refining.prefers_recorded = not options.is_refiner_given
        if options.rig is not None:
            window.rigging.load(options.rig)
        window.publishing.start(options.publish)
        window.firstShown.connect(lambda: QTimer.singleShot(1500, window.devices.look))
        if options.addresses:
            window.stage.open(options.addresses)
        else:
            self._open_default()

    def finish(self) -> int:
        """Write what was asked for; returns the exit status."""
        options = self._options
        if options.stats is not None:
            text = json.dumps(self._result or self._window.stats(), indent=2)
            write_text(options.stats, text + "\n")
        if self._error is not None:
            raise self._error
        feeds = [] if self._session is None else self._session.feeds
        failed = [feed for feed in feeds if feed.state.is_lost]
        for feed in failed:
            log.error("%s failed: %s", feed.name, feed.error)
        return int(bool(failed))

    def _note_session(self) -> None:
        self._session = self._window.stage.session

    def _open_default(self) -> None:
        window = self._window
        otherwise = window.settings.text("address") or "synthetic:stereo"
        window.rows.empty.set_placeholder(tr("looking for a camera..."))
        window.tasks.run(
            "looking for a camera",
            lambda: registry.default_address(otherwise),
            lambda address: window.stage.open((address,)),
        )

    def _end(self) -> None:
        """End the run, whatever of the last things to do fails; `finish` raises it."""
        if self._has_ended:
            return
        self._has_ended = True
        try:
            self._leave()
        except Exception as error:
            log.exception("the end of the run")
            self._error = self._error or error
        finally:
            self._window.close()
            self._app.quit()

    def _leave(self) -> None:
        """Keep what was asked for of the last moment."""
        window, options = self._window, self._options
        self._result = window.stats()
        if options.screenshot is not None:
            self._shoot(options.screenshot)
        session = window.stage.session
        feeds = session.feeds if session is not None else []
        if feeds and all(feed.state.is_lost for feed in feeds):
            self._error = self._error or feeds[0].error
        if options.snapshot is not None:
            try:
                window.saving.write_shown(options.snapshot)
            except ExportError as error:
                self._error = self._error or error

    def _shoot(self, path: Path) -> None:
        picture = self._window.grab().toImage()
        picture.setText("Software", MARK)
        data = QBuffer()
        kind = path.suffix.removeprefix(".").upper() or "PNG"
        if not QImageWriter(data, QByteArray(kind.encode())).write(picture):
            self._error = ConfigError(f"{path}: no picture is written as {kind}; call it .png")
            return
        try:
            write_bytes(path, bytes(data.data().data()))
        except WriteError as error:
            self._error = error


class _CtrlC:
    """Makes signals close the window: Qt's loop would not return to Python by itself.

    Cameras get little time to close then. A later signal gives up what a slow disk has not taken.
    """

    def __init__(self, app: QApplication, window: MainWindow) -> None:
        self._app, self._window = app, window
        self._has_quit = False
        self._timer = QTimer(interval=_SIGNAL_POLL_MS)
        self._timer.timeout.connect(lambda: None)
        self._before = {}  # type: ignore[var-annotated]

    def __enter__(self) -> None:
        for name in stop_signals():
            self._before[name] = signal.signal(name, lambda *_: self._on_signal())
        self._wakeup = signal.set_wakeup_fd(-1)  # a window that is slow to paint is not deaf
        self._timer.start()

    def _on_signal(self) -> None:
        if is_echo():
            return
        if self._has_quit:
            self._window.recording.give_up()
        self._has_quit = True
        self._window.stage.patience_s = _PATIENCE_S
        # Not here: Python may have been anywhere, in the middle of painting too.
        QTimer.singleShot(0, self._app.quit)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.stop()
        signal.set_wakeup_fd(self._wakeup)
        for name, handler in self._before.items():
            signal.signal(name, handler)


def _install_excepthook(window: MainWindow) -> None:
    """A mistake in a slot is logged and shown; the window lives on."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.error("unexpected", exc_info=(kind, error, trace))
        window.desk.show_error(tr("Unexpected: {error!r}", error=error))

    sys.excepthook = hook
