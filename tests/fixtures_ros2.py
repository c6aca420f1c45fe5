"""A ROS 2 camera: a session of ours that publishes, in another process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from lingbot_live.cameras import registry

RUN = (
    "import sys; from lingbot_live.cli.main import obey; sys.exit(obey(['run', *sys.argv[1:], "
    "'--headless', '--size', '160x120', '--fps', '15', '--refiner', 'none', '--duration', '600']))"
)


@contextlib.contextmanager
def ros2_camera(domain: int, *cameras: str):
    """Publish simulated cameras under /robot meanwhile."""
    words = [*cameras, "--publish", "ros2:/robot"]
    child = subprocess.Popen(
        [sys.executable, "-c", RUN, *words], env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert child.stderr is not None
        assert "publishing to ROS 2" in child.stderr.readline()
        yield child
    finally:
        child.kill()
        child.wait()
        child.stderr.close()


@contextlib.contextmanager
def contract_cameras(folder):
    domain = 1 + os.getpid() % 99
    before = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    try:
        with ros2_camera(domain, "synthetic:stereo"):
            yield {
                "published": lambda config: registry.create_camera(
                    "ros2:/robot/synthetic_stereo", config
                )
            }
    finally:
        del os.environ["ROS_DOMAIN_ID"]
        if before is not None:
            os.environ["ROS_DOMAIN_ID"] = before
