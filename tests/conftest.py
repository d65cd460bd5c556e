"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny_backbone


@pytest.fixture(scope="session")
def tiny_backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of 64 px with 12 UNet and 14 VAE decoder resnets and random weights."""
    return tiny_backbone.build(tmp_path_factory.mktemp("backbone") / "tiny")
