"""One network by PyTorch, onnxruntime and OpenVINO on this CPU, in turns, with how far each is off.

    python -m bench.runtimes MODEL.pt [TOKENS]

Needs ``pip install onnx onnxscript onnxruntime openvino nncf``; what is missing is a line. int8 is
NNCF's quantization after training, calibrated on eight made-up scenes; bf16 where the processor has
it (AMX or AVX512-BF16).
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lingbot_live.errors import ConfigError
from lingbot_live.model.network import LingBotDepth
from lingbot_live.model.onnx_export import FixedNetwork, apart, export, sample
from lingbot_live.model.onnx_run import OnnxSession
from lingbot_live.model.preprocess import token_grid
from lingbot_live.system.compiler import check_compiler

Depth = npt.NDArray[Any]
Run = Callable[[], Depth]
ROUNDS = 5


def compiled_run(path: Path, tokens: int) -> Run | str:
    try:
        check_compiler(on_gpu=False)
    except ConfigError as error:
        return str(error)
    return torch_run(path, tokens, compiled=True)


def torch_run(path: Path, tokens: int, compiled: bool = False) -> Run:
    network = LingBotDepth.load(path)
    grid = token_grid(640, 480, tokens)
    fixed = FixedNetwork(network, network.tables(grid, 640 / 480), torch.float32).eval()
    inputs, call = sample(grid), torch.compile(fixed) if compiled else fixed

    @torch.inference_mode()
    def run() -> Depth:
        return call(*inputs)[0].numpy()

    return run


def openvino_runs(file: Path, tokens: int) -> dict[str, Run | str]:
    missing = [name for name in ("openvino", "nncf") if importlib.util.find_spec(name) is None]
    if "openvino" in missing:
        return {"OpenVINO": "not installed"}
    import openvino

    core, inputs = openvino.Core(), [x.numpy() for x in sample(token_grid(640, 480, tokens))]
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    model = core.read_model(file)

    def compiled(what: Any, precision: str) -> Run:
        made = core.compile_model(what, "CPU", {"INFERENCE_PRECISION_HINT": precision})
        return lambda: made(inputs)[0]

    runs: dict[str, Run | str] = {"OpenVINO fp32": compiled(model, "f32")}
    has_bf16 = "BF16" in able
    runs["OpenVINO bf16"] = compiled(model, "bf16") if has_bf16 else "not run: this CPU has none"
    runs["OpenVINO int8"] = "nncf is not installed"
    if not missing:
        runs["OpenVINO int8"] = compiled(_quantized(model, inputs), "f32")
    return runs


def _quantized(model: Any, inputs: list[Depth]) -> Any:
    import nncf

    rng = np.random.default_rng(0)
    scenes = [[rng.permuted(inputs[0], axis=3), *inputs[1:]] for _ in range(8)]
    return nncf.quantize(
        model, nncf.Dataset(scenes), model_type=nncf.ModelType.TRANSFORMER, subset_size=8
    )


def main(model: str, tokens: int = 300) -> None:
    path = Path(model)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        export(path, file, tokens)
        session, scene = OnnxSession(file, "cpu"), sample(token_grid(640, 480, tokens))
        runs: dict[str, Run | str] = {
            "PyTorch fp32": torch_run(path, tokens),
            "torch.compile fp32": compiled_run(path, tokens),
            "onnxruntime fp32": lambda: session.run(*scene).depth.numpy(),
            **openvino_runs(file, tokens),
        }
        _tell(runs)


def _tell(runs: dict[str, Run | str]) -> None:
    able = {name: run for name, run in runs.items() if not isinstance(run, str)}
    found = {name: run() for name, run in able.items()}
    times: dict[str, list[float]] = {name: [] for name in able}
    for _ in range(ROUNDS):
        for name, run in able.items():
            started = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - started) * 1e3)
    reference = np.exp(found["PyTorch fp32"])
    print(f"{'':<20}{'median ms':>10}{'median off':>12}{'99.9 % off':>12}")
    for name, run in runs.items():
        if isinstance(run, str):
            print(f"{name:<20}{run}")
            continue
        ours = np.exp(found[name])
        off = [apart(ours, reference, share) for share in (0.5, 0.999)]
        print(f"{name:<20}{statistics.median(times[name]):>10.1f}{off[0]:>12.1e}{off[1]:>12.1e}")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
