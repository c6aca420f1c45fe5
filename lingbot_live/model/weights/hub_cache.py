"""Weights that Hugging Face's own library has on this machine already."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lingbot_live.model.weights.zoo import FILE_NAMES, hub_id
from lingbot_live.system.worker import IMPORTS


def in_huggingface_cache(name: str) -> Path | None:
    """Return a model's file in Hugging Face's own cache, None where it is not there."""
    if not huggingface_folder(hub_id(name)).is_dir():
        return None  # without the import, which takes a second
    with IMPORTS:
        from huggingface_hub import try_to_load_from_cache

    for file_name in FILE_NAMES:
        found = try_to_load_from_cache(hub_id(name), file_name)
        if isinstance(found, str):
            return Path(found)
    return None


def huggingface_folder(repo: str) -> Path:
    """Return where Hugging Face's own cache keeps a model (its documented layout and variables)."""
    imported = sys.modules.get("huggingface_hub.constants")
    if imported is not None:
        root = str(imported.HF_HUB_CACHE)
    else:
        environ = os.environ
        home = environ.get("HF_HOME") or os.path.join(
            environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
        )
        root = (
            environ.get("HF_HUB_CACHE")
            or environ.get("HUGGINGFACE_HUB_CACHE")
            or os.path.join(home, "hub")
        )
    return Path(os.path.expandvars(root)).expanduser() / f"models--{repo.replace('/', '--')}"
