"""The learned edge style: its network, its files, and what the shipped weights draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.metrics import average_precision_score

from pipeline.arrays import Pixels
from training.embedded.scenes.reserved_seeds import HELD_OUT_SEEDS
from training.embedded.scenes.scene import Scene, make_scene
from training.styles import edges
from training.styles.edges import (
    SHIPPED,
    EdgeNetwork,
    EdgesError,
    draw_edges,
    edge_strength,
    load_edges,
    save_edges,
)
from training.styles.registry import STYLES


def picture(height: int, width: int) -> Pixels:
    whole = make_scene(HELD_OUT_SEEDS[900_003], 256).image
    return np.tile(whole, (2, 2, 1))[:height, :width].copy()


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(HELD_OUT_SEEDS[900_000 + i]) for i in range(24)]


@pytest.fixture(scope="module")
def drawn(scenes: list[Scene]) -> dict[str, list[Pixels]]:
    return {style: [STYLES[style](s.image) for s in scenes] for style in ("edges", "sobel")}


@pytest.fixture
def fresh() -> EdgeNetwork:
    torch.manual_seed(0)
    return EdgeNetwork()


def test_every_parameter_learns(fresh: EdgeNetwork) -> None:
    fused, sides = fresh(torch.randn(2, 3, 64, 64))
    (fused.square().mean() + sides.square().mean()).backward()
    for name, parameter in fresh.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_every_scale_and_colour_matters(fresh: EdgeNetwork) -> None:
    x = torch.randn(1, 3, 64, 64, requires_grad=True)
    fused, sides = fresh(x)
    assert fused.shape == (1, 1, 64, 64) and sides.shape == (1, 5, 64, 64)
    for one in (fused, *sides.split(1, dim=1)):
        (slope,) = torch.autograd.grad(one.sum(), x, retain_graph=True)
        assert (slope.abs().amax(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (16, 16), (33, 47), (128, 100), (300, 211)])
def test_any_size_is_drawn_at_its_own(size: tuple[int, int]) -> None:
    page = STYLES["edges"](picture(*size))
    assert page.shape == size and page.dtype == np.uint8


def test_a_large_picture_is_drawn_in_bands_that_fit(
    fresh: EdgeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    tall = np.random.default_rng(0).integers(0, 256, (600, 20, 3), dtype=np.uint8)
    whole = edge_strength(fresh, tall)
    monkeypatch.setattr(edges, "BAND_PIXELS", 100 * 64)
    assert np.allclose(edge_strength(fresh, tall), whole, atol=1e-4)
    monkeypatch.setattr(edges, "REACH", 16)
    assert not np.allclose(edge_strength(fresh, tall), whole, atol=1e-4)


def test_the_same_picture_gives_the_same_drawing() -> None:
    first, second = (STYLES["edges"](picture(90, 70)) for _ in range(2))
    assert np.array_equal(first, second)


def test_nothing_there_is_white_paper() -> None:
    for level in (0, 90, 255):
        flat = np.full((100, 84, 3), level, np.uint8)
        noise = np.random.default_rng(level).integers(-3, 4, flat.shape)
        grainy = np.clip(flat + noise, 0, 255).astype(np.uint8)
        for page in (flat, grainy):
            assert (STYLES["edges"](page) > 250).mean() > 0.999


def test_grey_pictures_have_lines_too(scenes: list[Scene]) -> None:
    grey = np.repeat(scenes[0].image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    lines = scenes[0].line_art < 128
    page = STYLES["edges"](grey)
    assert page[lines].mean() < page[~lines].mean() - 80


def test_borders_are_no_lines(drawn: dict[str, list[Pixels]]) -> None:
    paper = np.stack(drawn["edges"]) / 255
    inside = paper[:, 8:-8, 8:-8].mean()
    frame = np.concatenate([paper[:, :2].ravel(), paper[:, -2:].ravel()])
    assert frame.mean() > inside - 0.02


def test_the_shipped_weights_beat_sobel_on_exact_lines(
    scenes: list[Scene], drawn: dict[str, list[Pixels]]
) -> None:
    # Both styles draw lines about three pixels wide: so wide is the truth.
    wide = [cv2.erode(scene.line_art, np.ones((3, 3), np.uint8)) < 128 for scene in scenes]

    def precision(style: str) -> float:
        ink = 255 - np.ravel(drawn[style]).astype(int)
        return float(average_precision_score(np.ravel(wide), ink))

    assert precision("edges") > precision("sobel") + 0.05


def test_drawings_are_clean(scenes: list[Scene], drawn: dict[str, list[Pixels]]) -> None:
    """Where no line is near, paper stays white; the plain edge filter leaves grain there."""
    far = [cv2.erode(scene.line_art, np.ones((9, 9), np.uint8)) > 250 for scene in scenes]

    def white(style: str) -> float:
        pages = zip(drawn[style], far, strict=True)
        return float(np.concatenate([page[blank] > 250 for page, blank in pages]).mean())

    assert white("edges") > 0.95 > 0.5 > white("sobel")


def test_a_saved_network_draws_the_same(fresh: EdgeNetwork, tmp_path: Path) -> None:
    for parameter in fresh.parameters():
        parameter.data = parameter.data.half().float()
    save_edges(fresh, tmp_path)
    opened = load_edges(tmp_path)
    assert np.array_equal(
        edge_strength(opened, picture(40, 50)), edge_strength(fresh, picture(40, 50))
    )


def test_the_shipped_weights_are_small() -> None:
    assert sum(f.stat().st_size for f in SHIPPED.iterdir()) < 300_000


def test_a_folder_without_weights_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(EdgesError, match="lacks config.json and model.safetensors.*train-embedded"):
        load_edges(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_edges(EdgeNetwork(), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("fusion.weight")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(EdgesError, match="fusion.weight"):
        load_edges(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(EdgesError, match="does not hold"):
        load_edges(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EdgesError, match="widths"):
        load_edges(tmp_path)


@pytest.mark.parametrize("wrong", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)])
def test_a_picture_in_another_form_is_refused(fresh: EdgeNetwork, wrong: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="convert it to RGB"):
        draw_edges(fresh, wrong)
