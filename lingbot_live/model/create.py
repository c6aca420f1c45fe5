"""Entry point of ``lingbot``, and the import of PyTorch that lets the other threads go on.

An import holds Python's lock: while the dynamic linker reads PyTorch's libraries (0.3 to 0.5 s),
and while the garbage collector walks the half million objects that came (0.2 s). A window would
stand still so long.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lingbot_live.system.worker import IMPORTS

if TYPE_CHECKING:
    from lingbot_live.config import RefinerConfig
    from lingbot_live.refiners.base import Refiner

log = logging.getLogger(__name__)


def create_lingbot(config: RefinerConfig) -> Refiner:
    """Make the refiner; says what `lingbot_live.model.lingbot.create_lingbot` says."""
    import_torch()
    with IMPORTS:
        from lingbot_live.model import lingbot

    return lingbot.create_lingbot(config)


def import_torch() -> None:
    """Import PyTorch without holding up other threads longer than need be."""
    with IMPORTS:
        if "torch" not in sys.modules:
            _import_torch()


def _import_torch() -> None:
    if sys.platform.startswith("linux"):
        _load_libraries()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        gc.freeze()  # modules stay: no collection need look at them again
        if was_enabled:
            gc.enable()


def _load_libraries() -> None:
    """Load PyTorch's libraries by a call that gives up Python's lock, as its import does not.

    The order is that of PyTorch itself. Where it fails, the import loads them, or tells why not.
    """
    spec = importlib.util.find_spec("torch")
    try:
        dlopen = ctypes.CDLL(None).dlopen
    except (AttributeError, OSError) as error:
        log.debug("no dlopen: %s", error)
        return
    if spec is None or spec.origin is None:
        return
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    folder = Path(spec.origin).parent / "lib"
    for name, scope in (
        ("libtorch_global_deps.so", os.RTLD_GLOBAL),
        ("libtorch_python.so", os.RTLD_LOCAL),
    ):
        if (folder / name).is_file():
            dlopen(os.fsencode(folder / name), os.RTLD_NOW | scope)
