"""Distillation in one process: what it leaves, resumes from, learns and refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from pipeline.reading.dataset import PublishedDataset, RefusedError
from pipeline.recipe.recipe import Distill
from tests.standins.published_blobs import write_dataset
from tests.standins.standin_teacher import StandinTeacher, make_plan
from tests.standins.tiny_encoders import write_perceptual
from training.checkpoint import CHECKPOINT, OtherRunError
from training.distillation import loop
from training.distillation.loop import DivergenceError, distill
from training.distillation.spec import DistillationSpec, Execution
from training.distillation.state import State
from training.extraction.extractor import Extractor
from training.students.student import Batch

EXECUTION = Execution(record_every=3, checkpoint_every_s=0)


def make_spec(folder: Path, **settings: object) -> DistillationSpec:
    asked = {"preset": "small", "epochs": 2, "batch": 4, "true_pair_every": 4, "workers": 1}
    (example,) = StandinTeacher().pairs([make_plan(seed=99).spec(0)])
    return DistillationSpec(
        Distill.model_validate(asked | settings),
        (write_dataset(folder / "dataset", 12),),
        example.image,
        example.sketch,
        str(write_perceptual(folder / "features")),
        provenance={"style": "blobs"},
    )


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> DistillationSpec:
    """Two epochs of 12 pairs in batches of 4: 6 batches and twice the true pair, 8 iterations."""
    return make_spec(tmp_path_factory.mktemp("spec"))


class Events:
    """Remembers events; `stop_at` is an iteration of which the event interrupts the training."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.seen = []

    def __call__(self, name: str, **fields: Any) -> None:
        self.seen.append((name, fields))
        if name == "distill.iteration" and fields["done"] == self.stop_at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def undisturbed(
    spec: DistillationSpec, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("undisturbed")
    events = Events()
    distill(spec, folder, EXECUTION, events)
    return SimpleNamespace(folder=folder, events=events)


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_weights(folder: Path, other: Path, **tolerance: float) -> None:
    expected = weights_of(other)
    assert weights_of(folder).keys() == expected.keys()
    for name, tensor in weights_of(folder).items():
        torch.testing.assert_close(tensor, expected[name], **({"atol": 0, "rtol": 0} | tolerance))


def test_a_run_leaves_extractor_history_and_strip(undisturbed: SimpleNamespace) -> None:
    folder = undisturbed.folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "history.jsonl",
        "metrics.jsonl",
        "model.safetensors",
        "strip.png",
    ]
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(8))
    assert [line["iteration"] for line in lines if line["true_pair"]] == [3, 7]
    assert {
        "generator.adversarial",
        "generator.matching",
        "generator.perceptual",
        "discriminators.fake",
        "discriminators.real",
    } < lines[0].keys()
    name, fields = undisturbed.events.seen[-1]
    assert name == "distill.iteration" and fields["done"] == fields["total"] == 8
    assert fields["samples_per_s"] > 0 and 0 <= fields["waiting_share"] <= 1
    assert fields["step_s"] > 0 and fields["left_s"] == 0
    speeds = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["done"] for line in speeds] == [3, 6, 8]
    assert Image.open(folder / "strip.png").width > 500


def test_the_extractor_draws_and_knows_its_origin(undisturbed: SimpleNamespace) -> None:
    extractor = Extractor.load(undisturbed.folder)
    (example,) = StandinTeacher().pairs([make_plan(seed=99).spec(0)])
    assert extractor.sketch(example.image).shape == (32, 32)
    assert extractor.config["provenance"] == {"style": "blobs"}
    assert extractor.config["trained"]["pairs"] == 12


