"""What every teacher, source of pictures and drawer must keep to: one function a promise.

A test runs them over the entries of the registries; a new entry's author runs them on its own.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.arrays import Pixels
from pipeline.pair import Pair, SampleSpec
from pipeline.teachers.drawer import Drawer
from pipeline.teachers.pictures import Pictures
from pipeline.teachers.teacher import Teacher, TeacherClass, TeacherFiles


def specs(*indices: int) -> list[SampleSpec]:
    """Addresses of samples of one dataset."""
    return [SampleSpec(index=index, seed=7, duration=9) for index in indices]


def check_pairs(teacher: Teacher) -> None:
    """Pairs come in order, as uint8 of the teacher's size, with columns that JSON holds."""
    assert isinstance(teacher, Teacher)
    asked = specs(*range(5))
    pairs = teacher.pairs(asked)
    assert [pair.index for pair in pairs] == [spec.index for spec in asked]
    side = teacher.image_size
    for pair in pairs:
        assert isinstance(pair, Pair)
        assert pair.image.dtype == pair.sketch.dtype == np.uint8
        assert pair.image.shape == (side, side, 3) and pair.sketch.shape == (side, side)
        assert json.loads(json.dumps(dict(pair.columns))) == dict(pair.columns)
        numbers = [value for value in pair.columns.values() if isinstance(value, float)]
        assert all(map(math.isfinite, numbers))
    assert not np.array_equal(pairs[0].image, pairs[1].image)
    assert pairs[0].columns.keys() == pairs[-1].columns.keys()


def check_addresses(teacher: Teacher) -> None:
    """A pair is a function of its address: alone, among neighbours, in any order, again."""
    together = {pair.index: pair for pair in teacher.pairs(specs(*range(6)))}
    for asked in ([1], [4, 5], [5, 3], [0, 1, 2, 3, 4, 5]):
        for pair in teacher.pairs(specs(*asked)):
            same = together[pair.index]
            assert np.array_equal(pair.image, same.image)
            assert np.array_equal(pair.sketch, same.sketch)
            assert dict(pair.columns) == dict(same.columns)
    others = teacher.pairs([replace(spec, seed=8) for spec in specs(*range(6))])
    assert any(
        not np.array_equal(other.image, together[other.index].image)
        or not np.array_equal(other.sketch, together[other.index].sketch)
        for other in others
    ), "another seed must make another dataset"


def check_fingerprint(kind: TeacherClass, files: TeacherFiles, scratch: Path) -> None:
    """The fingerprint covers every file that was taught, and needs no model to be known."""
    teacher = kind.load(files)
    assert kind.fingerprint_of(files) == teacher.fingerprint
    assert all(len(digest) == 64 for digest in teacher.fingerprint.values())
    for path in sorted(path for path in files.folder.rglob("*") if path.is_file()):
        copy = shutil.copytree(files.folder, scratch / path.name)
        original, changed = path.read_bytes(), copy / path.relative_to(files.folder)
        readable = 0
        # A text can be longer by a line, a tensor's last number another: one of them can be read.
        for content in (original + b"\n", original[:-1] + bytes([original[-1] ^ 1])):
            changed.write_bytes(content)
            try:
                found = kind.fingerprint_of(replace(files, folder=copy))
            except ValueError:
                continue
            assert found != teacher.fingerprint, f"{path.name} can change unseen"
            readable += 1
        assert readable, f"no change of {path.name} was tried that can be read"


def check_missing_files(kind: TeacherClass, files: TeacherFiles, scratch: Path) -> None:
    """A folder that lacks a file is refused by the file's name, by every way in."""
    kind.check_taught(files.folder)
    for path in sorted(path for path in files.folder.rglob("*") if path.is_file()):
        copy = shutil.copytree(files.folder, scratch / f"without-{path.name}")
        (copy / path.relative_to(files.folder)).unlink()
        for way in (kind.check_taught, lambda at: kind.load(replace(files, folder=at))):
            with pytest.raises(ValueError, match=path.name):
                way(copy)


def check_pictures(pictures: Pictures) -> None:
    """Images come in order, as uint8, each a function of its address."""
    side = pictures.image_size
    together = pictures.pictures(specs(*range(4)))
    assert together.images.dtype == np.uint8 and together.images.shape == (4, side, side, 3)
    assert len(together.columns) == 4 and pictures.fingerprint
    for asked in ([2], [3, 1]):
        some = pictures.pictures(specs(*asked))
        for at, index in enumerate(asked):
            assert np.array_equal(some.images[at], together.images[index])
            assert dict(some.columns[at]) == dict(together.columns[index])
    assert not np.array_equal(together.images[0], together.images[1])


def check_drawer(drawer: Drawer) -> None:
    """Sketches come in order, as uint8 of the images' size; each looks at its image."""
    side, count = drawer.image_size, min(drawer.batch, 3)
    images = random_images(count, side)
    drawn = drawer.draw(images, generators(count))
    assert drawn.sketches.dtype == np.uint8 and drawn.sketches.shape == (count, side, side)
    assert len(drawn.columns) == count
    assert all(math.isfinite(x) for row in drawn.columns for x in row.values())
    again = drawer.draw(images, generators(count))
    assert np.array_equal(again.sketches, drawn.sketches)
    assert not np.array_equal(drawer.draw(255 - images, generators(count)).sketches, drawn.sketches)
    with pytest.raises(ValueError, match=str(side)):
        drawer.draw(random_images(1, side // 2), generators(1))


def random_images(count: int, side: int) -> Pixels:
    """Pictures uint8 (count, side, side, 3) that a model has never seen."""
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def generators(count: int) -> list[torch.Generator]:
    """One generator an image, always the same."""
    return [torch.Generator().manual_seed(number) for number in range(count)]
