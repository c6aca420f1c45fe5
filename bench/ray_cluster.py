"""``python -m bench.ray_cluster SESSION...``: two Ray nodes here, one killed in the middle.

Refines with one worker and with two, in turns; then with two nodes of which one, and later the
driver, is killed; and compares all results with those of one process. Prints what each took.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from lingbot_live.recording.recording import Recording

PORT = 6391
ROUNDS = 2
KINDS = ("one0", "two0", "killed")
_PARTS = ("raylet", "gcs_server", "ray/dashboard", "ray/_private", "ray::", "ray/autoscaler")
RAY = Path(sys.executable).with_name("ray")


def _node(*arguments: str) -> None:
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    command = [os.environ.get("RAY_COMMAND", str(RAY)), "start", "--num-cpus=1", *arguments]
    command += ["--object-store-memory=80000000"]
    # In a session of its own: Linux shares processors out by session, as if it were a machine.
    subprocess.run(
        command, check=True, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )


def _of_ray() -> list[psutil.Process]:
    """All processes of Ray, also those that it left to init."""
    return [
        p for p in psutil.process_iter(["cmdline"]) if "ray" in " ".join(p.info["cmdline"] or ())
    ]


def _end(spared: set[int]) -> None:
    """End the cluster that was started here, and no other."""
    for process in _of_ray():
        is_ours = process.pid not in spared and process.pid != os.getpid()
        if is_ours and any(word in " ".join(process.info["cmdline"]) for word in _PARTS):
            process.kill()


def _raylets() -> list[psutil.Process]:
    found = [p for p in psutil.process_iter(["name", "create_time"]) if p.info["name"] == "raylet"]
    return sorted(found, key=lambda p: p.info["create_time"])


def _command(sessions: list[str], out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "lingbot_live", "refine", *sessions, "-o", str(out), "--refiner",
        "guided", *more,
    ]  # fmt: skip


def _timed(command: list[str]) -> float:
    begun_s = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begun_s


def _parts(out: Path) -> int:
    return len(list(out.glob("*.range*"))) if out.is_dir() else 0


def _wait_for_parts(out: Path, count: int) -> None:
    while _parts(out) < count:
        time.sleep(0.05)


def _same(one: Path, other: Path) -> bool:
    with Recording(one) as a, Recording(other) as b:
        if len(a) != len(b):
            return False
        for row in range(len(a)):
            left, right = a.refined(row), b.refined(row)
            if left is None or right is None or not np.array_equal(left.depth_m, right.depth_m):
                return False
            if not np.array_equal(a[row].depth_raw, b[row].depth_raw):
                return False
        return True


def _wait_for_nodes(address: str, count: int) -> None:
    """Wait until the cluster knows of so many; a killed one it misses after a while."""
    code = (
        "import ray, sys, time; ray.init(address=sys.argv[1], log_to_driver=False)\n"
        "while sum(n['Alive'] for n in ray.nodes()) != int(sys.argv[2]): time.sleep(0.2)"
    )
    command = [sys.executable, "-c", code, address, str(count)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def _in_turns(sessions: list[str], folder: Path, address: str) -> None:
    took: dict[str, list[float]] = {"one": [], "two": []}
    for turn in range(ROUNDS):
        for workers in took:
            if workers == "two":
                _node(f"--address={address}")
            elif turn:
                _raylets()[-1].kill()
            _wait_for_nodes(address, len(took) if workers == "two" else 1)
            out = folder / f"{workers}{turn}"
            took[workers].append(_timed(_command(sessions, out, "--ray", address)))
            print(
                f"{workers}: {took[workers][-1]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True
            )
    ratio = sum(took["one"]) / sum(took["two"])
    print(f"two workers are {ratio:.2f} times as fast as one")


def _killed(sessions: list[str], out: Path, address: str) -> None:
    """A node dies, then the driver; the same command does what is left, and no range twice."""
    driver = subprocess.Popen(_command(sessions, out, "--ray", address))
    _wait_for_parts(out, 2)
    _raylets()[-1].kill()
    print(f"second node killed with {_parts(out)} ranges done")
    _wait_for_parts(out, 4)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.range*.mcap")}
    print(f"driver killed with {len(before)} ranges done")
    again = subprocess.Popen(_command(sessions, out, "--ray", address))
    seen = dict(before)
    while again.poll() is None:
        for path in out.glob("*.range*.mcap"):
            with suppress(FileNotFoundError):  # joined meanwhile
                seen.setdefault(path.name, path.stat().st_mtime_ns)
                if seen[path.name] != path.stat().st_mtime_ns:
                    print(f"{path.name} was done twice")
        time.sleep(0.02)
    print(f"the same command ended with {again.returncode}, {len(seen)} ranges in all")


def main() -> None:
    # Newer Rays let only those in that know a word; one for this run alone.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    sessions = [str(Path(name).absolute()) for name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = folder / "alone"
        alone.mkdir()
        for session in sessions:
            _timed(_command([session], alone / Path(session).name))
        address = f"127.0.0.1:{PORT}"
        before_pids = {process.pid for process in _of_ray()}
        _node("--head", f"--port={PORT}", "--include-dashboard=false")
        try:
            _in_turns(sessions, folder, address)
            _killed(sessions, folder / "killed", address)
        finally:
            _end(before_pids)
        for session in sessions:
            file = Path(session).name
            equal = [_same(alone / file, folder / kind / file) for kind in KINDS]
            print(f"{file}: equal to one process: {equal}")


if __name__ == "__main__":
    main()
