"""The folder of an extractor: model.safetensors, and config.json, which is written last.

The weights are those of the drawing network; the config holds its sizes, its hash and its origin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.canonical import sha256_of_file
from pipeline.whole_file import write_json, write_tensors

if TYPE_CHECKING:
    # Reading a config takes no torch.
    from training.students.student import Student

FORMAT = "onesketch-extractor/1"
CONFIG, MODEL = "config.json", "model.safetensors"


class ExtractorError(ValueError):
    """A folder that holds no usable extractor."""


def write_extractor(folder: Path, student: Student, name: str, metadata: Mapping[str, Any]) -> None:
    """Write a student's drawing network; config.json comes last and makes it complete.

    Args:
        folder: made if absent.
        student: whose `network` is written, in single precision.
        name: the student's in the registry.
        metadata: further JSON-able keys of config.json.
    """
    tensors = {key: t.float() for key, t in student.network.state_dict().items()}
    # As other libraries expect, who read such files.
    write_tensors(folder / MODEL, tensors, {"format": "pt"})
    config = {
        **metadata,
        "format": FORMAT,
        "student": name,
        "network": student.network_config,
        "multiple": student.multiple,
        "sha256": sha256_of_file(folder / MODEL),
    }
    write_json(folder / CONFIG, config, sort_keys=True)


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json.

    Raises:
        ExtractorError: it is missing, broken or of another format.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ExtractorError(
            f"{folder} holds no extractor ({CONFIG} is missing): expected the "
            "folder that `onesketch distill` finished"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExtractorError(f"{path} cannot be read: {error}") from error
    wanted = {"format", "student", "network", "multiple", "sha256"}
    if not isinstance(config, dict) or config.get("format") != FORMAT or wanted - config.keys():
        raise ExtractorError(
            f"{path} does not describe an extractor of the format {FORMAT}: use the version of "
            "onesketch that wrote it"
        )
    return config
