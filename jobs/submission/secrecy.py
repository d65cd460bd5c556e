"""Nothing secret goes through Ray, which shows it: in its API, in its logs, in session folders.

Secrets belong into the environment or the files of the nodes and pods themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# TOKENIZERS_PARALLELISM has none.
_SECRET_NAME = re.compile(r"KEY|TOKEN(?!IZ)|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\s*=")
# Shorter values, such as 1 or true, stand in any text by chance.
_LEAST_CHARS = 8
_REMEDY = (
    "what a job is sent is shown by the cluster's API and logs; set it on the nodes or pods "
    "themselves (Kubernetes: envFrom a secretRef)"
)


class SecretError(ValueError):
    """Something secret was about to be sent; the message names it and never shows its value."""


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse names that secrets have.

    Raises:
        SecretError: a name holds KEY, TOKEN, SECRET, PASSWORD or the like.
    """
    for name in names:
        if _SECRET_NAME.search(name):
            raise SecretError(f"{where} {name} looks like a secret: {_REMEDY}")


def check_command(command: str) -> None:
    """Refuse a command line that sets something by a secret's name (NAME=VALUE).

    Raises:
        SecretError: it does.
    """
    check_names(_ASSIGNMENT.findall(command), "the entrypoint's")


def check_values(texts: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Refuse texts that hold the value of one of the caller's secrets.

    Args:
        texts: what is to be sent, by what it is called.
        environment: the caller's variables; those that secrets' names have are looked for.

    Raises:
        SecretError: a text holds one.
    """
    secrets = {
        name: value for name, value in environment.items() if value and _SECRET_NAME.search(name)
    }
    for where, text in texts.items():
        for name, secret in secrets.items():
            if text == secret or (len(secret) >= _LEAST_CHARS and secret in text):
                raise SecretError(f"{where} holds the value of your variable {name}: {_REMEDY}")
