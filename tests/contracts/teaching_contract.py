"""What every one-shot training must keep to: one function a promise, run over the registry."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.events import ignore
from training.checkpoint import OtherRunError
from training.oneshot.inputs import TeacherTraining, TeachInputs
from training.oneshot.record import RECORD, read_record, taught_teacher


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Interrupt:
    """Interrupts a training at its second event of progress."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, name: str, **fields: Any) -> None:
        self.seen += "done" in fields
        if self.seen == 2:
            raise KeyboardInterrupt


def check_training(train: TeacherTraining, inputs: TeachInputs, folder: Path) -> None:
    """The record comes last and names the teacher; a complete folder is only checked."""
    seen: list[set[str]] = []

    def watch(name: str, **fields: Any) -> None:
        seen.append({path.name for path in folder.iterdir()} if folder.is_dir() else set())

    train(inputs, folder, watch)
    assert seen and all(RECORD not in names for names in seen)
    assert read_record(folder) is not None
    assert taught_teacher(folder) == inputs.recipe.teach.teacher
    before = contents(folder)
    train(inputs, folder, ignore)
    assert contents(folder) == before


def check_resuming(train: TeacherTraining, inputs: TeachInputs, scratch: Path) -> None:
    """A training that was interrupted ends, when called again, as an undisturbed one does."""
    train(inputs, scratch / "undisturbed", ignore)
    with pytest.raises(KeyboardInterrupt):
        train(inputs, scratch / "resumed", Interrupt())
    assert read_record(scratch / "resumed") is None
    train(inputs, scratch / "resumed", ignore)
    assert contents(scratch / "resumed") == contents(scratch / "undisturbed")


def check_other_drawing(train: TeacherTraining, inputs: TeachInputs, scratch: Path) -> None:
    """A folder with the training of another drawing is refused, and stays as it is."""
    train(inputs, scratch / "teacher", ignore)
    before = contents(scratch / "teacher")
    path = inputs.recipe.drawing_path
    kept = shutil.copyfile(path, scratch / "kept.png")
    try:
        Image.fromarray(255 - np.asarray(Image.open(kept))).save(path)
        with pytest.raises(OtherRunError, match="drawing"):
            train(replace(inputs), scratch / "teacher", ignore)
    finally:
        shutil.copyfile(kept, path)
    assert contents(scratch / "teacher") == before
