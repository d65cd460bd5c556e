"""The tokenizer learned from captions."""

from __future__ import annotations

from training.embedded.models.tokenizer import learn_tokenizer
from training.embedded.scenes.scene import make_scene


def test_captions_fit_the_tokenizer() -> None:
    captions = [make_scene(seed, 32).caption for seed in range(300)]
    tokenizer = learn_tokenizer(captions)
    longest = max(len(tokenizer(c).input_ids) for c in captions)
    assert longest <= tokenizer.model_max_length
    for caption in captions[:20]:
        ids = tokenizer(caption).input_ids
        assert (
            tokenizer.decode(ids, skip_special_tokens=True).split()
            == caption.replace(",", " ,").split()
        )
