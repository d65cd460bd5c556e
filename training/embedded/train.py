"""All embedded models from a seed: autoencoder, diffusion, perceptual, CLIP, edges, card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import nn
from transformers import CLIPTokenizer

from pipeline.arrays import Pixels
from pipeline.events import OnEvent
from training.embedded.card import sample_sheet, write_card
from training.embedded.figures import measure
from training.embedded.loop import EmbeddedSchedule, LossFn, train
from training.embedded.models.autoencoder import autoencoder_loss, encode_all, new_autoencoder
from training.embedded.models.contrastive import (
    Contrast,
    contrastive_loss,
    new_clip,
    save_clip,
    tokenize,
)
from training.embedded.models.denoiser import (
    LatentScenes,
    TextToLatent,
    denoising_loss,
    new_scheduler,
    new_text_encoder,
    new_unet,
)
from training.embedded.models.edges import SCENE_SIDE, edge_loss
from training.embedded.models.recognition import (
    Recogniser,
    attributes,
    recognition_loss,
    save_recogniser,
)
from training.embedded.models.tokenizer import learn_tokenizer
from training.embedded.photographs import PHOTOGRAPHS, read_photographs
from training.embedded.scenes.arrays import SceneArrays, make_scenes
from training.embedded.scenes.drawings import xdog_all
from training.embedded.scenes.reserved_seeds import TRAINING_SEEDS
from training.embedded.shipping import save_pipeline
from training.styles.edges import EdgeNetwork, save_edges


@dataclass(frozen=True)
class Budget:
    """Scenes and optimisation steps; the defaults are those of the shipped weights."""

    scenes: int = 16_000
    autoencoder_steps: int = 3_000
    denoiser_steps: int = 3_000
    recognition_steps: int = 400
    contrastive_steps: int = 700
    edge_scenes: int = 1_200
    edge_steps: int = 800


# Only the denoiser needs all scenes: crops and drawings vary what the others see.
AUTOENCODER_SCENES = 12_000
ENCODER_SCENES = 6_000


def train_all(
    out: Path,
    work: Path,
    on_event: OnEvent,
    seed: int = 0,
    budget: Budget | None = None,
    device: str = "cpu",
    photographs: Path | None = None,
) -> None:
    """Train all embedded models, measure them, and write their card.

    Args:
        out: gets diffusion/, clip/, perceptual/, edges/, README.md, figures.json and
            contact-sheet.png.
        work: gets the checkpoints, from which a second call resumes.
        on_event: listens to the steps of each training.
        seed: of all weights and data.
        budget: that of the shipped weights by default.
        device: where the models learn.
        photographs: folder of `training.embedded.photographs`, which the autoencoder of the shipped
            weights has learned from too; scenes alone without it.
    """
    budget = budget or Budget()
    pictures = read_photographs(photographs) if photographs else ()
    trainer = EmbeddedTrainer(out, work, seed, budget, device, on_event, pictures)
    scenes = make_scenes(TRAINING_SEEDS[0], budget.scenes)
    tokenizer = learn_tokenizer(scenes.captions)
    vae = trainer.train_autoencoder(scenes.first(AUTOENCODER_SCENES))
    model = trainer.train_denoiser(vae, scenes, tokenizer)
    save_pipeline(
        out / "diffusion", vae, model.unet, model.text_encoder, tokenizer, new_scheduler()
    )
    contrast = trainer.train_encoders(scenes.first(ENCODER_SCENES), tokenizer)
    figures = measure(vae, contrast.clip, tokenizer, trainer.train_edges())
    sample_sheet(
        StableDiffusionPipeline.from_pretrained(out / "diffusion"), out / "contact-sheet.png"
    )
    write_card(out, figures, asdict(budget), PHOTOGRAPHS if pictures else ())


class EmbeddedTrainer:
    """The training of each embedded model, all from one seed, budget and device.

    Attributes:
        out: folder of the models.
        work: folder of the checkpoints.
    """

    def __init__(
        self,
        out: Path,
        work: Path,
        seed: int,
        budget: Budget,
        device: str,
        on_event: OnEvent,
        photographs: Sequence[Pixels] = (),
    ) -> None:
        self.out, self.work, self.seed, self.budget = out, work, seed, budget
        self.device, self.on_event = torch.device(device), on_event
        self.photographs = photographs

    def train_autoencoder(self, scenes: SceneArrays) -> AutoencoderKL:
        """Train the autoencoder."""
        with _seeded(self.seed):
            vae = new_autoencoder().to(self.device)
        loss_fn = autoencoder_loss(vae, scenes, self.photographs, self.seed)
        self._train(
            "autoencoder", vae, loss_fn, EmbeddedSchedule(self.budget.autoencoder_steps, 2.5e-3)
        )
        return vae

    def train_denoiser(
        self, vae: AutoencoderKL, scenes: SceneArrays, tokenizer: CLIPTokenizer
    ) -> TextToLatent:
        """Train UNet and text encoder; scale the autoencoder's latents to unit variance before."""
        means, deviations = encode_all(vae, scenes.images)
        scale = 1 / means.float().std().item()
        vae.register_to_config(scaling_factor=scale)
        latents = LatentScenes(
            means=(means.float() * scale).half(),
            deviations=(deviations.float() * scale).half(),
            tokens=tokenize(tokenizer, list(scenes.captions)),
            empty=tokenize(tokenizer, [""])[0],
        )
        with _seeded(self.seed):
            unet = new_unet(means.shape[1], means.shape[-1])
            model = TextToLatent(unet, new_text_encoder(tokenizer)).to(self.device)
        loss_fn = denoising_loss(model, latents, new_scheduler(), self.seed, batch=64)
        schedule = EmbeddedSchedule(self.budget.denoiser_steps, 2e-3, averaging=0.998)
        self._train("denoiser", model, loss_fn, schedule)
        return model

    def train_encoders(self, scenes: SceneArrays, tokenizer: CLIPTokenizer) -> Contrast:
        """Train the perceptual network and the CLIP model, and write them to their folders."""
        inked = xdog_all(scenes.images)
        with _seeded(self.seed):
            recogniser = Recogniser(attributes(scenes)[0].shape[1]).to(self.device)
            contrast = Contrast(new_clip(tokenizer)).to(self.device)
        schedule = EmbeddedSchedule(
            self.budget.contrastive_steps, 1.5e-3, warmup=50, averaging=0.99
        )
        loss_fn = recognition_loss(recogniser, scenes, inked, self.seed + 1)
        self._train(
            "recogniser",
            recogniser,
            loss_fn,
            replace(schedule, steps=self.budget.recognition_steps),
        )
        save_recogniser(recogniser, self.out / "perceptual")
        loss_fn = contrastive_loss(contrast, scenes, inked, tokenizer, self.seed + 2, batch=96)
        self._train("clip", contrast, loss_fn, schedule)
        save_clip(contrast.clip, tokenizer, self.out / "clip")
        return contrast

    def train_edges(self) -> EdgeNetwork:
        """Train the edge style's network on larger scenes of its own; write it to its folder."""
        scenes = make_scenes(TRAINING_SEEDS[0], self.budget.edge_scenes, SCENE_SIDE)
        with _seeded(self.seed):
            network = EdgeNetwork().to(self.device)
        schedule = EmbeddedSchedule(self.budget.edge_steps, 3e-3, warmup=50, averaging=0.995)
        self._train("edges", network, edge_loss(network, scenes, self.seed + 3), schedule)
        save_edges(network, self.out / "edges")
        return network

    def _train(
        self, name: str, module: nn.Module, loss_fn: LossFn, schedule: EmbeddedSchedule
    ) -> None:
        origin = {
            "seed": self.seed,
            "scenes": self.budget.scenes,
            "edge_scenes": self.budget.edge_scenes,
            "photographs": len(self.photographs),
        }
        train(module, loss_fn, schedule, self.work / name, self.on_event, origin)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch while the context lasts; the caller's random state comes back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
