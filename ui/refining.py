"""Commands about the refiner: which one, how fine, with or without its mask."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lingbot_live import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.inference import RefinerState
from ui.models_dialog import ModelsDialog

if TYPE_CHECKING:
    from ui.main_window import MainWindow


class Refining:
    """Holds the refiner's settings and hands changes to the running session."""

    def __init__(self, window: MainWindow) -> None:
        self.config = RefinerConfig()
        self.prefers_recorded = True  # where a session file has refined depth
        self._window = window

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
            session.set_refiner(lambda: registry.create_refiner(config))

    def use(self, config: RefinerConfig) -> None:
        """Have a refiner take over while the cameras stream on."""
        self.config = config
        self._window.actions_["as_recorded"].setChecked(False)
        self._window.bar.set_refiner(str(config))
        self._window.actions_["mask"].setChecked(config.apply_mask)
        self._window.actions_["keep_raw"].setChecked(config.keep_raw)
        session = self._window.session
        if session is not None:
            session.set_refiner(lambda: registry.create_refiner(config))

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
        """Show tokens and their cost in the tool bar, a failure above the pictures."""
        window, session = self._window, self._window.session
        if session is None:
            return
        info, error = session.refiner_info, session.refiner_error
        view = window.feeds.view
        refined = view.refined if view is not None else None
        ms = (refined.finished_ns - refined.started_ns) / 1e6 if refined is not None else None
        window.bar.show_tokens(info.tokens if info else None, ms)
        window.status.setToolTip(info.note if info else "")
        if error is None:
            window.notice.clear()
        elif window.notice.text != str(error):
            failed = session.refiner_state is RefinerState.FAILED
            window.notice.show_error(str(error), can_retry=failed)
