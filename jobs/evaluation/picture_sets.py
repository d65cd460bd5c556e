"""Pictures that no training has seen, with true drawings where a truth is known.

Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jobs.extract.photographs import Photograph, read_photograph
from pipeline.pair import Pair
from training.embedded.scenes.scene import make_scene
from training.evaluation.evaluate import Extractor
from training.evaluation.pairs import EvaluationPair, folder_pairs
from training.styles.styles import STYLES, blank

LINE_ART = "lineart"
TEACHER = "teacher"
DRAWN = "drawn"
# Far beyond the seeds that train the embedded models.
FIRST_SCENE_SEED = 2**40


@dataclass(frozen=True)
class PictureSet:
    """One kind of held-out pictures.

    truth names what the drawings are compared with; empty: nothing is known, pictures only, and
    the pairs' drawings are blank pages. systems are further ones to score, beside the extractor.
    """

    name: str
    truth: str
    pairs: Sequence[EvaluationPair]
    systems: Mapping[str, Extractor] = field(default_factory=dict)


def pair_photograph(photograph: Photograph, style: str) -> EvaluationPair:
    """Pair a photograph with its drawing in a computed style; a blank page for no style."""
    draw = STYLES[style] if style else blank

    def read() -> tuple[np.ndarray, np.ndarray]:
        picture = read_photograph(photograph.path)
        return picture, draw(picture)

    return EvaluationPair(photograph.name, read)


def photograph_set(photographs: Sequence[Photograph], style: str) -> PictureSet:
    """Photographs with their drawings in a computed style, or without truth for no style."""
    pairs = [pair_photograph(photograph, style) for photograph in photographs]
    return PictureSet("photographs", style, pairs)


def drawn_set(pictures: Path, drawings: Path) -> PictureSet:
    """Pictures of one folder with the true drawings of another, matched by name."""
    return PictureSet("drawn", DRAWN, folder_pairs(pictures, drawings))


def scene_set(count: int, size_px: int) -> PictureSet:
    """Procedural scenes with the exact line art of their geometry."""

    def pair(seed: int) -> EvaluationPair:
        def read() -> tuple[np.ndarray, np.ndarray]:
            scene = make_scene(seed, size_px)
            return scene.image, scene.line_art

        return EvaluationPair(f"scene-{seed - FIRST_SCENE_SEED:05d}", read)

    seeds = range(FIRST_SCENE_SEED, FIRST_SCENE_SEED + count)
    return PictureSet("scenes", LINE_ART, [pair(seed) for seed in seeds])


def picture_key(picture: np.ndarray) -> str:
    """Address a picture by its content."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


def generated_set(pairs: Sequence[Pair], truth: str) -> PictureSet:
    """Pictures that the teacher generated, with its sketches as a system to score.

    With truth `teacher` its sketches are the truth instead, and the score is how faithfully the
    extractor imitates it.
    """
    sketches = {picture_key(pair.image): pair.sketch for pair in pairs}

    def recall(picture: np.ndarray) -> np.ndarray:
        return sketches[picture_key(picture)]

    def evaluation_pair(pair: Pair) -> EvaluationPair:
        draw = recall if truth == TEACHER else STYLES[truth]
        return EvaluationPair(f"{pair.index:09d}", lambda: (pair.image, draw(pair.image)))

    systems = {} if truth == TEACHER else {TEACHER: recall}
    return PictureSet("generated", truth, [evaluation_pair(pair) for pair in pairs], systems)
