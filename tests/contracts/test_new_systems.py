"""The new teacher and student of docs/adding-a-system.md: a line each, and all else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from jobs.nodes.teacher_factory import TeacherFactory
from jobs.report.report import write_report
from jobs.runtime.devices import Asked
from jobs.runtime.events import Events
from jobs.runtime.run_folder import RunFolder
from jobs.runtime.run_place import FolderPlace
from jobs.runtime.session import Session
from pipeline.dataset.plan import plan_from_recipe, write_or_check
from pipeline.diffusion.example import load_example
from pipeline.generation.worker import ShardMaker
from pipeline.publishing.finish import complete
from pipeline.recipe.fields import RecipeError
from pipeline.recipe.recipe import Distill, Recipe, parse_recipe
from pipeline.recipe.sections import TEACH_SECTIONS
from pipeline.storage.address import open_store
from pipeline.systems.registry import TEACHERS, find_teacher
from pipeline.teachers.teacher import TeacherFiles
from tests.contracts import student_contract, teacher_contract, teaching_contract
from tests.standins import tiny_project, toy_modules
from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan
from tests.standins.tiny_encoders import write_perceptual
from training.distillation.loop import distill
from training.distillation.spec import DistillationSpec, Execution
from training.encoders.features import load_features
from training.extraction.extractor import Extractor
from training.oneshot.inputs import TeachInputs
from training.oneshot.record import check_same_teacher
from training.oneshot.registry import TRAININGS, find_training
from training.students.registry import STUDENTS

TOY_DISTILL = {"student": "toy", "preset": "small", "epochs": 2, "batch": 4, "workers": 1,
               "true_pair_every": 4, "learning_rate": 0.05}  # fmt: skip


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's modules, and its lines in the registries."""
    with monkeypatch.context() as patch:
        shown = toy_modules.install(patch)
        patch.setitem(TEACH_SECTIONS, "toy", shown["pipeline.recipe.toy"].ToyTeach)
        patch.setitem(TEACHERS, "toy", shown["pipeline.systems.toy"].ToyTeacher)
        patch.setitem(TRAININGS, "toy", shown["training.oneshot.toy"].teach_toy)
        patch.setitem(STUDENTS, "toy", shown["training.students.toy"].ToyStudent)
        # The recipe's schema is made when its module is read.
        Recipe.model_rebuild(force=True)
        yield
    Recipe.model_rebuild(force=True)


@pytest.fixture
def inputs(toy: None, tiny_backbone_folder: Path, tmp_path: Path) -> TeachInputs:
    return tiny_project.make_inputs(tmp_path, tiny_backbone_folder, {"teacher": "toy"})


def test_the_toy_is_taught_as_every_teacher(inputs: TeachInputs, tmp_path: Path) -> None:
    train = find_training("toy")
    teaching_contract.check_training(train, inputs, tmp_path / "teacher")
    teaching_contract.check_resuming(train, inputs, tmp_path / "resuming")
    (tmp_path / "other").mkdir()
    teaching_contract.check_other_drawing(train, inputs, tmp_path / "other")


def test_the_toy_is_a_teacher_as_every_other(inputs: TeachInputs, tmp_path: Path) -> None:
    find_training("toy")(inputs, tmp_path / "teacher", teaching_contract.ignore)
    (tmp_path / "teacher" / "teach.json").unlink()  # the contract looks at what pairs depend on
    files, kind = TeacherFiles(tmp_path / "teacher"), find_teacher("toy")
    teacher = kind.load(files)
    teacher_contract.check_pairs(teacher)
    teacher_contract.check_addresses(teacher)
    teacher_contract.check_fingerprint(kind, files, tmp_path / "changed")
    teacher_contract.check_missing_files(kind, files, tmp_path / "missing")


