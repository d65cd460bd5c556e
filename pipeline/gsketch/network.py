"""G_sketch: diffusion features and VAE features of a sample -> its sketch (DiffSketch 4.1)."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.diffusion.taps import Taps, TapShapes
from pipeline.gsketch.aggregation import Aggregation
from pipeline.gsketch.decoder import Decoder
from pipeline.whole_file import write_tensors, write_text

WEIGHTS_FILE = "gsketch.safetensors"
CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class GSketchConfig:
    """What determines the network: the backbone's tap shapes, the steps and the VAE ablation."""

    shapes: TapShapes
    timesteps: tuple[int, ...]
    vae_features: bool = True

    def to_json(self) -> str:
        """Return the config as JSON text."""
        data = dataclasses.asdict(self)
        shapes = data["shapes"]
        # The name in the file since its first version.
        shapes["halves"] = shapes.pop("branches")
        return json.dumps(data, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> GSketchConfig:
        """Read what `to_json` returned.

        Raises:
            ValueError, TypeError, KeyError: the text is something else.
        """
        data = json.loads(text)
        shapes = data["shapes"]
        shapes["branches"] = shapes.pop("halves")
        for name in ("unet", "vae"):
            shapes[name] = tuple(tuple(shape) for shape in shapes[name])
        timesteps = tuple(data["timesteps"])
        return cls(TapShapes(**shapes), timesteps, bool(data["vae_features"]))


class GSketch(nn.Module):
    """The sketch generator of one style."""

    def __init__(self, config: GSketchConfig) -> None:
        super().__init__()
        self.config = config
        self.aggregation = Aggregation(config.shapes, config.timesteps)
        channels = self.aggregation.out_channels
        self.decoder = Decoder(channels, config.shapes, config.vae_features)

    def forward(self, taps: Taps, images: Tensor) -> Tensor:
        """Draw a batch of samples.

        Args:
            taps: of the steps in `config.timesteps` (others are ignored) and of the VAE.
            images: the sampled images, (B, 3, H, W) in [-1, 1].

        Returns:
            (B, 1, H, W) in [0, 1]: 1 = paper, 0 = ink.

        Raises:
            ValueError: a step is missing from the taps.
        """
        used = taps.vae if self.config.vae_features else []
        reduced = [self.decoder.reduce(n, v) for n, v in enumerate(used)]
        return self.decoder(self.aggregation(taps.unet), reduced, images)

    def save(self, folder: Path) -> None:
        """Write weights and config into `folder`."""
        write_text(folder / CONFIG_FILE, self.config.to_json())
        write_tensors(folder / WEIGHTS_FILE, self.state_dict())

    @classmethod
    def load(cls, folder: Path) -> GSketch:
        """Read a generator that `save` wrote, on the CPU in float32, for inference.

        Raises:
            ValueError: the files are missing or do not belong together.
        """
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise ValueError(f"{folder}: {name} is missing: run `onesketch teach` first")
        try:
            config = GSketchConfig.from_json((folder / CONFIG_FILE).read_text())
            with torch.device("meta"):
                generator = cls(config)
            # Copied, not assigned: tensors mapped from a file are unaligned, which changes the last
            # bits of what CPU kernels compute.
            generator = generator.to_empty(device="cpu")
            generator.load_state_dict(load_file(folder / WEIGHTS_FILE))
        except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{folder}: not a usable G_sketch ({reason}); run `onesketch teach` again"
            ) from error
        return generator.requires_grad_(False).eval()
