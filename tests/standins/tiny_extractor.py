"""An extractor with random weights, small enough for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from training.encoders.features import FeatureNetwork
from training.extraction.extractor_folder import write_extractor
from training.students.pix2pixhd import Pix2PixHD, Preset
from training.students.pix2pixhd_discriminators import DiscriminatorConfig
from training.students.pix2pixhd_generator import GeneratorConfig

TINY = GeneratorConfig(width=4, downs=2, blocks=1)


def write_tiny_extractor(
    folder: Path, generator: GeneratorConfig = TINY, metadata: Mapping[str, Any] | None = None
) -> Path:
    """Write the extractor of seed 0 into a folder; return the folder."""
    torch.manual_seed(0)
    student = Pix2PixHD(Preset(generator, DiscriminatorConfig(width=4)), FeatureNetwork)
    write_extractor(folder, student, "pix2pixhd", metadata or {})
    return folder
