"""Commands about the refiner: which one, how fine, with or without its mask."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import WeightsError
from lingbot_live.frame import RefinerInfo
from lingbot_live.model.weights.zoo import FILE_NAMES
from lingbot_live.pipeline.inference import RefinerState
from lingbot_live.pipeline.session import Session
from lingbot_live.system.words import duration
from ui.shell.actions import Actions, Command
from ui.shell.desk import Desk
from ui.shell.language import told, tr
from ui.shell.notice import Notice
from ui.shell.stage import Stage

CHECKPOINTS = {".pt", ".pth", ".safetensors"}
_QUIET_S = 0.5  # a refiner that is there sooner needs no word
_OFFER = "offer"  # in the settings: the offer that was last turned down


def is_checkpoint(path: Path) -> bool:
    """Whether a file or folder holds weights, to all appearance."""
    if path.is_dir():
        return any((path / name).is_file() for name in FILE_NAMES)
    return path.suffix.lower() in CHECKPOINTS


class Refining(QObject):
    """Holds the refiner's settings, hands changes to the session, and says how it goes.

    Its notice shows a refiner that loads, one that failed, and what ``auto`` lacks. ``chosen``
    brings the `RefinerConfig` now in force, ``tokensShown(tokens or None, milliseconds or None)``
    what the network costs, ``noted(str)`` what it remarks, ``modelsWanted`` the wish for weights.
    """

    chosen = Signal(object)
    tokensShown = Signal(object, object)  # noqa: N815
    noted = Signal(str)
    modelsWanted = Signal()  # noqa: N815

    def __init__(self, stage: Stage, desk: Desk, notice: Notice, actions: Actions) -> None:
        super().__init__(stage)
        self.config = RefinerConfig()
        self.prefers_recorded = True  # where a session file has refined depth
        self.has_recorded = False  # any camera on the screen
        self.shows_recorded = False
        self._stage, self._desk, self._notice, self._actions = stage, desk, notice, actions
        self._loading_since_s: float | None = None
        self._dismissed = ""
        notice.retry.connect(self.again)
        notice.dismissed.connect(self.note_dismissed)
        stage.found.connect(self._on_found)
        stage.joined.connect(self._on_joined)
        stage.sessionChanged.connect(self._on_session)
        stage.statusDue.connect(self.show_state)
        self._offer_recorded(False)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "as_recorded": self.toggle_recorded,
            "mask": self.toggle_mask,
            "keep_raw": self.toggle_keep_raw,
            "steady": self.toggle_steady,
            "no_flying": self.toggle_flying,
        }

    def toggle_recorded(self) -> None:
        """Show refined depth as it was recorded, or have the chosen refiner make it anew."""
        self._show_recorded(not self.shows_recorded)
        self._stage.refine_with(self._running)

    def use(self, config: RefinerConfig) -> None:
        """Have a refiner take over while the cameras stream on."""
        self.config = config
        self._dismissed = ""
        self._show_recorded(False)
        self._actions["mask"].setChecked(config.apply_mask)
        self._actions["keep_raw"].setChecked(config.keep_raw)
        self._actions["steady"].setChecked(config.steady)
        self._actions["no_flying"].setChecked(config.drop_flying)
        self.chosen.emit(config)
        self._stage.refine_with(config)

    def choose(self, name: str) -> None:
        """Change to the refiner of this name, with the settings in force."""
        chosen = RefinerConfig.parse(name)
        self.use(replace(self.config, name=chosen.name, model=chosen.model))

    def again(self) -> None:
        """Start the chosen refiner anew, after it failed."""
        self.use(self.config)

    def set_tokens(self, tokens: int) -> None:
        """Compute finer or coarser from the next frame on."""
        self.config = replace(self.config, tokens=tokens)
        self._stage.refiner = self._running
        if self._stage.session is not None:
            self._stage.session.set_tokens(tokens)

    def set_precision(self, precision: str) -> None:
        """Load the network in another precision."""
        self.use(replace(self.config, precision=precision))

    def toggle_mask(self) -> None:
        """Make pixels invalid that the network does not vouch for, or show them all."""
        self.use(replace(self.config, apply_mask=not self.config.apply_mask))

    def toggle_keep_raw(self) -> None:
        """Leave raw depth where there is any, or show the refined everywhere."""
        self.use(replace(self.config, keep_raw=not self.config.keep_raw))

    def toggle_steady(self) -> None:
        """Steady results over time, or show each frame's own; recorded ones as well."""
        self._finish(replace(self.config, steady=not self.config.steady))

    def toggle_flying(self) -> None:
        """Take flying points out of results, or leave them in; recorded ones as well."""
        self._finish(replace(self.config, drop_flying=not self.config.drop_flying))

    def show_state(self) -> None:
        """Tell tokens and their cost, and show how the refiner fares."""
        session = self._stage.session
        if session is None:
            self._notice.clear()
            return
        info = session.refiner_info
        self.tokensShown.emit(info.tokens if info else None, self._cost_ms(info))
        self.noted.emit(told(info.note) if info else "")
        self._show_notice(session)

    def note_dismissed(self) -> None:
        """Say the same thing no more; what ``auto`` lacks not even after the next start."""
        session = self._stage.session
        if session is None:
            return
        info, error = session.refiner_info, session.refiner_error
        lacks = info.lacks if info is not None else ""
        self._dismissed = str(error) if error is not None else lacks or _worth_telling(info)
        if error is None and lacks:
            self._desk.settings.set_text(_OFFER, lacks)

    # ---- private ---------------------------------------------------------------------------

    @property
    def _running(self) -> RefinerConfig:
        if not self.shows_recorded:
            return self.config
        chosen = self.config
        return RefinerConfig("recorded", steady=chosen.steady, drop_flying=chosen.drop_flying)

    def _finish(self, config: RefinerConfig) -> None:
        """Change what is done to results, recorded or new; nothing is loaded for that."""
        self.config = config
        self._actions["steady"].setChecked(config.steady)
        self._actions["no_flying"].setChecked(config.drop_flying)
        self.chosen.emit(config)
        self._stage.refine_with(self._running)

    def _on_found(self, infos: list[CameraInfo]) -> None:
        """Show what was recorded where the cameras opened next have any."""
        self._offer_recorded(_any_refined(infos))
        self._show_recorded(self.has_recorded and self.prefers_recorded)
        self.prefers_recorded = True
        self._stage.refiner = self._running

    def _on_joined(self, infos: list[CameraInfo]) -> None:
        self._offer_recorded(self.has_recorded or _any_refined(infos))

    def _offer_recorded(self, is_there: bool) -> None:
        self.has_recorded = is_there
        self._actions["as_recorded"].setVisible(is_there)

    def _show_recorded(self, on: bool) -> None:
        self.shows_recorded = on
        self._actions["as_recorded"].setChecked(on)

    def _on_session(self) -> None:
        if not self._stage.is_running:
            self._notice.clear()

    def _cost_ms(self, info: RefinerInfo | None) -> float | None:
        """Return the time of the newest result by this refiner; None before the first."""
        results = [view.refined for view in self._stage.views if view.refined is not None]
        own = [r for r in results if info is not None and r.refiner.name == info.name]
        return (own[0].finished_ns - own[0].started_ns) / 1e6 if own else None

    def _show_notice(self, session: Session) -> None:
        error, info = session.refiner_error, session.refiner_info
        if session.refiner_state is RefinerState.LOADING:
            self._show_loading()
            return
        self._loading_since_s = None
        lacks = info.lacks if info is not None else ""
        if error is not None:
            self._show_error(error, session.refiner_state is RefinerState.FAILED)
        elif lacks and lacks not in (self._dismissed, self._desk.settings.text(_OFFER)):
            why = re.sub(r" \([^)]*\)", "", lacks)  # commands, where buttons do the same
            text = tr(
                "Depth is refined by {name}, not LingBot-Depth: {why}.",
                name=info.name if info else "",
                why=told(why),
            )
            self._notice.show_offer(text, (tr("Models..."), self.modelsWanted.emit))
        elif (note := _worth_telling(info)) and note != self._dismissed:
            self._notice.show_note(note)
        else:
            self._notice.clear()

    def _show_loading(self) -> None:
        now_s = time.monotonic()
        if self._loading_since_s is None:
            self._loading_since_s = now_s
            self._notice.clear()
        waited_s = now_s - self._loading_since_s
        if waited_s >= _QUIET_S:
            self._notice.show_busy(
                tr(
                    "Loading {refiner}: {time}. The cameras stream on meanwhile.",
                    refiner=self._running,
                    time=duration(waited_s),
                )
            )

    def _show_error(self, error: BaseException, has_failed: bool) -> None:
        text, notice = told(str(error)), self._notice
        if str(error) == self._dismissed or text == notice.text:
            return
        if isinstance(error, WeightsError):
            notice.show_mendable(text, (tr("Models..."), self.modelsWanted.emit))
        else:
            notice.show_error(text, can_retry=has_failed)


def _worth_telling(info: RefinerInfo | None) -> str:
    """Return what LingBot-Depth did unasked: tokens by time or memory, another precision."""
    return (
        tr("LingBot-Depth: {note}", note=told(info.note))
        if info and info.name == "lingbot" and info.note
        else ""
    )


def _any_refined(infos: list[CameraInfo]) -> bool:
    return any(info.recorded is not None and info.recorded.refined for info in infos)
