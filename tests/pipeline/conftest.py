"""Fixtures of the pipeline's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.backbone import Backbone, load_backbone


@pytest.fixture(scope="session")
def backbone(tiny_backbone_folder: Path) -> Backbone:
    """The tiny backbone, loaded once."""
    return load_backbone(tiny_backbone_folder)
