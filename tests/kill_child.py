"""Records two cameras until it is killed, and notes each frame in a journal as it comes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CAMERAS = {"left": 0, "right": 1}  # with their seeds


def main(folder: Path) -> None:
    from sessions import NoisyCamera, create_half

    from lingbot_live.frame import Frame
    from lingbot_live.pipeline.session import Session
    from lingbot_live.recording.recorder import Recorder

    cameras = [NoisyCamera(n, 100_000, period_s=0.02, seed=s) for n, s in CAMERAS.items()]
    session = Session([(c.info.address, lambda c=c: c) for c in cameras], create_half)
    journal = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(name: str, item: object) -> None:
        if isinstance(item, Frame):
            os.write(journal, f"{name} {item.index} {item.timestamp_ns}\n".encode())

    recorder = Recorder(folder / "a.mcap")
    recorder.start(session)
    session.add_tap(note)
    session.start()
    session.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
