"""Work spread over a Ray cluster, done by workers that hold something dear, such as a network.

Whoever is killed in the middle costs what it had in hand: a worker's item goes to another one,
and the next driver finds what is done by its results. So an item must leave its result whole or
not at all, and say at once that it is done where its result is there.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lingbot_live.errors import ConfigError, LingbotLiveError

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

INSTALL = 'pip install "lingbot-live[cluster]"'
_TICK_S = 0.5
_MOST_TRIES = 4  # of an item whose workers die


class ClusterError(LingbotLiveError):
    """The cluster cannot be reached, or an item of work ends every worker."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where workers are, and what each needs of a machine: processors, and a share of a GPU."""

    address: str
    cpus: float = 1.0
    gpus: float = 0.0


def spread(
    items: Sequence[T],
    make: Callable[[], Callable[[T], R]],
    cluster: Cluster,
    on_done: Callable[[T, R], None],
    stop: threading.Event,
) -> None:
    """Have all items done on a cluster; ``make`` is called once in each worker, for what does one.

    Items and results travel by pickle; ``on_done`` is called here, in any order.

    Raises:
        ClusterError: no cluster at its address, no machine in it with room for a worker, or workers
            that do not start, or die over an item, again and again.
        KeyboardInterrupt: ``stop`` was set.
        Exception: what an item raised; the others' results stay.
    """
    with _connected(cluster.address) as ray:
        crew: _Crew[T, R] = _Crew(ray, make, cluster)
        waiting, tries = deque(items), Counter[int]()
        try:
            while waiting or crew.busy:
                crew.grow(len(waiting) + len(crew.busy))
                while waiting and crew.idle:
                    crew.give(waiting.popleft())
                for item, result, is_lost in crew.finished():
                    if not is_lost:
                        on_done(item, result)
                        continue
                    tries[id(item)] += 1
                    if tries[id(item)] >= _MOST_TRIES:
                        raise ClusterError(f"{item}: {_MOST_TRIES} workers died over it")
                    waiting.appendleft(item)
                if stop.is_set():
                    raise KeyboardInterrupt
        finally:
            crew.end()


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(f"--ray needs ray, which is not installed. Run: {INSTALL}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # else a busy machine starves them
    import ray

    try:  # "local" is Ray's own word as well; without one it takes what cluster was here last
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    except (ConnectionError, ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())
        raise ClusterError(f"--ray {address}: no cluster there ({words}){_hint()}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _hint() -> str:
    """Return what newer Rays want besides an address."""
    if os.environ.get("RAY_AUTH_MODE"):
        return ""
    return "; where it has a token, set RAY_AUTH_MODE=token and have the token in ~/.ray/auth_token"


class _Holder(Generic[T, R]):
    """Lives in a worker's process; makes what it holds with its first item."""

    def __init__(self, make: Callable[[], Callable[[T], R]]) -> None:
        self._make = make
        self._do: Callable[[T], R] | None = None

    def ready(self) -> bool:
        return True

    def do(self, item: T) -> R:
        if self._do is None:
            self._do = self._make()
        return self._do(item)


@dataclass(slots=True)
class _Crew(Generic[T, R]):
    """The workers, as many as the cluster has room for; those that died are replaced."""

    ray: Any
    make: Callable[[], Callable[[T], R]]
    cluster: Cluster
    idle: list[Any] = field(default_factory=list)
    busy: dict[Any, tuple[Any, T]] = field(default_factory=dict)  # by the promise of a result
    starting: dict[Any, Any] = field(default_factory=dict)
    failed: int = 0  # starts, since the last worker that did

    def grow(self, wanted: int) -> None:
        """Start workers up to what is wanted and what there is room for.

        Raises:
            ClusterError: there is room for none.
        """
        there, room = len(self.idle) + len(self.busy) + len(self.starting), self._room()
        if not room and not there:
            raise ClusterError(
                f"no machine of the cluster has {self.cluster.cpus:g} processors and "
                f"{self.cluster.gpus:g} GPUs for a worker; lower --ray-cpus, or --ray-gpus"
            )
        for _ in range(min(wanted, room) - there):
            kind = self.ray.remote(
                num_cpus=self.cluster.cpus, num_gpus=self.cluster.gpus, max_restarts=0
            )(_Holder)
            actor = kind.remote(self.make)
            self.starting[actor.ready.remote()] = actor

    def give(self, item: T) -> None:
        """Have an idle worker do an item."""
        actor = self.idle.pop()
        self.busy[actor.do.remote(item)] = actor, item

    def finished(self) -> Iterator[tuple[T, Any, bool]]:
        """Wait a little; yield items with their result, or lost with their worker."""
        promises = [*self.busy, *self.starting]
        done, _ = self.ray.wait(promises, num_returns=1, timeout=_TICK_S)
        for promise in done:
            if promise in self.starting:
                self._note_started(promise)
                continue
            actor, item = self.busy.pop(promise)
            try:
                result = self.ray.get(promise)
            except self.ray.exceptions.RayActorError as error:
                log.warning("a worker died and its work goes to another: %s", _first_line(error))
                yield item, None, True
            except self.ray.exceptions.RayTaskError as error:
                raise _told(error) from error
            else:
                self.idle.append(actor)
                yield item, result, False

    def end(self) -> None:
        """Let all workers go."""
        for actor in (*self.idle, *(a for a, _ in self.busy.values()), *self.starting.values()):
            self.ray.kill(actor)

    def _room(self) -> int:
        """Return how many workers the machines have room for that are there now."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        needs = {"CPU": self.cluster.cpus, "GPU": self.cluster.gpus}
        return sum(
            min(int(node.get(kind, 0) / need) for kind, need in needs.items() if need)
            for node in nodes
        )

    def _note_started(self, promise: Any) -> None:
        actor = self.starting.pop(promise)
        try:
            self.ray.get(promise)
        except self.ray.exceptions.RayActorError as error:
            self.failed += 1
            if self.failed >= _MOST_TRIES:
                raise ClusterError(
                    f"no worker starts on the cluster: {_first_line(error)}"
                ) from error
            log.warning("a worker did not start: %s", _first_line(error))
            return
        self.failed = 0
        self.idle.append(actor)


def _told(error: Any) -> Exception:
    """Return what an item raised itself, where it is ours; Ray's account of it otherwise."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, LingbotLiveError) else ClusterError(_first_line(error))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
