"""The figures of the embedded models' card, measured on held-out data.

Shapes: B pictures, D embedding width, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import open_clip
import torch
from diffusers import AutoencoderKL
from skimage import data as bundled
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor
from transformers import CLIPTokenizer

from pipeline.arrays import Pixels
from training.embedded.edge_scores import BoundaryScores, boundary_scores
from training.embedded.locality import far_effect, line_excess
from training.embedded.models.autoencoder import reconstruct
from training.embedded.models.contrastive import to_clip, tokenize
from training.embedded.scenes.arrays import SceneArrays, make_scenes
from training.embedded.scenes.reserved_seeds import HELD_OUT_SEEDS
from training.styles.baselines import sobel
from training.styles.edges import EdgeNetwork, draw_edges
from training.styles.xdog import xdog

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
RETRIEVAL_SIZE = 64
# Pictures for the figures of locality, of which each is decoded 33 times.
LOCALITY_COUNT = 16


@dataclass(frozen=True)
class Figures:
    """Figures on data that no training saw. PSNR in dB; shares in [0, 1]."""

    psnr_scenes: float
    psnr_photographs: dict[str, float]
    far_effect: float  # grey levels, see training.embedded.locality
    line_excess: float
    captions_found: float  # of 64 captions, for a scene
    scenes_found: float  # of 64 scenes, for a caption
    drawings_found: float  # of 64 drawings, for a scene
    drawings_told: float  # pictures nearer to their own domain's mean: scene or drawing
    boundary_f: dict[str, float]  # of scenes' exact lines, within a pixel, by drawing style
    boundary_precision: dict[str, float]  # likewise, average precision


def measure(
    vae: AutoencoderKL,
    clip: open_clip.CLIP,
    tokenizer: CLIPTokenizer,
    edges: EdgeNetwork,
    count: int = 256,
) -> Figures:
    """Measure all figures of the card, on `count` held-out scenes and on bundled photographs."""
    scenes = make_scenes(HELD_OUT_SEEDS[0], count)
    photographs = psnr(vae, [_photograph(name) for name in PHOTOGRAPHS])
    scores = _edge_figures(edges, scenes)
    return Figures(
        psnr_scenes=float(np.mean(psnr(vae, list(scenes.images)))),
        psnr_photographs=dict(zip(PHOTOGRAPHS, photographs, strict=True)),
        far_effect=far_effect(vae, scenes.images[:LOCALITY_COUNT]),
        line_excess=line_excess(vae, scenes.images[:LOCALITY_COUNT]),
        boundary_f={name: score.f_measure for name, score in scores.items()},
        boundary_precision={name: score.average_precision for name, score in scores.items()},
        **clip_figures(clip, tokenizer, scenes),
    )


def psnr(vae: AutoencoderKL, images: Sequence[Pixels]) -> list[float]:
    """Measure the peak signal to noise ratio of each picture after the autoencoder, in dB."""
    return [float(peak_signal_noise_ratio(i, reconstruct(vae, i), data_range=255)) for i in images]


@torch.no_grad()
def clip_figures(
    clip: open_clip.CLIP, tokenizer: CLIPTokenizer, scenes: SceneArrays
) -> dict[str, float]:
    """Measure how the embedded CLIP retrieves, and how well it tells scenes from drawings.

    Returns:
        The fields of `Figures` that are about CLIP.
    """
    device = next(clip.parameters()).device
    drawings = np.stack([np.repeat(xdog(i)[..., None], 3, axis=2) for i in scenes.images])
    image = clip.encode_image(to_clip(scenes.images, device), normalize=True).cpu()
    drawn = clip.encode_image(to_clip(drawings, device), normalize=True).cpu()
    tokens = tokenize(tokenizer, list(scenes.captions)).to(device)
    text = clip.encode_text(tokens, normalize=True).cpu()
    half = len(image) // 2
    means = torch.stack([image[:half].mean(0), drawn[:half].mean(0)])  # (2, D)
    told = [(image[half:] @ means.T).argmax(1) == 0, (drawn[half:] @ means.T).argmax(1) == 1]
    return {
        "captions_found": _recall_at_1(image, text),
        "scenes_found": _recall_at_1(text, image),
        "drawings_found": _recall_at_1(image, drawn),
        "drawings_told": torch.cat(told).float().mean().item(),
    }


def _photograph(name: str, side: int = 128) -> Pixels:
    """Cut the middle square of a photograph that comes with scikit-image; (side, side, 3)."""
    image = getattr(bundled, name)()
    size = min(image.shape[:2])
    y, x = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return cv2.resize(image[y : y + size, x : x + size], (side, side), interpolation=cv2.INTER_AREA)


def _recall_at_1(queries: Tensor, keys: Tensor) -> float:
    """Count the share of queries (B, D) whose own key is the nearest, in groups of 64."""
    hits = [
        (q @ k.T).argmax(1) == torch.arange(len(q))
        for q, k in zip(queries.split(RETRIEVAL_SIZE), keys.split(RETRIEVAL_SIZE), strict=True)
    ]
    return torch.cat(hits).float().mean().item()


def _edge_figures(network: EdgeNetwork, scenes: SceneArrays) -> dict[str, BoundaryScores]:
    """Score the learned edge style and the plain edge filter against scenes' exact lines."""
    drawings = {
        "edges": np.stack([draw_edges(network, image) for image in scenes.images]),
        "sobel": np.stack([sobel(image) for image in scenes.images]),
    }
    return {name: boundary_scores(drawn, scenes.line_art) for name, drawn in drawings.items()}
