"""What several commands share: the refiner's options, a progress bar, a calm Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lingbot_live.config import RefinerConfig

RefinerOption = Annotated[
    str | None, typer.Option("--refiner", help="auto (default), none, guided, NAME[:MODEL].")
]
TokensOption = Annotated[
    int | None, typer.Option("--tokens", help="How fine a network computes: about so many patches.")
]
LevelOption = Annotated[
    int | None, typer.Option("--level", help="The same as a level from 0 to 9; --tokens wins.")
]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="auto (default), fp16, bf16 or fp32.")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="auto (default), cpu or cuda; where a network runs.")
]
KeepRawOption = Annotated[
    bool, typer.Option("--keep-raw", help="Leave raw depth as it is, wherever there is any.")
]
NoMaskOption = Annotated[
    bool, typer.Option("--no-mask", help="Also show depth that the network does not vouch for.")
]

_STOPS = (signal.SIGINT, signal.SIGTERM)


def refiner_config(
    refiner: str | None,
    *,
    model: str | None = None,
    tokens: int | None = None,
    level: int | None = None,
    precision: str | None = None,
    device: str | None = None,
    keep_raw: bool = False,
    no_mask: bool = False,
) -> RefinerConfig:
    """Return the options as settings; a refiner without a use for one ignores it.

    Raises:
        ConfigError: no refiner has this name, or a value is out of its range.
    """
    from dataclasses import replace

    from lingbot_live import registry
    from lingbot_live.config import RefinerConfig

    named = RefinerConfig.parse(refiner or ("lingbot" if model else "auto"))
    registry.check_refiner_name(named.name)
    return replace(
        named,
        model=model or named.model,
        tokens=tokens,
        level=level,
        precision=precision or "auto",
        device=device or "auto",
        keep_raw=keep_raw,
        apply_mask=not no_mask,
    )


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event, so that files are closed in peace."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in _STOPS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar with the time left, on a terminal's stderr; nothing where it is not one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
