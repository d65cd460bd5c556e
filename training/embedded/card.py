"""The embedded models' card, and a contact sheet of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from pipeline.images.write import write_png
from pipeline.whole_file import write_json, write_text
from training.embedded.figures import Figures
from training.embedded.photographs import PACKAGE, Photograph

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
`onesketch train-embedded`; no outside weights{pictures}. `contact-sheet.png` shows
what the diffusion model draws for twelve captions.

| figure, on held-out data | value |
|---|---|
| autoencoder, scenes (mean of {count}) | {psnr_scenes:.1f} dB |
| autoencoder, photographs | {photographs} |
| autoencoder: what a latent row or column moves 32 pixels from it | {far_effect:.2f} grey levels |
| decoder features: loudest pixel row or column over the interior's rms | {line_excess:.1f} |
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


def write_card(
    folder: Path,
    figures: Figures,
    budget: dict[str, int],
    photographs: Sequence[Photograph] = (),
    count: int = 256,
) -> None:
    """Write README.md and figures.json beside the weights.

    Args:
        folder: of the weights.
        figures: what was measured.
        budget: scenes and steps by name.
        photographs: what the autoencoder has learned from besides scenes.
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
    card = CARD.format(**values, budget=spent, count=count, pictures=_of_photographs(photographs))
    write_text(folder / "README.md", card)


def _of_photographs(photographs: Sequence[Photograph]) -> str:
    if not photographs:
        return " and no outside pictures"
    named = "; ".join(f"{p.file} ({p.author}, {p.licence})" for p in photographs)
    return (
        f". The autoencoder has learned from {len(photographs)} photographs of Debian's package "
        f"{PACKAGE} too: {named}"
    )
