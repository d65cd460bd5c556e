"""The DiffSketch teacher: pair i is a function of its address, and equals the plain computation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import seeds
from pipeline.diffusion import cdst
from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.sampling import encode_prompts, initial_noise, sample
from pipeline.diffusion.taps import TapShapes
from pipeline.gsketch.network import GSketch, GSketchConfig
from pipeline.pair import SampleSpec
from pipeline.pixels import image_from_uint8, image_to_uint8, sketch_from_uint8, sketch_to_uint8
from pipeline.recipe.recipe import Sampling
from pipeline.systems.conditions import Conditions
from pipeline.systems.diffsketch import DiffSketchTeacher
from pipeline.systems.registry import TEACHERS, load_teacher
from pipeline.teachers.teacher import SamplingError, Teacher, TeacherFiles

PROMPTS = ["a red cat", "two blue dog", "a house and a tree", "the green ball", "photo of a cat"]
SAMPLER = Sampling(steps=4, batch=3)


def write_teacher(backbone: Backbone, folder: Path, *, cdst_on: bool, vae_features: bool) -> Path:
    folder.mkdir()
    torch.manual_seed(1)
    shapes = TapShapes.of(backbone, guidance_of(SAMPLER).branches)
    GSketch(GSketchConfig(shapes, (0, 2), vae_features)).save(folder)
    embeddings = encode_prompts(backbone, PROMPTS)
    cdst.ConditionPrior.fit(embeddings).save(folder / "prior.safetensors")
    Conditions(embeddings[0], SAMPLER, cdst_on, backbone.fingerprint).save(folder)
    return folder


@pytest.fixture(scope="module")
def folder(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("run") / "teacher"
    return write_teacher(backbone, target, cdst_on=True, vae_features=True)


@pytest.fixture(scope="module")
def teacher(folder: Path, tiny_backbone_folder: Path) -> DiffSketchTeacher:
    return DiffSketchTeacher.load(files_of(folder, tiny_backbone_folder))


def files_of(folder: Path, backbone: Path) -> TeacherFiles:
    return TeacherFiles(folder, {"backbone": str(backbone)})


def spec(index: int) -> SampleSpec:
    return SampleSpec(index=index, seed=7, duration=9)


def test_is_a_teacher(teacher: DiffSketchTeacher) -> None:
    assert isinstance(teacher, Teacher)
    assert teacher.image_size == 64
    assert {"teacher/gsketch.safetensors", "backbone/unet/config.json"} < set(teacher.fingerprint)


@pytest.mark.parametrize("cdst_on", [True, False])
@pytest.mark.parametrize("vae_features", [True, False])
def test_pairs_equal_sampling_first_and_drawing_afterwards(
    backbone: Backbone,
    tiny_backbone_folder: Path,
    tmp_path: Path,
    cdst_on: bool,
    vae_features: bool,
) -> None:
    folder = write_teacher(backbone, tmp_path / "t", cdst_on=cdst_on, vae_features=vae_features)
    teacher = load_teacher("diffsketch", files_of(folder, tiny_backbone_folder))
    prior = cdst.ConditionPrior.load(folder / "prior.safetensors")
    example = encode_prompts(backbone, PROMPTS[:1])[0]
    pairs = teacher.pairs([spec(i) for i in range(7)])
    assert [pair.index for pair in pairs] == list(range(7))
    for i in (0, 4, 6):
        drawn = prior.sample(seeds.generator(7, i, "condition"))
        mixed = cdst.condition(example, drawn, i, 9) if cdst_on else drawn
        noise = initial_noise(backbone, [seeds.generator(7, i, "noise")])
        plain = sample(backbone, mixed[None], noise, SAMPLER, [0, 2])
        with torch.no_grad():
            sketch = GSketch.load(folder)(plain.taps, plain.images)
        image = image_to_uint8(plain.images)[0].astype(int)
        assert np.abs(pairs[i].image - image).max() <= 1
        assert np.abs(pairs[i].sketch - sketch_to_uint8(sketch)[0].astype(int)).max() <= 1


def test_a_pair_is_the_same_whatever_it_is_asked_with(teacher: DiffSketchTeacher) -> None:
    together = teacher.pairs([spec(i) for i in range(6)])
    for asked in ([1], [4, 5], [5, 3]):
        for pair in teacher.pairs([spec(i) for i in asked]):
            assert np.array_equal(pair.image, together[pair.index].image)
            assert np.array_equal(pair.sketch, together[pair.index].sketch)
    assert not np.array_equal(together[0].image, together[1].image)


def test_columns_hold_the_address(teacher: DiffSketchTeacher) -> None:
    (pair,) = teacher.pairs([spec(4)])
    alpha, beta = cdst.mixing(4, 9)
    assert pair.columns == {
        "cdst_step": 4,
        "alpha": alpha,
        "beta": beta,
        "noise_seed": seeds.stream_seed(7, 4, "noise"),
        "condition_seed": seeds.stream_seed(7, 4, "condition"),
    }
    assert pair.image.dtype == pair.sketch.dtype == np.uint8
    assert pair.image.shape == (64, 64, 3) and pair.sketch.shape == (64, 64)


def test_what_is_not_finite_is_no_pair(teacher: DiffSketchTeacher) -> None:
    broken = Conditions(torch.full((16, 24), torch.nan), SAMPLER, True, {})
    other = DiffSketchTeacher(teacher.backbone, teacher.sketcher, teacher.sampled.prior, broken, {})
    with pytest.raises(SamplingError, match="sample 3"):
        other.pairs([spec(3)])


@pytest.mark.parametrize(
    "name", ["gsketch.safetensors", "config.json", "prior.safetensors", "condition.safetensors"]
)
def test_a_missing_file_is_named(
    folder: Path, tiny_backbone_folder: Path, tmp_path: Path, name: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "teacher")
    (copy / name).unlink()
    with pytest.raises(ValueError, match=name):
        DiffSketchTeacher.load(files_of(copy, tiny_backbone_folder))


def test_another_backbone_is_refused(
    folder: Path, tiny_backbone_folder: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny_backbone_folder, tmp_path / "other")
    config = other / "scheduler/scheduler_config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(ValueError, match="scheduler_config.json differ"):
        DiffSketchTeacher.load(files_of(folder, other))


def test_the_fingerprint_needs_no_model(
    teacher: DiffSketchTeacher, folder: Path, tiny_backbone_folder: Path, tmp_path: Path
) -> None:
    files = files_of(folder, tiny_backbone_folder)
    assert DiffSketchTeacher.fingerprint_of(files) == teacher.fingerprint
    other = shutil.copytree(tiny_backbone_folder, tmp_path / "other")
    config = other / "vae/config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(ValueError, match="vae/config.json differ"):
        DiffSketchTeacher.fingerprint_of(files_of(folder, other))


def test_registry(folder: Path, tiny_backbone_folder: Path) -> None:
    assert TEACHERS["diffsketch"] is DiffSketchTeacher
    with pytest.raises(ValueError, match="expected one of diffsketch"):
        load_teacher("other", files_of(folder, tiny_backbone_folder))


def test_pixels_go_there_and_back() -> None:
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert np.array_equal(image_to_uint8(image_from_uint8(image))[0], image)
    assert np.array_equal(sketch_to_uint8(sketch_from_uint8(image[..., 0]))[0], image[..., 0])
    assert image_to_uint8(torch.full((1, 3, 1, 1), 1.7)).max() == 255
