"""`--again`: a stage is made anew, and so is all that was learned from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

from jobs.pages.tables import counted
from jobs.runtime.session import Session
from pipeline.render import readable_size
from pipeline.storage.address import open_store
from pipeline.upkeep.removal import dataset_entries, remove_dataset
from training.checkpoint import OtherRunError

Stage = Literal["source", "teach", "generate", "distill"]
_DATASET = "dataset"
# What each stage leaves, in the order of the stages; the last are made from all of them.
_LEAVES: dict[Stage, tuple[str, ...]] = {
    "source": ("source",),
    "teach": ("example", "teacher"),
    "generate": (_DATASET, "generation.json", "generation"),
    "distill": ("extractor",),
}
_PAGES = ("drawings", "evaluation", "report.html")
_TRAININGS = ("teach", "distill")


def start_anew(session: Session, first: Stage, agrees: Callable[[list[str]], bool]) -> None:
    """Remove what a stage and those after it have made.

    Args:
        first: the stage that is to be made anew.
        agrees: is told what would go, a line for each part; nothing goes where it says no.

    Raises:
        HeldError: a training is at work on the run.
        ValueError: it was not agreed.
    """
    stages = list(_LEAVES)
    names = [name for stage in stages[stages.index(first) :] for name in _LEAVES[stage]]
    names += _PAGES
    with ExitStack() as held:
        for training in _TRAININGS:
            held.enter_context(session.place.lease(training, session.events))
        lines = {name: _describe(session, name) for name in names}
        there = [name for name in names if lines[name]]
        if not there:
            return
        if not agrees([lines[name] for name in there]):
            raise ValueError("nothing was removed, and nothing made anew")
        # The last first: what is left of a removal that was interrupted still belongs together.
        for name in reversed(there):
            if name == _DATASET:
                remove_dataset(open_store(session.recipe.dataset.out))
            else:
                session.place.remove(name)
    session.events("again", removed=", ".join(there))


@contextmanager
def naming_again(stage: Stage) -> Iterator[None]:
    """Name `--again` to people whose run holds another training than the recipe's."""
    try:
        yield
    except OtherRunError as error:
        raise OtherRunError(
            f"{error}: `onesketch {stage} --again` does so, and says first what goes"
        ) from error


def _describe(session: Session, name: str) -> str:
    """Say what a part holds; empty where it does not exist."""
    place = f"{session.recipe.run}/{name}"
    if name == _DATASET:
        place = session.recipe.dataset.out
        sizes = [entry.size for entry in dataset_entries(open_store(place))]
    else:
        sizes = session.place.sizes(name)
    if not sizes:
        return ""
    return f"{place}: {counted(len(sizes), 'file')}, {readable_size(sum(sizes))}"
