"""Photographs through a tiny teacher, as the command does it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.evaluation.evaluate import with_teacher
from jobs.evaluation.picture_sets import TEACHER, photograph_set
from jobs.extract.by_teacher import (
    InversionOptions,
    TeacherExtractor,
    load_teacher_extractor,
    run_extract_by_teacher,
)
from jobs.runtime.devices import choose_machine
from pipeline.diffusion.backbone import load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.guidance import guidance_of
from pipeline.diffusion.inversion import (
    FIXED_POINT,
    ORDINARY,
    encode_images,
    round_trip,
    taps_of_images,
)
from pipeline.diffusion.sampling import encode_prompts
from pipeline.diffusion.taps import TapShapes
from pipeline.gsketch.network import GSketch, GSketchConfig
from pipeline.images.find import find_photographs
from pipeline.pixels import image_from_uint8, sketch_to_uint8
from pipeline.recipe.recipe import Sampling
from pipeline.systems.conditions import Conditions
from tests.jobs.stages.test_stages import onesketch, refusal

SAMPLER = Sampling(steps=3, guidance=2.0, batch=2)
STEPS = (0, 2)


@pytest.fixture(scope="module")
def teacher_folder(tiny_backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher with random weights."""
    folder = tmp_path_factory.mktemp("run") / "teacher"
    backbone = load_backbone(tiny_backbone_folder)
    torch.manual_seed(1)
    shapes = TapShapes.of(backbone, guidance_of(SAMPLER).branches)
    GSketch(GSketchConfig(shapes, STEPS)).save(folder)
    embeddings = encode_prompts(backbone, ["a red cat", "two blue dog", "a house"])
    ConditionPrior.fit(embeddings).save(folder / "prior.safetensors")
    Conditions(embeddings[0], SAMPLER, True, backbone.fingerprint).save(folder)
    return folder


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photographs of different sizes, more than a batch holds."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i, size in enumerate([(64, 64), (90, 50), (40, 120)]):
        coarse = np.random.default_rng(i).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


def extractor_of(folder: Path, backbone: Path, options: InversionOptions) -> TeacherExtractor:
    return load_teacher_extractor(folder, str(backbone), options, choose_machine("cpu"))


def test_drawings_are_the_teachers_and_losses_are_told(
    teacher_folder: Path, tiny_backbone_folder: Path, photographs: Path
) -> None:
    done = onesketch("extract-by-teacher", str(teacher_folder), "photographs", "--out", "out",
                     "--backbone", str(tiny_backbone_folder))  # fmt: skip
    assert done.exit_code == 0, done.stderr
    sizes = [Image.open(f"out/{i}.png").size for i in range(3)]
    assert sizes == [(64, 64), (90, 50), (40, 120)]
    told = json.loads(Path("out/inversion.json").read_text())
    assert sorted(told) == ["0", "1", "2"]
    assert "round_trip_latent_rmse=" in done.stderr
    backbone = load_backbone(tiny_backbone_folder)
    photograph = np.asarray(Image.open("photographs/0.png"))
    image = image_from_uint8(photograph)
    taken = taps_of_images(backbone, image, encode_prompts(backbone, [""]), SAMPLER, STEPS)
    with torch.no_grad():
        sketch = sketch_to_uint8(GSketch.load(teacher_folder)(taken.taps, taken.images))[0]
    drawn = np.asarray(Image.open("out/0.png"))
    assert np.abs(drawn.astype(int) - sketch).max() <= 1
    mse = ((image - taken.images) / 2).square().mean().item()
    assert told["0"]["vae_psnr_db"] == pytest.approx(-10 * np.log10(mse), abs=0.01)


