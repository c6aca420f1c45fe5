"""Commands about the refiner: which one, how fine, with or without its mask."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lingbot_live.cameras import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import WeightsError
from lingbot_live.frame import RefinerInfo
from lingbot_live.model.auto import reason_in
from lingbot_live.model.weights.zoo import FILE_NAMES
from lingbot_live.pipeline.inference import RefinerState
from lingbot_live.pipeline.session import Session
from ui.dialogs.models import ModelsDialog

if TYPE_CHECKING:
    from ui.main_window import MainWindow

CHECKPOINTS = {".pt", ".pth", ".safetensors"}
_QUIET_S = 0.5  # a refiner that is there sooner needs no word
_OFFER = "offer"  # in the settings: the offer that was last turned down


def is_checkpoint(path: Path) -> bool:
    """Whether a file or folder holds weights, to all appearance."""
    if path.is_dir():
        return any((path / name).is_file() for name in FILE_NAMES)
    return path.suffix.lower() in CHECKPOINTS


class Refining:
    """Holds the refiner's settings, hands changes to the session, and says how it goes.

    The window's first notice shows a refiner that loads, one that failed, and what ``auto`` lacks.
    """

    def __init__(self, window: MainWindow) -> None:
        self.config = RefinerConfig()
        self.prefers_recorded = True  # where a session file has refined depth
        self._window = window
        self._loading_since_s: float | None = None
        self._dismissed = ""

    @property
    def running(self) -> RefinerConfig:
        """What refines now: the chosen one, or what was recorded."""
        action = self._window.actions_["as_recorded"]
        return RefinerConfig("recorded") if action.isChecked() else self.config

    def offer_recorded(self, is_there: bool) -> None:
        """Say whether the cameras opened next have recorded refined depth; show it if so."""
        action = self._window.actions_["as_recorded"]
        action.setVisible(is_there)
        action.setChecked(is_there and self.prefers_recorded)
        self.prefers_recorded = True

    def toggle_recorded(self) -> None:
        """Show refined depth as it was recorded, or have the chosen refiner make it anew."""
        config, session = self.running, self._window.session
        if session is not None:
            session.set_refiner(lambda: registry.create_refiner(config), config)

    def use(self, config: RefinerConfig) -> None:
        """Have a refiner take over while the cameras stream on."""
        self.config = config
        self._dismissed = ""
        self._window.actions_["as_recorded"].setChecked(False)
        bar = self._window.bar
        bar.set_refiner(str(config))
        bar.set_precision(config.precision)
        self._window.actions_["mask"].setChecked(config.apply_mask)
        self._window.actions_["keep_raw"].setChecked(config.keep_raw)
        session = self._window.session
        if session is not None:
            session.set_refiner(lambda: registry.create_refiner(config), config)

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
        if self._window.session is not None:
            self._window.session.set_tokens(tokens)

    def set_precision(self, precision: str) -> None:
        """Load the network in another precision."""
        self.use(replace(self.config, precision=precision))

    def show_models(self) -> None:
        """Open the list of LingBot-Depth's weights."""
        dialog = ModelsDialog(self._window.tasks, self._window)
        dialog.chosen.connect(lambda name: self.choose(f"lingbot:{name}"))
        dialog.open()

    def toggle_mask(self) -> None:
        """Make pixels invalid that the network does not vouch for, or show them all."""
        on = self._window.actions_["mask"].isChecked()
        self.use(replace(self.config, apply_mask=on))

    def toggle_keep_raw(self) -> None:
        """Leave raw depth where there is any, or show the refined everywhere."""
        on = self._window.actions_["keep_raw"].isChecked()
        self.use(replace(self.config, keep_raw=on))

    def show_state(self) -> None:
        """Show tokens and their cost in the tool bar, and how the refiner fares above the panes."""
        window, session = self._window, self._window.session
        if session is None:
            window.notice.clear()
            return
        info = session.refiner_info
        view = window.feeds.view
        refined = view.refined if view is not None else None
        ms = None
        if refined is not None and info is not None and refined.refiner.name == info.name:
            ms = (refined.finished_ns - refined.started_ns) / 1e6
        window.bar.show_tokens(info.tokens if info else None, ms)
        window.status.setToolTip(info.note if info else "")
        self._show_notice(session)

    def note_dismissed(self) -> None:
        """Say the same thing no more; what ``auto`` lacks not even after the next start."""
        session = self._window.session
        if session is None:
            return
        info, error = session.refiner_info, session.refiner_error
        lacks = reason_in(info.note) if info is not None else ""
        self._dismissed = str(error) if error is not None else lacks or _worth_telling(info)
        if error is None and lacks:
            self._window.settings.set_text(_OFFER, lacks)

    # ---- private ---------------------------------------------------------------------------

    def _show_notice(self, session: Session) -> None:
        error, info = session.refiner_error, session.refiner_info
        if session.refiner_state is RefinerState.LOADING:
            self._show_loading()
            return
        self._loading_since_s = None
        lacks = reason_in(info.note) if info is not None else ""
        if error is not None:
            self._show_error(error, session.refiner_state is RefinerState.FAILED)
        elif lacks and lacks not in (self._dismissed, self._window.settings.text(_OFFER)):
            why = re.sub(r" \([^)]*\)", "", lacks)  # commands, where buttons do the same
            text = f"Depth is refined by {info.name if info else ''}, not LingBot-Depth: {why}."
            self._window.notice.show_offer(text, "Models...", self.show_models)
        elif (note := _worth_telling(info)) and note != self._dismissed:
            self._window.notice.show_note(note)
        else:
            self._window.notice.clear()

    def _show_loading(self) -> None:
        now_s = time.monotonic()
        if self._loading_since_s is None:
            self._loading_since_s = now_s
            self._window.notice.clear()
        waited_s = now_s - self._loading_since_s
        if waited_s >= _QUIET_S:
            self._window.notice.show_busy(
                f"Loading {self.running}: {waited_s:.0f} s. The cameras stream on meanwhile."
            )

    def _show_error(self, error: BaseException, has_failed: bool) -> None:
        text, notice = str(error), self._window.notice
        if text in (self._dismissed, notice.text):
            return
        if isinstance(error, WeightsError):
            notice.show_mendable(text, "Models...", self.show_models)
        else:
            notice.show_error(text, can_retry=has_failed)


def _worth_telling(info: RefinerInfo | None) -> str:
    """Return what LingBot-Depth did unasked: tokens by time or memory, another precision."""
    return f"LingBot-Depth: {info.note}" if info and info.name == "lingbot" and info.note else ""
