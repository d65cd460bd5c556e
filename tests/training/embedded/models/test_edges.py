"""Training of the edge network: soft targets, augmented pictures, the balanced loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training.embedded.loop import EmbeddedSchedule, train
from training.embedded.models.edges import (
    CROP,
    augment,
    balanced_cross_entropy,
    crop,
    edge_loss,
    soft_boundaries,
)
from training.embedded.scenes.arrays import SceneArrays, stack, step_rng
from training.embedded.scenes.scene import make_scene
from training.styles.edges import EdgeNetwork


@pytest.fixture(scope="module")
def scenes() -> SceneArrays:
    return stack([make_scene(seed, 128) for seed in range(6)])


def test_a_soft_boundary_has_its_ridge_on_the_line() -> None:
    line_art = np.full((21, 21), 255, np.uint8)
    line_art[:, 10] = 0
    soft = soft_boundaries(line_art)
    assert (soft.argmax(axis=1) == 10).all()
    assert 0.5 < soft[10, 10] <= 1 and 0.05 < soft[10, 12] < soft[10, 11] < soft[10, 10]
    assert soft[:, :5].max() == 0


def test_crop_keeps_lines_on_the_picture() -> None:
    image = np.full((128, 128, 3), 200, np.uint8)
    image[30:90, 40:100] = 20
    scene = make_scene(0)
    outline = np.full((128, 128), 255, np.uint8)
    outline[30:90, [40, 99]] = outline[[30, 89], 40:100] = 0
    arrays = stack([type(scene)(image, outline, scene.depth, "", (), (), "")])
    for step in range(20):
        picture, lines = crop(arrays, 0, step_rng(1, step))
        assert picture.shape == (CROP, CROP, 3) and lines.shape == (CROP, CROP)
        grey = picture[..., 0].astype(float)
        slope = np.hypot(*np.gradient(grey))
        assert (slope[lines < 60] > 10).all()


def test_augmented_pictures_depend_on_the_step_alone(scenes: SceneArrays) -> None:
    image = scenes.images[0][:CROP, :CROP]
    first, again, other = (augment(image, step_rng(0, step)) for step in (4, 4, 5))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == image.shape and first.dtype == np.uint8


def test_the_loss_is_hed_equation_2() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    truth = (torch.rand(2, 1, 8, 8, generator=generator) < 0.2).double()
    beta = (truth == 0).sum() / truth.numel()
    expected = 0.0
    for side in logits.split(1, dim=1):
        weight = torch.where(truth == 1, beta, 1 - beta)
        expected += F.binary_cross_entropy_with_logits(side, truth, weight)
    torch.testing.assert_close(balanced_cross_entropy(logits, truth), expected)


def test_training_lowers_the_loss(scenes: SceneArrays, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = EdgeNetwork()
    loss_fn = edge_loss(network, scenes, seed=0, batch=2)
    before = loss_fn(1000)[0].item()
    schedule = EmbeddedSchedule(5, 3e-3, warmup=1)
    train(network, loss_fn, schedule, tmp_path, lambda *_, **__: None, {"seed": 0})
    assert loss_fn(1000)[0].item() < before
