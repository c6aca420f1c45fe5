"""How PyTorch and the hub's library come into a process whose window must not stand still."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lingbot_live.model.weights import store


def in_a_new_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, env=environment or None,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/maps")
def test_libraries_come_without_the_import_and_modules_are_out_of_the_collectors_sight():
    out = in_a_new_python(
        "import gc, pathlib, sys\n"
        "from lingbot_live.model import create\n"
        "assert 'torch' not in sys.modules\n"
        "create._load_libraries()\n"
        "print('libtorch_python' in pathlib.Path('/proc/self/maps').read_text())\n"
        "print('torch' in sys.modules)\n"
        "create.import_torch()\n"
        "print('torch' in sys.modules, gc.isenabled(), gc.get_freeze_count() > 10_000)\n"
        "import torch\n"
        "print(float(torch.ones(3, 3).matmul(torch.ones(3, 1)).sum()))\n"
    )
    assert out.split() == ["True", "False", "True", "True", "True", "9.0"]


def test_asking_what_is_here_imports_no_library_of_a_hub(tmp_path: Path):
    out = in_a_new_python(
        "import sys\nfrom lingbot_live.model.weights import store\n"
        "print([status.state for status in store.known()])\n"
        "print('huggingface_hub' in sys.modules)\n",
        LINGBOT_LIVE_CACHE=str(tmp_path), HF_HOME=str(tmp_path / "hf"),
    )  # fmt: skip
    assert out.splitlines() == [str(["absent"] * len(store.ZOO)), "False"]


@pytest.mark.parametrize(
    ("environment", "hub"),
    [
        ({"HF_HUB_CACHE": "/a/hub"}, "/a/hub"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
    ],
)
def test_hugging_faces_cache_is_where_its_library_puts_it(environment, hub):
    code = (
        "from lingbot_live.model.weights import hub_cache\n"
        "guessed = hub_cache.huggingface_folder('org/name')\n"
        "import huggingface_hub.constants\n"
        "print(guessed == hub_cache.huggingface_folder('org/name'), guessed)\n"
    )
    assert in_a_new_python(code, **environment).split() == ["True", f"{hub}/models--org--name"]