def test_the_inversion_and_the_prompt_that_were_asked_for_are_used(
    teacher_folder: Path, tiny_backbone_folder: Path, photographs: Path
) -> None:
    photograph = np.asarray(Image.open("photographs/0.png"))
    backbone = load_backbone(tiny_backbone_folder)
    latents = encode_images(backbone, image_from_uint8(photograph))
    nothing = encode_prompts(backbone, [""])
    plain = Sampling(steps=3, guidance=1.0)
    drawn = {}
    for options in (
        InversionOptions(),
        InversionOptions(inversion="ordinary"),
        InversionOptions("a red cat"),
    ):
        teacher_extractor = extractor_of(teacher_folder, tiny_backbone_folder, options)
        drawn[options] = teacher_extractor.draw([photograph])[0]
    for inversion, iterations in (("fixed-point", FIXED_POINT), ("ordinary", ORDINARY)):
        expected = round_trip(backbone, nothing, latents, plain, iterations)
        told = drawn[InversionOptions(inversion=inversion)].fidelity
        assert told["round_trip_latent_rmse"] == pytest.approx(
            expected.latent_rmse.item(), rel=1e-3
        )
        assert told["round_trip_psnr_db"] == pytest.approx(expected.psnr_db.item(), rel=1e-3)
    first, *others = (result.drawing for result in drawn.values())
    assert not any(np.array_equal(first, other) for other in others)


def test_a_file_that_is_not_from_here_is_not_replaced(
    teacher_folder: Path, tiny_backbone_folder: Path, photographs: Path
) -> None:
    teacher_extractor = extractor_of(teacher_folder, tiny_backbone_folder, InversionOptions())
    Path("out").mkdir()
    Path("out/2.png").write_bytes(b"a person's")

    def run() -> None:
        run_extract_by_teacher(
            teacher_extractor, ["photographs"], Path("out"), lambda *args, **fields: None
        )

    with pytest.raises(ValueError, match=r"out/2\.png would be replaced.*give another --out"):
        run()
    assert [path.name for path in Path("out").iterdir()] == ["2.png"]
    Path("out/2.png").unlink()
    for _ in range(2):  # its own drawings it replaces
        run()
    assert Image.open("out/2.png").size == (40, 120)


def test_an_unreadable_photograph_does_not_stop_the_others(
    teacher_folder: Path, tiny_backbone_folder: Path, photographs: Path
) -> None:
    (photographs / "1.png").write_bytes(b"no picture")
    teacher_extractor = extractor_of(teacher_folder, tiny_backbone_folder, InversionOptions())
    with pytest.raises(ValueError, match=r"1 of 3 images not drawn.*1\.png"):
        run_extract_by_teacher(
            teacher_extractor, ["photographs"], Path("out"), lambda *args, **fields: None
        )
    assert {path.name for path in Path("out").iterdir()} == {"0.png", "2.png", "inversion.json"}


def test_mistakes_are_one_line(
    teacher_folder: Path, tiny_backbone_folder: Path, photographs: Path
) -> None:
    asked = ["extract-by-teacher", str(teacher_folder), "photographs", "--out", "out"]
    with_backbone = [*asked, "--backbone", str(tiny_backbone_folder)]
    assert "use one of fixed-point, ordinary" in refusal(*with_backbone, "--inversion", "exact")
    assert "not the one that" in refusal(*asked)
    assert "onesketch teach" in refusal(asked[0], "photographs", *asked[2:])
    Path("extractor").mkdir()
    for name in ("model.safetensors", "config.json"):
        Path("extractor", name).write_text("{}")
    line = refusal(asked[0], "extractor", *asked[2:])
    assert "extractor holds an extractor, not a teacher: use `onesketch extract`" in line
    assert not Path("out").exists()


def test_the_teacher_joins_an_evaluation(
    teacher_folder: Path, tiny_backbone_folder: Path, photographs: Path
) -> None:
    teacher_extractor = extractor_of(teacher_folder, tiny_backbone_folder, InversionOptions())
    pictures = with_teacher(
        photograph_set(find_photographs(["photographs"]), "xdog"), teacher_extractor
    )
    read = [pair.read()[0] for pair in pictures.pairs]
    for picture, alone in zip(
        read, [teacher_extractor.draw([picture])[0] for picture in read], strict=True
    ):
        drawing = pictures.systems[TEACHER](picture).astype(int)
        assert np.abs(drawing - alone.drawing).max() <= 1
