"""What torch.compile needs besides PyTorch, and whether it is here."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path

from lingbot_live.errors import ConfigError

_COMPILERS = ("g++", "clang++", "c++", "cl")


def check_compiler(on_gpu: bool) -> None:
    """Raise ConfigError, with what is missing, unless torch.compile can work."""
    missing = missing_compiler(on_gpu)
    if missing:
        raise ConfigError(f"--compile: {missing}; or leave out --compile")


def missing_compiler(on_gpu: bool) -> str:
    """Return what torch.compile misses here and how to get it; empty for nothing."""
    if on_gpu:
        found = importlib.util.find_spec("triton")
        return "" if found else "torch.compile needs triton for a GPU: pip install triton"
    if not any(map(shutil.which, (os.environ.get("CXX", "g++"), *_COMPILERS))):
        return "torch.compile needs a C++ compiler, and none is here: apt install g++"
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        return f"torch.compile needs {header}, which is not here: apt install python3-dev"
    return ""
