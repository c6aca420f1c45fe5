"""The published checkpoints of LingBot-Depth, and what a model is called."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lingbot_live.errors import WeightsError, did_you_mean
from lingbot_live.model.weights.files import cache_folder

FILE_NAMES = ("model.pt", "model.safetensors")
ANY_WEIGHTS = "LINGBOT_LIVE_ANY_WEIGHTS"  # set by the option --any
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Published:
    """A published checkpoint; a file with another ``sha256`` is not taken unasked."""

    name: str
    huggingface: str
    modelscope: str
    purpose: str
    licence: str = "Apache-2.0"
    sha256: str = ""


def _robbyant(name: str, repo: str, purpose: str, sha256: str = "") -> Published:
    return Published(name, f"robbyant/{repo}", f"Robbyant/{repo}", purpose, sha256=sha256)


ZOO = (
    _robbyant(
        "v0.5",
        "lingbot-depth-pretrain-vitl-14-v0.5",
        "depth refinement, recommended",
        "b60cf27ddbd0e51e9b59b03475c0d39d02d2e48ecf8dbb5866f04d46802b3c23",
    ),
    _robbyant("v0.1", "lingbot-depth-pretrain-vitl-14", "depth refinement, first release"),
    _robbyant("dc", "lingbot-depth-postrain-dc-vitl14", "completion of sparse depth"),
    _robbyant("dc-v0.5", "lingbot-depth-postrain-dc-vitl14-v0.5", "completion of sparse depth"),
)
RECOMMENDED = ZOO[0].name


def takes_any() -> bool:
    """Whether other weights than the published are taken under a published name."""
    return bool(os.environ.get(ANY_WEIGHTS))


def published(name: str) -> Published | None:
    """Return the published checkpoint of a short name or a hub id, if it is one."""
    for entry in ZOO:
        if name == entry.name or name.lower() == entry.huggingface:
            return entry
    return None


def hub_id(name: str) -> str:
    """Return the Hugging Face id of a short name or an id.

    Raises:
        WeightsError: it is neither.
    """
    entry = published(name)
    if entry:
        return entry.huggingface
    if HUB_ID.fullmatch(name):
        return name
    names = [entry.name for entry in ZOO]
    raise WeightsError(
        f"no model is called {name!r}.{did_you_mean(name, names)} Known: {', '.join(names)}; or "
        "give the ORG/NAME of a model on Hugging Face, or the path of a checkpoint"
    )


def model_folder(name: str) -> Path:
    """Return the folder where a model's file lies or belongs."""
    return cache_folder() / "models" / hub_id(name).lower().replace("/", "--")
