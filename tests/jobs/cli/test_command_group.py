"""How commands end: mistakes in one line and exit code 2, bugs with their traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import typer
from typer.testing import CliRunner

from jobs.cli.command_group import CommandGroup, add_under_heading


def make_app(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=CommandGroup, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.callback()
    def options(traceback: bool = False) -> None:
        """Take the option that the group looks at."""

    @app.command()
    def fail() -> None:
        raise error

    return app


def test_a_mistake_is_one_line_and_exit_code_2() -> None:
    result = CliRunner().invoke(make_app(ValueError("wrong:\n  expected 4\n  got 5")), ["fail"])
    assert result.exit_code == 2
    assert result.stderr == "onesketch: wrong: expected 4; got 5\n"
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


def test_sigterm_unwinds_and_exits_143() -> None:
    program = textwrap.dedent("""
        import time, typer
        from jobs.cli.command_group import CommandGroup
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


def test_help_lists_commands_under_their_headings_in_plain_text() -> None:
    app = make_app(ValueError())
    part = typer.Typer()

    @part.command()
    def paint() -> None:
        """Paint a wall. With a brush."""

    add_under_heading(app, "At home", part)
    lines = CliRunner().invoke(app, ["--help"]).stdout.splitlines()
    heading = lines.index("At home:")
    assert lines[heading + 1].split() == ["paint", "Paint", "a", "wall."]
    assert lines[lines.index("Commands:") + 1].split() == ["fail"]
