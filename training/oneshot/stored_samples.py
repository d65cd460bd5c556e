"""Batches of samples with their taps as files, so that many trainings share what one made.

B: samples of a batch. A batch file holds images and latents, f_{l,t} as `unet.{t}.{l}` and v_n as
`vae.{n}`; only the steps asked for are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.diffusion.sampling import Sample
from pipeline.diffusion.taps import Taps
from pipeline.whole_file import write_tensors
from training.oneshot.samples import batch_of


def batch_path(folder: Path, first: int) -> Path:
    """Return the file of the batch whose first sample is `first`."""
    return folder / f"batch-{first:06d}.safetensors"


def write_batch(path: Path, made: Sample) -> None:
    """Write a batch of samples with all their taps, whole or not at all."""
    tensors = {"images": made.images, "latents": made.latents}
    for t, features in made.taps.unet.items():
        tensors |= {f"unet.{t}.{layer}": f for layer, f in enumerate(features)}
    tensors |= {f"vae.{n}": v for n, v in enumerate(made.taps.vae)}
    write_tensors(path, tensors)


def read_batch(path: Path, timesteps: Sequence[int]) -> Sample:
    """Read a batch with the taps of some steps, counted from the end, bit by bit as written.

    Raises:
        ValueError: the file is missing or broken, or was written without one of the steps.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            absent = [t for t in timesteps if f"unet.{t}.0" not in names]
            if absent:
                raise ValueError(
                    f"{path}: expected taps of the steps {list(timesteps)}, {absent} are missing; "
                    "remove the folder, and it is made again"
                )

            def read(name: str) -> Tensor:
                # Copied: mapped tensors lie unaligned, which changes last bits in CPU kernels.
                tensor: Tensor = file.get_tensor(name)
                return tensor.clone()

            layers = sum(name.startswith(f"unet.{timesteps[0]}.") for name in names)
            vae = sum(name.startswith("vae.") for name in names)
            unet = {t: [read(f"unet.{t}.{layer}") for layer in range(layers)] for t in timesteps}
            taps = Taps(unet, [read(f"vae.{n}") for n in range(vae)])
            return Sample(read("images"), read("latents"), taps)
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); remove it, and it is made again"
        ) from error


@dataclass(frozen=True)
class StoredSamples:
    """The batches of a folder as the samples of a training; `size` is B, as they were made."""

    folder: Path
    size: int
    timesteps: tuple[int, ...]
    device: str = "cpu"

    def chunk_of(self, index: int) -> range:
        """Return the batch that sample `index` was made in."""
        return batch_of(index, self.size)

    def make(self, indices: Sequence[int]) -> Sample:
        """Read one batch; ValueError when it is not there whole."""
        stored = read_batch(batch_path(self.folder, indices[0]), self.timesteps)
        taps = stored.taps.to(self.device)
        return Sample(stored.images.to(self.device), stored.latents.to(self.device), taps)
