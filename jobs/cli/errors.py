"""The border of the command line: people's mistakes become one line, bugs keep their traceback."""

import errno
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

import typer
from safetensors import SafetensorError
from typer.core import TyperGroup

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM
RESUME_HINT = "stopped; start the same command again to go on from the last finished step"

# A disk that is full, a quota that is used up, and a file-size limit look alike to a person.
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: what unwinds on Ctrl-C unwinds on this too."""


def one_line(text: str) -> str:
    """Fold a message of several lines into one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "unknown mistake"
    return " ".join([lines[0], "; ".join(lines[1:])]).strip()


def explain_os_error(error: OSError) -> str:
    """Say what the operating system refused, where, and what helps."""
    if error.strerror is None:
        return one_line(str(error))
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in NO_SPACE:
        return f"{place}no space left to write ({error.strerror}): free some, or write elsewhere"
    return f"{place}{error.strerror}"


def explain(error: BaseException) -> str:
    """Turn a mistake into one line; Ray's wrapper around a worker's error is looked through."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return explain(cause)
    if isinstance(error, OSError):
        return explain_os_error(error)
    return one_line(str(error))


def raise_terminated(signum: int, frame: FrameType | None) -> NoReturn:
    """Unwind the stack on SIGTERM."""
    raise Terminated


def catch_sigterm() -> None:
    """Install the SIGTERM handler; call again after anything that puts its own in (ray.init)."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, raise_terminated)


class CommandGroup(TyperGroup):
    """A command group whose commands end in exit code 2 and one line when a person erred."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; ValueError and OSError are people's, everything else is a bug."""
        catch_sigterm()
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (ValueError, OSError, SafetensorError) as error:
            if ctx.params.get("traceback"):
                raise
            print(f"onesketch: {explain(error)}", file=sys.stderr)
            raise typer.Exit(EXIT_MISTAKE) from error
        except Terminated as error:
            print(f"onesketch: {RESUME_HINT}", file=sys.stderr)
            raise typer.Exit(EXIT_TERMINATED) from error
        except KeyboardInterrupt as error:
            print(f"onesketch: {RESUME_HINT}", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from error
