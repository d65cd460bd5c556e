"""The rows of an ablation: one change each, and what they tap."""

from __future__ import annotations

from typing import Any

from jobs.experiments.ablation.rows import (
    FULL,
    ROWS,
    AblationRow,
    all_steps,
    cells,
    random_steps,
)
from pipeline.recipe.diffsketch import DiffSketchTeach

REPRESENTATIVE = (2, 8, 15, 20, 23)


def test_each_row_differs_from_the_full_method_in_one_thing() -> None:
    def described(row: AblationRow) -> dict[str, Any]:
        teach = row.settings(DiffSketchTeach(iterations=7), seed=4).model_dump()
        return teach | {"tapped": row.timesteps(REPRESENTATIVE, 25)}

    full = described(ROWS[FULL])
    assert full["tapped"] == REPRESENTATIVE and full["seed"] == 4 and full["iterations"] == 7
    changes = {
        name: {key for key, value in described(row).items() if value != full[key]}
        for name, row in ROWS.items()
    }
    assert changes == {
        "full": set(),
        "random-1": {"tapped"},
        "random-2": {"tapped"},
        "one-step": {"tapped"},
        "no-cdst": {"cdst"},
        "l2": {"reconstruction"},
        "no-vae": {"vae_features"},
    }
    assert [row.name for row in ROWS.values() if not row.cdst] == ["no-cdst"]


def test_random_steps_are_as_many_and_stay_the_same() -> None:
    first, second = (ROWS[name].timesteps(REPRESENTATIVE, 25) for name in ("random-1", "random-2"))
    assert first != second
    for chosen in (first, second):
        assert len(set(chosen)) == len(REPRESENTATIVE)
        assert list(chosen) == sorted(chosen) and 0 <= chosen[0] and chosen[-1] < 25
    assert random_steps(25, 5, 1) == first
    # Every step has the same chance: 5 of 25 over 2,000 draws, 400 each, deviation 18.
    drawn = [t for draw in range(2000) for t in random_steps(25, 5, draw)]
    assert all(310 < drawn.count(t) < 490 for t in range(25))


def test_shared_samples_hold_every_step_that_a_row_taps() -> None:
    union = all_steps(list(ROWS.values()), REPRESENTATIVE, 25)
    assert list(union) == sorted(set(union)) and 0 in union
    for row in ROWS.values():
        assert set(row.timesteps(REPRESENTATIVE, 25)) <= set(union)


def test_cells_of_a_seed_are_all_different() -> None:
    made = cells(["xdog", "lineart"], list(ROWS), 3)
    assert len({cell.place for cell in made}) == 14
    assert made[0].place == "xdog/full/seed-3"
