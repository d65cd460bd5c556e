"""Photographs to draw: files, folders, and the ones that scikit-image carries in its wheel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

BUNDLED = "bundled"
# Everyday photographs that need no download (scikit-image fetches many of its others).
BUNDLED_FILES = {
    "astronaut": "astronaut.png",
    "camera": "camera.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
}
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


@dataclass(frozen=True)
class Photograph:
    """A picture still on disk: the name of its drawing (no suffix, folders kept), its file."""

    name: str
    path: Path


def to_rgb(picture: Image.Image) -> Image.Image:
    """Turn upright as the camera was held, drop alpha onto white paper, give RGB."""
    upright = ImageOps.exif_transpose(picture)
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if upright.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8)).convert("RGB")
    return upright.convert("RGB")


def read_photograph(path: Path) -> np.ndarray:
    """Read an image file as uint8 (H, W, 3) RGB; ValueError names a file that is no image."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return np.asarray(to_rgb(picture))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such image") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: too many pixels: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, PermissionError | IsADirectoryError):
            raise
        raise ValueError(
            f"{path}: cannot be read as an image ({', '.join(FORMATS)} are): {error}"
        ) from error


def bundled_photographs() -> list[Photograph]:
    """List scikit-image's photographs that are in the installed package."""
    folder = Path(str(resources.files("skimage") / "data"))
    return [Photograph(name, folder / file) for name, file in BUNDLED_FILES.items()]


def in_folder(folder: Path) -> Iterator[Photograph]:
    """List the image files below a folder, sorted, by suffix."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield Photograph(path.relative_to(folder).with_suffix("").as_posix(), path)


def find_photographs(inputs: Sequence[str]) -> list[Photograph]:
    """List the photographs of files, folders and the word `bundled`.

    Raises ValueError for an input that does not exist, a folder without images, and two
    photographs whose drawings would have the same name.
    """
    found: list[Photograph] = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            inside = list(in_folder(path))
            if not inside:
                raise ValueError(f"{path}: no images in this folder ({' '.join(sorted(SUFFIXES))})")
            found += inside
        elif path.is_file():
            found.append(Photograph(path.stem, path))
        elif text == BUNDLED:
            found += bundled_photographs()
        else:
            raise ValueError(f"{path}: no such image or folder (or the word `{BUNDLED}`)")
    refuse_twins(found)
    return found


def refuse_twins(photographs: Sequence[Photograph]) -> None:
    """Raise ValueError when two photographs have the same name."""
    seen: dict[str, Path] = {}
    for photograph in photographs:
        if photograph.name in seen:
            raise ValueError(
                f"{photograph.path} and {seen[photograph.name]} would both be drawn as "
                f"{photograph.name}.png: rename one, or extract them into two folders"
            )
        seen[photograph.name] = photograph.path
