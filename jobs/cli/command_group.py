"""The group of all commands: its help under headings, and how its commands end."""

from __future__ import annotations

import io
import sys
from typing import Any

import typer
from safetensors import SafetensorError
from typer.core import TyperGroup

from jobs.cli.errors import (
    EXIT_INTERRUPTED,
    EXIT_MISTAKE,
    EXIT_TERMINATED,
    explain,
    is_missing_extra,
    resume_hint,
)
from jobs.runtime.interrupts import Terminated, catch_sigterm

# Around the two columns of the commands and their help.
_MARGIN = 6


class CommandGroup(TyperGroup):
    """Commands that end in exit code 2 and one line when a person made a mistake."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; ValueError and OSError are user errors; everything else is a bug."""
        catch_sigterm()
        for stream in (sys.stdout, sys.stderr):
            # A terminal or pipe may know ASCII only: a sign that it lacks is no reason to fail.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (ValueError, OSError, SafetensorError, ModuleNotFoundError) as error:
            broken = isinstance(error, ModuleNotFoundError) and not is_missing_extra(error)
            if broken or ctx.params.get("traceback"):
                raise
            print(f"onesketch: {explain(error)}", file=sys.stderr)
            raise typer.Exit(EXIT_MISTAKE) from error
        except KeyboardInterrupt as error:
            print(f"onesketch: {resume_hint(error)}", file=sys.stderr)
            code = EXIT_TERMINATED if isinstance(error, Terminated) else EXIT_INTERRUPTED
            raise typer.Exit(code) from error

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by heading, as plain text; typer itself does so in boxes only."""
        width = formatter.width - _MARGIN - max(map(len, self.commands), default=0)
        for heading, commands in commands_by_heading(self).items():
            rows = [(name, command.get_short_help_str(width)) for name, command in commands.items()]
            with formatter.section(heading):
                formatter.write_dl(rows)


def add_under_heading(app: typer.Typer, heading: str, part: typer.Typer) -> None:
    """Add commands to an app, under a heading of its help."""
    for command in part.registered_commands:
        command.rich_help_panel = heading
    app.add_typer(part)


def commands_by_heading(group: TyperGroup) -> dict[str, dict[str, Any]]:
    """Return the commands of each heading by name, all in the order in which they were added."""
    found: dict[str, dict[str, Any]] = {}
    for name, command in group.commands.items():
        heading = getattr(command, "rich_help_panel", None)
        found.setdefault(heading if isinstance(heading, str) else "Commands", {})[name] = command
    return found
