"""A report says which parts of a run do not belong together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from jobs.report.lineage import mismatches
from jobs.runtime.recipes import open_recipe
from jobs.runtime.run_folder import RunFolder
from pipeline import canonical
from pipeline.diffusion.drawing import ExampleError
from pipeline.images.write import write_png
from pipeline.recipe.recipe import Recipe
from tests.standins.published_blobs import write_dataset
from training.extraction.extractor_folder import FORMAT
from training.oneshot.record import write_record

DRAWING = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple[Recipe, RunFolder]]:
    """Source, teacher, dataset and extractor that belong together, as far as their records say."""
    (tmp_path / "recipe.yaml").write_text(
        f"style: ink\nrun: {tmp_path}/run\n"
        "example: {prompt: a house, seed: 1, drawing: drawing.png}\n"
    )
    recipe = open_recipe(str(tmp_path / "recipe.yaml"))
    folder = RunFolder(recipe.run_path)
    write_png(tmp_path / "drawing.png", DRAWING)
    write_png(folder.source / "image.png", np.stack([DRAWING] * 3, axis=-1))
    save_file(
        {"noise": np.zeros(1), "embeddings": np.zeros(1)}, folder.source / "noise.safetensors"
    )
    record = {"prompt": "a house", "seed": 1, "steps": 50, "guidance": 5.0}
    (folder.source / "source.json").write_text(json.dumps(record))
    folder.teacher.mkdir()
    drawing = canonical.sha256(DRAWING.tobytes())
    write_record(folder.teacher, {"teacher": "diffsketch", "identity": {"drawing": drawing}})
    shutil.copytree(write_dataset(tmp_path / "blobs", 12), recipe.dataset.out)
    folder.extractor.mkdir()
    manifest = Path(recipe.dataset.out, "manifest.json").read_bytes()
    extractor = {
        "format": FORMAT,
        "student": "pix2pixhd",
        "network": {},
        "multiple": 4,
        "sha256": "",
        "identity": {"dataset": canonical.sha256(manifest)},
    }
    (folder.extractor / "config.json").write_text(json.dumps(extractor))
    return recipe, folder


def test_what_belongs_together_raises_no_doubt(run: tuple[Recipe, RunFolder]) -> None:
    recipe, folder = run
    assert mismatches(recipe, folder, recipe.drawing_path) == []


def test_another_drawing_and_another_dataset_are_named(run: tuple[Recipe, RunFolder]) -> None:
    recipe, folder = run
    write_png(recipe.drawing_path, DRAWING.T.copy())
    manifest = Path(recipe.dataset.out, "manifest.json")
    data = json.loads(manifest.read_text())
    data["fingerprints"]["example/drawing"] = canonical.sha256(DRAWING.tobytes())
    manifest.write_text(json.dumps(data))
    found = mismatches(recipe, folder, recipe.drawing_path)
    assert [doubt.split(" was ")[0] for doubt in found] == [
        "The teacher",
        "The dataset",
        "The extractor",
    ]
    assert all("--again" in doubt for doubt in found)


def test_another_source_is_refused(run: tuple[Recipe, RunFolder]) -> None:
    recipe, folder = run
    example = recipe.example.model_copy(update={"prompt": "a blue boat"})
    with pytest.raises(ExampleError, match="made with prompt = 'a house'"):
        mismatches(recipe.model_copy(update={"example": example}), folder, recipe.drawing_path)
