"""Pictures from a folder: photographs, framed into squares, as often as samples are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.arrays import Pixels
from pipeline.canonical import sha256_of_file
from pipeline.images.find import photographs_in
from pipeline.images.letterbox import frame
from pipeline.images.read import read_photograph
from pipeline.pair import SampleSpec
from pipeline.seeds import generator
from pipeline.teachers.pictures import PictureBatch
from pipeline.teachers.teacher import TeacherFiles

FOLDER = "pictures"
MIRROR_STREAM = "mirror"


class FolderPictures:
    """The photographs of a folder and of all below it, in the order of their SHA-256.

    Names do not matter, so that a renamed or copied folder gives the same pictures; equal files
    count once. Sample i is photograph i modulo their number. Whether it is mirrored is drawn from
    the seed for the first round through the folder and alternates from one round to the next.

    Raises:
        ValueError: there is no such folder, or it has no photograph.
    """

    def __init__(self, folder: Path, image_size: int) -> None:
        paths = [photograph.path for photograph in photographs_in(folder)]
        self.files = dict(sorted((sha256_of_file(path), path) for path in paths))
        self.image_size = image_size
        contents = "".join(self.files)
        self.fingerprint = {FOLDER: hashlib.sha256(contents.encode()).hexdigest()}

    @classmethod
    def load(cls, files: TeacherFiles, image_size: int) -> FolderPictures:
        """Open the folder that `files.locations["pictures"]` names.

        Raises:
            ValueError: none is named, or it has no photograph.
        """
        if FOLDER not in files.locations:
            raise ValueError(f"expected the folder of the photographs as the location {FOLDER!r}")
        return cls(Path(files.locations[FOLDER]), image_size)

    def pictures(self, specs: Sequence[SampleSpec]) -> PictureBatch:
        """Read the photographs of `specs`, in their order.

        Raises:
            ValueError: a file cannot be read as an image, or is no longer the one that was found.
        """
        digests = list(self.files)
        images, columns = [], list[dict[str, int | str]]()
        for spec in specs:
            turn, place = divmod(spec.index, len(digests))
            mirrored = (_first_mirrored(spec.seed, place) + turn) % 2
            images.append(self._read(digests[place], mirrored=bool(mirrored)))
            columns.append({"picture_sha256": digests[place], "mirrored": mirrored})
        return PictureBatch(np.stack(images), columns)

    def _read(self, digest: str, *, mirrored: bool) -> Pixels:
        path = self.files[digest]
        if sha256_of_file(path) != digest:
            raise ValueError(
                f"{path} is no longer the file that was found: its SHA-256 differs. "
                "Put it back, or start a new dataset"
            )
        picture = frame(read_photograph(path), self.image_size).picture
        return picture[:, ::-1] if mirrored else picture


def _first_mirrored(seed: int, place: int) -> int:
    random = generator(seed, place, MIRROR_STREAM)
    return int(torch.randint(2, (), generator=random))
