"""Wrong credentials and buckets: found before a teacher is loaded, told without secrets."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest

from pipeline.storage.address import open_store
from pipeline.storage.probe import check_reachable, probe
from pipeline.storage.store import StorageError
from tests.servers.faulty_proxy import Fault, FaultyProxy, Rule
from tests.servers.swift_server import SECRET
from tests.standins.standin_teacher import StandinTeacher, make_plan

pytestmark = pytest.mark.s3

WRONG = "wJalrXUtnFEMI-K7MDENG"
CASES = [
    ({"AWS_SECRET_ACCESS_KEY": WRONG}, "access key or secret key is wrong"),
    ({"AWS_ACCESS_KEY_ID": "test:nobody"}, "access key or secret key is wrong"),
    (
        {"AWS_ACCESS_KEY_ID": "test:guest", "AWS_SECRET_ACCESS_KEY": "no-rights-at-all"},
        "not allowed",
    ),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "cannot be reached"),
    ({"AWS_PROFILE": "nobody"}, "no usable credentials"),
]


def no_teacher() -> StandinTeacher:
    raise AssertionError("a teacher was loaded")


def generate_there(address: str) -> Any:
    from pipeline.generation.ray_actors import generate

    return generate(make_plan(), open_store(address), no_teacher, 1, 0.0, lambda *_, **__: None)


def assert_tells_no_secret(error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    for secret in (WRONG, SECRET, "no-rights-at-all"):
        assert secret not in str(error) and secret not in text


@pytest.mark.parametrize(("change", "words"), CASES)
def test_wrong_credentials(
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    words: str,
) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setattr("pipeline.storage.s3.ATTEMPTS", 2)
    for key, value in change.items():
        monkeypatch.setenv(key, value)
    for check in (check_reachable, probe, lambda store: generate_there(store.url)):
        with pytest.raises(StorageError, match=words) as caught:
            check(open_store(f"s3://{bucket}/ink"))
        assert_tells_no_secret(caught.value)


def test_expired_credentials(bucket: str, proxy: FaultyProxy) -> None:
    for method in ("GET", "PUT"):
        # The server of the tests does not look at session tokens: the proxy answers as Amazon's.
        proxy.rules.append(Rule(Fault.EXPIRED, method, times=float("inf")))
    for check in (check_reachable, lambda store: generate_there(store.url)):
        with pytest.raises(StorageError, match="credentials have expired") as caught:
            check(open_store(f"s3://{bucket}/ink"))
        assert_tells_no_secret(caught.value)


def test_a_missing_bucket(bucket: str) -> None:
    for check in (check_reachable, lambda store: generate_there(store.url)):
        with pytest.raises(StorageError, match="bucket does not exist; create it"):
            check(open_store("s3://no-such-bucket/ink"))
