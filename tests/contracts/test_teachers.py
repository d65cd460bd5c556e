"""Every teacher, source of pictures and drawer of the registries keeps to the contract."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.diffusion.backbone import load_backbone
from pipeline.images.find import bundled_photographs
from pipeline.systems.registry import (
    DRAWERS,
    PICTURES,
    TEACHERS,
    find_teacher,
    load_drawer,
    load_pictures,
)
from pipeline.teachers.composed import PicturesTeacher
from pipeline.teachers.drawer import DrawOptions
from pipeline.teachers.teacher import TeacherFiles
from tests.contracts import teacher_contract as contract
from tests.standins import taught_diffsketch

SIDE = 64  # of the backbone that tests.standins.tiny_backbone builds
Taught = Callable[[Path, Path], TeacherFiles]


def _diffsketch(folder: Path, backbone: Path) -> TeacherFiles:
    written = taught_diffsketch.write_teacher(load_backbone(backbone), folder)
    return TeacherFiles(written, {"backbone": str(backbone)})


def _photographs(folder: Path, backbone: Path) -> TeacherFiles:
    folder.mkdir()
    for photograph in bundled_photographs()[:3]:
        shutil.copy(photograph.path, folder)
    return TeacherFiles(folder, {"pictures": str(folder)})


# How the files of each system come about, by its name in the registries.
TAUGHT: dict[str, Taught] = {
    "diffsketch": _diffsketch,
    "folder": _photographs,
}


@pytest.fixture(scope="module")
def taught(
    tiny_backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], TeacherFiles]:
    """The files of a taught system by its name, made once."""
    made: dict[Taught, TeacherFiles] = {}

    def files_of(name: str) -> TeacherFiles:
        if name not in TAUGHT:
            pytest.fail(f"{name}: add its row to TAUGHT in {__file__} (docs/adding-a-system.md)")
        teach = TAUGHT[name]
        if teach not in made:
            made[teach] = teach(tmp_path_factory.mktemp("taught") / "t", tiny_backbone_folder)
        return made[teach]

    return files_of


@pytest.mark.parametrize("name", sorted(TEACHERS))
def test_teachers(name: str, taught: Callable[[str], TeacherFiles], tmp_path: Path) -> None:
    files, kind = taught(name), find_teacher(name)
    teacher = kind.load(files)
    contract.check_pairs(teacher)
    contract.check_addresses(teacher)
    contract.check_fingerprint(kind, files, tmp_path / "changed")
    contract.check_missing_files(kind, files, tmp_path / "missing")


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_pictures(name: str, taught: Callable[[str], TeacherFiles]) -> None:
    contract.check_pictures(load_pictures(name, taught(name), SIDE))


@pytest.mark.parametrize("name", sorted(DRAWERS))
def test_drawers(name: str, taught: Callable[[str], TeacherFiles]) -> None:
    contract.check_drawer(load_drawer(name, taught(name), DrawOptions()))


def test_pictures_and_a_drawer_together_are_a_teacher(
    taught: Callable[[str], TeacherFiles],
) -> None:
    files = taught("diffsketch")
    drawer = load_drawer("diffsketch", files, DrawOptions())
    teacher = PicturesTeacher(load_pictures("diffsketch", files, drawer.image_size), drawer)
    contract.check_pairs(teacher)
    contract.check_addresses(teacher)
    # Its images are those that DiffSketch itself draws over while it samples them.
    (pair,) = teacher.pairs(contract.specs(3))
    (drawn,) = find_teacher("diffsketch").load(files).pairs(contract.specs(3))
    assert (pair.image == drawn.image).all()


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    def message(what: str, registry: Mapping[str, object]) -> str:
        return f"no {what} 'other': expected one of {', '.join(sorted(registry))}"

    files = TeacherFiles(tmp_path)
    with pytest.raises(ValueError, match=message("teacher", TEACHERS)):
        find_teacher("other")
    with pytest.raises(ValueError, match=message("source of pictures", PICTURES)):
        load_pictures("other", files, SIDE)
    with pytest.raises(ValueError, match=message("drawer", DRAWERS)):
        load_drawer("other", files, DrawOptions())
