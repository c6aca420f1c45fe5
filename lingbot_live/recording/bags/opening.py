"""Opens recordings of other programs: MCAP, ROS 1 bags, files and folders of rosbag2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from lingbot_live.errors import BadRecordingError, CorruptRecordingError, RecordingError
from lingbot_live.recording.bags import unpack
from lingbot_live.recording.bags.files import BAG, MCAP, PACKED, SQLITE, kind
from lingbot_live.recording.bags.joined import JoinedSource, UnpackedSource
from lingbot_live.recording.foreign.mcap_source import McapSource
from lingbot_live.recording.foreign.messages import MessageSource
from lingbot_live.recording.mcap.reader import MessageReader


def plain(path: Path, closing: ExitStack) -> Path:
    """Return a file that can be read at any place: itself, or a copy without Zstandard.

    Raises:
        RecordingError: it cannot be unpacked.
        OSError: it cannot be read.
    """
    if path.suffix.lower() not in PACKED:
        return path
    copy = unpack.Unpacked(path)
    closing.callback(copy.close)
    return copy.path


def open_mcap(files: Sequence[Path], closing: ExitStack) -> MessageReader | None:
    """Open a recording that is one MCAP file; None where it is something else.

    Raises:
        RecordingError, OSError: it cannot be read.
    """
    if len(files) != 1 or kind(files[0]) != MCAP:
        return None
    reader = MessageReader(plain(files[0], closing))
    closing.callback(reader.close)
    return reader


def open_source(
    files: Sequence[Path], reader: MessageReader | None, closing: ExitStack
) -> MessageSource:
    """Return the messages of a recording's files, or of the one that `open_mcap` opened.

    Raises:
        RecordingError, OSError: one of them is no recording, or cannot be read.
    """
    if reader is not None:
        return UnpackedSource(_joined([McapSource(reader)]))
    return UnpackedSource(_joined([_open_file(plain(file, closing), closing) for file in files]))


def _joined(parts: Sequence[MessageSource]) -> MessageSource:
    """Return parts as one source, in which each topic is one channel.

    A topic has several where files were merged, a node was restarted, or two nodes published it.
    """
    topics = [(c.topic, c.schema, c.encoding) for part in parts for c in part.channels]
    return parts[0] if len(parts) == 1 and len(set(topics)) == len(topics) else JoinedSource(parts)


def _open_file(path: Path, closing: ExitStack) -> MessageSource:
    make = _SOURCES.get(path.suffix.lower())
    if make is None:
        raise RecordingError(f"{path}: what {path.suffix!r} files hold is not known")
    try:
        source = make(path)
    except BadRecordingError as error:
        raise CorruptRecordingError(str(error)) from error
    closing.callback(source.close)
    return source


def _mcap(path: Path) -> MessageSource:
    return McapSource(MessageReader(path))


def _sqlite(path: Path) -> MessageSource:
    from lingbot_live.recording.bags.sqlite import SqliteSource

    return SqliteSource(path)


def _rosbag1(path: Path) -> MessageSource:
    from lingbot_live.recording.bags.rosbag1_source import Rosbag1Source

    return Rosbag1Source(path)


_SOURCES: dict[str, Callable[[Path], MessageSource]] = {
    MCAP: _mcap,
    SQLITE: _sqlite,
    BAG: _rosbag1,
}
