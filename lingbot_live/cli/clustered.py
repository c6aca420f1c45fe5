"""Commands whose work is spread over a Ray cluster: how it is asked for, and how it is shown.

`share_out` is what all of them go through. `do_jobs` is for work that ends in files, `gather` for
work whose results come back to the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Generic, Protocol, TypeVar

import typer

from lingbot_live.cli.options import interrupted, progress_bar
from lingbot_live.errors import ConfigError, LingbotLiveError
from lingbot_live.system.cluster import Cluster
from lingbot_live.system.outputs import check_apart, local_path
from lingbot_live.system.signals import stoppable

if TYPE_CHECKING:
    from lingbot_live.config import RefinerConfig
    from lingbot_live.recording.ranges import FrameRange

RayOption = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Spread it over a Ray cluster: local, auto, IP."),
]
InputsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="A session, a recording, a folder, a camera; with --ray several recordings.",
    ),
]
CpusOption = Annotated[
    float, typer.Option("--ray-cpus", min=0.1, help="Of --ray: processors for a worker.")
]
GpusOption = Annotated[
    float, typer.Option("--ray-gpus", min=0.0, help="Of --ray: share of a GPU for a worker.")
]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Maker(Generic[T, R]):
    """Makes in a worker what does an item there, with the threads that it may use."""

    make: Callable[[], Callable[[T], R]]
    threads: int

    def __call__(self) -> Callable[[T], R]:
        import cv2

        cv2.setNumThreads(self.threads)
        return self.make()


def share_out(
    items: Sequence[T],
    make: Callable[[], Callable[[T], R]],
    cluster: Cluster,
    what: str,
    on_done: Callable[[T, R], None],
    weigh: Callable[[T], int] = lambda item: 1,
    done: int = 0,
) -> bool:
    """Have all items done by workers, and show how far it is; False where it was interrupted.

    ``make`` is called in each worker, for what does one item. Of the bar, an item is as much as
    ``weigh`` says, and ``done`` was there before. Raises as `lingbot_live.system.cluster.spread`.
    """
    from lingbot_live.system.cluster import spread

    total = done + sum(map(weigh, items))
    with progress_bar(f"{what} on Ray") as on_progress, stoppable() as stop:

        def note(item: T, result: R) -> None:
            nonlocal done
            done += weigh(item)
            on_progress(done, total)
            on_done(item, result)

        maker = _Maker(make, max(1, int(cluster.cpus)))
        try:
            spread(items, maker, cluster, note, stop)
        except KeyboardInterrupt:
            return False
    return True


def gather(
    items: Sequence[T], make: Callable[[], Callable[[T], R]], cluster: Cluster, what: str
) -> dict[T, R]:
    """Return what came of each item; of some where it was interrupted. Raises as `share_out`."""
    found: dict[T, R] = {}
    share_out(items, make, cluster, what, found.__setitem__)
    return found


# ---- work that ends in files ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job, for people."""

    words: str
    remarks: tuple[str, ...] = ()
    is_whole: bool = True  # nothing failed, no input is damaged


class Job(Protocol):
    """Work on one input, done by any process. Its files appear when they are whole."""

    @property
    def outputs(self) -> Sequence[str]:
        """Its files and folders, here or in a store."""

    @property
    def replaces(self) -> bool:
        """Whether it is to be done although they are there."""

    def do(self) -> Outcome:
        """Do it; raises LingbotLiveError."""


def do_jobs(jobs: Sequence[Job], cluster: Cluster, what: str) -> None:
    """Do jobs, pass over those that are done, and print what came of them.

    One that fails is told, and the others go on; then, and where an input is damaged, it ends with
    typer.Exit. The same command goes on where this one was stopped.
    """
    whole = True

    def note(_job: Job, outcome: Outcome) -> None:
        nonlocal whole
        whole &= outcome.is_whole
        for remark in outcome.remarks:
            typer.echo(remark, err=True)
        if outcome.words:
            print(outcome.words, flush=True)

    if not share_out(jobs, _doer, cluster, what, note):
        raise interrupted()
    if not whole:
        raise typer.Exit(1)


def _doer() -> Callable[[Job], Outcome]:
    return do_job


def do_job(job: Job) -> Outcome:
    """Do a job unless it is done; an error is its outcome."""
    from lingbot_live.system import remote

    names = ", ".join(job.outputs)
    if not job.replaces and all(map(remote.exists, job.outputs)):
        return Outcome(f"{names}: it is there already")
    try:
        return job.do()
    except LingbotLiveError as error:
        return Outcome("", (f"{names}: not made: {error}",), is_whole=False)


