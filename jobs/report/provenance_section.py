"""Where a run comes from, as the report lists it: seeds, networks, machine, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobs.pages.facts import Fact, machine_fact, versions_fact
from jobs.runtime.provenance import versions
from pipeline.recipe.recipe import Recipe

_MACHINE_KEYS = ("processor", "cores", "device", "dtype", "system")


def provenance_facts(
    recipe: Recipe, scoring_networks: Mapping[str, str], machine: Mapping[str, Any]
) -> list[Fact]:
    """List what is needed to make a run again.

    Args:
        scoring_networks: names of the networks that scored, by metric; empty before `evaluate`.
        machine: what the event log says of the machine; empty where it says nothing.
    """
    known = {key: machine.get(key, "unknown") for key in _MACHINE_KEYS}
    return [
        Fact("Style", recipe.style),
        Fact("Seeds", ", ".join(f"{name} {seed}" for name, seed in _seeds(recipe))),
        *_network_facts(recipe, scoring_networks),
        machine_fact(known),
        versions_fact(versions()),
    ]  # fmt: skip


def _seeds(recipe: Recipe) -> Iterator[tuple[str, int]]:
    for name, section in recipe.resolved().items():
        if isinstance(section, dict) and "seed" in section:
            yield name, section["seed"]


def last_machine(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what the event log says of the machine that worked on a run last."""
    machines = [event for event in events if event["event"] == "run.opened"]
    return machines[-1] if machines else {}


def _network_facts(recipe: Recipe, scoring_networks: Mapping[str, str]) -> list[Fact]:
    return [
        Fact("Backbone", recipe.backbone),
        Fact("CLIP while teaching", recipe.teach.clip),
        Fact("Perceptual network while teaching", recipe.teach.perceptual),
        Fact("Perceptual network while distilling", recipe.distill.perceptual),
        Fact("Perceptual network of LPIPS", scoring_networks.get("lpips", "not evaluated")),
    ]
