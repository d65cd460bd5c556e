"""Photographs that the autoencoder learns from besides scenes: nine, under free licences.

They come with Debian's package lomiri-wallpapers-16.04 and not with this repository: whoever trains
the embedded models again unpacks the package and names its folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline import canonical
from pipeline.arrays import Pixels
from pipeline.images.read import read_photograph

PACKAGE = "lomiri-wallpapers-16.04"
# Shorter sides, in pixels: what a crop shows reaches from a whole object to its texture.
SIDES = (144, 288, 576)


@dataclass(frozen=True)
class Photograph:
    """One file of the package, with what its licence asks to be said of it."""

    file: str
    author: str
    licence: str
    sha256: str


PHOTOGRAPHS = (
    Photograph(
        "Picture_0B_by_freespace.jpg",
        'Trevor "Freespace"',
        "CC BY 4.0",
        "c8c0ab18e48d9e0419fe42881112137f3afafc27dfddc29ec3a6d54c56d225ad",
    ),
    Photograph(
        "Picture_1A_by_freespace.jpg",
        'Trevor "Freespace"',
        "CC BY 4.0",
        "89e86af38d04daaef975665dc2127e9fa76f0fd68f4eea105a2d0ae3390b010b",
    ),
    Photograph(
        "Wine_by_Jakkub_Mede.jpg",
        "Jakub Mede",
        "CC BY 4.0",
        "d2e96e6d4da40dd804b3d0ce295e94de04a2d7d9b6785d42cd9d92ba58bced74",
    ),
    Photograph(
        "aitzgorri_by_Aitzol_Berasategi.jpg",
        "Aitzol Berasategi",
        "CC BY 4.0",
        "66268e7b48f8854d36a28765fac6e23ec1aee251daa6da1f64715f201020ad36",
    ),
    Photograph(
        "friends_by_Aitzol_Berasategi.jpg",
        "Aitzol Berasategi",
        "CC BY 4.0",
        "cc40e313c74e421edffe3403def413c16878ce14661cce7ec5915baeab35538d",
    ),
    Photograph(
        "life_by_Aitzol_Berasategi.jpg",
        "Aitzol Berasategi",
        "CC BY 4.0",
        "4c119350ead80201fe256850c3d316309ddfb4bdf10b235ce982dcde0c667c05",
    ),
    Photograph(
        "picosdeeuropa_by_Aitzol_Berasategi.jpg",
        "Aitzol Berasategi",
        "CC BY 4.0",
        "414d0072b2f6f2c555deafeaef6e45c4fed6fa9ad26eba6560ca8803959cf97a",
    ),
    Photograph(
        "seeding_by_Clements_Engelhardt.jpg",
        "Clemens Engelhardt",
        "CC0 1.0",
        "a5634d1ab5e41a3568e92d4a894a500c92b891f9ff734e50bd224d6e185a605f",
    ),
    Photograph(
        "sunset_by_Aitzol_Berasategi.jpg",
        "Aitzol Berasategi",
        "CC BY 4.0",
        "474dab6a4b9f94dc76c29dfe30e9f5db4af0fd2e33fe5d695f8152b371efca18",
    ),
)


def read_photographs(folder: Path) -> tuple[Pixels, ...]:
    """Read all photographs from the package's folder, each at every one of `SIDES`.

    Returns:
        Pictures uint8 (H, W, 3), in a fixed order.

    Raises:
        ValueError: a file is missing or is another one; names it and the package.
    """
    pictures = []
    for photograph in PHOTOGRAPHS:
        path = folder / photograph.file
        if not path.is_file() or canonical.sha256_of_file(path) != photograph.sha256:
            raise ValueError(
                f"{path}: expected the file of this name of Debian's package {PACKAGE}, got "
                f"{'another file' if path.is_file() else 'nothing'}; unpack the package and give "
                "its folder usr/share/backgrounds"
            )
        picture = read_photograph(path)
        pictures += [_shrunk(picture, side) for side in SIDES]
    return tuple(pictures)


def _shrunk(picture: Pixels, side: int) -> Pixels:
    scale = side / min(picture.shape[:2])
    height, width = (round(scale * length) for length in picture.shape[:2])
    # The shipped weights come from these very pixels.
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
