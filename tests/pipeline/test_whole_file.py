"""Files and folders: whole under their final name, or not there; the umask says who reads them."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from pipeline.whole_file import (
    whole_file,
    whole_folder,
    write_bytes,
    write_json,
    write_tensors,
    write_text,
)

Writer = Callable[[Path], None]
WRITERS: dict[str, Writer] = {
    "bytes": lambda path: write_bytes(path, b"x" * 5000),
    "text": lambda path: write_text(path, "x" * 5000),
    "json": lambda path: write_json(path, ["x" * 5000]),
    "tensors": lambda path: write_tensors(path, {"weight": torch.ones(2000)}),
}
OLD = b"what was there before"


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def little_space(size_bytes: int) -> Iterator[None]:
    """Let the system refuse to write more: a limit on file sizes stands for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(("mask", "expected"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_permissions_are_the_umasks(tmp_path: Path, kind: str, mask: int, expected: int) -> None:
    with umask(mask):
        WRITERS[kind](tmp_path / "a")
    assert mode(tmp_path / "a") == expected


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_written_again_has_the_permissions_of_its_writer(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(OLD)
    (tmp_path / "a").chmod(0o600)
    with umask(0o022):
        WRITERS[kind](tmp_path / "a")
    assert mode(tmp_path / "a") == 0o644


@pytest.mark.parametrize(("mask", "expected"), [(0o077, 0o700), (0o022, 0o755), (0o002, 0o775)])
def test_permissions_of_folders_are_the_umasks(tmp_path: Path, mask: int, expected: int) -> None:
    with umask(mask), whole_folder(tmp_path / "new" / "a") as folder:
        (folder / "inside").write_bytes(b"x")
    assert mode(tmp_path / "new" / "a") == expected
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(OLD)
    with little_space(1000), pytest.raises((OSError, SafetensorError)):
        WRITERS[kind](tmp_path / "a")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": OLD}


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(OLD)
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "a") as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": OLD}


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else a power cut could leave an empty file in place of a whole one.
    (tmp_path / "a").write_bytes(OLD)
    synced: list[bytes] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        synced.append(os.pread(handle, 99, 0))
        assert (tmp_path / "a").read_bytes() == OLD

    monkeypatch.setattr("os.fsync", fsync)
    write_bytes(tmp_path / "a", b"new")
    assert synced == [b"new"] and (tmp_path / "a").read_bytes() == b"new"


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "a") as temporary:
        (temporary / "inside").write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_replaces_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_bytes(OLD)
    with pytest.raises(OSError, match="not empty"), whole_folder(tmp_path / "a") as temporary:
        (temporary / "new").write_bytes(b"x")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "a", "a/old",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127 + "x", "線" * 85])
@pytest.mark.parametrize("kind", WRITERS)
def test_names_may_be_as_long_as_the_disk_allows(tmp_path: Path, kind: str, name: str) -> None:
    assert len(name.encode()) == 255
    WRITERS[kind](tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_nobody_sees_half_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(OLD)
    with whole_file(tmp_path / "a") as temporary:
        temporary.write_bytes(b"half")
        assert (tmp_path / "a").read_bytes() == OLD
        temporary.write_bytes(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_equal_tensors_and_texts_become_equal_bytes(tmp_path: Path) -> None:
    texts = {"a": 'with "quotes"\n', "b": "ü線\x7f\x1f", "c": "", "d": "{}", "e": "5"}
    tensors = {"one": torch.ones(2, 3), "two": torch.zeros(1, dtype=torch.int64)}
    for number in range(8):
        write_tensors(tmp_path / str(number), tensors, dict(reversed(texts.items())))
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    with safe_open(tmp_path / "0", "pt") as file:
        assert file.metadata() == texts
        assert torch.equal(file.get_tensor("one"), tensors["one"])


def test_tensors_of_any_layout_come_back(tmp_path: Path) -> None:
    turned = torch.arange(6.0).reshape(2, 3).T.requires_grad_()
    write_tensors(tmp_path / "new" / "a.safetensors", {"turned": turned}, {"told": "x"})
    assert torch.equal(load_file(tmp_path / "new" / "a.safetensors")["turned"], turned)
