"""Side-by-side pictures of an evaluation, kept as PNG files for reports and for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jobs.evaluation.picture_sets import TEACHER, PictureSet
from pipeline.arrays import Pixels
from pipeline.images.write import write_png
from pipeline.spread import evenly_spaced
from training.evaluation.evaluate import DrawFunction
from training.styles.registry import STYLES

# Columns beside TEACHER.
PICTURE = "picture"
TRUTH = "truth"
EXTRACTOR = "extractor"
SHOWN_BASELINE = "sobel"
_MOST_SHOWN = 8


def write_side_by_side(folder: Path, pictures: PictureSet, extract: DrawFunction) -> list[str]:
    """Write folder/NAME.COLUMN.png for some pictures of a set, evenly spaced; return the names."""
    names = []
    for number in evenly_spaced(len(pictures.pairs), _MOST_SHOWN):
        pair = pictures.pairs[number]
        picture, truth = pair.read()
        drawn = _draw_columns(picture, truth, pictures, extract)
        for column in columns_of(pictures):
            write_png(folder / f"{pair.name}.{column}.png", drawn[column])
        names.append(pair.name)
    return names


def columns_of(pictures: PictureSet) -> list[str]:
    """Name what is shown side by side of a set, in reading order."""
    truth = [TRUTH] if pictures.truth and pictures.truth != TEACHER else []
    teacher = [TEACHER] if TEACHER in pictures.systems or pictures.truth == TEACHER else []
    rivals = [name for name in pictures.systems if name != TEACHER]
    return [PICTURE, *truth, *teacher, EXTRACTOR, *rivals, SHOWN_BASELINE]


def _draw_columns(
    picture: Pixels, truth: Pixels, pictures: PictureSet, extract: DrawFunction
) -> Mapping[str, Pixels]:
    drawn = {PICTURE: picture, TRUTH: truth, EXTRACTOR: extract(picture)}
    drawn[SHOWN_BASELINE] = STYLES[SHOWN_BASELINE](picture)
    drawn |= {name: system(picture) for name, system in pictures.systems.items()}
    if pictures.truth == TEACHER:
        drawn[TEACHER] = truth
    return drawn
