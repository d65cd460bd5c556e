"""One-shot trainings by the name of their teacher: a new one is a file and a line here."""

from __future__ import annotations

from training.oneshot.diffsketch import teach_diffsketch
from training.oneshot.inputs import TeacherTraining

TRAININGS: dict[str, TeacherTraining] = {
    "diffsketch": teach_diffsketch,
}


def find_training(name: str) -> TeacherTraining:
    """Look a training up; ValueError names the known ones."""
    if name not in TRAININGS:
        known = ", ".join(sorted(TRAININGS))
        raise ValueError(f"no training for a teacher {name!r}: expected one of {known}")
    return TRAININGS[name]
