"""Record sixty frames of a camera with their refined depth, without a window."""

import sys
from pathlib import Path

from lingbot_live.config import RefinerConfig
from lingbot_live.recording.recorder import Recorder
from lingbot_live.session import Session

path = Path(sys.argv[1] if len(sys.argv) > 1 else "example.mcap")
recorder = Recorder(path)
session = Session.of(["synthetic:stereo"], RefinerConfig("guided"))
recorder.start(session)
session.start(max_frames=60)
session.wait()
recorder.marker("the end")
files = recorder.stop()
session.stop()
print(f"wrote {files[0]}: {files[0].stat().st_size / 1e6:.1f} MB")
