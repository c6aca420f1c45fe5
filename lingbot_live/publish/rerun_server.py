"""A child that runs Rerun's server and ends it with us: ``python -m ... ADDRESS PORT``.

It ends when its input does, which is also so when the app was killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import psutil

_MEMORY = "256MiB"  # kept for viewers that come later
_NONE = subprocess.DEVNULL
_RERUN = (sys.executable, "-m", "rerun_cli")


def main(address: str, port: str) -> int:
    """Run the server; returns its exit status."""
    # Its settings lie in our empty folder: the user's stay as they are, and nothing is sent home.
    os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = os.getcwd()
    subprocess.run(
        [*_RERUN, "analytics", "disable"], check=True, stdin=_NONE, stdout=_NONE
    )  # fmt: skip
    server = subprocess.Popen(
        [*_RERUN, "--serve-grpc", "--bind", address, "--port", port,
         "--server-memory-limit", _MEMORY],
        stdin=_NONE, stdout=_NONE,
    )  # fmt: skip
    threading.Thread(target=_end_with_input, args=(server.pid,), daemon=True).start()
    return server.wait()


def _end_with_input(process: int) -> None:
    sys.stdin.buffer.read()
    parent = psutil.Process(process)
    for server in (*parent.children(recursive=True), parent):
        server.kill()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
