"""Fixtures of the pipeline's tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pipeline.diffusion.backbone import Backbone


@pytest.fixture(scope="session")
def backbone(tiny_backbone_folder: Path) -> Backbone:
    """The tiny backbone, loaded once."""
    # Imported here: with diffusers it costs tests that need no model most of their time.
    from pipeline.diffusion.backbone import load_backbone

    return load_backbone(tiny_backbone_folder)
