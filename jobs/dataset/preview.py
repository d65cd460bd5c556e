"""`onesketch preview`: a few pairs of the dataset to come, as one picture to look at."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jobs.pages.figures import shrink
from jobs.runtime.files import write_png
from jobs.runtime.session import Session
from jobs.runtime.teacher_factory import teacher_factory
from pipeline.dataset.pair_stats import scores
from pipeline.pair import Pair, SampleSpec
from pipeline.recipe import Recipe
from pipeline.upkeep.verify import BLANK_FROM

PREVIEW = "preview.png"
PLACES = 4
COLUMNS = 4
# Pixels. Small pictures are enlarged by whole numbers, so that their pixels stay square.
CELL, GAP, MARGIN, CAPTION, HEADER = 256, 28, 32, 26, 56
FONT_SIZE, TITLE_SIZE = 14, 20
PAGE, INK, SOFT, FRAME, ALARM = "#fbfaf7", "#1c1b19", "#6b6862", "#dedad2", "#a3221b"


def spread_specs(recipe: Recipe, count: int) -> list[list[SampleSpec]]:
    """Addresses at a few places from the dataset's first sample to its last, consecutive at each.

    Teachers make whole batches, so that neighbours cost nothing; seeds differ from each to each.
    """
    dataset, batch = recipe.dataset, recipe.sampler.batch
    count = min(count, dataset.samples)
    places = np.linspace(0, dataset.samples - 1, min(count, PLACES)).astype(int)
    chosen: list[list[int]] = []
    free, left = 0, count
    for place, share in zip(places, np.array_split(np.arange(count), len(places)), strict=True):
        # In a small dataset places move together: each after the last, with room for the next.
        start = max(min(int(place) // batch * batch, dataset.samples - left), free)
        free, left = start + len(share), left - len(share)
        chosen.append(list(range(start, free)))
    return [
        [SampleSpec(index=index, seed=dataset.seed, duration=dataset.samples) for index in indices]
        for indices in chosen
    ]


def fit(picture: np.ndarray) -> Image.Image:
    """Bring uint8 (H, W) or (H, W, 3) to the size of a cell."""
    image = Image.fromarray(picture)
    times = max(CELL // max(image.size), 1)
    enlarged = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    return shrink(enlarged, CELL)


def caption(pair: Pair) -> tuple[str, str]:
    """What stands below a pair, and the colour it stands in."""
    numbers = scores(pair.image, pair.sketch)
    blank = float(numbers["blankness"]) >= BLANK_FROM
    words = f"{pair.index:,}   ink {float(numbers['ink_coverage']):.1%}"
    return (f"{words}   blank", ALARM) if blank else (words, SOFT)


def draw_sheet(pairs: Sequence[Pair], title: str) -> Image.Image:
    """Lay pairs out in rows, image beside sketch, each over its sample's index."""
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    width = 2 * MARGIN + columns * (2 * CELL + GAP) - GAP
    height = 2 * MARGIN + HEADER + rows * (CELL + CAPTION + GAP) - GAP
    page = Image.new("RGB", (width, height), PAGE)
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN, MARGIN), title, INK, ImageFont.load_default(size=TITLE_SIZE))
    font = ImageFont.load_default(size=FONT_SIZE)
    for number, pair in enumerate(pairs):
        row, column = divmod(number, columns)
        left = MARGIN + column * (2 * CELL + GAP)
        top = MARGIN + HEADER + row * (CELL + CAPTION + GAP)
        for side, picture in enumerate((pair.image, pair.sketch)):
            page.paste(fit(picture).convert("RGB"), (left + side * CELL, top))
        pen.rectangle((left - 1, top - 1, left + 2 * CELL, top + CELL), outline=FRAME)
        words, colour = caption(pair)
        pen.text((left, top + CELL + 7), words, colour, font)
    return page


def run_preview(session: Session, count: int) -> None:
    """Make pairs of the recipe's dataset and lay them out in <run>/preview.png.

    They are the very pairs that the dataset will hold.
    """
    recipe, events = session.recipe, session.events
    places = spread_specs(recipe, count)
    pairs: list[Pair] = []
    with events.stage("preview"):
        teacher = teacher_factory(recipe, session.machine)()
        for specs in places:
            pairs += teacher.pairs(specs)
            events("preview", done=len(pairs), total=sum(map(len, places)))
    title = f"{recipe.style}: {len(pairs)} of {recipe.dataset.samples:,} pairs, first to last"
    path = session.folder.root / PREVIEW
    write_png(path, np.asarray(draw_sheet(pairs, title)))
    blank = sum(caption(pair)[1] == ALARM for pair in pairs)
    print(f"{path}: look at it before a long job" + (f"; {blank} are blank" if blank else ""))
