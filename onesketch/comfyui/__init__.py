"""Nodes for ComfyUI: a file among its custom nodes with `from onesketch.comfyui import *`.

Extractors lie in ComfyUI's `models/onesketch`, a folder each; nothing is downloaded.
"""

from __future__ import annotations

from importlib.util import find_spec

# ComfyUI takes the older form where a module has both.
if find_spec("comfy_api") is not None:
    from onesketch.comfyui.v3 import comfy_entrypoint

    __all__ = ["comfy_entrypoint"]
else:
    from onesketch.comfyui.v1 import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    __all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
