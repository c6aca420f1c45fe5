"""Which of the hypotheses fills each hole: a tiny network decides, from `holes.features`.

It has one hidden layer and is learned by ``python -m bench.train_choice``. Where it does not
clearly prefer another hypothesis, the membrane's completion stays, to the bit.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources

import cv2
import numpy as np

from lingbot_live.frame import Mask, Origin, OriginMap
from lingbot_live.refiners.guided import holes as grid
from lingbot_live.refiners.guided.holes import Holes, Outlines, Table
from lingbot_live.refiners.guided.membrane import Plane

HYPOTHESES = (Origin.COMPLETED, Origin.STANDING, Origin.CONTINUED)
# Probability up to which completion stays, and from which it does not. A choice that is hardly
# made flickers.
UNSURE, SURE = 0.9, 0.995
_NEIGHBOURS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Choice:
    """The learned network: F features, H hidden units, a probability for each hypothesis."""

    mean: Table  # (F,) of the features
    spread: Table  # (F,)
    hidden: Table  # (F + 1, H), the last row the bias
    output: Table  # (H + 1, 3)

    def probabilities(self, features: Table) -> Table:
        """Return the probability of each of `HYPOTHESES`, (N, 3), for (N, F) features."""
        scaled = np.clip((features - self.mean) / self.spread, -4, 4)
        inner = np.tanh(scaled @ self.hidden[:-1] + self.hidden[-1])
        score = inner @ self.output[:-1] + self.output[-1]
        power = np.exp(score - score.max(1, keepdims=True))
        return np.asarray(power / power.sum(1, keepdims=True))


@functools.cache
def learned() -> Choice:
    """Return the network that comes with the package."""
    text = (resources.files(__package__) / "choice.json").read_text("utf-8")
    return Choice(**{name: np.array(values) for name, values in json.loads(text).items()})


def choose(outlines: Outlines | None, log: Plane, known: Mask, through: bool = False) -> OriginMap:
    """Fill holes by what the network prefers, in place; return what filled each pixel, (H, W).

    Args:
        outlines: the holes.
        log: (H, W) log of inverse depth, completed.
        known: (H, W) where it was measured.
        through: whether glass is looked for, through which the background was measured.
    """
    origin = origin_of(known)
    if outlines is not None:
        holes = grid.guess(outlines, log, known)
        fill(holes, learned().probabilities(grid.features(holes)), log, origin, through)
    return origin


def origin_of(known: Mask) -> OriginMap:
    """Return what fills each pixel (H, W) where nothing but the membrane does."""
    return np.asarray((~known).view(np.uint8) * np.uint8(Origin.COMPLETED))


def fill(
    holes: Holes, probabilities: Table, log: Plane, origin: OriginMap, through: bool = False
) -> None:
    """Put the likeliest hypothesis into each hole, in place, as far as it is sure.

    Args:
        holes: N of them.
        probabilities: (N, 3) of `HYPOTHESES`.
        log: (H, W) log of inverse depth.
        origin: (H, W) that of each pixel.
        through: whether it may replace what was measured inside the hole.
    """
    best = probabilities.argmax(1)
    sure = np.clip((probabilities.max(1) - UNSURE) / (SURE - UNSURE), 0, 1) * (best > 0)
    if not sure.any():
        return
    weight = np.append(0, sure).astype(np.float32)[holes.outlines.labels]
    kind = np.append(0, best).astype(np.uint8)[holes.outlines.labels] * (weight > 0)
    guess = np.where(kind == 1, holes.standing, holes.continued)
    # A hole's edge runs through cells that count as measured.
    guess, weight = _outwards(guess, weight > 0), cv2.dilate(weight, _NEIGHBOURS)
    size = log.shape[::-1]
    free = origin == Origin.COMPLETED
    if through:
        free |= cv2.resize(kind, size, interpolation=cv2.INTER_NEAREST) > 0
    kind = cv2.resize(cv2.dilate(kind, _NEIGHBOURS), size, interpolation=cv2.INTER_NEAREST)
    at = np.flatnonzero((kind > 0) & free)
    weight = cv2.resize(weight, size, interpolation=cv2.INTER_NEAREST).ravel()[at]
    guess = cv2.resize(guess, size, interpolation=cv2.INTER_LINEAR).ravel()[at]
    log.ravel()[at] += weight * (guess - log.ravel()[at])
    origin.ravel()[at] = np.array(HYPOTHESES, np.uint8)[kind.ravel()[at]]


def _outwards(guess: Plane, inside: Mask) -> Plane:
    """Continue a guess two cells beyond where it holds."""
    share = inside.astype(np.float32)
    around = cv2.blur(guess * share, (5, 5)) / np.maximum(cv2.blur(share, (5, 5)), np.float32(1e-3))
    return np.where(inside, guess, around)
