"""What a command says while a session runs, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from lingbot_live.cli.damage import LOOK_S, tell_damage
from lingbot_live.errors import LingbotLiveError
from lingbot_live.system.words import duration

if TYPE_CHECKING:
    from lingbot_live.pipeline.session import Session
    from lingbot_live.recording.pretrigger import PreTrigger
    from lingbot_live.recording.recorder import Recorder
    from lingbot_live.recording.state import RecorderStats

_TICK_S = 0.2
_PATIENCE_S = 1.2  # for cameras and refiner, where the end was asked for
_LONG_S = 10.0  # of a refiner on one frame; on a processor the largest networks take that long


def watch(
    session: Session,
    duration_s: float | None,
    stop: threading.Event,
    on_tick: Callable[[], bool] = lambda: True,
) -> Failures:
    """Wait for the end, for ``stop`` or until ``on_tick`` is False; say at once what fails.

    Raises:
        LingbotLiveError: nothing is left that works.
    """
    failures = Failures(session, stop)
    while not stop.is_set() and on_tick():
        failures.say()
        elapsed_s = session.elapsed_s
        if duration_s is not None and elapsed_s >= duration_s:
            break
        tick_s = _TICK_S if duration_s is None else min(_TICK_S, duration_s - elapsed_s)
        if session.wait(elapsed_s + tick_s):
            break
    failures.say()
    return failures


def patience_s(stop: threading.Event) -> float | None:
    """Return how long `Session.stop` is to wait; None is as long as it usually does."""
    return _PATIENCE_S if stop.is_set() else None


class Failures:
    """Says each failure once, in one line on stderr; `end` turns them into the exit status."""

    def __init__(self, session: Session, stop: threading.Event) -> None:
        self._session, self._stop = session, stop
        self._said: set[str] = set()
        self._has_said_long = False

    def say(self) -> None:
        """Say what is new; not where no camera is left, for that ends the command with an error."""
        failed = self._failed()
        if len(failed) < len(self._session.feeds):
            self._say_why(failed)
        if self._session.refiner_busy_s > _LONG_S and not self._has_said_long:
            self._has_said_long = True
            typer.echo(
                f"the refiner is at one frame for {_LONG_S:g} s: slow, or it hangs", err=True
            )

    def end(self, *more: str) -> None:
        """Say in one line what was not as it should be; raises typer.Exit with status 1 then.

        Call it once the session is stopped: a driver that hangs may show only there.
        """
        self._say_why(self._failed())
        problems = [*self._problems(), *more]
        if problems:
            typer.echo(f"not all went well: {'; '.join(problems)}", err=True)
            raise typer.Exit(1)

    def _say_why(self, names: list[str]) -> None:
        for name in names:
            if name not in self._said:
                self._said.add(name)
                typer.echo(self._why(name), err=True)

    def _problems(self) -> list[str]:
        found = []
        feeds, failed = self._session.feeds, self._failed()
        if failed:
            found.append(f"{len(failed)} of {len(feeds)} cameras failed ({', '.join(failed)})")
        for cause in ("refiner failed", "refiner hangs"):
            count = sum(feed.stats.dropped(cause) for feed in feeds)
            if count:
                total = sum(feed.stats.captured for feed in feeds)
                found.append(f"{cause} on {count} of {total} frames")
        return [*found, *self._damaged()]

    def _damaged(self) -> list[str]:
        feeds = self._session.feeds
        found = []
        # Who asked for the end waits for no further look at large files.
        if not self._stop.is_set() and tell_damage((feed.name for feed in feeds), LOOK_S):
            found.append("a recording is damaged")
        count = sum(feed.stats.missed["damaged"] for feed in feeds)
        if count:  # each loses itself alone, which is no failure of the run
            typer.echo(f"{count} damaged frames were passed over", err=True)
        return found

    def _failed(self) -> list[str]:
        return [feed.name for feed in self._session.feeds if feed.state.is_lost]

    def _why(self, name: str) -> str:
        error = next(feed.error for feed in self._session.feeds if feed.name == name)
        text = " ".join(str(error).split())
        if isinstance(error, LingbotLiveError):
            return text if text.startswith(name) else f"{name}: {text}"
        return f"{name}: {type(error).__name__}: {text}"


class RecordingLook:
    """Shows a recording's figures each time it is called; whether it goes on."""

    def __init__(
        self, recorder: Recorder, show: Callable[[str], None], also: Callable[[], bool]
    ) -> None:
        self._recorder, self._show, self._also = recorder, show, also
        self._said: set[str] = set()

    def __call__(self) -> bool:
        """Show them once more."""
        stats = self._recorder.stats()
        self._also()
        self._show(recording_line(stats))
        for text in stats.warnings:
            self._say(text, text)
        if stats.is_space_low:
            self._say("room", f"the disk has room for {stats.minutes_left:.0f} minutes")
        return self._recorder.is_active

    def waiting(self, ring: PreTrigger) -> bool:
        """Show what is held until it is asked for."""
        seconds, size = ring.held
        self._also()
        self._show(f"{seconds:.1f} s held in {size / 1e6:.1f} MB; Enter begins")
        self._say("enter", "press Enter to record")
        return True

    def _say(self, what: str, text: str) -> None:
        if what not in self._said:
            self._said.add(what)
            typer.echo(text, err=True)


def recording_line(stats: RecorderStats) -> str:
    """Return time, frames, size and drops of a recording."""
    drops = ", ".join(f"{count} {cause}" for cause, count in stats.drops.items()) or "none"
    left = f", {stats.minutes_left:.0f} min left" if stats.minutes_left is not None else ""
    return (
        f"{duration(stats.elapsed_s, 1)}, {stats.frames} frames, {stats.refined} refined, "
        f"{stats.bytes_written / 1e6:.1f} MB, {stats.bytes_per_s / 1e6:.1f} MB/s, "
        f"drops: {drops}{left}"
    )
