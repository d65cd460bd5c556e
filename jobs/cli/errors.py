"""What users read when a command ends early: mistakes in one line, and how to resume."""

from __future__ import annotations

import signal

from pipeline.storage.local import NO_SPACE

EXIT_MISTAKE = 2
# What is installed with each extra, by the name that it is imported by; all else with `teach`.
_EXTRAS = {
    "av": "video",
    "boto3": "cluster",
    "botocore": "cluster",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "pi_heif": "heif",
    "ray": "cluster",
    "vtracer": "svg",
}
_OWN = frozenset({"jobs", "onesketch", "pipeline", "training"})
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM


def explain(error: BaseException) -> str:
    """Turn a mistake into one line; Ray's wrapper around a worker's error is looked through."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return explain(cause)
    if isinstance(error, OSError):
        return _explain_os_error(error)
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        extra = _EXTRAS.get(package, "teach")
        return f"this needs {package}, of the extra `{extra}`: pip install 'onesketch[{extra}]'"
    return one_line(str(error))


def is_missing_extra(error: BaseException) -> bool:
    """Tell whether a command ended because a library of an extra is not installed."""
    missing = isinstance(error, ModuleNotFoundError) and error.name
    return bool(missing) and str(missing).partition(".")[0] not in _OWN


def resume_hint(stopped: KeyboardInterrupt) -> str:
    """Say in one line what a stopped command keeps, as far as it noted it, and how to resume."""
    notes = getattr(stopped, "__notes__", [])
    return "; ".join(["stopped", *notes, "run the same command again to resume"])


def one_line(text: str) -> str:
    """Fold a message of several lines into one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "unknown mistake"
    return " ".join([lines[0], "; ".join(lines[1:])]).strip()


def _explain_os_error(error: OSError) -> str:
    """Say what the operating system refused, where, and what helps."""
    if error.strerror is None:
        return one_line(str(error))
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in NO_SPACE:
        return f"{place}no space left to write ({error.strerror}): free some, or write elsewhere"
    return f"{place}{error.strerror}"
