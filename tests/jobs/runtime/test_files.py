"""Files are whole under their final name, or not there."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.runtime.files import write_png
from pipeline.whole_file import write_bytes, write_json


def test_png_comes_back(tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    write_png(tmp_path / "new" / "a.png", pixels)
    assert (np.asarray(Image.open(tmp_path / "new" / "a.png")) == pixels).all()


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "a.json", {"old": 1})

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "a.json", {"new": 2})
    assert (tmp_path / "a.json").read_text() == '{\n  "old": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_real_limit_on_space_leaves_nothing(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import resource
        from pathlib import Path
        from pipeline.whole_file import write_bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_bytes(Path({str(tmp_path)!r}) / "big", bytes(5000))
        except OSError as error:
            print(error.strerror)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "File too large\n", done.stderr
    assert not list(tmp_path.iterdir())


def test_results_are_as_readable_as_other_files(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"x")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
