"""infra/s3 under a store that enforces policies: the writer generates, and can do no harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "infra" / "s3"
BUCKET, PREFIX = "pairs", "ink"
# Generation with a stand-in for the teacher, by a process with one role's keys.
GENERATE = """
import sys, ray
from pipeline.generation.ray_actors import generate
from pipeline.storage.address import open_store
from tests.standins.standin_teacher import StandinTeacher, make_plan
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
store = open_store(sys.argv[1])
summary = generate(make_plan(16, 8), store, StandinTeacher, 2, 0.0, lambda *_, **__: None)
print(summary.committed)
"""


@dataclass(frozen=True)
class EnforcingStore:
    """A server, and keys of a user for each policy."""

    url: str
    keys: dict[str, dict[str, str]]

    def client(self, role: str) -> Any:
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **self.keys[role])


def policy(name: str) -> str:
    text = (POLICIES / f"{name}.json").read_text()
    return text.replace("BUCKET", BUCKET).replace("PREFIX", PREFIX)


def without_deletion(document: str) -> str:
    """A policy that allows the rest."""
    whole = json.loads(document)
    kept = [
        statement for statement in whole["Statement"] if statement["Action"] != "s3:DeleteObject"
    ]
    assert len(kept) == len(whole["Statement"]) - 1
    return json.dumps({**whole, "Statement": kept})


@pytest.fixture(scope="module")
def store() -> Iterator[EnforcingStore]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    anybody = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    s3 = boto3.client("s3", endpoint_url=url, **anybody)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="other/secret", Body=b"of another team")
    iam = boto3.client("iam", endpoint_url=url, **anybody)
    keys = {}
    policies = {role: policy(role) for role in ("reader", "writer", "keeper")}
    policies["writer that never deletes"] = without_deletion(policies["writer"])
    for number, (role, document) in enumerate(policies.items()):
        user = f"user-{number}"
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="rights", PolicyDocument=document)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        keys[role] = {
            "aws_access_key_id": made["AccessKeyId"],
            "aws_secret_access_key": made["SecretAccessKey"],
        }
    enforce(url, "0")
    yield EnforcingStore(url, keys)
    enforce(url, "inf")
    server.stop()


def enforce(url: str, after: str) -> None:
    """Check rights from now on, after so many requests without."""
    kind = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{url}/moto-api/reset-auth", after.encode(), kind)
    urllib.request.urlopen(request, timeout=30).read()


@pytest.fixture(scope="module")
def made(store: EnforcingStore) -> str:
    """What the writer's generation said."""
    return generated(store, "writer", "dataset")


def generated(store: EnforcingStore, role: str, name: str) -> str:
    """What a role's generation says."""
    names = {
        "aws_access_key_id": "AWS_ACCESS_KEY_ID",
        "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    }
    env = {names[key]: value for key, value in store.keys[role].items()}
    done = subprocess.run(
        [sys.executable, "-c", GENERATE, f"s3://{BUCKET}/{PREFIX}/{name}"],
        cwd=ROOT,
        env={**os.environ, **env, "AWS_ENDPOINT_URL": store.url, "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def denied(call: Any, **arguments: Any) -> bool:
    try:
        call(Bucket=BUCKET, **arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "403"), error
        return True
    return False


@pytest.mark.parametrize("name", ["reader", "writer", "keeper", "bucket"])
def test_actions_are_s3_s_own_and_resources_of_the_run(name: str) -> None:
    operations = boto3.client("s3", region_name="us-east-1").meta.service_model.operation_names
    # The right to list has another name than the operation.
    known = {f"s3:{operation}" for operation in operations} | {"s3:ListBucket", "s3:*"}
    statements = json.loads(policy(name))["Statement"]
    assert {statement["Action"] for statement in statements} <= known
    allowed = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert bool(allowed) == (name != "bucket")
    for statement in allowed:
        resources = statement["Resource"]
        for resource in [resources] if isinstance(resources, str) else resources:
            assert resource.startswith(f"arn:aws:s3:::{BUCKET}/{PREFIX}/") or (
                statement["Action"] == "s3:ListBucket" and f"{PREFIX}/*" in str(statement)
            )


@pytest.mark.ray
def test_the_writer_generates_and_leaves_no_signs_of_life(store: EnforcingStore, made: str) -> None:
    assert made == "16"
    listed = store.client("reader").list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/")
    keys = [item["Key"].removeprefix(f"{PREFIX}/dataset/") for item in listed["Contents"]]
    assert {"manifest.json", "shards/00000.tar", "shards/00001.tar"} <= set(keys)
    assert not [key for key in keys if key.startswith(("probe/", "workers/"))]


@pytest.mark.ray
def test_a_writer_that_never_deletes_generates_as_well(store: EnforcingStore) -> None:
    assert generated(store, "writer that never deletes", "other-dataset") == "16"
    prefix = f"{PREFIX}/other-dataset/"
    listed = store.client("reader").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    keys = [item["Key"].removeprefix(prefix) for item in listed["Contents"]]
    assert "manifest.json" in keys
    assert [key for key in keys if key.startswith("workers/")], "else it has deleted"


@pytest.mark.ray
def test_only_the_keeper_can_remove_a_shard(store: EnforcingStore, made: str) -> None:
    shard = f"{PREFIX}/dataset/shards/00001.tar"
    assert denied(store.client("reader").delete_object, Key=shard)
    assert denied(store.client("writer").delete_object, Key=shard)
    assert store.client("writer").get_object(Bucket=BUCKET, Key=shard)["Body"].read()
    assert not denied(store.client("keeper").delete_object, Key=shard)


@pytest.mark.parametrize("role", ["reader", "writer", "keeper"])
def test_nobody_sees_another_prefix(store: EnforcingStore, role: str) -> None:
    client = store.client(role)
    assert denied(client.get_object, Key="other/secret")
    assert denied(client.put_object, Key="other/mine", Body=b"")
    assert denied(client.delete_object, Key="other/secret")


def test_a_reader_cannot_write(store: EnforcingStore) -> None:
    assert denied(store.client("reader").put_object, Key=f"{PREFIX}/dataset/x", Body=b"")
