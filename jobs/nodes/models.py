"""A recipe's models by names that are good on every node: each finds them for itself."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from jobs.runtime.weights import EMBEDDED, ModelKind, locate, locate_backbone
from pipeline.recipe.recipe import Recipe
from pipeline.storage.address import is_address
from pipeline.storage.node_cache import NodeCache
from training.encoders.location import absolute_location


@dataclass(frozen=True)
class Models:
    """What a teacher is taught on: `embedded`, absolute paths, addresses, or names of the hub."""

    backbone: str
    clip: str
    perceptual: str

    @classmethod
    def of(cls, recipe: Recipe) -> Models:
        """Take a recipe's models; relative paths are those of this process."""
        teach = recipe.teach
        return cls(*map(name_everywhere, (recipe.backbone, teach.clip, teach.perceptual)))

    def find(self, kind: ModelKind, cache: NodeCache) -> str:
        """Return where a model is on this node's disk, as `find_model` does."""
        return find_model(kind, getattr(self, kind), cache)


def find_model(kind: ModelKind, name: str, cache: NodeCache) -> str:
    """Return where a model is on this node's disk, fetched if it is far.

    Raises:
        ValueError: it is not here, and nowhere that this node can fetch it from.
    """
    location = locate(kind, name)
    check_seen(location)
    if kind == "backbone":
        location = locate_backbone(location)
    return cache.local_path(location)


def name_everywhere(name: str) -> str:
    """Make a recipe's name of a model good on any node."""
    return name if name == EMBEDDED else absolute_location(name)


def check_seen(location: str) -> None:
    """Raise ValueError where another node's absolute path does not exist on this one.

    Args:
        location: a path, or `NAME:FILE`; what is not absolute is left unchecked.
    """
    name, _, file = location.partition(":")
    path = Path(file or name)
    if is_address(location) or is_address(file):
        return
    if path.is_absolute() and not path.exists():
        raise ValueError(
            f"node {socket.gethostname()} does not see {path}: correct the path, or, where nodes "
            "share no disk, put the run, and models that are not installed with onesketch, at an "
            "address (s3://bucket/prefix)"
        )
