"""Asks a driver which cameras are there, so that one that misbehaves costs itself alone."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.errors import CameraError, LingbotLiveError
from lingbot_live.system.worker import Worker

LIMIT_S = 5.0  # of one driver's answer


class _Question:
    """One call of a driver's `discover`, on a thread that nothing waits for longer than it wants.

    The thread is a daemon: Python cannot end one that hangs, and the process does not wait for it.
    """

    def __init__(self, scheme: str, discover: Callable[[], object]) -> None:
        self._scheme, self._discover = scheme, discover
        self._found: list[CameraInfo] = []
        self._error: BaseException | None = None
        self.is_answered = threading.Event()
        Worker(f"ask {scheme}", self._ask, self._fail).start()

    def answer(self, limit_s: float) -> list[CameraInfo]:
        if not self.is_answered.wait(limit_s):
            raise CameraError(
                f"{self._scheme}: its driver does not answer within {LIMIT_S:g} s; plug its "
                "cameras in again, or restart the app"
            )
        if self._error is None:
            return self._found
        if isinstance(self._error, LingbotLiveError):
            raise self._error
        text = f"{self._scheme}: {type(self._error).__name__}: {self._error}"
        raise CameraError(text) from self._error

    def _ask(self, stop: threading.Event) -> None:
        self._found = _checked(self._scheme, self._discover())
        self.is_answered.set()

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self.is_answered.set()


_open: dict[str, _Question] = {}  # those that had no answer in time, by scheme


def ask(scheme: str, discover: Callable[[], object]) -> list[CameraInfo]:
    """Return what ``discover`` lists, within `LIMIT_S`; at once where it still hangs from before.

    Raises:
        LingbotLiveError: it raised, hangs, or lists something else than cameras.
    """
    question, limit_s = _open.pop(scheme, None), 0.0
    if question is None:
        question, limit_s = _Question(scheme, discover), LIMIT_S
    try:
        return question.answer(limit_s)
    finally:
        if not question.is_answered.is_set():
            _open[scheme] = question


def _checked(scheme: str, answer: object) -> list[CameraInfo]:
    if not isinstance(answer, list | tuple):
        raise CameraError(f"{scheme}: its driver lists {answer!r}, which is no list of cameras")
    for info in answer:
        if not isinstance(info, CameraInfo) or not all(
            isinstance(text, str) for text in (info.driver, info.target, info.name, info.serial)
        ):
            raise CameraError(f"{scheme}: its driver lists {info!r}, which is no camera")
    return list(answer)
