"""What a person reads when a command ends early."""

from __future__ import annotations

import errno
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli.errors import EXIT_INTERRUPTED, EXIT_MISTAKE, EXIT_TERMINATED, explain, one_line
from jobs.cli.main import app
from tests.standins.published_blobs import write_dataset

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/exit-codes.md"
# The command's own group, with a command that takes long.
SLOW = """
import sys, time
from jobs.cli.main import app
@app.command()
def wait():
    print("begun", file=sys.stderr, flush=True)
    time.sleep(60)
app(["wait"])
"""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("wrong size:\n  expected 4\n  got 5"), "wrong size: expected 4; got 5"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: no space left to write"),
        (OSError(errno.EFBIG, "File too large"), "no space left to write"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: Permission denied"),
    ],
)
def test_mistakes_are_explained_in_one_line(error: Exception, expected: str) -> None:
    assert explain(error).startswith(expected)
    assert "\n" not in explain(error)


def test_an_error_wrapped_by_a_worker_is_looked_through() -> None:
    class WrappedError(ValueError):
        cause = ValueError("the real one")

    assert explain(WrappedError("a remote\ntraceback")) == "the real one"


def test_empty_message_still_says_something() -> None:
    assert one_line("") == "unknown mistake"


def codes_of_the_page() -> list[int]:
    return [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.M)]


@pytest.mark.parametrize("code", codes_of_the_page())
def test_commands_end_as_the_page_says(code: int, tmp_path: Path) -> None:
    """A real command for each row."""
    dataset = Path(write_dataset(tmp_path / "dataset"))
    stopping = {130: signal.SIGINT, 143: signal.SIGTERM}
    if code in stopping:
        command = [sys.executable, "-c", SLOW]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stderr is not None
        assert process.stderr.readline() == "begun\n"
        process.send_signal(stopping[code])
        _, error = process.communicate(timeout=60)
        assert "run the same command again" in error
        assert process.returncode == code
        return
    if code == 1:
        (dataset / "shards" / "00001.tar").unlink()
    if code == 2:
        (dataset / "shards" / "00001.tar").write_bytes(b"something else")
    assert CliRunner().invoke(app, ["verify", str(dataset)]).exit_code == code


def test_the_page_has_all_codes() -> None:
    assert codes_of_the_page() == [0, 1, EXIT_MISTAKE, EXIT_INTERRUPTED, EXIT_TERMINATED]
