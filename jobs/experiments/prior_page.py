"""The page of a condition prior: its components, the tests for normality, the distances."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from jobs.experiments.prior_plots import plot_distances, plot_quantiles, plot_spectrum
from jobs.report.report import Fact
from pipeline.analysis.normality import MULTIVARIATE, OTHER_PROMPTS, PER_AXIS, UNIFORM
from pipeline.whole_file import write_bytes

TEMPLATE = "prior.html.j2"
NAMES = {
    MULTIVARIATE: "Multivariate normal, D_SD",
    PER_AXIS: "Normal along each axis",
    UNIFORM: "Uniform along each axis",
    OTHER_PROMPTS: "Other prompts",
}


@dataclass(frozen=True)
class TestRow:
    """One statistic of Mardia's with its two p-values."""

    __test__ = False  # no test of pytest's

    name: str
    value: str
    asymptotic: str
    simulated: str


@dataclass(frozen=True)
class DistanceRow:
    """Distances of one distribution: mean and standard deviation over the folds."""

    name: str
    mean: str
    spread: str
    chosen: bool


def probability(p: float) -> str:
    """Write a p-value; what is too small to tell from nothing is said to be."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def test_rows(mardia: dict[str, float]) -> list[TestRow]:
    """Give the lines of Mardia's test."""
    return [
        TestRow(
            name=f"Multivariate {part}",
            value=f"{mardia[part]:,.1f}",
            asymptotic=probability(mardia[f"{part}_p"]),
            simulated=probability(mardia[f"{part}_simulated_p"]),
        )
        for part in ("skewness", "kurtosis")
    ]


def distance_rows(emd: dict[str, list[float]]) -> list[DistanceRow]:
    """Give the lines of Table 6, and that of the prompts themselves."""
    return [
        DistanceRow(NAMES[name], f"{np.mean(d):,.2f}", f"{np.std(d):,.2f}", name == MULTIVARIATE)
        for name, d in emd.items()
    ]


def is_rejected(figures: dict[str, Any]) -> bool:
    """Say whether Mardia's test finds the components not normal, by its simulated p-values."""
    mardia, level = figures["mardia"], figures["shapiro"]["level"]
    # Two tests of one hypothesis: each gets half of the level.
    return min(mardia["skewness_simulated_p"], mardia["kurtosis_simulated_p"]) < level / 2


def key_facts(figures: dict[str, Any]) -> list[Fact]:
    """Choose the four numbers at the top."""
    shapiro, emd = figures["shapiro"], figures["emd"]["mean"]
    tokens, channels = figures["embedding"]
    distinct = figures["distinct_prompts"]
    return [
        Fact("Prompts", f"{figures['prompts']:,}",
             f"{distinct:,} different; {tokens} tokens of {channels} channels"),
        Fact("Fail Shapiro-Wilk", f"{shapiro['rejected']} of {figures['components']}",
             f"components, at {shapiro['level']:.0%}"),
        Fact("Mardia", "rejected" if is_rejected(figures) else "not rejected",
             f"normality of {figures['mardia']['components']} components together"),
        Fact("Distance to prompts", f"{emd[MULTIVARIATE]:,.1f}",
             f"per axis {emd[PER_AXIS]:,.1f}, uniform {emd[UNIFORM]:,.1f}"),
    ]  # fmt: skip


def distance_note(emd: dict[str, float]) -> str:
    """Say in words which distribution lies nearest."""
    rivals = {name: emd[name] for name in (PER_AXIS, UNIFORM)}
    best = min(rivals, key=lambda name: rivals[name])
    share = abs(1 - emd[MULTIVARIATE] / rivals[best])
    order = "nearer" if emd[MULTIVARIATE] < rivals[best] else "farther"
    return (
        f"Samples of D_SD lie {share:.1%} {order} to prompts that they were not fitted to than "
        f"those of the better rival, the {best} distribution. Other prompts would lie at "
        f"{emd[OTHER_PROMPTS]:,.2f}: no sampler can be expected to do better."
    )


def provenance(figures: dict[str, Any]) -> list[Fact]:
    """List what is needed to make the prior again."""
    return [
        Fact("Backbone", figures["backbone"]),
        Fact("Prompts", f"{figures['prompts']:,}, kept beside this page; seed {figures['seed']}"),
        Fact("Machine", "{processor}, {cores} cores, device {device} ({dtype}), {system}".format(
            **figures["machine"])),
        Fact("Versions", ", ".join(f"{k} {v}" for k, v in figures["versions"].items())),
    ]  # fmt: skip


def compose(figures: dict[str, Any], scores: np.ndarray) -> dict[str, Any]:
    """Gather everything that the template shows; scores (N, K)."""
    shapiro, draws = figures["shapiro"], figures["draws"]
    return {
        "title": "The distribution of conditions",
        "lead": f"D_SD of the backbone “{figures['backbone']}”: a multivariate normal over "
        f"{figures['components']} principal components of its prompts’ embeddings. It is what "
        "sampled images are conditioned on, and here is how far it can be believed.",
        "facts": key_facts(figures),
        "spectrum_plot": plot_spectrum(
            figures["deviations"], shapiro["p_values"], shapiro["level"]
        ),
        "quantiles_plot": plot_quantiles(scores),
        "level": shapiro["level"],
        "by_chance": round(shapiro["level"] * figures["components"]),
        "test_rows": test_rows(figures["mardia"]),
        "mardia": figures["mardia"],
        "distance_note": distance_note(figures["emd"]["mean"]),
        "distance_rows": distance_rows(figures["emd"]["each"]),
        "distances_plot": plot_distances(figures["emd"]["each"], NAMES),
        "folds": figures["emd"]["folds"],
        "draws_note": f"{draws['conditions']:,} conditions, as many as the paper’s dataset has, "
        f"were drawn in {draws['seconds']:.1f} s, 64 at a time.",
        "provenance": provenance(figures),
        "fingerprints_text": "\n".join(
            f"{digest}  {place}" for place, digest in sorted(figures["fingerprint"].items())
        ),
        "version": figures["versions"]["onesketch"],
        "made_on": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
    }


def write_page(path: Path, figures: dict[str, Any], scores: np.ndarray) -> None:
    """Write the page of a prior from its figures and the prompts' scores (N, K)."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jobs", "pages/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template(TEMPLATE).render(compose(figures, scores))
    write_bytes(path, page.encode())
