"""The terms of one-shot training against the equations written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.recipe.diffsketch import DiffSketchTeach
from tests.standins.tiny_encoders import write_clip, write_perceptual
from training.encoders.clip import ClipEncoder, load_clip
from training.encoders.lpips import Perceptual, load_perceptual
from training.oneshot.objective import TERMS, Objective

Encoders = tuple[ClipEncoder, Perceptual]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Encoders:
    folder = tmp_path_factory.mktemp("encoders")
    return load_clip(write_clip(folder / "c")), load_perceptual(write_perceptual(folder / "p"))


def pictures(count: int, channels: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, 40, 40, generator=generator)


def test_terms_equal_the_equations_written_out(encoders: Encoders) -> None:
    clip, perceptual = encoders
    source, sample, drawn = pictures(1, 3, 0) * 2 - 1, pictures(1, 3, 1) * 2 - 1, pictures(2, 1, 2)
    page = pictures(1, 1, 3)
    objective = Objective.of(source, page, DiffSketchTeach(), clip, perceptual)
    terms = objective.terms(drawn, objective.embed(sample))

    e = [
        clip.image(x)[0].detach().numpy().astype(float)
        for x in ((source + 1) / 2, page, (sample + 1) / 2, drawn[1:], drawn[:1])
    ]
    source_e, sketch_e, sample_e, sample_sketch_e, reconstruction_e = e

    def distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    three = [x.repeat(1, 3, 1, 1) * 2 - 1 for x in (drawn[:1], page)]
    expected = {
        "across": distance(sample_sketch_e - sample_e, sketch_e - source_e),
        "within": distance(sample_e - source_e, sample_sketch_e - sketch_e),
        "pixel": np.abs(drawn[0].numpy() - page[0].numpy()).mean(),
        "lpips": perceptual.network(*three).item(),
        "clip": distance(reconstruction_e, sketch_e),
    }
    for name in TERMS:
        assert terms[name].item() == pytest.approx(expected[name], rel=1e-3, abs=1e-6), name
    total = (
        expected["across"]
        + expected["within"]
        + 30 * expected["pixel"]
        + 15 * expected["lpips"]
        + 30 * expected["clip"]
    )
    assert objective.total(terms).item() == pytest.approx(total, rel=1e-4)


def test_both_drawings_receive_gradient_from_their_terms(encoders: Encoders) -> None:
    objective = Objective.of(pictures(1, 3, 0), pictures(1, 1, 3), DiffSketchTeach(), *encoders)
    sample = objective.embed(pictures(1, 3, 1))
    for names, reached in ((("across", "within"), 1), (("pixel", "lpips", "clip"), 0)):
        drawn = pictures(2, 1, 2).requires_grad_()
        terms = objective.terms(drawn, sample)
        torch.stack([terms[name] for name in names]).sum().backward()
        magnitudes = drawn.grad.abs().sum(dim=(1, 2, 3))
        assert magnitudes[reached] > 0 and magnitudes[1 - reached] == 0


def test_each_term_has_its_own_weight(encoders: Encoders) -> None:
    clip, perceptual = encoders
    weights = {"across": 2.0, "within": 3.0, "l1": 5.0, "lpips": 7.0, "clip": 11.0}
    teach = DiffSketchTeach.model_validate({"weights": weights})
    objective = Objective.of(pictures(1, 3, 0), pictures(1, 1, 1), teach, clip, perceptual)
    powers = {name: torch.tensor(10.0**-power) for power, name in enumerate(TERMS)}
    by_name = {**weights, "pixel": weights["l1"]}
    expected = sum(by_name[name] * powers[name].item() for name in TERMS)
    assert objective.total(powers).item() == pytest.approx(expected, rel=1e-6)
