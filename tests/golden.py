"""The reference's own cases: checkpoints with random weights, inputs, outputs."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lingbot_live.model import LingBotDepth


def calls() -> list[Any]:
    folder = os.environ.get("LINGBOT_LIVE_TESTDATA")
    if not folder:
        reason = pytest.mark.skip(reason="LINGBOT_LIVE_TESTDATA is not set")
        return [pytest.param(None, {}, id="golden", marks=reason)]
    return [
        pytest.param(path.parent, call, id=f"{path.parent.name[0]}-{call['name']}")
        for path in sorted(Path(folder, "model", "golden").glob("*/case.json"))
        for call in json.loads(path.read_text())["calls"]
    ]


@functools.lru_cache(maxsize=1)  # pytest runs the calls of a case one after the other
def network(folder: Path) -> LingBotDepth:
    return LingBotDepth.from_pretrained(folder)


def picture(values: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(values).float().div(255).movedim(-1, -3)
