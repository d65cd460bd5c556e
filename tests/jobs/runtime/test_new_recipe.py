"""New recipes: valid as they are written, and never over something."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.runtime.new_recipe import new_recipe, size_named, write_new_recipe
from pipeline.recipe.recipe import load_recipe


@pytest.mark.parametrize(
    ("size", "run", "samples", "preset"),
    [
        ("laptop", "", 448, "small"),
        ("gpu", "", 30_000, "paper"),
        ("cluster", "s3://b/c", 30_000, "paper"),
    ],
)
def test_it_loads_with_the_sizes_asked_for(
    tmp_path: Path, size: str, run: str, samples: int, preset: str
) -> None:
    path = tmp_path / "contour.yaml"
    write_new_recipe(new_recipe("contour", size_named(size), run=run), size_named(size), path)
    recipe = load_recipe(path)
    assert (recipe.dataset.samples, recipe.distill.preset) == (samples, preset)
    assert recipe.teach.learning_rate == 1e-3, "the embedded models' rate"
    assert recipe.drawing_path == tmp_path / "contour.png"
    assert recipe.dataset.out == f"{run or 'runs/contour'}/dataset"


def test_stable_diffusion_is_taught_by_the_papers_networks() -> None:
    recipe = new_recipe("contour", "gpu", backbone="models/sd")
    assert recipe.teach.learning_rate == 1e-4
    assert recipe.teach.clip.startswith("ViT-B-32-quickgelu:")
    assert recipe.teach.perceptual.startswith("alex:")
    assert recipe.distill.perceptual.startswith("vgg19:")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "contour.yaml"
    path.write_text("mine")
    with pytest.raises(ValueError, match="is there already, and stays"):
        write_new_recipe(new_recipe("contour", "laptop"), "laptop", path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("style", "size", "run", "words"),
    [
        ("Contour!", "laptop", "", "recipe key 'style': got 'Contour!'"),
        ("contour", "cluster", "", "expected --run s3://bucket/prefix"),
        ("contour", "cluster", "runs/x", "expected --run s3://bucket/prefix"),
        ("contour", "huge", "", "expected one of laptop, gpu, cluster"),
    ],
)
def test_what_cannot_be_is_refused(style: str, size: str, run: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        new_recipe(style, size_named(size), run=run)
