"""What viewers may read and change of a session, and what they may have done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from lingbot_live.cameras.controls import ControlValue
from lingbot_live.cameras.registry import check_refiner_name, create_refiner
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError, did_you_mean
from lingbot_live.pipeline.session import Feed, Session
from lingbot_live.recording.format import slug

REFINER, TOKENS = "refiner", "tokens"
Service = Callable[[str], str]  # takes a word with it and returns what was done, in words


@dataclass(frozen=True, slots=True)
class Steering:
    """Parameters and services of the session on the screen. Called from the threads of servers.

    Parameters are ``refiner``, ``tokens`` and each camera's controls, ``CAMERA.SENSOR.SETTING``.
    """

    session: Callable[[], Session | None]
    config: Callable[[], RefinerConfig]  # in force
    use: Callable[[RefinerConfig], None]
    set_tokens: Callable[[int], None]
    services: Mapping[str, Service] = field(default_factory=dict)

    @classmethod
    def of(
        cls, session: Session, config: RefinerConfig, services: Mapping[str, Service]
    ) -> Steering:
        """Return that of a session which no window stands before."""
        held = [config]

        def use(chosen: RefinerConfig) -> None:
            held[0] = chosen
            session.set_refiner(lambda: create_refiner(chosen), chosen)

        return cls(lambda: session, lambda: held[0], use, session.set_tokens, services)

    def values(self) -> dict[str, ControlValue]:
        """Return all parameters as they are now; ``tokens`` only where they mean something."""
        session = self.session()
        values: dict[str, ControlValue] = {REFINER: str(self.config())}
        info = None if session is None else session.refiner_info
        if info is not None and info.tokens is not None:
            values[TOKENS] = info.tokens
        for name, feed in self._feeds().items():
            if feed.camera is not None:
                controls = feed.camera.controls()
                values |= {f"{name}.{control.name}": control.value for control in controls}
        return values

    def change(self, name: str, value: ControlValue) -> None:
        """Set a parameter.

        Raises:
            ConfigError: there is none of this name, or it does not take this value.
            CameraError: the device refused it.
        """
        camera, _, control = name.partition(".")
        feed = self._feeds().get(camera)
        if name == REFINER:
            self._choose(str(value))
        elif name == TOKENS:
            tokens = replace(self.config(), tokens=_whole(name, value)).tokens
            self.set_tokens(tokens or 0)
        elif feed is not None and feed.camera is not None and control:
            feed.camera.set_control(control, value)
        else:
            known = self.values()
            raise ConfigError(
                f"no parameter {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}"
            )

    def _choose(self, text: str) -> None:
        asked = RefinerConfig.parse(text)
        check_refiner_name(asked.name)
        self.use(
            replace(
                self.config(), name=asked.name, model=asked.model, steady=asked.steady,
                drop_flying=asked.drop_flying,
            )
        )  # fmt: skip

    def _feeds(self) -> dict[str, Feed]:
        session = self.session()
        found: dict[str, Feed] = {}
        for feed in () if session is None else session.feeds:
            found[slug(feed.name, found)] = feed
        return found


def _whole(name: str, value: ControlValue) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise ConfigError(f"{name} {value!r}: a whole number is needed")
    return int(value)
