"""Which recipe a command works on, where its artefacts and its weights lie, on which device."""

from pathlib import Path

import pytest

from jobs.devices import choose_machine
from jobs.recipes import find_recipe, open_recipe, shipped_styles
from jobs.weights import embedded, locate_backbone


def test_shipped_styles_load_by_name() -> None:
    for name, path in shipped_styles().items():
        recipe = open_recipe(name)
        assert recipe.style == name
        assert find_recipe(name) == path


def test_unknown_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(ValueError, match="no recipe 'nothing'.*xdog"):
        find_recipe("nothing")


def test_another_run_folder_moves_run_and_dataset() -> None:
    recipe = open_recipe("xdog", Path("elsewhere/x"))
    assert recipe.run == "elsewhere/x"
    assert recipe.dataset.out == "elsewhere/x/dataset"
    assert recipe.drawing_path.parent == shipped_styles()["xdog"].parent.absolute()


def test_a_dataset_elsewhere_stays_there(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "style: a\nexample: {prompt: b, seed: 1, drawing: c.png}\ndataset: {out: 's3://b/a'}\n"
    )
    assert open_recipe(str(path), Path("x")).dataset.out == "s3://b/a"


def test_backbones_by_folder_hub_id_or_a_clear_refusal(tmp_path: Path) -> None:
    assert locate_backbone(str(tmp_path)) == str(tmp_path)
    assert locate_backbone("CompVis/stable-diffusion-v1-4") == "CompVis/stable-diffusion-v1-4"
    with pytest.raises(ValueError, match="neither an existing diffusers folder nor a hub id"):
        locate_backbone(str(tmp_path / "gone"))


def test_missing_embedded_weights_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.weights.embedded_root", lambda: tmp_path)
    with pytest.raises(ValueError, match="embedded clip is missing.*train-embedded"):
        embedded("clip")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_machine("auto").device == "cpu"
    with pytest.raises(ValueError, match="not present on this machine"):
        choose_machine("cuda")
    with pytest.raises(ValueError, match="unknown device 'gpu'"):
        choose_machine("gpu")
