"""The report: one self-contained page about a run, made from its artefacts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from jobs.evaluation.pictures_section import shown_sets
from jobs.evaluation.scores import read_scores
from jobs.evaluation.scores_section import SETS, ScoreGroup, score_groups
from jobs.pages.durations import in_words
from jobs.pages.facts import Fact, fingerprints_text
from jobs.pages.figures import Figure, make_figure
from jobs.pages.page import write_page
from jobs.report.dataset_section import show_dataset
from jobs.report.limits_section import limits
from jobs.report.lineage import mismatches
from jobs.report.provenance_section import last_machine, provenance_facts
from jobs.report.stage_times import read_events, stage_seconds, stage_times
from jobs.runtime.run_folder import RunFolder
from jobs.runtime.session import Session
from pipeline.arrays import Pixels
from pipeline.diffusion.drawing import read_drawing
from pipeline.images.read import read_photograph
from pipeline.recipe.recipe import Recipe
from training.oneshot.record import EXAMPLE_SKETCH

_STRIP_SIDE = 2160  # pixels


def write_report(session: Session) -> str:
    """Write the page of a run; return where it is.

    Raises:
        ValueError: an artefact that the page needs is missing.
    """
    recipe, folder, place = session.recipe, session.folder, session.place
    place.fetch("source", "teacher", "extractor", "evaluation")
    place.fetch_records()
    doubts = mismatches(recipe, folder, session.drawing)
    for doubt in doubts:
        session.events("report.mismatch", found=doubt)
    events = read_events(folder.events)
    seconds, machine = stage_seconds(events), last_machine(events)
    scores = read_scores(folder.evaluation)
    groups = score_groups(scores.sets)
    example = _example_figures(recipe, folder, session.drawing)
    dataset = show_dataset(recipe.dataset.out)
    page = write_page(
        folder.report,
        "report.html.j2",
        title=f"{recipe.style}: from one drawing to an extractor",
        lead="A teacher learned the style from one drawing, drew a dataset with it, and an "
        "extractor learned from the dataset. No picture on this page was picked by hand.",
        doubts=doubts,
        prompt=recipe.example.prompt,
        facts=_run_facts(recipe, groups, seconds),
        example=example,
        strip=_strip_figure(folder),
        dataset=dataset,
        sets=shown_sets(folder.evaluation, scores.sets),
        metrics=groups[0].metrics if groups else [],
        groups=groups,
        limits=limits(recipe, groups),
        interval_note="Mean and its 95 % interval over pictures. Best mean in bold.",
        times=stage_times(seconds),
        times_note=f"Together {in_words(sum(seconds.values()))} on "
        f"{machine.get('cores', '?')} cores, device {machine.get('device', '?')}.",
        provenance=provenance_facts(recipe, scores.encoders, machine),
        recipe_text=yaml.safe_dump(recipe.resolved(), sort_keys=False, allow_unicode=True),
        fingerprints_text=fingerprints_text(dataset.fingerprints),
    )
    return place.publish_file(page)


def _run_facts(
    recipe: Recipe, groups: Sequence[ScoreGroup], seconds: Mapping[str, float]
) -> list[Fact]:
    """Choose the four numbers at the top of the page."""
    facts = [
        Fact("Learned from", "1 drawing", recipe.teach.effort),
        Fact("Generated", f"{recipe.dataset.samples:,} pairs", "by the teacher"),
    ]
    for group in groups:
        if group.name == SETS["photographs"]:
            own, rival = group.row("Extractor"), group.best_baseline()
            facts.append(
                Fact(
                    "LPIPS on photographs",
                    f"{own.scores[0].mean:.3f}",
                    f"best baseline {rival.scores[0].mean:.3f} ({rival.method})",
                )
            )
    total = sum(seconds.values())
    facts.append(Fact("Time", in_words(total), "all stages together"))
    return facts


def _example_figures(recipe: Recipe, folder: RunFolder, drawing_path: Path) -> list[Figure]:
    """Show image, drawing and what the teacher makes of the image."""
    image = read_photograph(folder.source / "image.png")
    drawing = read_drawing(drawing_path, image.shape[:2], recipe.example.invert)
    figures = [
        make_figure(image, f"Generated image: {recipe.example.prompt}", "The generated image"),
        make_figure(drawing, "The drawing made over the image", "The drawing, the only one"),
    ]
    known = folder.teacher / EXAMPLE_SKETCH
    if known.is_file():
        alt = "The teacher's sketch of the same image"
        figures.append(make_figure(_read_grey(known), alt, "What the teacher draws of it"))
    return figures


def _strip_figure(folder: RunFolder) -> Figure | None:
    """Show the strip of sketches as the teacher learns, where there is one."""
    path = folder.teacher / "strip.png"
    if not path.is_file():
        return None
    caption = "The teacher as it learns, from its first sketches (left) to its last (right)"
    return make_figure(read_photograph(path), caption, caption, max_side=_STRIP_SIDE)


def _read_grey(path: Path) -> Pixels:
    """Read a drawing as uint8 (H, W)."""
    return read_photograph(path)[..., 0]
