"""The factory of a run's teacher: what it knows without loading a model, and what it checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from jobs.nodes import teacher_factory
from jobs.nodes.teacher_factory import TeacherFactory, held_out_pairs
from jobs.runtime.session import Session
from pipeline.diffusion.backbone import load_backbone
from pipeline.pair import Pair, SampleSpec
from tests.standins import taught_diffsketch
from tests.standins.standin_teacher import StandinTeacher
from tests.standins.tiny_encoders import write_clip
from training.encoders.clip import ClipError, clip_files_sha256, load_clip
from training.oneshot.record import RECORD, write_record
from training.tensor_hash import sha256_of_network


@pytest.fixture
def factory(tiny_backbone_folder: Path, tmp_path: Path) -> TeacherFactory:
    """Of a teacher whose record names its CLIP."""
    folder = tmp_path / "teacher"
    taught_diffsketch.write_teacher(load_backbone(tiny_backbone_folder), folder)
    clip = write_clip(tmp_path / "clip")
    hashes = {
        "clip_sha256": sha256_of_network(load_clip(clip)),
        "clip_files_sha256": clip_files_sha256(clip),
    }
    write_record(folder, {"teacher": "diffsketch", "identity": {}} | hashes)
    image = np.zeros((64, 64, 3), np.uint8)
    locations = {"backbone": str(tiny_backbone_folder)}
    return TeacherFactory(
        "diffsketch", str(folder), locations, str(clip), image, image[..., 0], 4, "cpu"
    )


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a model was loaded")


def test_the_fingerprint_is_known_without_a_model(
    factory: TeacherFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = factory().fingerprint
    monkeypatch.setattr("jobs.nodes.teacher_factory.load_clip", refuse)
    monkeypatch.setattr("pipeline.systems.diffsketch.load_backbone", refuse)
    assert factory.fingerprint() == expected


def forget(factory: TeacherFactory) -> None:
    path = Path(factory.folder) / RECORD
    path.write_text(json.dumps({"teacher": "diffsketch", "identity": {}}))


def overwrite(factory: TeacherFactory) -> None:
    write_clip(Path(factory.clip), seed=1)


@pytest.mark.parametrize("change", [forget, overwrite])
def test_a_clip_that_is_not_known_is_hashed(
    factory: TeacherFactory, change: Callable[[TeacherFactory], None]
) -> None:
    change(factory)
    assert factory.fingerprint() == factory().fingerprint
    assert factory.fingerprint()["clip/weights"] == sha256_of_network(load_clip(factory.clip))


def test_a_clip_that_is_missing_is_named_before_any_work(factory: TeacherFactory) -> None:
    Path(factory.clip, "open_clip_model.safetensors").unlink()
    with pytest.raises(ClipError, match=r"clip lacks open_clip_model\.safetensors"):
        factory.fingerprint()
    with pytest.raises(ClipError, match="neither a file nor a tag"):
        replace(factory, clip="ViT-B-32:nowhere").fingerprint()


def test_in_a_cluster_the_record_stands_for_models_that_the_driver_lacks(
    factory: TeacherFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = factory.fingerprint()
    far = replace(factory, models={"backbone": "/not/here"}, clip="s3://bucket/clip")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr("jobs.nodes.teacher_factory.load_clip", refuse)
    assert far.fingerprint() == expected


def test_a_node_that_does_not_see_a_folder_is_named(factory: TeacherFactory) -> None:
    with pytest.raises(
        ValueError, match="does not see /not/here: correct the path, or, where nodes share no disk"
    ):
        replace(factory, folder="/not/here")()


def test_held_out_pairs_are_none_of_the_dataset_s(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, made = 22, []

    class Watched(StandinTeacher):
        def pairs(self, specs: Sequence[SampleSpec]) -> Sequence[Pair]:
            made.extend(specs)
            return super().pairs(specs)

    monkeypatch.setattr(teacher_factory, "load_teacher", lambda *_: Watched())
    monkeypatch.setattr(teacher_factory, "teacher_factory", lambda _: SimpleNamespace(files=dict))
    recipe = SimpleNamespace(
        dataset=SimpleNamespace(samples=samples, seed=7), teach=SimpleNamespace(teacher="blobs")
    )
    held_out = held_out_pairs(cast(Session, SimpleNamespace(recipe=recipe)), 5)
    assert [spec.index for spec in made] == [22, 23, 24, 25, 26]
    assert {(spec.seed, spec.duration) for spec in made} == {(7, samples)}
    dataset = StandinTeacher().pairs([SampleSpec(i, 7, samples) for i in range(samples)])
    seen = {pair.image.tobytes() for pair in dataset}
    assert not any(pair.image.tobytes() in seen for pair in held_out)
