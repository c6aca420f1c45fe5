"""``make bench``: run every ``bench_*.py`` (or those named) and print one table."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import tempfile
from pathlib import Path

import bench

Row = tuple[str, float, str, float]  # what, our ms (or as it says), peer, the peer's
# They take minutes: where named.
_ALONE = {
    "window",
    *(f"perception_{n}" for n in ("grasps", "reconstruction", "steady", "tracks", "window")),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # or OpenGL complains between the rows
        _print_table()


def _print_table() -> None:
    wanted = sys.argv[1:]
    names = [module.name for module in pkgutil.iter_modules([str(Path(bench.__file__).parent)])]
    print(f"{'what':<58}{'ours ms':>10}  {'peer':<44}{'peer ms':>10}{'ours/peer':>11}")
    for name in sorted(names):
        short = name.removeprefix("bench_")
        named = any(short == word or short.startswith(f"{word}_") for word in wanted)
        chosen = named if wanted else short not in _ALONE
        if not name.startswith("bench_") or not chosen:
            continue
        rows: list[Row] = importlib.import_module(f"bench.{name}").run()
        for what, ours_ms, peer, peer_ms in rows:
            ratio = f"{ours_ms / peer_ms:.3f}" if peer_ms else "-"
            print(f"{what:<58}{ours_ms:>10.3f}  {peer:<44}{peer_ms:>10.3f}{ratio:>11}", flush=True)


if __name__ == "__main__":
    main()
