"""Confidence against equations 6 and 7 written out with loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.evaluation import literal_confidence as literal
from training.evaluation.confidence import (
    Domain,
    confidences,
    cosines,
    similarity,
    similarity_within,
)


def domain(count: int, seed: int, shift: float = 0.0, towards: int = 3) -> Domain:
    """Embeddings whose sketches lie to one side of their images, along the axis `towards`."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(count, 12)) + shift
    sketches = images * rng.uniform(0.3, 1, (count, 1)) + np.eye(12)[towards] * 2
    images, sketches = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, sketches))
    return Domain(torch.tensor(images), torch.tensor(sketches))


def as_list(domain: Domain) -> literal.Pairs:
    return list(zip(domain.images.numpy(), domain.sketches.numpy(), strict=True))


def test_similarities_equal_equation_6() -> None:
    a, b = domain(5, 0), domain(7, 1, shift=0.5)
    x, y = as_list(a), as_list(b)
    assert similarity(a, b) == pytest.approx(literal.sim(x, y), abs=1e-12)
    assert similarity(b, a) == pytest.approx(literal.sim(x, y), abs=1e-12)
    assert similarity_within(a) == pytest.approx(literal.sim(x, x), abs=1e-12)


def test_confidences_equal_equation_7() -> None:
    a, b = domain(5, 0), domain(7, 1, shift=0.5)
    x, y = as_list(a), as_list(b)
    expected = {
        "a,a": literal.confidence(x, x, x + y),
        "b,b": literal.confidence(y, y, x + y),
        "a,b": literal.confidence(x, y, x + y),
    }
    assert confidences(a, b) == pytest.approx(expected, rel=1e-10)


def test_one_domain_cut_in_two_is_as_sure_of_itself_as_of_the_other_half() -> None:
    one, two = domain(60, 0, shift=1.0), domain(60, 1, shift=1.0)
    apart = domain(60, 2, shift=1.0, towards=8)
    assert confidences(one, two)["a,b"] == pytest.approx(100, abs=3)
    far = confidences(one, apart)
    assert far["a,b"] < 100 < min(far["a,a"], far["b,b"])


def test_cosines_in_single_precision_lose_nothing() -> None:
    a, b = domain(4, 0), domain(6, 1)
    rough = [Domain(x.images.float(), x.sketches.float()) for x in (a, b)]
    for exact, close in zip(cosines(a, b), cosines(*rough), strict=True):
        assert torch.allclose(exact, close, atol=1e-5)


def test_two_copies_of_a_picture_have_no_direction() -> None:
    a = domain(5, 0)
    twice = a.joined(Domain(a.images[:1], a.sketches[:1]))
    within, across = cosines(twice, twice)
    assert within[0, 5].isnan() and not across[0, 5].isnan()
    assert within[0, 1:5].isfinite().all()
    assert np.isfinite(similarity_within(twice))


def test_what_has_no_confidence_is_refused() -> None:
    a = domain(3, 0)
    with pytest.raises(ValueError, match="two or more pairs"):
        similarity_within(Domain(a.images[:1], a.sketches[:1]))
    with pytest.raises(ValueError, match="as many sketches as images"):
        Domain(a.images, a.sketches[:2])
    opposed = Domain(torch.eye(4)[:2], torch.eye(4)[:2] * -1)
    mirrored = Domain(torch.eye(4)[:2] * -1, torch.eye(4)[:2])
    with pytest.raises(ValueError, match="share no direction"):
        confidences(opposed, mirrored)
