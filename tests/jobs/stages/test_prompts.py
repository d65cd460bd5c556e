"""Prompt lists: a thousand, all different, varied in length, kind and words."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from jobs.stages.general_prompts import PHRASES, SENTENCES, SLOT, SUBJECTS, general_prompts
from jobs.stages.prompts import NUM_PROMPTS, prompts_for, read_prompts, scene_captions


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    return general_prompts(NUM_PROMPTS)


def test_a_thousand_different_prompts_the_same_each_time(prompts: list[str]) -> None:
    assert len(prompts) == len(set(prompts)) == 1000
    assert prompts == general_prompts(NUM_PROMPTS)
    assert all(prompt == prompt.strip() and prompt.isascii() for prompt in prompts)
    assert not [prompt for prompt in prompts if SLOT.search(prompt) or "  " in prompt]


def test_lengths_vary_and_fit_the_text_encoder(prompts: list[str]) -> None:
    lengths = sorted(len(prompt.split()) for prompt in prompts)
    assert lengths[0] <= 2 and lengths[100] <= 5 and lengths[-100] >= 14
    assert lengths[-1] < 50, "77 tokens are read"


def test_words_and_beginnings_vary(prompts: list[str]) -> None:
    words = Counter(word for prompt in prompts for word in set(re.findall(r"[a-z]+", prompt)))
    assert len(words) > 600
    telling = {word: n for word, n in words.items() if len(word) > 4}
    assert max(telling.values()) < 150, "not even `photo` is in more than one of seven"
    beginnings = Counter(" ".join(prompt.split()[:3]) for prompt in prompts)
    assert len(beginnings) > 300 and beginnings.most_common(1)[0][1] < 40


def test_every_phrase_can_be_asked_for(prompts: list[str]) -> None:
    slots = {slot for text in (*SENTENCES, *SUBJECTS) for slot in SLOT.findall(text)}
    assert slots == PHRASES.keys() | {"subject"}
    text = "\n".join(prompts)
    unused = [p for phrases in PHRASES.values() for p in phrases if p not in text]
    assert len(unused) < 0.05 * sum(map(len, PHRASES.values()))


def test_articles_fit_the_words_after_them() -> None:
    for phrase in (p for phrases in (*PHRASES.values(), SENTENCES) for p in phrases):
        assert not re.search(r"\ba [aeio]|\ban [^aeiou{]", phrase), phrase


def test_the_embedded_model_is_asked_for_scenes_and_a_list_of_ones_own_comes_first(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own.txt"
    own.write_text("a cat\n\n  two dogs \n")
    assert read_prompts(own) == prompts_for("embedded", tmp_path, own) == ["a cat", "two dogs"]
    assert prompts_for("embedded", tmp_path, None) == scene_captions()
    (tmp_path / "prompts.txt").write_text("beside the weights\n")
    assert prompts_for("some/model", tmp_path, None) == ["beside the weights"]
    with pytest.raises(ValueError, match="no such file"):
        read_prompts(tmp_path / "none.txt")
