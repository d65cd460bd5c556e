"""Recipes: defaults are the paper's, and every mistake is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.recipe.fields import RecipeError, RecipeMistakesError, Section, added, resolve
from pipeline.recipe.recipe import Sampling, load_recipe

ROOT = Path(__file__).parents[3]
MINIMAL = "style: ink\nexample: {prompt: a red cat, seed: 50, drawing: ink.png}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, MINIMAL))
    assert (recipe.sampler.steps, recipe.sampler.guidance) == (50, 5.0)
    assert (recipe.teach.iterations, recipe.teach.diffusion_duration) == (1200, 1000)
    weights = recipe.teach.weights
    assert (weights.across, weights.within) == (1, 1)
    assert (weights.l1, weights.lpips, weights.clip) == (30, 15, 30)
    assert (recipe.dataset.samples, recipe.distill.epochs) == (30_000, 10)
    assert recipe.run == "runs/ink"
    assert recipe.dataset.out == "runs/ink/dataset"
    assert recipe.drawing_path == tmp_path / "ink.png"


def flattened(section: Section, prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = list(value) if isinstance(value, tuple) else value
    return flat


def test_the_page_of_defaults_has_every_key_and_its_value(tmp_path: Path) -> None:
    page = (ROOT / "docs/defaults.md").read_text()
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in page.splitlines()]
    listed = {row[0].strip("`"): row[1:] for row in rows if row and row[0].startswith("`")}
    defaults = flattened(load_recipe(write(tmp_path, MINIMAL)))
    required = {"style", "example.prompt", "example.seed", "example.drawing"}
    assert listed.keys() == defaults.keys() - required
    for key, (shown, paper, _) in listed.items():
        value = str(defaults[key]).replace("runs/ink", "runs/STYLE")
        assert shown == {"True": "true", "False": "false", "None": "null"}.get(value, value), key
        number = paper.replace(",", "")
        if number.replace(".", "").isdecimal():
            # Where it differs, the page must say "other".
            assert float(number) == defaults[key], key


def test_resolved_is_json_without_this_machines_folders(tmp_path: Path) -> None:
    text = MINIMAL + f"backbone: {tmp_path}/model\nrun: {tmp_path}/run\n"
    resolved = load_recipe(write(tmp_path, text)).resolved()
    assert str(tmp_path) not in json.dumps(resolved)
    assert resolved["backbone"] == "model"
    assert resolved["teach"]["weights"]["l1"] == 30


def test_numbers_written_the_short_way_and_step_lists(tmp_path: Path) -> None:
    text = MINIMAL + "teach: {learning_rate: 1e-4, timesteps: [0, 3, 8]}\nrun: elsewhere\n"
    recipe = load_recipe(write(tmp_path, text))
    assert recipe.teach.learning_rate == 1e-4
    assert recipe.teach.timesteps == (0, 3, 8)
    assert recipe.dataset.out == "elsewhere/dataset"


@pytest.mark.parametrize(
    ("extra", "key", "words"),
    [
        ("sampler: {stps: 50}", "sampler.stps", "guidance, batch; did you mean 'steps'?"),
        ("smpler: {}", "smpler", "expected one of the keys style, backbone"),
        ("sampler: {steps: many}", "sampler.steps", "integer"),
        ("sampler: {steps: 0}", "sampler.steps", "greater than 0"),
        ("sampler: {guidance: .nan}", "sampler.guidance", "finite"),
        ("sampler: {guidance: 0.5}", "sampler.guidance", "greater than or equal to 1"),
        ("teach: {reconstruction: l3}", "teach.reconstruction", "'l1' or 'l2'"),
        ("teach: {timesteps: best}", "teach.timesteps", "'representative', 'equal' or a list"),
        ("teach: {timesteps: [0, 0]}", "teach.timesteps", "distinct"),
        ("teach: {timesteps: [50]}", "teach.timesteps", "to 49"),
        ("teach: {weights: {l1: -1}}", "teach.weights.l1", "greater than or equal to 0"),
        ("distill: {preset: huge}", "distill.preset", "'paper', 'medium' or 'small'"),
        ("distill: {where: 'f(alpha)'}", "distill.where", "columns compared (< <= "),
        ("sampler: 3", "sampler", "a mapping of keys to values"),
        ("3: 3", "3", "expected names as keys"),
    ],
)
def test_errors_name_key_and_what_is_allowed(
    tmp_path: Path, extra: str, key: str, words: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, MINIMAL + extra))
    assert caught.value.key == key
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'recipe.yaml'}: recipe key '{key}': got ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("style: Ink!\nexample: {prompt: p, seed: 1, drawing: d}", "'style'"),
        ("style: ink", "'example'"),
        ("style: ink\nexample: {prompt: p, seed: 1}", "'example.drawing'"),
        ("- a list", "recipe.yaml: got a list; expected a mapping"),
        ("", "recipe.yaml: got an empty file; expected a mapping"),
        ("style: [", r"recipe.yaml: .* valid YAML \((?!.*<unicode string>)"),
    ],
)
def test_unusable_files(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe(write(tmp_path, text))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(RecipeError, match="existing"):
            load_recipe(path)


def test_recipes_are_frozen(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, MINIMAL))
    with pytest.raises(ValueError, match="frozen"):
        recipe.style = "other"  # type: ignore[misc]


class _LaterSampling(Sampling):
    """Sampling as a later version may have it, with a key that today's plans lack."""

    kind: str = added("ddim", since="0.2")


def test_a_new_key_at_its_default_changes_no_plan() -> None:
    assert resolve(_LaterSampling()) == resolve(Sampling())
    assert resolve(_LaterSampling(kind="euler"))["kind"] == "euler"
    assert "kind" in _LaterSampling().model_dump()


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "style: ink\nexample: {prompt: a, seed: fifty, drawing: d.png}\n"
        "teach: {iterations: lots}\ndistill: {epochs: yes, workers: many, preset: tiny}\n"
        "datset: {samples: 3}\n"
    )
    with pytest.raises(RecipeMistakesError) as caught:
        load_recipe(path)
    assert [error.key for error in caught.value.errors] == [
        "datset",
        "example.seed",
        "teach.iterations",
        "distill.preset",
        "distill.epochs",
        "distill.workers",
    ]
    assert str(caught.value).startswith(f"{path}: 6 mistakes: (1) recipe key 'datset': got")


def test_home_is_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "style: ink\nrun: ~/runs/ink\nexample: {prompt: a, seed: 0, drawing: ~/d.png}\n"
    )
    recipe = load_recipe(path)
    assert recipe.run == f"{tmp_path}/runs/ink" and recipe.dataset.out == f"{recipe.run}/dataset"
    assert recipe.drawing_path == tmp_path / "d.png"
