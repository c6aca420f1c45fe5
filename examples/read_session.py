"""Read a session in NumPy: how far the refined depth is from the raw, frame by frame."""

import sys

import numpy as np

from lingbot_live.recording import Recording

with Recording(sys.argv[1]) as recording:
    arrays = recording.to_numpy(frames=slice(0, 10))
    raw_m, refined_m = arrays["depth_m"], arrays.get("refined_m")
    print(f"{len(raw_m)} frames of {raw_m.shape[2]}x{raw_m.shape[1]}, {recording.duration_s:.1f} s")
    if refined_m is not None:
        both = (raw_m > 0) & (refined_m > 0)
        print(f"median change {1000 * np.median(np.abs(refined_m - raw_m)[both]):.1f} mm")
    for event in recording.events:
        print(event.kind, event.text)
