"""scores.json: what an evaluation found, set by set of pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobs.evaluation.picture_sets import SetName
from pipeline.whole_file import write_json

SCORES = "scores.json"


@dataclass(frozen=True)
class SetScores:
    """The scores on one set of pictures.

    Attributes:
        name: the set's.
        truth: name of what the drawings were compared with.
        pictures: how many.
        shown: names of the pictures that are kept side by side.
        columns: what is kept of each, in order.
        result: of `training.evaluation.evaluate`; None for a set without truth.
        beats_baselines: by system, whether it is better than every baseline (`score_table`).
    """

    name: SetName
    truth: str
    pictures: int
    shown: Sequence[str]
    columns: Sequence[str]
    result: dict[str, Any] | None
    beats_baselines: dict[str, bool]


@dataclass(frozen=True)
class EvaluationScores:
    """All sets, and the names of the networks that scored, by metric."""

    sets: Sequence[SetScores]
    encoders: Mapping[str, str]


def write_scores(folder: Path, scores: EvaluationScores) -> None:
    """Write folder/scores.json."""
    write_json(folder / SCORES, asdict(scores))


def read_scores(folder: Path) -> EvaluationScores:
    """Read folder/scores.json; without that file there are no sets."""
    path = folder / SCORES
    if not path.is_file():
        return EvaluationScores([], {})
    data = json.loads(path.read_text(encoding="utf-8"))
    return EvaluationScores([SetScores(**of_set) for of_set in data["sets"]], data["encoders"])
