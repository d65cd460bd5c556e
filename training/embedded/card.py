"""The embedded models' card: figures on held-out data, and a sheet of samples.

Shapes: B pictures, D embedding width, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import open_clip
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image
from skimage import data as bundled
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor
from transformers import CLIPTokenizer

from pipeline.arrays import Pixels
from pipeline.images.write import write_png
from pipeline.whole_file import write_json, write_text
from training.embedded.edge_scores import BoundaryScores, boundary_scores
from training.embedded.models.autoencoder import reconstruct
from training.embedded.models.contrastive import to_clip, tokenize
from training.embedded.scenes.arrays import SceneArrays, make_scenes
from training.embedded.scenes.reserved_seeds import HELD_OUT_SEEDS
from training.styles.baselines import sobel
from training.styles.edges import EdgeNetwork, draw_edges
from training.styles.xdog import xdog

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
RETRIEVAL_SIZE = 64
FONT = cv2.FONT_HERSHEY_SIMPLEX
PROMPTS = (
    "a red ball on grass under a blue sky",
    "a white cat on a wooden table",
    "a yellow house on snow",
    "a green tree at sunset",
    "a purple fish under water",
    "a pink flower on grass under a blue sky",
    "a blue cup on a wooden table",
    "an orange mushroom among dead leaves",
    "a yellow star in the night sky",
    "a white boat on the sea under a blue sky",
    "a black cat on sand by the sea",
    "a blue house and a green tree on snow",
)


@dataclass(frozen=True)
class Figures:
    """Figures on data that no training saw. PSNR in dB; shares in [0, 1]."""

    psnr_scenes: float
    psnr_photographs: dict[str, float]
    captions_found: float  # of 64 captions, for a scene
    scenes_found: float  # of 64 scenes, for a caption
    drawings_found: float  # of 64 drawings, for a scene
    drawings_told: float  # pictures nearer to their own domain's mean: scene or drawing
    boundary_f: dict[str, float]  # of scenes' exact lines, within a pixel, by drawing style
    boundary_precision: dict[str, float]  # likewise, average precision


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
        boundary_f={name: score.f_measure for name, score in scores.items()},
        boundary_precision={name: score.average_precision for name, score in scores.items()},
        **clip_figures(clip, tokenizer, scenes),
    )


def sample_sheet(pipeline: StableDiffusionPipeline, path: Path) -> None:
    """Write a contact sheet of what the card's prompts give, each picture above its prompt."""
    generator = torch.Generator().manual_seed(0)
    pictures = pipeline(list(PROMPTS), guidance_scale=5.0, generator=generator).images
    columns, tile, margin, text = 4, 192, 8, 34
    rows = -(-len(pictures) // columns)
    width, height = columns * (tile + margin) + margin, rows * (tile + text + margin) + margin
    sheet = np.full((height, width, 3), 255, np.uint8)
    for i, (picture, prompt) in enumerate(zip(pictures, PROMPTS, strict=True)):
        y = margin + (i // columns) * (tile + text + margin)
        x = margin + (i % columns) * (tile + margin)
        sheet[y : y + tile, x : x + tile] = np.asarray(
            picture.resize((tile, tile), Image.Resampling.BICUBIC)
        )
        words = prompt.split()
        lines = (" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :]))
        for n, line in enumerate(lines):
            place = (x, y + tile + 13 + 14 * n)
            cv2.putText(sheet, line, place, FONT, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    write_png(path, sheet)


CARD = """\
# The embedded models

Trained from nothing on procedural scenes (`training/embedded/scenes`) by
`onesketch train-embedded`; no outside weights and no outside pictures. `contact-sheet.png` shows
what the diffusion model draws for twelve captions.

| figure, on held-out data | value |
|---|---|
| autoencoder, scenes (mean of {count}) | {psnr_scenes:.1f} dB |
| autoencoder, photographs | {photographs} |
| CLIP: a scene finds its caption among 64 | {captions_found:.0%} |
| CLIP: a caption finds its scene among 64 | {scenes_found:.0%} |
| CLIP: a scene finds its XDoG drawing among 64 | {drawings_found:.0%} |
| CLIP: scene or drawing told apart | {drawings_told:.0%} |
| edges: F-measure of scenes' exact lines within a pixel | {boundary_f} |
| edges: average precision likewise | {boundary_precision} |

Trained with {budget}.

`diffusion/` opens with `diffusers.StableDiffusionPipeline.from_pretrained`, `clip/` with
`open_clip.create_model("local-dir:...")`, `perceptual/` holds torchvision's AlexNet trunk for
`lpips`, `edges/` the network of the drawing style `edges` (holistically nested, five scales: soft
boundaries, trained on the scenes' line art against texture, light, blur and grain). Small as they
are, they know ten kinds of object and nothing else of the world: they are there so that every
command runs, is tested and can be learned without a download.
"""


def write_card(folder: Path, figures: Figures, budget: dict[str, int], count: int = 256) -> None:
    """Write README.md and figures.json beside the weights.

    Args:
        folder: of the weights.
        figures: what was measured.
        budget: scenes and steps by name.
        count: how many scenes were measured on.
    """
    values = asdict(figures)
    write_json(folder / "figures.json", {**values, "budget": budget})
    values["photographs"] = ", ".join(
        f"{name} {value:.1f} dB" for name, value in values.pop("psnr_photographs").items()
    )
    for name in ("boundary_f", "boundary_precision"):
        values[name] = ", ".join(f"{style} {value:.2f}" for style, value in values[name].items())
    spent = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in budget.items())
    write_text(folder / "README.md", CARD.format(**values, budget=spent, count=count))


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
