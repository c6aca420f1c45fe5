"""``python -m bench.train_choice``: learn which hypothesis fills a hole; minutes on two cores.

What is learned follows from the synthetic room alone, so the same scenes give the same weights to
the bit. The loss is what the choice costs: the expected relative error of the depth that it fills
in, beside that of the membrane.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bench.choice_scenes import Example, examples
from lingbot_live.frame import Mask, Origin
from lingbot_live.refiners.guided import choice, refiner
from lingbot_live.refiners.guided import holes as grid
from lingbot_live.refiners.guided.choice import HYPOTHESES, Choice
from lingbot_live.refiners.guided.holes import Holes, Table
from lingbot_live.refiners.guided.membrane import pyramid

SCENES = 180
_HIDDEN = 8
_STEPS, _RATE, _DECAY = 1000, 0.01, 1e-3
_DIGITS = 4  # of the weights; coarser than what the order of sums leaves open
_MOST_ERROR = 1.0
_LITTLE = 0.05  # relative error of the membrane below which being worse costs little
_MOST_COST, _CAUTION = 3.0, 1.5  # harm counts so much more than what is gained


def main(arguments: Sequence[str] | None = None) -> None:
    output = Path(choice.__file__).with_name("choice.json")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=output)
    parser.add_argument("--scenes", type=int, default=SCENES)
    asked = parser.parse_args(arguments)
    features, errors, pixels = table(range(asked.scenes))
    made = train(features, errors, pixels)
    asked.output.write_text(written(made), "utf-8")
    print(f"{len(features)} holes of {asked.scenes} scenes; {asked.output}")
    print(report(made, features, errors, pixels))


def table(scenes: range) -> tuple[Table, Table, Table]:
    """Return features (N, F), errors by hypothesis (N, 3) and pixels (N,) of all holes."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        rows = [row for scene in pool.map(_scene, scenes) for row in scene]
    features, errors, pixels = (np.concatenate(part) for part in zip(*rows, strict=True))
    return features, errors, pixels


def _scene(number: int) -> list[tuple[Table, Table, Table]]:
    return [measured(example) for example in examples(number)]


def measured(example: Example) -> tuple[Table, Table, Table]:
    """Return features, errors by hypothesis and pixels of an example's holes."""
    log, known, sparse = refiner.completed(example.color, example.depth_raw, 0.001)
    found = None if sparse else grid.find(pyramid(example.color), pyramid(known.astype(np.float32)))
    if found is None:
        return np.zeros((0, grid.FEATURES)), np.zeros((0, len(HYPOTHESES))), np.zeros(0)
    holes = grid.guess(found, log, known)
    truth = example.truth_m
    size = truth.shape[::-1]
    labels = cv2.resize(found.labels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    labels *= ~known & (truth > 0)
    pixels = np.bincount(labels.ravel(), minlength=found.count + 1)[1:].astype(np.float64)
    errors = []
    for kind in range(len(HYPOTHESES)):
        guess_m = np.exp(-filled(holes, log, known, kind))
        error = np.minimum(np.abs(guess_m - truth) / np.maximum(truth, 1e-3), _MOST_ERROR)
        total = np.bincount(labels.ravel(), error.ravel(), found.count + 1)[1:]
        errors.append(total / np.maximum(pixels, 1))
    some = pixels > 0
    return grid.features(holes)[some], np.stack(errors, -1)[some], pixels[some]


def filled(
    holes: Holes, log: npt.NDArray[np.float32], known: Mask, kind: int
) -> npt.NDArray[np.float32]:
    """Return the log of inverse depth with one hypothesis in all holes."""
    guess = log.copy()
    origin = np.where(known, np.uint8(Origin.MEASURED), np.uint8(Origin.COMPLETED))
    certain = np.zeros((holes.outlines.count, len(HYPOTHESES)))
    certain[:, kind] = 1
    choice.fill(holes, certain, guess, origin)
    return guess


def train(features: Table, errors: Table, pixels: Table) -> Choice:
    """Fit the network by gradient descent (Adam) on the expected cost of its choice."""
    cost = np.clip((errors - errors[:, :1]) / (errors[:, :1] + _LITTLE), -1, _MOST_COST)
    cost[cost > 0] *= _CAUTION
    weight = np.sqrt(pixels)
    cost *= (weight / weight.sum())[:, None]
    mean, spread = features.mean(0), features.std(0) + 1e-6
    x = np.clip((features - mean) / spread, -4, 4)
    rng = np.random.default_rng(0)
    shapes = ((x.shape[1] + 1, _HIDDEN), (_HIDDEN + 1, len(HYPOTHESES)))
    parameters = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in shapes]
    moments = [(np.zeros(shape), np.zeros(shape)) for shape in shapes]
    for step in range(1, _STEPS + 1):
        slopes = _slopes(x, cost, parameters)
        rate = _RATE * (1 - step / (_STEPS + 1))
        for parameter, slope, (first, second) in zip(parameters, slopes, moments, strict=True):
            first += 0.1 * (slope - first)
            second += 0.001 * (slope**2 - second)
            unbiased = first / (1 - 0.9**step), second / (1 - 0.999**step)
            parameter -= rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    return Choice(*(np.round(part, _DIGITS) for part in (mean, spread, *parameters)))


def _slopes(x: Table, cost: Table, parameters: list[Table]) -> list[Table]:
    """Return the gradients of the expected cost."""
    hidden, output = parameters
    inner = np.tanh(x @ hidden[:-1] + hidden[-1])
    score = inner @ output[:-1] + output[-1]
    power = np.exp(score - score.max(1, keepdims=True))
    p = power / power.sum(1, keepdims=True)
    d_score = p * (cost - (p * cost).sum(1, keepdims=True))
    d_inner = (d_score @ output[:-1].T) * (1 - inner**2)
    slopes = [
        np.concatenate([x.T @ d_inner, d_inner.sum(0, keepdims=True)]),
        np.concatenate([inner.T @ d_score, d_score.sum(0, keepdims=True)]),
    ]
    return [s + _DECAY * part / len(part) for s, part in zip(slopes, parameters, strict=True)]


def written(made: Choice) -> str:
    """Return the network as it is kept in the package."""
    parts = {name: getattr(made, name).tolist() for name in ("mean", "spread", "hidden", "output")}
    return json.dumps(parts).replace("], ", "],\n") + "\n"


def report(made: Choice, features: Table, errors: Table, pixels: Table) -> str:
    """Return how good the choice is on these holes, beside the membrane and the best possible."""
    p = made.probabilities(features)
    chosen = np.where(p.max(1) > choice.SURE, p.argmax(1), 0)
    found = (errors[:, 0], errors[np.arange(len(p)), chosen], errors.min(1))
    total = [(error * pixels).sum() / pixels.sum() for error in found]
    counts = np.bincount(chosen, minlength=len(HYPOTHESES)).tolist()
    text = "mean relative error: completed {:.4f}, chosen {:.4f}, best {:.4f}; chosen {}"
    return text.format(*total, counts)


if __name__ == "__main__":
    main()
