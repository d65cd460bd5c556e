"""Whether a run's parts belong together: each was made from the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jobs.runtime.run_folder import RunFolder
from pipeline import canonical
from pipeline.dataset.manifest import read_hashed_manifest
from pipeline.diffusion.drawing import read_drawing
from pipeline.diffusion.example import check_same_source
from pipeline.images.read import read_photograph
from pipeline.recipe.recipe import Recipe
from pipeline.storage.address import open_store
from training.extraction.extractor_folder import CONFIG, read_config
from training.oneshot.record import read_record


def mismatches(recipe: Recipe, folder: RunFolder, drawing: Path) -> list[str]:
    """Say, a sentence each, which parts of a run were made from others than lie beside them.

    Raises:
        ExampleError: the source is not the recipe's, so that nothing could be said of the rest.
    """
    check_same_source(folder.source, recipe)
    return list(_differing(recipe, folder, drawing))


def _differing(recipe: Recipe, folder: RunFolder, drawing: Path) -> Iterator[str]:
    size = read_photograph(folder.source / "image.png").shape[:2]
    now = canonical.sha256(read_drawing(drawing, size, recipe.example.invert).tobytes())
    taught = (read_record(folder.teacher) or {}).get("identity", {})
    if taught.get("drawing", now) != now:
        yield (
            "The teacher was taught on another drawing than this one: "
            "`onesketch teach --again` teaches it anew."
        )
    manifest, sha256 = read_hashed_manifest(open_store(recipe.dataset.out))
    if manifest.fingerprints.get("example/drawing", now) != now:
        yield (
            "The dataset was generated after another drawing than this one: "
            "`onesketch generate --again` makes it anew."
        )
    if (folder.extractor / CONFIG).is_file():
        learned = read_config(folder.extractor)["identity"].get("dataset", sha256)
        if learned != sha256:
            yield (
                "The extractor was trained on another dataset than this one: "
                "`onesketch distill --again` trains it anew."
            )