@pytest.mark.parametrize("stop_at", [3, 6, 8])
def test_an_interrupted_run_ends_with_the_same_weights(
    spec: DistillationSpec, undisturbed: SimpleNamespace, tmp_path: Path, stop_at: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        distill(spec, tmp_path, EXECUTION, Events(stop_at))
    assert not (tmp_path / "config.json").exists()
    events = Events()
    distill(spec, tmp_path, EXECUTION, events)
    resumed = [fields["iteration"] for name, fields in events.seen if name == "distill.resumed"]
    # The interruption comes before the checkpoint of the same iteration.
    assert resumed == ([] if stop_at == 3 else [stop_at // 3 * 3 - (3 if stop_at == 6 else 0)])
    assert_same_weights(tmp_path, undisturbed.folder)
    for name in ("history.jsonl", "strip.png"):
        assert (tmp_path / name).read_bytes() == (undisturbed.folder / name).read_bytes()


def test_a_finished_run_is_left_alone_and_another_spec_refused(
    spec: DistillationSpec, undisturbed: SimpleNamespace
) -> None:
    before = (undisturbed.folder / "model.safetensors").stat()
    distill(spec, undisturbed.folder, EXECUTION, Events())
    assert (undisturbed.folder / "model.safetensors").stat() == before
    other = replace(spec, distill=spec.distill.model_copy(update={"learning_rate": 1e-3}))
    with pytest.raises(OtherRunError, match=r"distill\.learning_rate: 0\.0002 -> 0\.001"):
        distill(other, undisturbed.folder, EXECUTION, Events())


def test_a_checkpoint_of_another_spec_is_refused(spec: DistillationSpec, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        distill(spec, tmp_path, EXECUTION, Events(stop_at=6))
    assert (tmp_path / CHECKPOINT).is_file()
    with pytest.raises(OtherRunError, match="drawing"):
        distill(replace(spec, drawing=spec.drawing.T.copy()), tmp_path, EXECUTION, Events())


def test_the_true_pair_matters(
    spec: DistillationSpec, undisturbed: SimpleNamespace, tmp_path: Path
) -> None:
    distill(replace(spec, drawing=255 - spec.drawing), tmp_path, EXECUTION, Events())
    assert any(
        not torch.equal(a, b)
        for a, b in zip(
            weights_of(tmp_path).values(), weights_of(undisturbed.folder).values(), strict=True
        )
    )


def test_both_networks_learn_on_both_kinds_of_iteration(
    spec: DistillationSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = []
    step = loop.train_step

    def watched(state: State, batch: Batch, *others: Any) -> dict[str, Tensor]:
        before = {
            phase.name: [p.detach().clone() for p in phase.module.parameters()]
            for phase in state.student.phases()
        }
        terms = step(state, batch, *others)
        for phase in state.student.phases():
            after = phase.module.parameters()
            assert any(
                not torch.equal(a, b) for a, b in zip(before[phase.name], after, strict=True)
            )
        changed.append(len(batch.images))
        return terms

    monkeypatch.setattr(loop, "train_step", watched)
    distill(spec, tmp_path, EXECUTION, Events())
    assert changed == [4, 4, 4, 1] * 2


def test_it_learns_what_the_teacher_draws(spec: DistillationSpec, tmp_path: Path) -> None:
    """More epochs bring the drawing of a pair nearer to the teacher's."""
    longer = replace(
        spec, distill=spec.distill.model_copy(update={"epochs": 12, "learning_rate": 1e-3})
    )
    distill(longer, tmp_path, EXECUTION, Events())
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    perceptual = [line["generator.perceptual"] for line in lines]
    assert np.mean(perceptual[-5:]) < 0.8 * np.mean(perceptual[:5])


def test_losses_that_are_no_numbers_end_the_training(
    spec: DistillationSpec, tmp_path: Path
) -> None:
    hopeless = replace(spec, distill=spec.distill.model_copy(update={"learning_rate": 1e30}))
    with pytest.raises(DivergenceError, match=r"Lower distill\.learning_rate"):
        distill(hopeless, tmp_path, EXECUTION, Events())
    assert not (tmp_path / "config.json").exists()


def test_a_damaged_dataset_ends_the_training_without_an_extractor(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    shard = tmp_path / "dataset/shards/00001.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(RefusedError, match=r"shards/00001\.tar: its SHA-256"):
        distill(spec, tmp_path / "run", EXECUTION, Events())
    assert not (tmp_path / "run/config.json").exists()


def test_a_filter_leaves_pairs_out(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, where="cdst_step >= 8", epochs=1)  # all but the first shard
    distill(spec, tmp_path / "run", EXECUTION, Events())
    assert Extractor.load(tmp_path / "run").config["trained"]["pairs"] == 4
    lines = (tmp_path / "run/history.jsonl").read_text().splitlines()
    assert len(lines) == 1  # one batch of 4; the true pair comes every 4th time


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"where": "cdst_stap > 3"}, "no column 'cdst_stap'"),
        ({"where": "cdst_step > 9"}, "at most the dataset's 2 pairs"),
        ({"student": "pix3pix"}, "no student"),
        ({"batch": 13}, "at most the dataset's 12 pairs"),
        ({"true_pair_every": 1}, "expected 2 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        distill(make_spec(tmp_path, **settings), tmp_path / "run", EXECUTION, Events())


def test_half_precision_without_scaling_is_refused() -> None:
    with pytest.raises(ValueError, match="expected float32 or bfloat16"):
        Execution(dtype=torch.float16)


def test_an_example_of_another_size_is_refused_before_training(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    smaller = replace(spec, image=spec.image[:-2, :-2], drawing=spec.drawing[:-2, :-2])
    with pytest.raises(
        ValueError, match=r"images of .*dataset are (\d+) x \1 pixels, and the example is"
    ):
        distill(smaller, tmp_path / "run", EXECUTION, Events())
    assert not (tmp_path / "run" / "history.jsonl").exists()


def test_a_second_dataset_is_read_together_with_the_first(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, epochs=1, true_pair_every=20)
    more = write_dataset(tmp_path / "more", 8, seed=8)
    both = replace(spec, datasets=(*spec.datasets, more))
    distill(both, tmp_path / "both", EXECUTION, Events())
    config = json.loads((tmp_path / "both" / "config.json").read_text())
    assert config["trained"]["pairs"] == 20 and config["trained"]["iterations"] == 5
    # Where they lie is nobody's business; what they are is.
    moved = replace(
        both, datasets=(*spec.datasets, str(tmp_path / "more").replace("more", "./more"))
    )
    distill(moved, tmp_path / "both", EXECUTION, Events())
    with pytest.raises(OtherRunError, match="also"):
        distill(spec, tmp_path / "both", EXECUTION, Events())


def test_a_second_dataset_of_another_size_is_refused_by_name(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    other = write_dataset(tmp_path / "other", 8, side=48, seed=8)
    with pytest.raises(ValueError, match="images of .*other are 48 x 48"):
        distill(replace(spec, datasets=(*spec.datasets, other)), tmp_path, EXECUTION, Events())


def test_what_is_learned_is_what_is_stored(
    spec: DistillationSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pair with its own drawing, paper white, and the true pair as it was drawn."""
    seen: list[Batch] = []
    learn = loop.train_step

    def watched(state: State, batch: Batch, *rest: Any) -> dict[str, Tensor]:
        seen.append(batch)
        return learn(state, batch, *rest)

    monkeypatch.setattr(loop, "train_step", watched)
    distill(spec, tmp_path, EXECUTION, Events())

    def key(image: Tensor, sketch: Tensor) -> bytes:
        parts = (image.permute(1, 2, 0), sketch[0])
        return b"".join(((x + 1) * 127.5).round().byte().numpy().tobytes() for x in parts)

    stored = {}
    dataset = PublishedDataset.open(spec.datasets[0], None)
    for shard, size in enumerate(dataset.sizes):
        for position in range(size):
            image, sketch = dataset.pair(shard, position)
            for step, name in ((1, "as stored"), (-1, "mirrored")):
                pixels = (image[:, ::step], sketch[:, ::step])
                stored[b"".join(x.tobytes() for x in pixels)] = name
    found = [
        stored.get(key(image, sketch))
        for batch in seen
        if len(batch.images) > 1
        for image, sketch in zip(batch.images, batch.sketches, strict=True)
    ]
    assert None not in found and {"as stored", "mirrored"} == set(found)
    true = [key(batch.images[0], batch.sketches[0]) for batch in seen if len(batch.images) == 1]
    assert true == [spec.image.tobytes() + spec.drawing.tobytes()] * 2
