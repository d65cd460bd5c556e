"""The edge network's loss and data: crops of scenes, augmented like photographs, and soft lines.

Shapes: B batch, K scales, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pipeline.arrays import Pixels
from training.embedded.scenes.arrays import SceneArrays, step_rng
from training.embedded.scenes.noise import pink
from training.styles.edges import EdgeNetwork, to_network

Floats = NDArray[np.floating]

SCENE_SIDE = 256  # crops show it at up to this enlargement: see CROP
CROP = 96
SOFTNESS = 1.0  # standard deviation of a line's profile in pixels
THIN_LINE = 1.6  # so that the softened ridge of a line one pixel wide still has most of its ink


def soft_boundaries(line_art: Pixels) -> Floats:
    """Soften line art: uint8 (S, S), 255 = paper -> share of a boundary, float32 (S, S)."""
    ink = 1 - line_art.astype(np.float32) / 255
    return np.clip(THIN_LINE * cv2.GaussianBlur(ink, (0, 0), SOFTNESS), 0, 1)


def crop(scenes: SceneArrays, row: int, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Cut a square of a scene at a random scale, turned or mirrored.

    Returns:
        Its picture, uint8 (CROP, CROP, 3), and its line art, uint8 (CROP, CROP).
    """
    whole = scenes.images.shape[1]
    side = int(rng.integers(min(CROP, whole), whole + 1))
    x, y = rng.integers(0, whole - side + 1, 2)
    turns, mirror = int(rng.integers(4)), rng.random() < 0.5
    out = []
    for picture in (scenes.images[row], scenes.line_art[row]):
        square = cv2.resize(
            picture[y : y + side, x : x + side], (CROP, CROP), interpolation=cv2.INTER_AREA
        )
        turned = np.rot90(square, turns)
        out.append(np.ascontiguousarray(turned[:, ::-1] if mirror else turned))
    return out[0], out[1]


def augment(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Change colours, texture, light, blur and grain: uint8 (S, S, 3) -> uint8 (S, S, 3).

    None of it is a boundary, all of it is in photographs and hardly any of it in scenes.
    """
    image = picture[..., rng.permutation(3)].astype(np.float32)
    if rng.random() < 0.25:
        image[:] = image.mean(axis=2, keepdims=True)
    if rng.random() < 0.15:
        image = 255 - image
    image = _relight(_add_texture(image, rng), rng).astype(np.float32)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.6))
    if rng.random() < 0.6:
        grain = rng.standard_normal(image.shape, dtype=np.float32)
        if rng.random() < 0.5:
            grain = cv2.GaussianBlur(grain, (0, 0), 0.7) * 2
        image += rng.uniform(0, 14) * grain
    return np.clip(image, 0, 255).astype(np.uint8)


def balanced_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Take the class-balanced cross entropy of each map (HED, equation 2) and add them.

    The rarer boundaries are, the more they weigh: beta, the share of paper, for boundaries, and
    1 - beta for paper.

    Args:
        logits: (B, K, S, S).
        truth: (B, 1, S, S) in [0, 1].
    """
    beta = 1 - truth.mean()
    on_line, on_paper = F.logsigmoid(logits), F.logsigmoid(-logits)
    loss = -(beta * truth * on_line + (1 - beta) * (1 - truth) * on_paper)
    return loss.mean(dim=(0, 2, 3)).sum()


def edge_loss(
    model: EdgeNetwork, scenes: SceneArrays, seed: int, batch: int = 8
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """Make the loss of a step, with the same soft boundaries for the fused map and every side's.

    Args:
        model: what learns.
        scenes: what it learns from.
        seed: of crops and augmentation, together with the step.
        batch: crops of a step.

    Returns:
        A function of the step that gives the loss and its terms.
    """
    device = next(model.parameters()).device

    def loss_fn(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = step_rng(seed, step)
        crops = [crop(scenes, row, rng) for row in rng.integers(0, len(scenes), batch)]
        pictures = np.stack([augment(picture, rng) for picture, _ in crops])
        lines = np.stack([soft_boundaries(drawing) for _, drawing in crops])
        x = to_network(torch.from_numpy(pictures).to(device))
        truth = torch.from_numpy(lines)[:, None].to(device)  # (B, 1, S, S)
        fused, sides = model(x)
        of_fused = balanced_cross_entropy(fused, truth)
        of_sides = balanced_cross_entropy(sides, truth)
        return of_fused + of_sides, {"fused": of_fused.item()}

    return loss_fn


def _fibres(rng: np.random.Generator, side: int) -> Floats:
    """Make stretched noise like fur, grass or wood grain, in some places; float32 (side, side)."""
    along, across = rng.uniform(2, 8), rng.uniform(1, 2)
    fine = rng.standard_normal((round(side / across), round(side / along)), dtype=np.float32)
    fine = cv2.resize(fine, (side, side), interpolation=cv2.INTER_CUBIC)
    middle, turn = (side / 2, side / 2), rng.uniform(0, 180)
    matrix = cv2.getRotationMatrix2D(middle, turn, 1.0)
    fine = cv2.warpAffine(fine, matrix, (side, side), borderMode=cv2.BORDER_REFLECT)
    somewhere = 1 / (1 + np.exp(-6 * (pink(rng, side, side) - rng.uniform(-1, 1))))
    return fine * somewhere


def _add_texture(image: Floats, rng: np.random.Generator) -> Floats:
    """Roughen smooth surfaces: float32 (S, S, 3) -> float32 (S, S, 3)."""
    side = image.shape[0]
    if rng.random() < 0.6:
        stretch = (1.0, rng.uniform(1, 5)) if rng.random() < 0.5 else (rng.uniform(1, 5), 1.0)
        image = image * (1 + rng.uniform(0, 0.3) * pink(rng, side, side, stretch)[..., None])
    if rng.random() < 0.5:
        image = image * (1 + rng.uniform(0, 0.25) * _fibres(rng, side)[..., None])
    return image


def _relight(image: Floats, rng: np.random.Generator) -> Floats:
    """Change light, gradation and contrast: (S, S, 3) in [0, 255] -> about the same range."""
    image = image * np.linspace(1, rng.uniform(0.5, 1.5), image.shape[1], dtype=np.float32)[:, None]
    image = 255 * (np.clip(image, 0, 255) / 255) ** rng.uniform(0.6, 1.6)
    return rng.uniform(0, 100) + rng.uniform(0.3, 1.1) * image + rng.uniform(-15, 15, 3)
