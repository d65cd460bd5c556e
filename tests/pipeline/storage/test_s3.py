"""S3's answers, one by one, as servers were seen to give them."""

from __future__ import annotations

import hashlib
import io
import traceback
from collections.abc import Iterator

import pytest
from botocore.exceptions import (
    EndpointConnectionError,
    NoCredentialsError,
    UnauthorizedSSOTokenError,
)
from botocore.response import StreamingBody
from botocore.stub import Stubber

from pipeline.storage import s3
from pipeline.storage.probe import probe
from pipeline.storage.s3 import S3Store
from pipeline.storage.store import Created, StorageError

SECRET = "wJalrXUtnFEMI"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(s3, "FIRST_DELAY_S", 0.0)
    return S3Store("bucket", "ink")


@pytest.fixture
def server(store: S3Store) -> Iterator[Stubber]:
    with Stubber(store._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def body(content: bytes, promised: int | None = None) -> dict[str, object]:
    length = len(content) if promised is None else promised
    return {"Body": StreamingBody(io.BytesIO(content), length), "ContentLength": length}


def test_a_write_carries_the_condition_and_a_checksum(store: S3Store, server: Stubber) -> None:
    server.add_response(
        "put_object",
        {},
        {
            "Bucket": "bucket",
            "Key": "ink/a",
            "Body": b"one",
            "IfNoneMatch": "*",
            "ContentMD5": "+XxdKZQb+xsv2rCHSQargg==",
            "Metadata": {"sha256": hashlib.sha256(b"one").hexdigest()},
        },
    )
    assert store.create("a", b"one") is Created.NEW


def test_a_lost_answer_is_settled_by_reading_back(store: S3Store, server: Stubber) -> None:
    server.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    server.add_response("get_object", body(b"one"))
    assert store.create("a", b"one") is Created.EQUAL


def test_a_taken_name_stays_taken(store: S3Store, server: Stubber) -> None:
    server.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    server.add_response("get_object", body(b"two"))
    assert store.create("a", b"one") is Created.OTHER


def test_a_race_is_tried_again(store: S3Store, server: Stubber) -> None:
    for _ in range(3):
        server.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    server.add_response("put_object", {})
    assert store.create("a", b"one") is Created.NEW


def test_a_race_without_end_is_an_error(store: S3Store, server: Stubber) -> None:
    for _ in range(s3.ATTEMPTS):
        server.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    with pytest.raises(StorageError, match="still reports a race"):
        store.create("a", b"one")


def test_a_body_cut_short_is_read_again(store: S3Store, server: Stubber) -> None:
    server.add_response("get_object", body(b"on", promised=3))
    server.add_response("get_object", body(b"one"))
    assert store.read("a") == b"one"


def test_bodies_always_cut_short_are_an_error(store: S3Store, server: Stubber) -> None:
    for _ in range(s3.ATTEMPTS):
        server.add_response("get_object", body(b"on", promised=3))
    with pytest.raises(StorageError, match=f"broke off {s3.ATTEMPTS} times"):
        store.read("a")


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("NoSuchBucket", 404, "create it"),
        ("InvalidAccessKeyId", 403, "access key.*AWS_PROFILE"),
        ("SignatureDoesNotMatch", 403, "access key or secret key is wrong"),
        ("ExpiredToken", 400, "expired"),
        ("AccessDenied", 403, "not allowed"),
        ("NotImplemented", 501, "--single-writer"),
        ("SlowDown", 503, "later"),
        ("RequestTimeTooSkewed", 403, "clock differs"),
        ("PermanentRedirect", 301, "another region; set AWS_REGION"),
        ("AuthorizationHeaderMalformed", 400, "another region"),
        ("400", 400, "credentials have expired or the bucket lies in another region"),
        ("Strange", 500, "500 Strange"),
    ],
)
def test_refusals_in_words_without_secrets(
    store: S3Store, server: Stubber, code: str, status: int, words: str
) -> None:
    server.add_client_error("put_object", code, f"signed with {SECRET}", http_status_code=status)
    with pytest.raises(StorageError, match=words) as caught:
        probe(store)
    assert "s3://bucket/ink" in str(caught.value) and SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoCredentialsError(), "no usable credentials"),
        (UnauthorizedSSOTokenError(), "aws sso login"),
        (EndpointConnectionError(endpoint_url=f"http://u:{SECRET}@h"), "AWS_ENDPOINT_URL"),
    ],
)
def test_failures_on_this_side(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(store._client, "put_object", fail)
    with pytest.raises(StorageError, match=words) as caught:
        store.create("a", b"one")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AWS_ENDPOINT_URL", f"u:{SECRET}@host", "AWS_ENDPOINT_URL .* must read http://host:port"),
        ("AWS_METADATA_SERVICE_TIMEOUT", SECRET, r"check AWS_\*"),
        ("AWS_DEFAULT_REGION", f"{SECRET} ", r"check AWS_\* .*InvalidRegionError"),
    ],
)
def test_settings_that_cannot_be_read(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=f"s3://bucket/ink.*{words}") as caught:
        store.read("a")
    assert SECRET not in str(caught.value)


def test_a_server_that_ignores_the_condition_is_refused(store: S3Store, server: Stubber) -> None:
    for answer in ("put_object", "put_object"):
        server.add_response(answer, {})
    server.add_response("get_object", body(b"second writer"))
    server.add_response("get_object", body(b" write"))
    server.add_response("delete_object", {})
    with pytest.raises(StorageError, match="ignores If-None-Match.*--single-writer"):
        probe(store)


def test_no_secret_in_the_store_itself(store: S3Store) -> None:
    store._client  # noqa: B018 - opened, so that a client is there to be left out
    assert SECRET not in repr(store) + repr(store.__getstate__())
    assert "_client" not in store.__getstate__()
    assert not traceback.format_exc().count(SECRET)
