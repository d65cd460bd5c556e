"""The one example: made as diffusers makes it, read back whole, refused when it does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.drawing import ExampleError, read_drawing
from pipeline.diffusion.example import Source, load_example, make_source, write_source
from pipeline.recipe.recipe import Recipe, Sampling, parse_recipe


def recipe_in(folder: Path, **example: object) -> Recipe:
    filled = {"prompt": "a red cat", "seed": 50, "drawing": "ink.png"} | example
    sampling = {"steps": 4, "batch": 2}
    return parse_recipe({"style": "ink", "example": filled, "sampler": sampling}, folder)


@pytest.fixture(scope="module")
def source(backbone: Backbone) -> Source:
    recipe = recipe_in(Path())
    return make_source(backbone, recipe.example, recipe.sampler)


def draw(folder: Path, size: int = 64, mode: str = "L") -> Path:
    page = np.full((size, size), 255, np.uint8)
    page[20:24] = 0
    Image.fromarray(page).convert(mode).save(folder / "ink.png")
    return folder / "ink.png"


def test_source_is_what_diffusers_makes_of_prompt_and_seed(
    source: Source, tiny_backbone_folder: Path
) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_backbone_folder)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(50)
    theirs = pipeline("a red cat", num_inference_steps=4, guidance_scale=5, generator=generator)
    difference = np.abs(np.asarray(theirs.images[0], int) - source.image)
    assert source.image.shape == (64, 64, 3)
    assert difference.max() <= 1


def test_reads_back_what_was_written(source: Source, tmp_path: Path) -> None:
    write_source(source, tmp_path / "source")
    draw(tmp_path)
    pair = load_example(recipe_in(tmp_path), tmp_path / "source")
    assert np.array_equal(pair.image, source.image)
    made = pair.generated
    assert made is not None
    assert torch.equal(made.noise, source.generated.noise) and made.noise.shape == (4, 8, 8)
    assert torch.equal(made.embeddings, source.generated.embeddings)
    assert made.embeddings.shape == (16, 24)
    assert pair.drawing.shape == (64, 64) and set(np.unique(pair.drawing)) == {0, 255}
    record = json.loads((tmp_path / "source/source.json").read_text())
    assert record["prompt"] == "a red cat" and "unet/config.json" in record["backbone"]


@pytest.mark.parametrize("change", [{"prompt": "a blue dog"}, {"seed": 51}])
def test_a_source_of_another_recipe_is_refused(
    source: Source, tmp_path: Path, change: dict[str, object]
) -> None:
    write_source(source, tmp_path / "source")
    draw(tmp_path)
    with pytest.raises(ExampleError, match=next(iter(change))):
        load_example(recipe_in(tmp_path, **change), tmp_path / "source")


@pytest.mark.parametrize("name", ["source.json", "image.png", "noise.safetensors"])
def test_missing_and_broken_sources(source: Source, tmp_path: Path, name: str) -> None:
    write_source(source, tmp_path / "source")
    draw(tmp_path)
    (tmp_path / "source" / name).write_bytes(b"?")
    with pytest.raises(ExampleError, match="read"):
        load_example(recipe_in(tmp_path), tmp_path / "source")
    (tmp_path / "source" / name).unlink()
    with pytest.raises(ExampleError, match="onesketch source"):
        load_example(recipe_in(tmp_path), tmp_path / "source")


def test_drawings_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ExampleError, match="missing"):
        read_drawing(tmp_path / "ink.png", (64, 64))
    with pytest.raises(ExampleError, match="32 x 32 px.*64 x 64"):
        read_drawing(draw(tmp_path, size=32), (64, 64))
    (tmp_path / "ink.png").write_text("not a picture")
    with pytest.raises(ExampleError, match="cannot be read"):
        read_drawing(tmp_path / "ink.png", (64, 64))
    Image.new("L", (64, 64), 250).save(tmp_path / "ink.png")
    with pytest.raises(ExampleError, match="blank"):
        read_drawing(tmp_path / "ink.png", (64, 64))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
def test_drawings_of_every_common_mode(tmp_path: Path, mode: str) -> None:
    drawing = read_drawing(draw(tmp_path, mode=mode), (64, 64))
    assert drawing[22, 5] == 0 and drawing[0, 0] == 255


def test_transparent_is_paper(tmp_path: Path) -> None:
    layer = np.zeros((8, 8, 4), np.uint8)
    layer[3, :, 3] = 255  # one opaque black line
    Image.fromarray(layer).save(tmp_path / "ink.png")
    drawing = read_drawing(tmp_path / "ink.png", (8, 8))
    assert drawing[3, 0] == 0 and drawing[0, 0] == 255


def test_guidance_and_steps_are_part_of_the_source(source: Source) -> None:
    assert source.generated.record["steps"] == 4
    assert source.generated.record["guidance"] == Sampling().guidance
