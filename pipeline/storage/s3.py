"""A dataset in a bucket of S3 or of anything that speaks its protocol.

Endpoint, region, profile, credentials and checksum mode come from boto3's standard configuration
(AWS_ENDPOINT_URL, AWS_PROFILE, AWS_REQUEST_CHECKSUM_CALCULATION, ~/.aws/config, ...), never from a
recipe: they are neither in this class's fields nor in its messages. The number of attempts and the
timeouts are the exception (AWS_MAX_ATTEMPTS and AWS_RETRY_MODE change nothing): boto3's own few
attempts end within seconds, but a run must survive the restart of a server.
"""

from __future__ import annotations

import base64
import hashlib
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from http import HTTPStatus
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)

from pipeline.storage.refusals import (
    explain_client_error,
    explain_local_error,
    explain_setting_error,
    status_of,
)
from pipeline.storage.store import Created, DamagedError, Entry, MissingKeyError, StorageError

# The SDK's pauses start at 50 ms and double: this many attempts take half a minute, enough for a
# server to restart.
ATTEMPTS = 11
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 5.0
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
MAX_CONNECTIONS = 32
# Each object carries the hash of what was sent: otherwise a bit that flips on the way back would go
# unnoticed, because manifest and plan have no hash elsewhere.
HASH = "sha256"
_DAMAGED_UPLOAD = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}


class _Answer(Enum):
    """A server's answer to a write; the last two are worth another attempt."""

    DONE = "has it"
    TAKEN = "has another"
    RACE = "reports a race of writers (409)"
    DAMAGED = "receives other bytes than were sent"


