"""Samples that an ablation shares: for training, by seed, and the pictures that are scored."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from jobs.experiments.ablation.workspace import (
    SCENES,
    PictureKind,
    Workspace,
    load_models,
    picture_sets,
)
from jobs.nodes.models import check_seen
from pipeline.diffusion.backbone import Backbone
from pipeline.diffusion.inversion import taps_of_images
from pipeline.diffusion.sampling import Sample, encode_prompts, initial_noise, sample
from pipeline.pixels import image_from_uint8
from pipeline.seeds import generator
from training.embedded.scenes.reserved_seeds import EVALUATION_SEEDS
from training.embedded.scenes.scene import make_scene
from training.oneshot.samples import GeneratedSamples
from training.oneshot.stored_samples import batch_path, write_batch

_EVALUATION_STREAM = "ablation-evaluation"


@dataclass(frozen=True)
class TrainingBatch:
    """One batch of training samples to make."""

    workspace: Workspace
    seed: int
    cdst: bool
    indices: range

    def missing(self) -> bool:
        """Whether it has yet to be made."""
        folder = self.workspace.samples(self.seed, self.cdst)
        return not batch_path(folder, self.indices.start).is_file()

    def write(self) -> None:
        """Sample it, exactly as a training of this seed would."""
        workspace, models = self.workspace, load_models(self.workspace)
        teach = workspace.teach
        # Without CDST no row draws its steps: the full method's are enough.
        timesteps = workspace.union if self.cdst else workspace.timesteps
        example = encode_prompts(models.backbone, [workspace.recipe.example.prompt])[0]
        samples = GeneratedSamples(
            models.backbone,
            models.prior,
            workspace.recipe.sampler,
            timesteps,
            example.float().cpu(),
            self.seed,
            teach.diffusion_duration,
            self.cdst,
        )
        folder = workspace.samples(self.seed, self.cdst)
        write_batch(batch_path(folder, self.indices.start), samples.make(self.indices))


@dataclass(frozen=True)
class EvaluationBatch:
    """One batch of pictures to score on."""

    workspace: Workspace
    pictures: PictureKind
    indices: range

    def missing(self) -> bool:
        """Whether it has yet to be made."""
        folder = self.workspace.evaluation(self.pictures)
        return not batch_path(folder, self.indices.start).is_file()

    def write(self) -> None:
        """Generate the pictures of held-out captions, or bring the captioned scenes in."""
        folder = self.workspace.evaluation(self.pictures)
        write_batch(batch_path(folder, self.indices.start), self._make())

    def _make(self) -> Sample:
        if self.pictures == SCENES:
            seeds = [EVALUATION_SEEDS[index] for index in self.indices]
            return sample_scenes(self.workspace, load_models(self.workspace).backbone, seeds)
        models = load_models(self.workspace)
        prompts = [make_scene(EVALUATION_SEEDS[index]).caption for index in self.indices]
        noise = [generator(0, index, _EVALUATION_STREAM) for index in self.indices]
        return sample(
            models.backbone,
            encode_prompts(models.backbone, prompts),
            initial_noise(models.backbone, noise),
            self.workspace.recipe.sampler,
            self.workspace.union,
        )


SampleBatch = TrainingBatch | EvaluationBatch


def training_batches(workspace: Workspace, seed: int) -> list[SampleBatch]:
    """List the batches that the trainings of a seed still lack."""
    size, iterations = workspace.recipe.sampler.batch, workspace.teach.iterations
    firsts = range(0, iterations, size)
    batches = [
        TrainingBatch(workspace, seed, cdst, range(first, first + size))
        for cdst in (True, False)
        for first in firsts
    ]
    return [batch for batch in batches if batch.missing()]


def evaluation_batches(workspace: Workspace, styles: Sequence[str]) -> list[SampleBatch]:
    """List the batches of pictures to score on that are still missing."""
    batches = [
        EvaluationBatch(workspace, pictures, indices)
        for pictures in picture_sets(styles)
        for indices in workspace.batches()
    ]
    return [batch for batch in batches if batch.missing()]


def make_batch(batch: SampleBatch) -> None:
    """Make one batch: the task that goes to a worker; ValueError where it does not see --out."""
    check_seen(str(batch.workspace.out))
    batch.write()


def remove_training_samples(workspace: Workspace, seed: int) -> None:
    """Free the disk of a seed's samples, some 11 MB each at 128 px."""
    shutil.rmtree(workspace.samples(seed, True).parent, ignore_errors=True)


def sample_scenes(workspace: Workspace, backbone: Backbone, seeds: Sequence[int]) -> Sample:
    """Take procedural scenes, under their captions, as if they had been sampled."""
    made = [make_scene(seed, backbone.image_size) for seed in seeds]
    images = torch.cat([image_from_uint8(scene.image) for scene in made]).to(backbone.device)
    embeddings: Tensor = encode_prompts(backbone, [scene.caption for scene in made])
    return taps_of_images(backbone, images, embeddings, workspace.recipe.sampler, workspace.union)
