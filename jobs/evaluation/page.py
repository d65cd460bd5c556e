"""The page of an evaluation: how close each system is to the true drawings, by which networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.evaluation.pictures_section import shown_sets
from jobs.evaluation.scores import EvaluationScores
from jobs.evaluation.scores_section import METHODS, SETS, in_order, score_groups
from jobs.pages.page import write_page
from training.evaluation.evaluate import LEAST_FOR_BOOTSTRAP

_PAGE = "evaluation.html"


@dataclass(frozen=True)
class SetDistances:
    """FID and KID of one set of pictures: rows (method, fid, kid), or a note why there are none."""

    name: str
    note: str
    rows: list[tuple[str, float, float]]


def write_evaluation_page(folder: Path, scores: EvaluationScores) -> Path:
    """Write folder/evaluation.html from scores and the pictures kept beside it; return its path."""
    groups = score_groups(scores.sets)
    results = [(SETS[of_set.name], of_set.result) for of_set in scores.sets if of_set.result]
    return write_page(
        folder / _PAGE,
        "evaluation.html.j2",
        title="Evaluation",
        lead="Drawings compared with true ones, beside a blank page and an edge filter.",
        networks=_network_notes(scores.encoders),
        groups=groups,
        metrics=groups[0].metrics if groups else [],
        distances=[_set_distances(name, result["distribution"]) for name, result in results],
        interval_note=_interval_note(results[0][1]) if results else "",
        sets=shown_sets(folder, scores.sets),
    )


def _set_distances(name: str, found: Mapping[str, Any]) -> SetDistances:
    if "missing" in found:
        return SetDistances(name, found["missing"], [])
    systems = found["systems"]
    rows = [
        (METHODS.get(system, system), systems[system]["fid"], systems[system]["kid"])
        for system in in_order(systems)
    ]
    return SetDistances(name, f"{found['pictures']} pictures", rows)


def _interval_note(result: Mapping[str, Any]) -> str:
    return (
        f"Mean and {100 * result['confidence']:.0f} % interval over pictures, by Student's t "
        f"below {LEAST_FOR_BOOTSTRAP} pictures, else from {result['resamples']:,} bootstrap "
        "resamples. Best mean in bold. The verdict is by the intervals of differences, picture by "
        "picture, in LPIPS and SSIM."
    )


def _network_notes(encoders: Mapping[str, str]) -> dict[str, str]:
    """Say for each metric which network scored."""
    own = "the package's own; not comparable with published LPIPS"
    lpips = encoders["lpips"]
    return {
        "LPIPS": f"{lpips} ({own})" if lpips == "embedded" else lpips,
        "SSIM": "Gaussian window of 11 pixels, sigma 1.5, range 255",
        "FID and KID": encoders["inception"],
    }