@dataclass(frozen=True)
class S3Store:
    """Objects under `s3://bucket/prefix/`.

    With `single_writer`, names are not guarded against a second writer: for servers that ignore
    If-None-Match.
    """

    bucket: str
    prefix: str
    single_writer: bool = False

    def __getstate__(self) -> dict[str, Any]:
        # Clients are not picklable: each process opens its own on first use.
        return {
            "bucket": self.bucket,
            "prefix": self.prefix,
            "single_writer": self.single_writer,
        }

    @property
    def url(self) -> str:
        """The address, s3://bucket/prefix."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def create(self, key: str, data: bytes) -> Created:
        """Create an object if its name is free (If-None-Match: *)."""
        if self.single_writer and self.exists(key):
            return self._settle(key, data)
        answer = _Answer.RACE
        for delay_s in _delays():
            answer = self._put(key, data)
            if answer is _Answer.DONE:
                return Created.NEW
            if answer is _Answer.TAKEN:
                return self._settle(key, data)
            time.sleep(delay_s)
        raise StorageError(
            f"{self.url}/{key}: the server still {answer.value} after {ATTEMPTS} attempts; start "
            "the same command again later"
        )

    def read(self, key: str) -> bytes:
        """Return a whole object."""
        return self._get(key)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from byte `start` on, by one ranged GET."""
        if length == 0:
            return b""
        data = self._get(key, Range=f"bytes={start}-{start + length - 1}")
        if len(data) != length:
            raise StorageError(
                f"{self.url}/{key}: expected {length} bytes from byte {start} on, got {len(data)}; "
                "the object is shorter, or the server ignores ranges"
            )
        return data

    def keys(self, prefix: str) -> list[str]:
        """Return the names of all objects under a prefix, sorted."""
        return [entry.key for entry in self.entries(prefix)]

    def entries(self, prefix: str) -> list[Entry]:
        """Return the entries of what `keys` lists."""
        start = self._name("")
        found = [
            Entry(item["Key"].removeprefix(start), item["Size"], item["LastModified"].timestamp())
            for page in self._pages(prefix)
            for item in page.get("Contents", ())
        ]
        return sorted(found, key=lambda entry: entry.key)

    def folders(self, prefix: str) -> list[str]:
        """Return the prefixes right below another one; what is below them is not listed."""
        start = self._name("")
        return sorted(
            item["Prefix"].removeprefix(start)
            for page in self._pages(prefix, Delimiter="/")
            for item in page.get("CommonPrefixes", ())
        )

    def _pages(self, prefix: str, **options: str) -> Iterator[dict[str, Any]]:
        with self._explained("list", prefix):
            yield from self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._name(prefix), **options
            )

    def leftovers(self) -> list[Entry]:
        """Return nothing: an object is written by a single request."""
        return []

    def exists(self, key: str) -> bool:
        """Tell whether an object is there."""
        try:
            self.size(key)
        except MissingKeyError:
            return False
        return True

    def size(self, key: str) -> int:
        """Return an object's size in bytes."""
        with self._explained("look for", key):
            answer = self._client.head_object(Bucket=self.bucket, Key=self._name(key))
        return answer["ContentLength"]

    def delete(self, key: str) -> None:
        """Remove an object."""
        with self._explained("delete", key):
            self._client.delete_object(Bucket=self.bucket, Key=self._name(key))

    @cached_property
    def _client(self) -> Any:
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=MAX_CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            # Objects carry a hash of ours. The SDK's own check fails on a ranged read if the server
            # sends the checksum of the whole object with it (rclone does).
            response_checksum_validation="when_required",
        )
        try:
            # A session of its own: boto3's default one is not thread-safe.
            return boto3.session.Session().client("s3", config=config)
        except BotoCoreError:
            raise  # some are ValueErrors too, but are explained where the client is used
        except ValueError as error:
            raise explain_setting_error(error, self.url) from error

    def _name(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _put(self, key: str, data: bytes) -> _Answer:
        condition: Any = {} if self.single_writer else {"IfNoneMatch": "*"}
        # Older servers verify only Content-MD5, newer ones boto3's CRC32 as well.
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        with self._explained("write", key):
            try:
                self._client.put_object(
                    Bucket=self.bucket,
                    Key=self._name(key),
                    Body=data,
                    ContentMD5=base64.b64encode(md5).decode(),
                    Metadata={HASH: hashlib.sha256(data).hexdigest()},
                    **condition,
                )
            except ClientError as error:
                if (answer := _answer_of(error)) is None:
                    raise
                return answer
        return _Answer.DONE

    def _settle(self, key: str, data: bytes) -> Created:
        # A retry of our own write, whose answer was lost, gets 412 too: only the content tells.
        return Created.EQUAL if self.read(key) == data else Created.OTHER

    def _get(self, key: str, **arguments: Any) -> bytes:
        broke_off = False
        for delay_s in _delays():
            with self._explained("read", key):
                answer = self._client.get_object(
                    Bucket=self.bucket, Key=self._name(key), **arguments
                )
                try:
                    data = answer["Body"].read()
                except (HTTPClientError, IncompleteReadError):
                    # The body was cut short: the SDK retries requests, but not bodies.
                    broke_off = True
                else:
                    if arguments or _is_sound(data, answer.get("Metadata", {})):
                        return data
                    broke_off = False
            time.sleep(delay_s)
        if broke_off:
            raise StorageError(
                f"{self.url}/{key}: the answer broke off {ATTEMPTS} times; check the network, "
                "then start the same command again"
            )
        raise DamagedError(
            f"{self.url}/{key}: {ATTEMPTS} times other bytes came than were written; check the "
            "network, and the store with `onesketch verify`"
        )

    @contextmanager
    def _explained(self, action: str, key: str) -> Iterator[None]:
        place = f"{self.url}/{key}".rstrip("/")
        try:
            yield
        except ClientError as error:
            raise explain_client_error(error, action, place) from error
        except BotoCoreError as error:
            raise explain_local_error(error, action, place) from error


def _answer_of(error: ClientError) -> _Answer | None:
    """Return what a refusal of a write means; None if it is an error."""
    if status_of(error) == HTTPStatus.PRECONDITION_FAILED:
        return _Answer.TAKEN
    if status_of(error) == HTTPStatus.CONFLICT:
        return _Answer.RACE
    if error.response.get("Error", {}).get("Code") in _DAMAGED_UPLOAD:
        return _Answer.DAMAGED
    return None


def _is_sound(data: bytes, metadata: Mapping[str, str]) -> bool:
    """Tell whether data is what was written; objects of other programs carry no hash."""
    return metadata.get(HASH) in (None, hashlib.sha256(data).hexdigest())


def _delays() -> Iterator[float]:
    """Yield the pause before each attempt in seconds: doubling, and random so that writers part."""
    for attempt in range(ATTEMPTS):
        yield min(FIRST_DELAY_S * 2**attempt, LONGEST_DELAY_S) * random.uniform(0.5, 1.0)
