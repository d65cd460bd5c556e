"""Cores: by affinity and by a container's quota; threads that leave them to others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.runtime.cores import calm_threads, usable_cores


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("what?", 8),
    ],
)
def test_a_quota_counts(
    text: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(text)
    assert usable_cores(tmp_path / "cpu.max") == cores
    assert usable_cores(tmp_path / "none") == 8


@pytest.mark.parametrize("chosen", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_what_a_person_chose_stays(chosen: str) -> None:
    environment: dict[str, str] = {}
    calm_threads(environment)
    assert int(environment["GOMP_SPINCOUNT"]) > 0
    environment = {chosen: "active", "OMP_NUM_THREADS": "7"}
    calm_threads(environment)
    assert environment == {chosen: "active", "OMP_NUM_THREADS": "7"}
