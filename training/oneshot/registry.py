"""One-shot trainings by the name of their teacher: a new one is a file and a line here."""

from __future__ import annotations

from pipeline.registry import find_entry
from training.oneshot.diffsketch import teach_diffsketch
from training.oneshot.inputs import TeacherTraining

TRAININGS: dict[str, TeacherTraining] = {
    "diffsketch": teach_diffsketch,
}


def find_training(name: str) -> TeacherTraining:
    """Look a training up; ValueError names the known ones."""
    return find_entry(TRAININGS, "training for a teacher", name)
