"""The nodes in ComfyUI's present form, `comfy_api.latest`."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import ComfyExtension, io
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

_Extractor = io.Custom("ONESKETCH_EXTRACTOR")


class LoadSketchExtractor(io.ComfyNode):
    """Opens an extractor of models/onesketch."""

    @classmethod
    def define_schema(cls) -> Any:
        """Describe the node."""
        return io.Schema(
            node_id="OneSketchLoad",
            display_name=LOAD_NAME,
            category=CATEGORY,
            inputs=[io.Combo.Input("model", options=model_names())],
            outputs=[_Extractor.Output(display_name="extractor")],
        )

    @classmethod
    def execute(cls, model: str) -> Any:
        """Open it."""
        return io.NodeOutput(load_model(model))


class Sketch(io.ComfyNode):
    """Draws a batch of pictures."""

    @classmethod
    def define_schema(cls) -> Any:
        """Describe the node."""
        return io.Schema(
            node_id="OneSketchSketch",
            display_name=SKETCH_NAME,
            category=CATEGORY,
            inputs=[
                _Extractor.Input("extractor"),
                io.Image.Input("image"),
                io.Boolean.Input("invert", default=False),
                io.Float.Input("threshold", default=0.0, min=0.0, max=0.99, step=0.01),
                io.Int.Input("thickness", default=0, min=-32, max=32),
                io.Int.Input("short_side", default=0, min=0, max=16384),
            ],
            outputs=[
                io.Image.Output(display_name="drawing"),
                io.Mask.Output(display_name="ink"),
            ],
        )

    @classmethod
    def execute(
        cls,
        extractor: SketchExtractor,
        image: Tensor,
        invert: bool,
        threshold: float,
        thickness: int,
        short_side: int,
    ) -> Any:
        """Draw them."""
        return io.NodeOutput(*draw(extractor, image, invert, threshold, thickness, short_side))


class OneSketchExtension(ComfyExtension):
    """The nodes of this package."""

    async def get_node_list(self) -> list[type[Any]]:
        """List them."""
        return [LoadSketchExtractor, Sketch]


async def comfy_entrypoint() -> OneSketchExtension:
    """Give ComfyUI the extension."""
    return OneSketchExtension()
