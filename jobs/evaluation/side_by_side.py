"""Side-by-side pictures of an evaluation, kept as PNG files for reports and for looking at."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jobs.evaluation.picture_sets import TEACHER, PictureSet
from jobs.runtime.files import write_png
from training.evaluation.evaluate import Extractor
from training.styles.styles import STYLES

EXTRACTOR = "extractor"
PICTURE = "picture"
TRUTH = "truth"
SHOWN_BASELINE = "sobel"
MOST_SHOWN = 8


def columns(pictures: PictureSet) -> list[str]:
    """Name what is shown side by side, in reading order."""
    truth = [TRUTH] if pictures.truth and pictures.truth != TEACHER else []
    teacher = [TEACHER] if TEACHER in pictures.systems or pictures.truth == TEACHER else []
    return [PICTURE, *truth, *teacher, EXTRACTOR, SHOWN_BASELINE]


def choose_shown(count: int) -> list[int]:
    """Choose which pictures to show: evenly spaced, not the best ones."""
    return [int(i) for i in np.linspace(0, count - 1, min(count, MOST_SHOWN)).round()]


def draw_columns(
    picture: np.ndarray, truth: np.ndarray, pictures: PictureSet, extract: Extractor
) -> Mapping[str, np.ndarray]:
    """Draw one picture in every way that a set shows."""
    drawn = {PICTURE: picture, TRUTH: truth, EXTRACTOR: extract(picture)}
    drawn[SHOWN_BASELINE] = STYLES[SHOWN_BASELINE](picture)
    if TEACHER in pictures.systems:
        drawn[TEACHER] = pictures.systems[TEACHER](picture)
    elif pictures.truth == TEACHER:
        drawn[TEACHER] = truth
    return drawn


def write_comparison(folder: Path, pictures: PictureSet, extract: Extractor) -> Sequence[str]:
    """Write folder/NAME.COLUMN.png for some pictures of a set; gives the names."""
    names = []
    for i in choose_shown(len(pictures.pairs)):
        pair = pictures.pairs[i]
        picture, truth = pair.read()
        drawn = draw_columns(picture, truth, pictures, extract)
        for column in columns(pictures):
            write_png(folder / f"{pair.name}.{column}.png", drawn[column])
        names.append(pair.name)
    return names
