"""The machine: its device, its number format, and how many cores may be used."""

from __future__ import annotations

import os

import pytest
import torch

from jobs.runtime.devices import choose_dtype, choose_machine


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert choose_machine("cpu").num_cpus == 3


@pytest.mark.parametrize(("cores", "expected"), [(6, 6), (None, 1)])
def test_systems_that_do_not_tell_have_all_cores(
    cores: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS and Windows do not."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert choose_machine("cpu").num_cpus == expected


@pytest.mark.parametrize(
    ("dtype", "device", "expected"),
    [
        ("auto", "cpu", torch.float32),
        ("auto", "mps", torch.float32),
        ("auto", "cuda:1", torch.float16),
        ("bfloat16", "cpu", torch.bfloat16),
    ],
)
def test_number_formats(dtype: str, device: str, expected: torch.dtype) -> None:
    assert choose_dtype(dtype, device) == expected


def test_what_is_unknown_or_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown number format 'int8'"):
        choose_machine("cpu", "int8")
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        choose_machine("tpu")
    with pytest.raises(ValueError, match="device 'cuda:99' is not present on this machine"):
        choose_machine("cuda:99")
