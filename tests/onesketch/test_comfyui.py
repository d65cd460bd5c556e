"""The nodes against a literal stand-in of what ComfyUI's loader and nodes rely on.

ComfyUI itself is in no package registry; the stand-in has the names and shapes of its
`comfy_api.latest`, `comfy.model_management`, `comfy.utils` and `folder_paths`, and calls nodes as
its loader does.
"""

from __future__ import annotations

import asyncio
import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from onesketch import SketchExtractor
from tests.onesketch.test_sketch_extractor import folder, picture
from training.extraction.extractor_folder import ExtractorError

folder = folder  # a fixture: a tiny extractor
DEFAULTS = {"invert": False, "threshold": 0.0, "thickness": 0, "short_side": 0}


class CancelledError(Exception):
    """What ComfyUI raises where a person presses its cancel button."""


def kind_of_input(kind: str) -> type:
    class Input:
        def __init__(self, name: str, **options: Any) -> None:
            self.kind, self.name, self.options = kind, name, options

    class Output:
        def __init__(self, display_name: str = "") -> None:
            self.kind, self.display_name = kind, display_name

    return type(kind, (), {"Input": Input, "Output": Output})


class Comfy:
    """The stand-in: what a test looks at, and the modules."""

    def __init__(self, models: Path, with_v3: bool) -> None:
        self.updates = 0
        self.left: int | None = None  # pictures until a person cancels
        self.modules = {
            "comfy": ModuleType("comfy"),
            "comfy.model_management": ModuleType("comfy.model_management"),
            "comfy.utils": ModuleType("comfy.utils"),
            "folder_paths": ModuleType("folder_paths"),
        }
        management: Any = self.modules["comfy.model_management"]
        management.get_torch_device = lambda: torch.device("cpu")
        management.throw_exception_if_processing_interrupted = self.check
        utils: Any = self.modules["comfy.utils"]
        utils.ProgressBar = lambda total: SimpleNamespace(update=self.update)
        paths: Any = self.modules["folder_paths"]
        paths.models_dir = str(models)
        known: dict[str, list[str]] = {}
        paths.add_model_folder_path = lambda name, path: known.setdefault(name, [path])
        paths.get_folder_paths = lambda name: known[name]
        comfy: Any = self.modules["comfy"]
        comfy.model_management, comfy.utils = management, utils
        if with_v3:
            self.add_v3()

    def add_v3(self) -> None:
        io: Any = SimpleNamespace(
            ComfyNode=type("ComfyNode", (), {}),
            Schema=SimpleNamespace,
            NodeOutput=lambda *values: SimpleNamespace(args=values),
            Custom=kind_of_input,
            **{kind: kind_of_input(kind) for kind in
               ("Image", "Mask", "Boolean", "Float", "Int", "Combo")},
        )  # fmt: skip
        latest: Any = ModuleType("comfy_api.latest")
        latest.io, latest.ComfyExtension = io, type("ComfyExtension", (), {})
        api: Any = ModuleType("comfy_api")
        api.latest, api.__spec__ = latest, importlib.util.spec_from_loader("comfy_api", None)
        self.modules |= {"comfy_api": api, "comfy_api.latest": latest}

    def update(self, count: int) -> None:
        self.updates += count

    def check(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise CancelledError
            self.left -= 1


@pytest.fixture(params=["v1", "v3"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def comfy(
    form: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Comfy]:
    shutil.copytree(folder, tmp_path / "models/onesketch/ink")
    (tmp_path / "models/onesketch/notes.txt").write_text("not an extractor")
    stand_in = Comfy(tmp_path / "models", form == "v3")
    for name, module in stand_in.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    forget()
    yield stand_in
    forget()


def forget() -> None:
    """ComfyUI loads a node's module once; here once a test."""
    for name in [name for name in sys.modules if name.startswith("onesketch.comfyui")]:
        del sys.modules[name]


def run(form: str, node: str, **inputs: Any) -> tuple[Any, ...]:
    """Load the module as ComfyUI does, find a node and call it."""
    module = importlib.import_module("onesketch.comfyui")
    if form == "v1":
        kind = module.NODE_CLASS_MAPPINGS[node]
        wanted = kind.INPUT_TYPES()["required"]
        assert inputs.keys() == wanted.keys()
        made = getattr(kind(), kind.FUNCTION)(**inputs)
        assert len(made) == len(kind.RETURN_TYPES) == len(kind.RETURN_NAMES)
        return tuple(made)
    extension = asyncio.run(module.comfy_entrypoint())
    kinds = {kind.define_schema().node_id: kind for kind in asyncio.run(extension.get_node_list())}
    schema = kinds[node].define_schema()
    assert inputs.keys() == {given.name for given in schema.inputs}
    made = kinds[node].execute(**inputs).args
    assert len(made) == len(schema.outputs)
    return tuple(made)


def load(form: str) -> SketchExtractor:
    (extractor,) = run(form, "OneSketchLoad", model="ink")
    assert isinstance(extractor, SketchExtractor)
    return extractor


def batch(count: int = 3) -> Tensor:
    pixels = np.stack([picture(seed=seed) for seed in range(count)])
    return torch.from_numpy(pixels).float() / 255


def test_a_whole_batch_of_the_same_size(form: str, comfy: Comfy, folder: Path) -> None:
    images, ink = run(form, "OneSketchSketch", extractor=load(form), image=batch(), **DEFAULTS)
    assert images.shape == (3, 40, 56, 3) and ink.shape == (3, 40, 56)
    assert images.dtype == ink.dtype == torch.float32 and comfy.updates == 3
    expected = SketchExtractor.from_pretrained(folder)
    for number in range(3):
        drawing = np.asarray(expected(picture(seed=number), output_type="np")) / 255
        for channel in range(3):
            np.testing.assert_allclose(images[number, ..., channel].numpy(), drawing, atol=1e-6)
        np.testing.assert_allclose(ink[number].numpy(), 1 - drawing, atol=1e-6)


def test_inverted_pictures_have_the_same_ink(form: str, comfy: Comfy) -> None:
    options = DEFAULTS | {"invert": True}
    images, ink = run(form, "OneSketchSketch", extractor=load(form), image=batch(), **options)
    torch.testing.assert_close(images[..., 0], ink)
    _, same = run(form, "OneSketchSketch", extractor=load(form), image=batch(), **DEFAULTS)
    torch.testing.assert_close(ink, same)


def test_options_reach_the_drawing(form: str, comfy: Comfy, folder: Path) -> None:
    options = {"invert": False, "threshold": 0.4, "thickness": 1, "short_side": 24}
    images, _ = run(form, "OneSketchSketch", extractor=load(form), image=batch(1), **options)
    expected = SketchExtractor.from_pretrained(folder)(
        picture(), short_side=24, threshold=0.4, thickness=1, output_type="np"
    )
    np.testing.assert_array_equal((images[0, ..., 0] * 255).numpy(), expected)


def test_four_channels_lie_on_white(form: str, comfy: Comfy) -> None:
    clear = torch.cat([batch(1), torch.zeros(1, 40, 56, 1)], 3)
    extractor = load(form)
    images, _ = run(form, "OneSketchSketch", extractor=extractor, image=clear, **DEFAULTS)
    white, _ = run(
        form, "OneSketchSketch", extractor=extractor, image=torch.ones(1, 40, 56, 3), **DEFAULTS
    )
    torch.testing.assert_close(images, white)


def test_levels_are_rounded_not_cut_off(form: str, comfy: Comfy) -> None:
    extractor = load(form)
    exact, _ = run(form, "OneSketchSketch", extractor=extractor, image=batch(1), **DEFAULTS)
    below = (batch(1) - 0.4 / 255).clamp(0, 1)
    near, _ = run(form, "OneSketchSketch", extractor=extractor, image=below, **DEFAULTS)
    torch.testing.assert_close(near, exact)


def test_a_person_can_cancel(form: str, comfy: Comfy) -> None:
    extractor = load(form)
    comfy.left = 2
    with pytest.raises(CancelledError):
        run(form, "OneSketchSketch", extractor=extractor, image=batch(5), **DEFAULTS)
    assert comfy.updates == 2


def test_a_model_is_loaded_once(form: str, comfy: Comfy) -> None:
    assert load(form) is load(form)
    with pytest.raises(ValueError, match="no extractor 'other' in ComfyUI's models/onesketch"):
        run(form, "OneSketchLoad", model="other")


def test_a_changed_model_is_loaded_anew(form: str, comfy: Comfy, tmp_path: Path) -> None:
    load(form)
    (tmp_path / "models/onesketch/ink/model.safetensors").write_bytes(b"other")
    config = tmp_path / "models/onesketch/ink/config.json"
    config.write_text(config.read_text().replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(ExtractorError, match="SHA-256 differs"):
        run(form, "OneSketchLoad", model="ink")


def test_models_are_listed(form: str, comfy: Comfy) -> None:
    from onesketch.comfyui.drawing import model_names

    assert model_names() == ["ink"]
