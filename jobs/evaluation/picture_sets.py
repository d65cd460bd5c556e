"""Pictures that no training has seen, with true drawings where a truth is known.

Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pipeline.arrays import Pixels
from pipeline.images.find import SUFFIXES, Photograph
from pipeline.images.read import read_photograph
from pipeline.pair import Pair
from training.embedded.scenes.reserved_seeds import EVALUATION_SEEDS
from training.embedded.scenes.scene import make_scene
from training.evaluation.evaluate import DrawFunction
from training.evaluation.pairs import EvaluationPair, folder_pairs, read_true_drawing
from training.styles.baselines import blank
from training.styles.registry import STYLES

# Truths in addition to the computed styles.
LINE_ART = "lineart"
TEACHER = "teacher"
DRAWN = "drawn"

SetName = Literal["generated", "photographs", "drawn", "scenes"]


@dataclass(frozen=True)
class PictureSet:
    """One kind of held-out pictures.

    Attributes:
        name: the kind.
        truth: name of what the drawings are compared with; empty: no truth is known, and the pairs'
            drawings are blank pages.
        pairs: the pictures with their true drawings.
        systems: further systems to score, in addition to the extractor.
    """

    name: SetName
    truth: str
    pairs: Sequence[EvaluationPair]
    systems: Mapping[str, DrawFunction] = field(default_factory=dict)


def photograph_set(photographs: Sequence[Photograph], style: str) -> PictureSet:
    """Pair photographs with their drawings in a computed style; for no style there is no truth."""
    pairs = [_pair_photograph(photograph, style) for photograph in photographs]
    return PictureSet("photographs", style, pairs)


def drawn_set(pictures: Path, drawings: Path) -> PictureSet:
    """Pair pictures of one folder with the true drawings of another, matched by name.

    Raises:
        PairingError: a file lacks its partner.
    """
    return PictureSet("drawn", DRAWN, folder_pairs(pictures, drawings))


def scene_set(count: int, size_px: int) -> PictureSet:
    """Make procedural scenes with the exact line art of their geometry."""

    def pair(number: int) -> EvaluationPair:
        def read() -> tuple[Pixels, Pixels]:
            scene = make_scene(EVALUATION_SEEDS[number], size_px)
            return scene.image, scene.line_art

        return EvaluationPair(f"scene-{number:05d}", read)

    return PictureSet("scenes", LINE_ART, [pair(number) for number in range(count)])


def generated_set(pairs: Sequence[Pair], truth: str) -> PictureSet:
    """Take pictures that the teacher generated, with its sketches as a system to score.

    With truth `teacher` its sketches are the truth instead, and the score is how faithfully the
    extractor imitates it.
    """
    sketches = {picture_key(pair.image): pair.sketch for pair in pairs}

    def recall(picture: Pixels) -> Pixels:
        return sketches[picture_key(picture)]

    def evaluation_pair(pair: Pair) -> EvaluationPair:
        draw = recall if truth == TEACHER else STYLES[truth]
        return EvaluationPair(f"{pair.index:09d}", lambda: (pair.image, draw(pair.image)))

    systems = {} if truth == TEACHER else {TEACHER: recall}
    return PictureSet("generated", truth, [evaluation_pair(pair) for pair in pairs], systems)


def with_rivals(pictures: PictureSet, rivals: Mapping[str, Path]) -> PictureSet:
    """Add what other systems drew of the same pictures to the systems of a set.

    Args:
        rivals: folder of each system's drawings, which have the pictures' names and sizes.

    Raises:
        ValueError: a drawing is missing, or cannot be read.
    """
    if not rivals:
        return pictures
    names = {picture_key(pair.read()[0]): pair.name for pair in pictures.pairs}
    systems = {
        rival: _recall_from({key: _drawing_in(folder, name) for key, name in names.items()})
        for rival, folder in rivals.items()
    }
    return replace(pictures, systems={**pictures.systems, **systems})


def _recall_from(drawings: Mapping[str, Path]) -> DrawFunction:
    return lambda picture: read_true_drawing(drawings[picture_key(picture)])


def _drawing_in(folder: Path, name: str) -> Path:
    found = [path for suffix in sorted(SUFFIXES) if (path := folder / f"{name}{suffix}").is_file()]
    if len(found) != 1:
        raise ValueError(
            f"{folder}: expected one drawing named {name} (.png, .jpg ...), as the photograph is, "
            f"got {len(found)}"
        )
    return found[0]


def picture_key(picture: Pixels) -> str:
    """Address a picture by its content."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


def _pair_photograph(photograph: Photograph, style: str) -> EvaluationPair:
    draw = STYLES[style] if style else blank

    def read() -> tuple[Pixels, Pixels]:
        picture = read_photograph(photograph.path)
        return picture, draw(picture)

    return EvaluationPair(photograph.name, read)
