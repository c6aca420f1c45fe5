"""Grasps found in a process of its own: what looks for them holds Python's lock for long.

``python -m lingbot_live.perception.grasp_process`` reads pickled `Look` records from standard
input and answers each with a `GraspScene`, or with the error that says why there is none.
"""

from __future__ import annotations

import pickle
import threading
from dataclasses import dataclass

from lingbot_live.errors import LingbotLiveError
from lingbot_live.frame import DepthMap, Intrinsics, Mask
from lingbot_live.perception.grasps import GraspScene, GraspSettings, find_grasps
from lingbot_live.perception.seen_through import Sight
from lingbot_live.system.children import ONE_BLAS_THREAD, Child, ChildError
from lingbot_live.system.cores import give_way, session_gives_way, stand_aside
from lingbot_live.system.malloc import keep_freed
from lingbot_live.system.serving import jobs_of_parent, own_stdout

_MODULE = "lingbot_live.perception.grasp_process"
_NICE = 10  # after all else that the window has done


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Asks for the grasps of a frame: the arguments of `find_grasps`."""

    depth_m: DepthMap
    intrinsics: Intrinsics
    settings: GraspSettings
    sight: Sight | None = None
    region: Mask | None = None


class GraspProcess:
    """Looks for grasps as `find_grasps` does. Its process starts with the first look.

    One thread looks; any may `close` it meanwhile.
    """

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._child: Child | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        child = self._child
        return None if child is None else child.process.pid

    def find(self, look: Look) -> GraspScene | None:
        """Return what is found, waiting for it; None once this is closed.

        Raises:
            NoSupportError: no plane is seen that things could stand on.
            LingbotLiveError: the process died; the next look begins another.
        """
        with self._busy:
            try:
                answer = self._started().ask(look)
            except (ChildError, OSError) as error:
                self._end()
                if self._is_closed:
                    return None
                raise LingbotLiveError(
                    f"grasps: the process that looks for them {error}"
                ) from error
        if isinstance(answer, LingbotLiveError):
            raise answer
        if not isinstance(answer, GraspScene):
            raise LingbotLiveError(f"grasps: {type(answer).__name__} is no answer")
        return answer

    def close(self) -> None:
        """End the process, also while a look is under way; safe more than once."""
        self._is_closed = True
        child = self._child
        if child is not None:
            child.process.kill()
        with self._busy:
            self._end()

    def _started(self) -> Child:
        if self._child is None:
            self._child = Child(_MODULE, environment=ONE_BLAS_THREAD)
            stand_aside(self._child.process.pid)
        if self._is_closed:
            raise ChildError("was closed")
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()


def _answer(look: Look) -> GraspScene | LingbotLiveError:
    try:
        return find_grasps(
            look.depth_m, look.intrinsics, look.settings, look.region, sight=look.sight
        )
    except LingbotLiveError as error:
        return error


def main() -> None:
    """Run as the child process."""
    give_way(_NICE)
    keep_freed()
    session_gives_way(_NICE)
    answers = own_stdout()
    jobs = jobs_of_parent(Look, "looks")
    while True:
        pickle.dump(_answer(jobs.get()), answers)
        answers.flush()


if __name__ == "__main__":
    main()
