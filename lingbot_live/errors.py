"""Every error the app raises on purpose.

    LingbotLiveError
    ├── ConfigError               a setting or an argument has no valid value
    ├── DriverUnavailableError    the SDK of a make is not installed (carries the install line)
    ├── CameraError               a camera or recording
    │   ├── CameraNotFoundError       no such device or file
    │   ├── CameraBusyError           another program owns it
    │   ├── CameraTimeoutError        no frame in time
    │   ├── CameraDisconnectedError   it was there and is gone
    │   ├── EndOfStreamError          a recording has no more frames
    │   └── BadRecordingError         the file is damaged or not of this kind
    │       └── BadFrameError             one frame of it; the next one may be read
    ├── RefinerError              a refiner failed on a frame or could not start
    │   ├── WeightsError              a checkpoint is missing, damaged or does not fit
    │   │   └── DownloadCancelledError    the user stopped a download
    │   ├── OutOfMemoryError          the device has too little memory
    │   └── NothingRecordedError      the recording holds no refined depth for this frame
    ├── RecordingError            a session file
    │   ├── CorruptRecordingError     damaged beyond what can be read
    │   ├── NoCameraError             another program's file, its topics make no camera
    │   ├── RecordingVersionError     written by a newer version
    │   └── DiskFullError             no space left
    ├── WriteError                a file could not be written: disk full, failing or read-only
    ├── ExportError               an export cannot begin or cannot go on
    │   └── ExportCancelledError      the user stopped it; nothing is left of it
    ├── PublishError              a target of --publish cannot be served, or is lost
    ├── CalibrationError          cameras could not be placed relative to each other
    └── SessionStateError         an operation that the session's state forbids

A message says who, which value, and what to do next::

    try:
        camera = open_camera("realsense:f1234567")
    except LingbotLiveError as error:
        show(str(error))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class LingbotLiveError(Exception):
    """Base of every error raised on purpose; its text is fit for a user."""


class ConfigError(LingbotLiveError):
    """A setting or an argument has no valid value."""


class DriverUnavailableError(LingbotLiveError):
    """A make's SDK cannot be imported; ``install`` is the line that mends it, if one does."""

    def __init__(self, message: str, install: str = "") -> None:
        super().__init__(f"{message} Install it with: {install}" if install else message)
        self.install = install


class CameraError(LingbotLiveError):
    """A camera or a recording played as one failed."""


class CameraNotFoundError(CameraError):
    """No device or file answers to the address."""


class CameraBusyError(CameraError):
    """Another program owns the device."""


class CameraTimeoutError(CameraError):
    """No frame arrived in time; the camera may still deliver later."""


class CameraDisconnectedError(CameraError):
    """The device was streaming and is gone; it may come back."""


class EndOfStreamError(CameraError):
    """A recording has been read to its end."""


class BadRecordingError(CameraError):
    """A file is damaged, empty, or not a recording of this make."""


class BadFrameError(BadRecordingError):
    """One frame of a recording is damaged; reading on is fine."""


class RefinerError(LingbotLiveError):
    """A refiner could not start or failed on a frame."""


class WeightsError(RefinerError):
    """A checkpoint is missing, damaged, or does not fit the network."""


class DownloadCancelledError(WeightsError):
    """A download was stopped on purpose; what has arrived is kept."""


class OutOfMemoryError(RefinerError):
    """The device has too little memory for the asked settings."""


class NothingRecordedError(RefinerError):
    """A recording holds no refined depth for this frame; the next one may have it."""


class RecordingError(LingbotLiveError):
    """A session file could not be written or read."""


class CorruptRecordingError(RecordingError):
    """Nothing can be read from a damaged session file."""


class NoCameraError(RecordingError):
    """Another program's file whose topics make no camera; ``table`` shows them, a line each."""

    def __init__(self, message: str, table: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.table = tuple(table)


class RecordingVersionError(RecordingError):
    """A session file was written by a newer version."""


class DiskFullError(RecordingError):
    """The disk has no space left for the recording."""


class WriteError(LingbotLiveError):
    """A file could not be written; what stood there before is as it was."""


class ExportError(LingbotLiveError):
    """An export cannot begin, or cannot go on."""


class ExportCancelledError(ExportError):
    """An export was stopped on purpose; nothing is left of it."""


class ReconstructionError(LingbotLiveError):
    """No scene can be made of the frames that came."""


class PublishError(LingbotLiveError):
    """Nothing can be sent to a target: its port is taken, its SDK missing, or nobody there."""


class CalibrationError(LingbotLiveError):
    """Too little was seen to say where cameras stand."""


class SessionStateError(LingbotLiveError):
    """The session's state forbids the operation."""


@contextmanager
def blaming(who: str, kind: type[LingbotLiveError]) -> Iterator[None]:
    """Turn what a plug-in should not have raised into a ``kind`` that names it."""
    try:
        yield
    except LingbotLiveError:
        raise
    except Exception as error:
        raise kind(f"{who}: {type(error).__name__}: {error}") from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known word nearest to ``word``, or an empty text."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
