"""`rclone serve s3`: a store that ignores If-None-Match, as some do."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

START_S = 120.0
KEY, SECRET = "rclone-key", "rclone-secret"


@contextmanager
def serve_folder(folder: Path) -> Iterator[Mapping[str, str]]:
    """Serve a folder's folders as buckets; gives boto3's standard configuration for it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    beside = Path(sys.executable).with_name("rclone")
    program = str(beside) if beside.exists() else shutil.which("rclone")
    assert program, "rclone is missing: it comes with the development requirements"
    options = ["--config", "", "--addr", address, "--auth-key", f"{KEY},{SECRET}"]
    process = subprocess.Popen(
        [program, "serve", "s3", *options, str(folder)], stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(address)
        yield {
            "AWS_ENDPOINT_URL": f"http://{address}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_for(address: str) -> None:
    host, port = address.split(":")
    until_s = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((host, int(port))).close()
        except ConnectionRefusedError:
            assert time.monotonic() < until_s, "rclone does not answer"
            time.sleep(0.1)
        else:
            return
