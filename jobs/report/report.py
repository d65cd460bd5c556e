"""The report: one self-contained page about a run, made from its artefacts alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml

from jobs.evaluation.pictures_section import ShownSet, shown_sets
from jobs.evaluation.score_table import SCORES
from jobs.evaluation.scores_section import Group, score_groups
from jobs.extract.photographs import read_photograph
from jobs.pages import durations
from jobs.pages.figures import Figure, make_figure
from jobs.report.dataset_section import show_dataset
from jobs.runtime.provenance import versions
from jobs.runtime.run_folder import RunFolder
from jobs.stages.teach import KNOWN
from pipeline.recipe import Recipe
from pipeline.whole_file import write_bytes

TEMPLATE = "report.html.j2"
STRIP_SIDE = 2160


@dataclass(frozen=True)
class Fact:
    """One named value of the page."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class StageTime:
    """One bar of the times: percent of the longest stage."""

    stage: str
    text: str
    percent: float


def grey(path: Path) -> np.ndarray:
    """Read a drawing as uint8 (H, W)."""
    return read_photograph(path)[..., 0]


def example_figures(recipe: Recipe, folder: RunFolder) -> list[Figure]:
    """Show image, drawing and what the teacher makes of the image."""
    image = read_photograph(folder.source / "image.png")
    drawing = grey(recipe.drawing_path)
    figures = [
        make_figure(image, f"Generated image: {recipe.example.prompt}", "The generated image"),
        make_figure(drawing, "The drawing made over the image", "The drawing, the only one"),
    ]
    known = folder.teacher / KNOWN
    if known.is_file():
        alt = "The teacher's sketch of the same image"
        figures.append(make_figure(grey(known), alt, "What the teacher draws of it"))
    return figures


def strip_figure(folder: RunFolder) -> Figure | None:
    """Show the strip of sketches as the teacher learns, where there is one."""
    path = folder.teacher / "strip.png"
    if not path.is_file():
        return None
    caption = "The teacher as it learns, from its first sketches (left) to its last (right)"
    return make_figure(read_photograph(path), caption, caption, max_side=STRIP_SIDE)


def stage_times(seconds: dict[str, float]) -> list[StageTime]:
    """Turn seconds into bars."""
    longest = max(seconds.values(), default=1.0) or 1.0
    return [
        StageTime(stage, durations.in_words(value), 100 * value / longest)
        for stage, value in seconds.items()
    ]


def read_scores(folder: RunFolder) -> dict[str, Any]:
    """Read the scores of `evaluate`; empty when it has not run."""
    path = folder.evaluation / SCORES
    return json.loads(path.read_text()) if path.is_file() else {"sets": [], "encoders": {}}


def last_machine(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give the facts of the machine that worked on the run last."""
    machines = [event for event in events if event["event"] == "run.opened"]
    return machines[-1] if machines else {}


def key_facts(recipe: Recipe, groups: Sequence[Group], seconds: dict[str, float]) -> list[Fact]:
    """Choose the four numbers at the top of the page."""
    facts = [
        Fact("Learned from", "1 drawing", f"{recipe.teach.iterations:,} iterations"),
        Fact("Generated", f"{recipe.dataset.samples:,} pairs", "by the teacher"),
    ]
    for group in groups:
        if group.name == "Photographs":
            own, rival = group.row("Extractor"), group.best_baseline()
            facts.append(
                Fact(
                    "LPIPS on photographs",
                    f"{own.cells[0].mean:.3f}",
                    f"best baseline {rival.cells[0].mean:.3f} ({rival.method})",
                )
            )
    total = sum(seconds.values())
    facts.append(Fact("Time", durations.in_words(total), "all stages together"))
    return facts


def encoder_facts(recipe: Recipe, scores: dict[str, Any]) -> list[Fact]:
    """Say which networks were embedded and which real."""
    return [
        Fact("Backbone", recipe.backbone),
        Fact("CLIP while teaching", recipe.teach.clip),
        Fact("Perceptual network while teaching", recipe.teach.perceptual),
        Fact("Perceptual network while distilling", recipe.distill.perceptual),
        Fact("Perceptual network of LPIPS", scores["encoders"].get("lpips", "not evaluated")),
    ]


def provenance_facts(recipe: Recipe, scores: dict[str, Any], machine: dict[str, Any]) -> list[Fact]:
    """List what is needed to make the run again."""
    names = ", ".join(f"{name} {version}" for name, version in versions().items())
    where = "{processor}, {cores} cores, device {device} ({dtype}), {system}"
    known = {key: machine.get(key, "unknown") for key in
             ("processor", "cores", "device", "dtype", "system")}  # fmt: skip
    return [
        Fact("Style", recipe.style),
        Fact("Seeds", f"example {recipe.example.seed}, teach {recipe.teach.seed}, "
                      f"dataset {recipe.dataset.seed}, distill {recipe.distill.seed}"),
        *encoder_facts(recipe, scores),
        Fact("Machine", where.format(**known)),
        Fact("Versions", names),
    ]  # fmt: skip


def compose(recipe: Recipe, folder: RunFolder) -> dict[str, Any]:
    """Gather everything that the template shows."""
    events = durations.read_events(folder.events)
    seconds = dict(durations.stage_seconds(events))
    scores = read_scores(folder)
    groups = score_groups(scores["sets"])
    machine = last_machine(events)
    dataset = show_dataset(recipe.dataset.out)
    sets: list[ShownSet] = shown_sets(folder.evaluation, scores["sets"])
    return {
        "title": f"{recipe.style}: from one drawing to an extractor",
        "lead": "A teacher learned the style from one drawing, drew a dataset with it, and an "
        "extractor learned from the dataset. Nothing here was chosen by hand.",
        "prompt": recipe.example.prompt,
        "facts": key_facts(recipe, groups, seconds),
        "example": example_figures(recipe, folder),
        "strip": strip_figure(folder),
        "dataset": dataset,
        "sets": sets,
        "metrics": groups[0].metrics if groups else [],
        "groups": groups,
        "interval_note": "Mean and 95 % bootstrap interval over pictures. Best mean in bold.",
        "times": stage_times(seconds),
        "times_note": f"Together {durations.in_words(sum(seconds.values()))} on "
        f"{machine.get('cores', '?')} cores, device {machine.get('device', '?')}.",
        "provenance": provenance_facts(recipe, scores, machine),
        "recipe_text": yaml.safe_dump(recipe.resolved(), sort_keys=False, allow_unicode=True),
        "fingerprints_text": "\n".join(
            f"{digest}  {place}" for place, digest in sorted(dataset.fingerprints.items())
        ),
        "version": versions()["onesketch"],
        "made_on": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    }


def write_report(recipe: Recipe, folder: RunFolder) -> Path:
    """Write the page of a run; gives its path."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jobs", "pages/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template(TEMPLATE).render(compose(recipe, folder))
    write_bytes(folder.report, page.encode())
    return folder.report