def test_the_toys_dataset_goes_all_the_way(inputs: TeachInputs, tmp_path: Path) -> None:
    find_training("toy")(inputs, tmp_path / "teacher", teaching_contract.ignore)
    recipe, example = inputs.recipe, load_example(inputs.recipe, inputs.source)
    factory = TeacherFactory(
        recipe.teach.teacher,
        str(tmp_path / "teacher"),
        {},
        inputs.locations["clip"],
        example.image,
        example.drawing,
        recipe.sampler.batch,
    )
    store = open_store(recipe.dataset.out)
    plan = write_or_check(store, plan_from_recipe(recipe, factory.fingerprint(), {}))
    maker = ShardMaker(plan, store, factory)
    for shard in range(plan.num_shards):
        maker.sample(shard, frozenset(), begun=False)
        maker.publish(shard)
    assert complete(store, plan).committed == recipe.dataset.samples
    assert plan.recipe["teach"]["levels"] == 16
    spec = DistillationSpec(
        Distill.model_validate(TOY_DISTILL),
        (recipe.dataset.out,),
        example.image,
        example.drawing,
        str(write_perceptual(tmp_path / "features")),
    )
    distill(spec, tmp_path / "extractor", Execution(), teaching_contract.ignore)
    place = FolderPlace(RunFolder(tmp_path))
    page = write_report(Session(recipe, Asked("cpu"), place, Events(Console())))
    page = Path(page).read_text()
    assert "1 drawing" in page and "levels: 16" in page


def test_a_run_of_another_teacher_is_refused_by_name(inputs: TeachInputs, tmp_path: Path) -> None:
    find_training("toy")(inputs, tmp_path, teaching_contract.ignore)
    with pytest.raises(ValueError, match="holds a teacher 'toy', and the recipe asks for 'diffsk"):
        check_same_teacher(tmp_path, "diffsketch")
    check_same_teacher(tmp_path, "toy")


def test_images_of_another_size_than_the_examples_are_refused(
    inputs: TeachInputs, tmp_path: Path
) -> None:
    find_training("toy")(inputs, tmp_path, teaching_contract.ignore)
    image = np.zeros((48, 48, 3), np.uint8)
    clip = inputs.locations["clip"]
    factory = TeacherFactory("toy", str(tmp_path), {}, clip, image, image[..., 0], 4)
    with pytest.raises(ValueError, match=r"makes images of \d+ pixels a side, .* has 48"):
        factory()


@pytest.mark.parametrize(
    ("teach", "key", "words"),
    [
        ({"teacher": "toys"}, "teach.teacher", "one of diffsketch, toy"),
        ({"teacher": "toy", "levels": 0}, "teach.levels", "greater than 0"),
        ({"teacher": "toy", "levls": 9}, "teach.levls", "did you mean 'levels'"),
        ({"teacher": "toy", "iterations": 9}, "teach.iterations", "perceptual, levels"),
        ({"iterations": "lots"}, "teach.iterations", "integer"),
        ({"weights": {"l1": -1}}, "teach.weights.l1", "greater than or equal to 0"),
        ({"weights": {"lpip": 1}}, "teach.weights.lpip", "did you mean 'lpips'"),
        (3, "teach", "a mapping of keys to values"),
    ],
)
def test_mistakes_in_a_section_of_many_kinds_are_named(
    toy: None, tmp_path: Path, teach: Any, key: str, words: str
) -> None:
    example = {"prompt": "a", "seed": 1, "drawing": "d.png"}
    with pytest.raises(RecipeError, match=words) as caught:
        parse_recipe({"style": "ink", "example": example, "teach": teach}, tmp_path)
    assert caught.value.key == key


def test_the_toy_student_keeps_to_the_contract(toy: None, tmp_path: Path) -> None:
    features = load_features(write_perceptual(tmp_path / "features"))
    student_contract.check_student(STUDENTS["toy"], features)


def test_the_toy_student_is_distilled_and_draws(toy: None, tmp_path: Path) -> None:
    (example,) = StandinTeacher().pairs([make_plan(seed=99).spec(0)])
    spec = DistillationSpec(
        Distill.model_validate(TOY_DISTILL),
        (write_dataset(tmp_path / "dataset", 12),),
        example.image,
        example.sketch,
        str(write_perceptual(tmp_path / "features")),
    )
    folder = distill(spec, tmp_path / "extractor", Execution(), teaching_contract.ignore)
    extractor = Extractor.load(folder)
    drawn = extractor.sketch(np.array(example.image[:20, :7]))
    assert drawn.shape == (20, 7) and drawn.dtype == np.uint8
