"""One-shot training: what it leaves, resumes from, learns and refuses."""

from __future__ import annotations

import dataclasses
import json
import signal
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from pipeline.diffusion.backbone import Backbone, load_backbone
from pipeline.diffusion.cdst import ConditionPrior
from pipeline.diffusion.sampling import Sample
from pipeline.events import ignore
from pipeline.gsketch.network import GSketch
from tests.standins import tiny_spec
from training.checkpoint import OtherRunError
from training.oneshot import loop
from training.oneshot.loop import DivergenceError, beside, fit, initial_state, prepare
from training.oneshot.objective import TERMS, Objective
from training.oneshot.spec import OneShotSpec


@pytest.fixture(scope="module")
def backbone(tiny_backbone_folder: Path) -> Backbone:
    return load_backbone(tiny_backbone_folder)


@pytest.fixture(scope="module")
def spec(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> OneShotSpec:
    return tiny_spec.build(backbone, tmp_path_factory.mktemp("encoders"))


@pytest.fixture(scope="module")
def undisturbed(spec: OneShotSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    fit(spec, folder, ignore)
    return folder


def changed(spec: OneShotSpec, **teach: object) -> OneShotSpec:
    return dataclasses.replace(spec, teach=spec.teach.model_copy(update=teach))


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_a_whole_teacher_is_left(spec: OneShotSpec, undisturbed: Path) -> None:
    names = {path.name for path in undisturbed.iterdir()}
    assert names == {
        "gsketch.safetensors",
        "config.json",
        "prior.safetensors",
        "condition.safetensors",
        "known.png",
        "strip.png",
        "history.jsonl",
        "teach.json",
    }
    lines = history(undisturbed)
    assert [line["iteration"] for line in lines] == list(range(5))
    assert all(set(line) == {"iteration", "loss", "alpha", "beta", *TERMS} for line in lines)
    weights = {"across": 1, "within": 1, "pixel": 30, "lpips": 15, "clip": 30}
    for line in lines:
        total = sum(weights[name] * line[name] for name in TERMS)
        assert line["loss"] == pytest.approx(total, rel=1e-5)
    assert (lines[0]["alpha"], lines[-1]["beta"]) == (1.0, 1.0)
    assert torch.equal(ConditionPrior.load(undisturbed / "prior.safetensors").mean, spec.prior.mean)
    assert GSketch.load(undisturbed).config.timesteps == tiny_spec.TIMESTEPS


def test_every_parameter_learns(spec: OneShotSpec, undisturbed: Path) -> None:
    start = initial_state(spec).network.state_dict()
    end = GSketch.load(undisturbed).state_dict()
    assert [name for name in start if torch.equal(start[name], end[name])] == []


def test_the_known_drawing_is_learned(spec: OneShotSpec, tmp_path: Path) -> None:
    fit(changed(spec, iterations=8, learning_rate=5e-3), tmp_path, ignore)
    lines = history(tmp_path)
    assert lines[-1]["pixel"] < 0.8 * lines[0]["pixel"]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]


@pytest.mark.parametrize("killed_at", [1, 4])
def test_a_killed_run_ends_with_the_same_bytes(
    spec: OneShotSpec, undisturbed: Path, tmp_path: Path, killed_at: int
) -> None:
    def kill(name: str, **fields: Any) -> None:
        if name == "teach.iteration" and fields["done"] == killed_at:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(spec, tmp_path, kill, checkpoint_every_s=0)
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"iteration": 99, "lo')  # cut off in the middle of a line
    events = []
    fit(spec, tmp_path, lambda name, **fields: events.append(name), checkpoint_every_s=0)
    assert ("teach.resumed" in events) == (killed_at > 2)
    for name in ("gsketch.safetensors", "history.jsonl", "strip.png", "teach.json"):
        assert (tmp_path / name).read_bytes() == (undisturbed / name).read_bytes(), name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_every_iteration(
    spec: OneShotSpec, undisturbed: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The signal comes in the middle of iteration 3 of 5, of which nothing is lost either."""
    before = signal.signal(signal.SIGTERM, _as_keyboard_interrupt)
    seen = []

    def stop(name: str, **fields: Any) -> None:
        seen.append((name, fields))
        if name == "teach.iteration" and fields["done"] == 3:
            signal.raise_signal(number)

    try:
        with pytest.raises(KeyboardInterrupt):
            fit(spec, tmp_path, stop)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ("teach.stopped", {"kept": 3, "of": 5, "what": "iterations"}) in seen
    events = []
    fit(spec, tmp_path, lambda name, **fields: events.append((name, fields)))
    assert events[0] == ("teach.resumed", {"iteration": 3})
    for name in ("gsketch.safetensors", "history.jsonl", "strip.png", "teach.json"):
        assert (tmp_path / name).read_bytes() == (undisturbed / name).read_bytes(), name


def _as_keyboard_interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def test_a_finished_folder_is_loaded_and_another_spec_refused(
    spec: OneShotSpec, undisturbed: Path
) -> None:
    events = []
    fit(spec, undisturbed, lambda name, **fields: events.append(name))
    assert events == []
    with pytest.raises(OtherRunError, match=r"teach\.reconstruction: l1 -> l2.*run folder"):
        fit(changed(spec, reconstruction="l2"), undisturbed, ignore)


def test_the_checkpoint_of_another_drawing_is_refused(spec: OneShotSpec, tmp_path: Path) -> None:
    state = initial_state(spec)
    loop.save_checkpoint(tmp_path, state, spec.identity())
    pair = dataclasses.replace(spec.pair, drawing=255 - spec.pair.drawing)
    with pytest.raises(OtherRunError, match="drawing"):
        fit(dataclasses.replace(spec, pair=pair), tmp_path, ignore)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"half a checkpoint")
    with pytest.raises(ValueError, match="Remove it to start again"):
        fit(spec, tmp_path, ignore)


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(
    spec: OneShotSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = Objective.terms

    def poisoned(self: Objective, drawn: Tensor, sample: Tensor) -> dict[str, Tensor]:
        terms = sound(self, drawn, sample)
        if poisoned.calls == 2:
            terms["lpips"] = terms["lpips"] * float("nan")
        poisoned.calls += 1
        return terms

    poisoned.calls = 0
    monkeypatch.setattr(Objective, "terms", poisoned)
    with pytest.raises(DivergenceError, match=r"iteration 2: .*'lpips': nan.*learning_rate"):
        fit(spec, tmp_path, ignore, checkpoint_every_s=0)
    assert len(history(tmp_path)) == 2 and (tmp_path / "checkpoint.safetensors").exists()
    assert not (tmp_path / "gsketch.safetensors").exists()


def test_a_backbone_that_makes_another_picture_is_refused(
    spec: OneShotSpec, tmp_path: Path
) -> None:
    pair = dataclasses.replace(spec.pair, image=255 - spec.pair.image)
    with pytest.raises(ValueError, match="no longer makes the picture"):
        fit(dataclasses.replace(spec, pair=pair), tmp_path, ignore)


def test_two_pictures_in_one_pass_equal_two_passes(spec: OneShotSpec, tmp_path: Path) -> None:
    context, network = prepare(spec, tmp_path), initial_state(spec).network
    chunk = context.samples.make([0, 1])
    with torch.no_grad():
        both = network(*beside(context.example, chunk, 1))
        one = network(context.example.taps, context.example.images)
        other = network(chunk.taps.images(1, 2), chunk.images[1:])
    assert torch.allclose(both, torch.cat([one, other]), atol=1e-5)


def test_a_batch_of_taps_is_freed_before_the_next_is_made(
    spec: OneShotSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, alive, living = loop.GeneratedSamples.make, [], []

    def counted(self: loop.GeneratedSamples, indices: Sequence[int]) -> Sample:
        living.append(sum(reference() is not None for reference in alive))
        made = make(self, indices)
        if self.seed == spec.teach.seed:  # not the samples shown in the strip, which stay
            alive.append(weakref.ref(made.taps.unet[0][0]))
        return made

    monkeypatch.setattr(loop.GeneratedSamples, "make", counted)
    fit(spec, tmp_path, ignore)
    assert len(alive) == 3 and living == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "option", [{"reconstruction": "l2"}, {"cdst": False}, {"vae_features": False}]
)
def test_ablations_train(
    spec: OneShotSpec, undisturbed: Path, tmp_path: Path, option: dict[str, object]
) -> None:
    fit(changed(spec, iterations=2, **option), tmp_path, ignore)
    assert history(tmp_path)[1]["loss"] != history(undisturbed)[1]["loss"]


def test_one_timestep_trains(spec: OneShotSpec, tmp_path: Path) -> None:
    network = fit(
        dataclasses.replace(changed(spec, iterations=1), timesteps=(0,)), tmp_path, ignore
    )
    assert network.config.timesteps == (0,)


def test_the_strip_shows_all_rows_and_snapshots(undisturbed: Path) -> None:
    strip = Image.open(undisturbed / "strip.png")
    assert strip.mode == "RGB" and strip.height > 4 * 160 and strip.width > 8 * 160


def test_each_sample_is_learned_with_its_own_embedding(
    spec: OneShotSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    learn = loop.train_step

    def watched(context: Any, state: Any, chunk: Any, at: int, embedding: Tensor) -> Any:
        seen.append((context.objective.embed(chunk.images[at : at + 1]), embedding))
        return learn(context, state, chunk, at, embedding)

    monkeypatch.setattr(loop, "train_step", watched)
    fit(spec, tmp_path, ignore)
    for own, given in seen:
        torch.testing.assert_close(given, own, atol=1e-5, rtol=1e-4)
    # Samples differ, or this would prove nothing.
    assert not torch.allclose(seen[0][1], seen[1][1], atol=1e-3)
