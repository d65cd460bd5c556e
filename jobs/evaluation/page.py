"""The page of an evaluation: who is close to the true drawings, and by which networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from jobs.evaluation.pictures_section import shown_sets
from jobs.evaluation.scores_section import METHODS, ORDER, SETS, score_groups
from jobs.runtime.provenance import versions
from pipeline.whole_file import write_bytes

PAGE, TEMPLATE = "evaluation.html", "evaluation.html.j2"


@dataclass(frozen=True)
class SetDistances:
    """FID and KID of one set of pictures: rows (method, fid, kid), or words why there are none."""

    name: str
    note: str
    rows: list[tuple[str, float, float]]


def set_distances(scores: dict[str, Any]) -> SetDistances:
    """Turn one set's distances into rows of the table."""
    found = scores["result"]["distribution"]
    name = SETS[scores["name"]]
    if "missing" in found:
        return SetDistances(name, found["missing"], [])
    systems = found["systems"]
    rows = [
        (METHODS[system], systems[system]["fid"], systems[system]["kid"])
        for system in ORDER
        if system in systems
    ]
    return SetDistances(name, f"{found['pictures']} pictures", rows)


def network_facts(encoders: dict[str, str]) -> dict[str, str]:
    """Name what scored, as the head of the page shows it."""
    own = "the package's own; not comparable with published LPIPS"
    lpips = encoders["lpips"]
    return {
        "LPIPS": f"{lpips} ({own})" if lpips == "embedded" else lpips,
        "SSIM": "Gaussian window of 11 pixels, sigma 1.5, range 255",
        "FID and KID": encoders["inception"],
    }


def compose(
    folder: Path, sets: Sequence[dict[str, Any]], encoders: dict[str, str]
) -> dict[str, Any]:
    """Gather everything that the template shows."""
    groups = score_groups(sets)
    scored_sets = [scores for scores in sets if scores["result"]]
    result = scored_sets[0]["result"] if scored_sets else {"resamples": 0, "confidence": 0.0}
    return {
        "title": "Evaluation",
        "lead": "Drawings compared with true ones, beside a blank page and an edge filter.",
        "networks": network_facts(encoders),
        "groups": groups,
        "metrics": groups[0].metrics if groups else [],
        "distances": [set_distances(scores) for scores in scored_sets],
        "interval_note": f"Mean and {100 * result['confidence']:.0f} % interval over pictures, "
        f"from {result['resamples']:,} bootstrap resamples. Best mean in bold.",
        "sets": shown_sets(folder, sets),
        "version": versions()["onesketch"],
        "made_on": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    }


def write_evaluation_page(
    folder: Path, sets: Sequence[dict[str, Any]], encoders: dict[str, str]
) -> Path:
    """Write folder/evaluation.html from scores and the pictures kept beside it; gives its path."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jobs", "pages/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template(TEMPLATE).render(compose(folder, sets, encoders))
    write_bytes(folder / PAGE, page.encode())
    return folder / PAGE
