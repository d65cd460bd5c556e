"""Names of models that every node understands, and what is said where one is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.nodes.models import Models, check_seen
from jobs.runtime.weights import embedded
from pipeline.recipe.recipe import load_recipe
from pipeline.storage.node_cache import NodeCache


def test_relative_paths_become_absolute_and_names_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "recipe.yaml").write_text(
        "style: a\nexample: {prompt: b, seed: 1, drawing: c.png}\n"
        "backbone: model\nteach: {clip: 's3://models/clip', perceptual: embedded}\n"
    )
    monkeypatch.chdir(tmp_path)
    models = Models.of(load_recipe(tmp_path / "recipe.yaml"))
    assert models == Models(str(tmp_path / "model"), "s3://models/clip", "embedded")
    assert models.find("backbone", NodeCache(tmp_path / "cache")) == str(tmp_path / "model")
    assert models.find("perceptual", NodeCache(tmp_path / "cache")) == str(embedded("perceptual"))


def test_a_node_says_which_path_it_does_not_see(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for location in (str(gone), f"ViT-B-32:{gone}"):
        with pytest.raises(ValueError, match=f"node .* does not see {gone}: .* at an address"):
            check_seen(location)
    models = Models(str(gone), "embedded", "embedded")
    with pytest.raises(ValueError, match="does not see"):
        models.find("backbone", NodeCache(tmp_path / "cache"))
    for location in (str(tmp_path), "owner/name", "s3://bucket/prefix", "embedded"):
        check_seen(location)
