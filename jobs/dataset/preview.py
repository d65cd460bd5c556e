"""`onesketch preview`: a few pairs of the dataset to come, as one picture to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jobs.nodes.cluster import Share
from jobs.nodes.node_task import run_where_models_are
from jobs.nodes.teacher_factory import teacher_factory
from jobs.pages.figures import shrink
from jobs.runtime.session import Session
from pipeline.arrays import Pixels
from pipeline.dataset.pair_stats import blankness, ink_share, paper_level
from pipeline.images.write import write_png
from pipeline.pair import Pair, SampleSpec
from pipeline.recipe.recipe import Recipe
from pipeline.upkeep.verify import BLANK_FROM

_PREVIEW = "preview.png"
_COLUMNS = 4
# Pixels. Small pictures are enlarged by whole numbers, so that their pixels stay square.
_CELL, _GAP, _MARGIN, _CAPTION, _HEADER = 256, 28, 32, 26, 56
_FONT_SIZE, _TITLE_SIZE = 14, 20
_PAPER, _INK, _SOFT, _FRAME, _ALARM = "#fbfaf7", "#1c1b19", "#6b6862", "#dedad2", "#a3221b"


def run_preview(session: Session, count: int) -> None:
    """Make some pairs that the recipe's dataset will hold, and lay them out in <run>/preview.png.

    Args:
        count: how many, from the dataset's first to its last.
    """
    recipe = session.recipe
    with session.events.stage("preview"):
        pairs = run_where_models_are(_Pairs(spread_specs(recipe, count)), session)
    title = f"{recipe.style}: {len(pairs)} of {recipe.dataset.samples:,} pairs, first to last"
    path = session.folder.root / _PREVIEW
    write_png(path, np.asarray(_draw_sheet(pairs, title)))
    shown = session.place.publish_file(path)
    blank = sum(_caption(pair)[1] == _ALARM for pair in pairs)
    print(f"{shown}: look at it before a long job" + (f"; {blank} are blank" if blank else ""))


@dataclass(frozen=True)
class _Pairs:
    """The pairs of some samples."""

    specs: list[SampleSpec]

    def __call__(self, session: Session, share: Share | None) -> list[Pair]:
        """Make them with the teacher of this node."""
        pairs: list[Pair] = []
        teacher = teacher_factory(session)()
        for spec in self.specs:
            pairs += teacher.pairs([spec])
            session.events("preview", done=len(pairs), total=len(self.specs))
        return pairs


def spread_specs(recipe: Recipe, count: int) -> list[SampleSpec]:
    """Choose samples evenly from the dataset's first to its last.

    Neighbours would cost nothing, since teachers make whole batches; but they are equally far from
    the example, and look alike.
    """
    dataset = recipe.dataset
    count = min(count, dataset.samples)
    return [
        SampleSpec(index=int(index), seed=dataset.seed, duration=dataset.samples)
        for index in np.linspace(0, dataset.samples - 1, count)
    ]


def _draw_sheet(pairs: Sequence[Pair], title: str) -> Image.Image:
    """Lay pairs out in rows, image beside sketch, each over its sample's index."""
    columns = min(_COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    width = 2 * _MARGIN + columns * (2 * _CELL + _GAP) - _GAP
    height = 2 * _MARGIN + _HEADER + rows * (_CELL + _CAPTION + _GAP) - _GAP
    page = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((_MARGIN, _MARGIN), title, _INK, ImageFont.load_default(size=_TITLE_SIZE))
    font = ImageFont.load_default(size=_FONT_SIZE)
    for number, pair in enumerate(pairs):
        row, column = divmod(number, columns)
        left = _MARGIN + column * (2 * _CELL + _GAP)
        top = _MARGIN + _HEADER + row * (_CELL + _CAPTION + _GAP)
        for side, picture in enumerate((pair.image, pair.sketch)):
            page.paste(_fit(picture).convert("RGB"), (left + side * _CELL, top))
        pen.rectangle((left - 1, top - 1, left + 2 * _CELL, top + _CELL), outline=_FRAME)
        words, colour = _caption(pair)
        pen.text((left, top + _CELL + 7), words, colour, font)
    return page


def _fit(picture: Pixels) -> Image.Image:
    """Bring uint8 (H, W) or (H, W, 3) to the size of a cell."""
    image = Image.fromarray(picture)
    times = max(_CELL // max(image.size), 1)
    enlarged = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    return shrink(enlarged, _CELL)


def _caption(pair: Pair) -> tuple[str, str]:
    """Return the caption below a pair, and its colour."""
    words = f"{pair.index:,}   ink {ink_share(pair.sketch):.1%}   paper {paper_level(pair.sketch)}"
    blank = blankness(pair.sketch) >= BLANK_FROM
    return (f"{words}   blank", _ALARM) if blank else (words, _SOFT)