def named(sources: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each input, as any process knows it, with a name of its own."""
    from lingbot_live.cameras import registry
    from lingbot_live.recording.format import slug
    from lingbot_live.system import remote

    names: list[str] = []
    for source in sources:
        names.append(slug(PurePosixPath(source.replace("\\", "/")).stem, names))
        yield source if remote.is_remote(source) else registry.absolute(source), names[-1]


def inside(output: str, name: str) -> str:
    """Return where a file goes for one of several inputs: into a folder of the input's name."""
    from lingbot_live.system import remote

    whole = remote.absolute(output)
    return remote.beside(whole, f"{name}/{PurePosixPath(whole.replace(chr(92), '/')).name}")


def sole(sources: Sequence[str], command: str) -> str:
    """Return the only input of a command without a cluster.

    Raises:
        ConfigError: there are several.
    """
    if len(sources) > 1:
        raise ConfigError(f"{command}: several inputs need --ray; `--ray local` takes this machine")
    return sources[0]


# ---- sessions refined in ranges ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefinerMaker:
    """Makes the refiner of a worker, in the worker."""

    config: RefinerConfig

    def __call__(self) -> Callable[[FrameRange], str]:
        """Return what refines a range, holding the refiner, and gives why it could not."""
        from lingbot_live.cameras import registry
        from lingbot_live.errors import RecordingError
        from lingbot_live.recording.ranges import refine_range

        refiner = registry.create_refiner(self.config)

        def do(work: FrameRange) -> str:
            try:
                refine_range(work, refiner)
            except RecordingError as error:
                return f"{work}: {error}"
            return ""

        return do


def refine_sessions(
    sources: list[str], output: str, config: RefinerConfig, exact: bool, cluster: Cluster
) -> None:
    """Refine sessions into a folder, in ranges of frames; the same command goes on if stopped."""
    with _Joiner() as joiner:
        _refine_all(sources, output, config, exact, cluster, joiner)
    if joiner.failed:
        raise typer.Exit(1)


def _refine_all(
    sources: list[str],
    output: str,
    config: RefinerConfig,
    exact: bool,
    cluster: Cluster,
    joiner: _Joiner,
) -> None:
    from lingbot_live.recording.ranges import split
    from lingbot_live.system import remote

    for source, out in _outputs(sources, output):
        try:
            ranges = split(source, out, config, exact)
        except LingbotLiveError as error:
            joiner.fail(out, str(error))
            continue
        if not _is_there(ranges):
            joiner.by_out[out] = ranges
    every = [work for ranges in joiner.by_out.values() for work in ranges]
    todo = [work for work in every if not remote.exists(work.part)]
    joiner.begin(todo)
    done = sum(map(_size, every)) - sum(map(_size, todo))
    what = f"refining with {config}"
    if todo and not share_out(todo, RefinerMaker(config), cluster, what, joiner.note, _size, done):
        raise interrupted()


def _size(work: FrameRange) -> int:
    return work.end - work.first


class _Joiner:
    """Joins the ranges of a session when all are there, while workers go on with the next."""

    def __init__(self) -> None:
        self.by_out: dict[str, list[FrameRange]] = {}
        self.failed: set[str] = set()  # sessions
        self._left: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(1, "join")
        self._joins: list[Future[None]] = []

    def __enter__(self) -> _Joiner:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Wait for what is being joined; raises as `lingbot_live.recording.ranges.join_ranges`."""
        self._thread.shutdown(cancel_futures=kind is not None)
        for join in self._joins if kind is None else ():
            join.result()

    def begin(self, todo: list[FrameRange]) -> None:
        """Join what needs nothing done."""
        self._left = dict.fromkeys(self.by_out, 0)
        for work in todo:
            self._left[work.out] += 1
        for out in [out for out, left in self._left.items() if not left]:
            self._joins.append(self._thread.submit(self._join, out))

    def fail(self, out: str, fault: str) -> None:
        """Tell, once, why a session is not made."""
        if out not in self.failed:
            typer.echo(f"{out}: not made: {fault}", err=True)
        self.failed.add(out)

    def note(self, work: FrameRange, fault: str) -> None:
        """Take a range as done, or as impossible."""
        if fault:
            self.fail(work.out, fault)
            return
        self._left[work.out] -= 1
        if not self._left[work.out]:
            self._joins.append(self._thread.submit(self._join, work.out))

    def _join(self, out: str) -> None:
        from lingbot_live.recording.ranges import join_ranges

        print(join_ranges(self.by_out[out]), flush=True)


def _outputs(sources: list[str], output: str) -> Iterator[tuple[str, str]]:
    """Yield each session with the file that it becomes, made absolute: workers stand elsewhere."""
    from lingbot_live.system import remote

    if not remote.is_remote(output):
        folder = local_path(output).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        output = str(folder)
    taken: set[str] = set()
    for source in sources:
        if not remote.is_remote(source):
            source = str(local_path(source).absolute())
        name = PurePosixPath(source.replace("\\", "/")).name
        if name in taken:
            raise ConfigError(f"refine: two sessions are called {name}; refine them apart")
        taken.add(name)
        out = f"{output.rstrip('/')}/{name}"
        if not remote.is_remote(source) and not remote.is_remote(out):
            check_apart(local_path(out), [local_path(source)])
        yield source, out


def _is_there(ranges: list[FrameRange]) -> bool:
    """Whether a session is done; deletes what a driver that was killed after joining left."""
    from lingbot_live.system import remote

    if not remote.exists(ranges[0].out):
        return False
    for work in ranges:
        if remote.exists(work.part):
            remote.remove(work.part)
    typer.echo(f"{ranges[0].out}: it is there already", err=True)
    return True
