"""What other programs import; each name is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onesketch.datasets import open_dataset
    from onesketch.detector import OneSketchDetector
    from onesketch.sketch_extractor import SketchExtractor

__all__ = ["OneSketchDetector", "SketchExtractor", "open_dataset"]

_MODULES = {
    "OneSketchDetector": "onesketch.detector",
    "SketchExtractor": "onesketch.sketch_extractor",
    "open_dataset": "onesketch.datasets",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'onesketch' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
