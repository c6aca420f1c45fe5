"""One frame of each synthetic camera at 640x480, replayed, against rendering it anew."""

from __future__ import annotations

import numpy as np

from bench.timing import interleaved_ms
from drivers.synthetic.driver import SyntheticCamera, SyntheticDriver
from drivers.synthetic.render import render
from drivers.synthetic.sensors import SENSORS, Observation
from drivers.synthetic.stage import View
from lingbot_live.config import CameraConfig

Row = tuple[str, float, str, float]


def _row(target: str) -> Row:
    driver = SyntheticDriver()
    config = CameraConfig(realtime=False, fps=9e4, seed=1)
    camera = driver.create(driver.find(target), config)
    assert isinstance(camera, SyntheticCamera)
    with camera:
        intrinsics = camera.read(60.0).intrinsics
        assert camera._worker is not None
        camera._worker.request_stop()  # or it renders the other poses beside the timing

        def anew() -> tuple[View, Observation]:
            view = render(0.0, intrinsics)
            assert view is not None
            return view, SENSORS[target].observe(view, np.random.default_rng(0))

        ours, peer = interleaved_ms(lambda: camera.read(60.0), anew, rounds=5)
    return f"synthetic:{target} frame", ours, "ray cast and sensor model anew", peer


def run() -> list[Row]:
    return [_row(target) for target in SENSORS]
