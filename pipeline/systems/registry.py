"""Teachers, pictures and drawers by name: a new one is a file and a line here."""

from __future__ import annotations

from pipeline.registry import find_entry
from pipeline.systems.diffsketch import DiffSketchTeacher
from pipeline.systems.folder_pictures import FolderPictures
from pipeline.systems.inversion_drawer import InversionDrawer
from pipeline.systems.sampled_pictures import SampledPictures
from pipeline.teachers.drawer import Drawer, DrawerClass, DrawOptions
from pipeline.teachers.pictures import Pictures, PicturesClass
from pipeline.teachers.teacher import Teacher, TeacherClass, TeacherFiles

TEACHERS: dict[str, TeacherClass] = {
    "diffsketch": DiffSketchTeacher,
}

PICTURES: dict[str, PicturesClass] = {
    "diffsketch": SampledPictures,
    "folder": FolderPictures,
}

DRAWERS: dict[str, DrawerClass] = {
    "diffsketch": InversionDrawer,
}


def find_teacher(name: str) -> TeacherClass:
    """Look a teacher up; ValueError names the known ones."""
    return find_entry(TEACHERS, "teacher", name)


def load_teacher(name: str, files: TeacherFiles) -> Teacher:
    """Load a taught teacher by its name.

    Raises:
        ValueError: there is no such teacher, or its files cannot be used.
    """
    return find_teacher(name).load(files)


def load_pictures(name: str, files: TeacherFiles, image_size: int) -> Pictures:
    """Open a source of pictures of a size by its name; ValueError as `load_teacher`."""
    return find_entry(PICTURES, "source of pictures", name).load(files, image_size)


def load_drawer(name: str, files: TeacherFiles, options: DrawOptions) -> Drawer:
    """Load the drawer of a taught system by its name; ValueError as `load_teacher`."""
    return find_entry(DRAWERS, "drawer", name).load(files, options)
