"""The command line's border: mistakes are one line and exit code 2, bugs keep their traceback."""

import errno
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import typer
from typer.testing import CliRunner

from jobs.cli.errors import CommandGroup, explain, one_line


def make_app(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=CommandGroup, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.callback()
    def options(traceback: bool = False) -> None:
        """Have the option that the border looks at."""

    @app.command()
    def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("wrong size:\n  expected 4\n  got 5"), "wrong size: expected 4; got 5"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: no space left to write"),
        (OSError(errno.EFBIG, "File too large"), "no space left to write"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: Permission denied"),
    ],
)
def test_mistakes_become_one_line(error: Exception, expected: str) -> None:
    result = CliRunner().invoke(make_app(error), ["fail"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"onesketch: {expected}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_traceback_option_shows_where_a_mistake_came_from() -> None:
    result = CliRunner().invoke(make_app(ValueError("x")), ["--traceback", "fail"])
    assert isinstance(result.exception, ValueError)


def test_bugs_keep_their_traceback() -> None:
    result = CliRunner().invoke(make_app(RuntimeError("bug")), ["fail"])
    assert isinstance(result.exception, RuntimeError)


def test_ctrl_c_says_how_to_go_on() -> None:
    result = CliRunner().invoke(make_app(KeyboardInterrupt()), ["fail"])
    assert result.exit_code == 130
    assert "same command again" in result.stderr


def test_an_error_wrapped_by_a_worker_is_looked_through() -> None:
    class WrappedError(ValueError):
        cause = ValueError("the real one")

    assert explain(WrappedError("a remote\ntraceback")) == "the real one"


def test_empty_message_still_says_something() -> None:
    assert one_line("") == "unknown mistake"


def test_sigterm_unwinds_and_exits_143() -> None:
    program = textwrap.dedent("""
        import time, typer
        from jobs.cli.errors import CommandGroup
        app = typer.Typer(cls=CommandGroup)
        @app.callback()
        def options(): pass
        @app.command()
        def wait():
            try:
                print("ready", flush=True)
                time.sleep(60)
            finally:
                print("unwound", flush=True)
        app(["wait"])
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert out == "unwound\n"
    assert process.returncode == 143
    assert "same command again" in err
