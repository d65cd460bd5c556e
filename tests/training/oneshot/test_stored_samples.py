"""Samples that were stored: the bits that were made, and the same teacher from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from pipeline.diffusion.backbone import load_backbone
from pipeline.events import ignore
from tests.standins import tiny_spec
from training.oneshot.loop import fit, prepare
from training.oneshot.spec import OneShotSpec
from training.oneshot.stored_samples import StoredSamples, batch_path, read_batch, write_batch


@pytest.fixture(scope="module")
def spec(tiny_backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> OneShotSpec:
    backbone = load_backbone(tiny_backbone_folder)
    return tiny_spec.build(backbone, tmp_path_factory.mktemp("encoders"), iterations=3)


@pytest.fixture(scope="module")
def stored(spec: OneShotSpec, tmp_path_factory: pytest.TempPathFactory) -> StoredSamples:
    """The spec's batches, with taps of a step that it does not use."""
    folder = tmp_path_factory.mktemp("samples")
    samples = prepare(spec, folder).samples
    wider = dataclasses.replace(samples, timesteps=(0, 1, 2))
    for first in (0, 2):
        write_batch(batch_path(folder, first), wider.make(range(first, first + 2)))
    return StoredSamples(folder, spec.sampling.batch, spec.timesteps)


def test_what_is_read_has_the_bits_of_what_was_made(
    spec: OneShotSpec, stored: StoredSamples, tmp_path: Path
) -> None:
    made = prepare(spec, tmp_path).samples.make(stored.chunk_of(3))
    read = stored.make(stored.chunk_of(3))
    assert stored.chunk_of(3) == range(2, 4)
    assert torch.equal(read.images, made.images) and torch.equal(read.latents, made.latents)
    assert read.taps.unet.keys() == made.taps.unet.keys()
    for t, features in made.taps.unet.items():
        assert all(map(torch.equal, read.taps.unet[t], features))
    assert len(read.taps.vae) == len(made.taps.vae)
    assert all(map(torch.equal, read.taps.vae, made.taps.vae))


def test_training_on_stored_samples_gives_the_same_teacher(
    spec: OneShotSpec, stored: StoredSamples, tmp_path: Path
) -> None:
    fit(spec, tmp_path / "made", ignore)
    fit(spec, tmp_path / "read", ignore, samples=stored)
    for name in ("gsketch.safetensors", "history.jsonl", "teach.json"):
        assert (tmp_path / "made" / name).read_bytes() == (tmp_path / "read" / name).read_bytes()


def test_a_known_picture_that_was_given_is_not_sampled_again(
    spec: OneShotSpec, tmp_path: Path
) -> None:
    context = prepare(spec, tmp_path)
    # Another noise would make another picture, which `prepare` refuses.
    generated = dataclasses.replace(spec.generated, noise=-spec.generated.noise)
    pair = dataclasses.replace(spec.pair, generated=generated)
    given = dataclasses.replace(spec, pair=pair, example=context.example)
    assert prepare(given, tmp_path).example is context.example
    assert given.identity().keys() - spec.identity().keys() == {"known picture"}
    other = dataclasses.replace(context.example, images=-context.example.images)
    changed = dataclasses.replace(given, example=other).identity()
    assert changed["known picture"] != given.identity()["known picture"]


def test_a_batch_that_cannot_be_used_is_named(stored: StoredSamples, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\[7\] are missing"):
        read_batch(batch_path(stored.folder, 0), (0, 7))
    with pytest.raises(ValueError, match="batch-000008.*cannot be read"):
        stored.make(stored.chunk_of(8))
    broken = tmp_path / "batch-000000.safetensors"
    broken.write_bytes(batch_path(stored.folder, 0).read_bytes()[:-100])
    with pytest.raises(ValueError, match="cannot be read.*made again"):
        read_batch(broken, (0,))
