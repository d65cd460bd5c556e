"""Stands for `onesketch` in a test's job: a stage that takes no time and ends as it is told.

It is run by the job's shell as the real one is: `onesketch generate recipe.yaml --run FOLDER`. What
it does stands in the job's environment; what it did is counted in the run's folder.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn


def install(folder: Path) -> None:
    """Make this module the program `onesketch` of a folder."""
    program = folder / "onesketch"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).absolute()} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def main() -> int:
    """Print lines, wait, commit shards, and end with the next one of the exit codes."""
    run = Path(sys.argv[sys.argv.index("--run") + 1])
    run.mkdir(parents=True, exist_ok=True)
    turn = _count(run / "turns")
    signal.signal(signal.SIGTERM, lambda number, frame: _drain(number, frame, run))
    print(f"turn {turn}: {' '.join(sys.argv[1:])}", flush=True)
    if os.environ.get("STAGE_LIST"):
        print("files", *sorted(p.as_posix() for p in Path().rglob("*") if p.is_file()), flush=True)
    for number in range(int(os.environ.get("STAGE_LINES", "0"))):
        print(f"line {number:06d}", flush=True)
        time.sleep(float(os.environ.get("STAGE_PAUSE_S", "0")))
    for _ in range(_of_turn("STAGE_SHARDS", turn)):
        _commit(run)
    while os.environ.get("STAGE_WAITS") and not (run / "go").exists():
        time.sleep(0.05)
    code = _of_turn("STAGE_EXITS", turn)
    if code < 0:
        os.kill(os.getpid(), -code)
    return code


def _drain(number: int, frame: FrameType | None, run: Path) -> NoReturn:
    """End as the driver does: what is in flight is committed first."""
    print("draining", flush=True)
    time.sleep(float(os.environ.get("STAGE_DRAIN_S", "0")))
    _commit(run)
    print("drained", flush=True)
    sys.exit(128 + number)


def _commit(run: Path) -> None:
    commits = run / "dataset" / "commits"
    commits.mkdir(parents=True, exist_ok=True)
    (commits / f"{len(list(commits.iterdir())):05d}.json").write_text("{}")


def _of_turn(name: str, turn: int) -> int:
    """Return the number that a variable has for a turn; the last one holds for all that follow."""
    numbers = [int(number) for number in os.environ.get(name, "0").split(",")]
    return numbers[min(turn, len(numbers)) - 1]


def _count(path: Path) -> int:
    turns = path.read_text() if path.exists() else ""
    path.write_text(turns + "x")
    return len(turns) + 1


if __name__ == "__main__":
    sys.exit(main())
