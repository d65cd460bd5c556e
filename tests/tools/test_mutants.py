"""The changes of `tests.tools.mutants` still fit the code that they change."""

from __future__ import annotations

import pytest

from tests.tools.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_s_text_is_there_once_and_its_tests_too(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.before) == 1
    assert mutant.before != mutant.after
    assert all((ROOT / tests).exists() for tests in mutant.tests)
