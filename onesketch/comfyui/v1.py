"""The nodes in ComfyUI's first form: classes that describe themselves in attributes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from onesketch.comfyui.drawing import (
    CATEGORY,
    LOAD_NAME,
    SKETCH_NAME,
    draw,
    load_model,
    model_names,
)
from onesketch.sketch_extractor import SketchExtractor

_EXTRACTOR = "ONESKETCH_EXTRACTOR"


class LoadSketchExtractor:
    """Opens an extractor of models/onesketch."""

    CATEGORY = CATEGORY
    FUNCTION = "load"
    RETURN_TYPES = (_EXTRACTOR,)
    RETURN_NAMES = ("extractor",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  # ComfyUI's name
        """Describe the inputs."""
        return {"required": {"model": (model_names(),)}}

    def load(self, model: str) -> tuple[SketchExtractor]:
        """Open it."""
        return (load_model(model),)


class Sketch:
    """Draws a batch of pictures."""

    CATEGORY = CATEGORY
    FUNCTION = "sketch"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("drawing", "ink")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  # ComfyUI's name
        """Describe the inputs."""
        return {
            "required": {
                "extractor": (_EXTRACTOR,),
                "image": ("IMAGE",),
                "invert": ("BOOLEAN", {"default": False}),
                "threshold": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 0.99, "step": 0.01}),
                "thickness": ("INT", {"default": 0, "min": -32, "max": 32}),
                "short_side": ("INT", {"default": 0, "min": 0, "max": 16384}),
            }
        }

    def sketch(
        self,
        extractor: SketchExtractor,
        image: Tensor,
        invert: bool,
        threshold: float,
        thickness: int,
        short_side: int,
    ) -> tuple[Tensor, Tensor]:
        """Draw them."""
        return draw(extractor, image, invert, threshold, thickness, short_side)


NODE_CLASS_MAPPINGS = {
    "OneSketchLoad": LoadSketchExtractor,
    "OneSketchSketch": Sketch,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "OneSketchLoad": LOAD_NAME,
    "OneSketchSketch": SKETCH_NAME,
}
