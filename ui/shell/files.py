"""Where the window's files go, which ones it opens, and how recordings are written; remembered."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from lingbot_live.errors import ConfigError
from lingbot_live.recording.bags.files import is_bag_folder
from lingbot_live.recording.format import expand_name
from lingbot_live.recording.state import RecorderOptions, parse_split
from ui.shell.language import phrase
from ui.shell.settings import Settings

RECORDINGS = phrase("Recordings (*.bag *.db3 *.mkv *.mcap *.zstd *.zst);;All files (*)")
OUTPUT_FOLDER = Path.home() / "lingbot-live"  # until the user names another


@dataclass(frozen=True, slots=True)
class RecordChoices:
    """What the user chose. Empty folders mean `OUTPUT_FOLDER`; an empty split means one file."""

    folder: str = ""
    name: str = "{date}_{time}_{camera}"
    snapshots: str = ""
    lossless: bool = False
    quality: int = 95
    raw_only: bool = False
    split: str = ""
    pre_trigger: int = 0  # seconds
    color: str = "jpeg"

    @classmethod
    def load(cls, settings: Settings) -> RecordChoices:
        """Return what is remembered, the defaults where that is senseless."""
        found = {field.name: settings.text(f"record_{field.name}") for field in fields(cls)}
        choices = cls(
            folder=found["folder"],
            name=found["name"] or cls().name,
            snapshots=found["snapshots"],
            lossless=found["lossless"] == "True",
            quality=_whole(found["quality"], cls().quality),
            raw_only=found["raw_only"] == "True",
            split=found["split"],
            pre_trigger=_whole(found["pre_trigger"], cls().pre_trigger),
            color=found["color"] or cls().color,
        )
        return choices if not choices.fault else cls()

    def save(self, settings: Settings) -> None:
        """Remember."""
        for field in fields(self):
            settings.set_text(f"record_{field.name}", str(getattr(self, field.name)))

    def options(self) -> RecorderOptions:
        """Return what the recorder is told. Raises ConfigError where a choice is senseless."""
        size, seconds = parse_split(self.split) if self.split else (None, None)
        return RecorderOptions(
            refined=not self.raw_only,
            lossless=self.lossless,
            quality=self.quality,
            split_bytes=size,
            split_s=seconds,
            pre_trigger_s=self.pre_trigger,
            color=self.color,
        )

    def path(self, camera: str, now: datetime) -> Path:
        """Return the file of a recording begun now. Raises ConfigError for a wrong template."""
        return self.recordings / expand_name(self.name, camera, now)

    @property
    def recordings(self) -> Path:
        """The folder they go to."""
        return folder_or_default(self.folder)

    @property
    def fault(self) -> str:
        """What is wrong with the choices; empty if nothing is."""
        try:
            self.options()
            self.path("camera", datetime.now())
        except ConfigError as error:
            return str(error)
        return ""


def _whole(text: str, default: int) -> int:
    return int(text) if text.isdecimal() else default


def short_name(address: str) -> str:
    """Return a file's or folder's name in place of its address; what is no file as it is."""
    scheme, colon, target = address.partition(":")
    path = target if colon and len(scheme) > 1 else address
    return Path(path).name if "/" in path or "\\" in path else address


def folder_or_default(named: str) -> Path:
    """Return a folder the user named, or the default one."""
    return Path(named).expanduser() if named else OUTPUT_FOLDER


def address_of(path: Path) -> str:
    """Return the address of a file, of a folder of pictures, or of one that rosbag2 wrote."""
    if not path.is_dir():
        return str(path)
    return f"{'session' if is_bag_folder(path) else 'folder'}:{path}"
