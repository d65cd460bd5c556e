"""The S3 server of infra/local-store as the tests use it: started, killed, started again."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

SERVE = Path(__file__).parents[2] / "infra" / "local-store" / "serve.py"
START_S = 120.0
USER, SECRET = "test:developer", "local-development"


class SwiftServer:
    """OpenStack Swift with its objects in `folder`; its S3 side is on loopback, or on `host`."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.host = host
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self, reserve: str = "0") -> None:
        """Start the server and wait until it answers; `reserve`: of the disk, see serve.py."""
        options = [f"--reserve={reserve}", f"--host={self.host}"]
        command = [sys.executable, str(SERVE), str(self.folder), *options]
        # It ends when its standard input does, so also when the tests are killed.
        self._process = subprocess.Popen(
            [*command, "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], START_S)[0], "the server is too slow"
        self.url = self._process.stdout.readline().strip()
        assert self.url, "the server did not start; it has said why"
        self._wait_until_it_answers()

    def kill(self) -> None:
        """Kill -9 the server, in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server."""
        self._end(signal.SIGTERM)

    def client(self) -> Any:
        """A client of its own, to look at the server past what is tested."""
        session = boto3.session.Session(USER, SECRET, region_name="us-east-1")
        return session.client("s3", endpoint_url=self.url)

    def environment(self, url: str | None = None) -> Mapping[str, str]:
        """boto3's standard configuration for this server, or for a proxy at `url`."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _wait_until_it_answers(self) -> None:
        until_s = time.monotonic() + START_S
        client = self.client()
        while True:
            try:
                client.list_buckets()
            except Exception:  # noqa: BLE001 - whatever it is, the time limit ends it
                assert time.monotonic() < until_s, "the server does not answer"
                time.sleep(0.1)
            else:
                return

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        os.kill(self._process.pid, number)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process = None


def has_user_xattrs(folder: Path) -> bool:
    """Tell whether a folder's file system has what Swift keeps its metadata in."""
    try:
        os.setxattr(folder, "user.onesketch", b"1" * 2000)
    except OSError:
        return False
    return True
