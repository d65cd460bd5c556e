"""What the nodes do, in both forms of ComfyUI's interface.

B: pictures of a batch, H, W: pixels. Pictures are float32 (B, H, W, 3 or 4) in [0, 1], masks
(B, H, W).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onesketch.sketch_extractor import SketchExtractor
from pipeline.arrays import Pixels
from training.extraction.extractor_folder import CONFIG, read_config

CATEGORY = "onesketch"
FOLDER = "onesketch"  # of ComfyUI's models
LOAD_NAME, SKETCH_NAME = "Load sketch extractor", "Sketch"


def model_names() -> list[str]:
    """List the extractors in ComfyUI's models/onesketch."""
    return sorted(_model_folders())


def load_model(name: str) -> SketchExtractor:
    """Open an extractor on ComfyUI's device, once for as long as its files stay the same.

    Raises:
        ExtractorError: its folder does not hold a whole extractor.
        ValueError: there is no such extractor.
    """
    import comfy.model_management

    folder = _model_folders().get(name)
    if folder is None:
        raise ValueError(
            f"no extractor {name!r} in ComfyUI's models/{FOLDER}: put the folder there that "
            "`onesketch publish` wrote"
        )
    device = str(comfy.model_management.get_torch_device())
    return _open(folder, str(read_config(folder)["sha256"]), device)


def draw(
    extractor: SketchExtractor,
    images: Tensor,
    invert: bool,
    threshold: float,
    thickness: int,
    short_side: int,
) -> tuple[Tensor, Tensor]:
    """Draw a whole batch.

    Args:
        extractor: an opened one.
        images: (B, H, W, 3), or with alpha, which is laid over white.
        invert: white on black, in the picture; the mask is the ink either way.
        threshold: in (0, 1); 0: greys stay.
        thickness: pixels by which lines grow, or shrink below 0.
        short_side: pixels at which it is drawn; 0: the picture's own.

    Returns:
        Pictures (B, H, W, 3) and ink (B, H, W), 1 = full, on the CPU.
    """
    import comfy.model_management
    import comfy.utils

    progress = comfy.utils.ProgressBar(len(images))
    drawings = []
    for image in images:
        comfy.model_management.throw_exception_if_processing_interrupted()
        drawing = extractor(
            _to_pixels(image),
            short_side=short_side or None,
            threshold=threshold or None,
            thickness=thickness,
            output_type="pt",
        )
        drawings.append(drawing)
        progress.update(1)
    paper = torch.cat(drawings)  # type: ignore[arg-type]  # (B, H, W), 1 = paper
    ink = 1 - paper
    shown = ink if invert else paper
    return shown[..., None].repeat(1, 1, 1, 3), ink


def _to_pixels(image: Tensor) -> Pixels:
    """Convert one picture (H, W, C) to uint8 (H, W, 3), rounded and not cut off."""
    values = image.detach().cpu().float().clamp(0, 1)
    if values.shape[-1] == 4:
        alpha = values[..., 3:]
        values = values[..., :3] * alpha + (1 - alpha)
    return np.asarray((values * 255 + 0.5).to(torch.uint8).numpy())


def _model_folders() -> dict[str, Path]:
    import folder_paths

    default = str(Path(folder_paths.models_dir) / FOLDER)
    folder_paths.add_model_folder_path(FOLDER, default)
    roots: list[Any] = folder_paths.get_folder_paths(FOLDER)
    return {
        path.parent.name: path.parent for root in roots for path in Path(root).glob(f"*/{CONFIG}")
    }


@lru_cache(maxsize=4)
def _open(folder: Path, sha256: str, device: str) -> SketchExtractor:
    return SketchExtractor.from_pretrained(folder, device=device)
