"""The cluster that these tests share, and what one machine alone makes of its recipe."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cluster.small_run import (
    BUCKET,
    TOKEN,
    Desk,
    Pool,
    Submissions,
    send_recipe,
)
from tests.servers.cluster import Cluster
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.namespaces import why_not
from tests.servers.swift_server import has_user_xattrs

# Where it says "required", what a machine lacks for these tests is a failure and no reason to skip.
SETTING = "ONESKETCH_CLUSTER"
CUT_AFTER_S = 4.0


@pytest.fixture(scope="session")
def cluster_folder() -> Iterator[Path]:
    """A folder of the host for logs and the server's objects; a short path, with user xattrs."""
    lacking = why_not()
    places = [Path(place) for place in (tempfile.gettempdir(), "/var/tmp", "/dev/shm")]
    place = next((place for place in places if place.is_dir() and has_user_xattrs(place)), None)
    if not lacking and place is None:
        lacking = f"Swift keeps metadata in user xattrs, which none of {places} has"
    if lacking or place is None:
        give_up = pytest.fail if os.environ.get(SETTING) == "required" else pytest.skip
        give_up(f"no cluster on this machine: {lacking}")
    folder = Path(tempfile.mkdtemp(prefix="cluster-", dir=place))
    yield folder
    if "ONESKETCH_CLUSTER_LOGS" not in os.environ:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def cluster(cluster_folder: Path) -> Iterator[Cluster]:
    """A network with an S3 server and no machine yet."""
    with _cluster(cluster_folder / "shared") as cluster:
        yield cluster


@contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    folder.mkdir()
    with Cluster(folder, token=TOKEN) as cluster:
        with cluster.network():
            cluster.s3.client().create_bucket(Bucket=BUCKET)
        yield cluster


@pytest.fixture(scope="session")
def pool(cluster: Cluster) -> Pool:
    """Ray on two machines, each with one core to give away; a lost one is replaced on demand."""
    pool = Pool(cluster)
    pool.start()
    return pool


@pytest.fixture
def two_nodes(pool: Pool) -> Pool:
    """The same, with both machines there."""
    pool.refill()
    return pool


@pytest.fixture(scope="session")
def desk(cluster: Cluster, pool: Pool) -> Desk:
    """The third place: a machine with the recipe, the drawing and the address, and no Ray."""
    return Desk(cluster)


@pytest.fixture(scope="session")
def twice(desk: Desk) -> Submissions:
    """`submit all` twice at once: one straight, one through a proxy that cuts its log."""
    # On the desk itself, as a tunnel to a cluster is.
    with ExitStack() as stack:
        with desk.machine.network():
            proxy = stack.enter_context(CuttingProxy(desk.cluster.address, cut_after_s=CUT_AFTER_S))
        straight = desk.submit("all", "whole", "--workers", "2")
        cut = desk.submit("all", "whole", "--workers", "2", address=proxy.url)
        for following in (straight, cut):
            assert following.end() == 0, following.text()
        return Submissions(straight, cut, proxy.count("GET", "/logs/tail"))


@pytest.fixture(scope="session")
def whole(twice: Submissions) -> str:
    """A run in the bucket with all its stages: those that need a teacher begin from its own."""
    return "whole"


@pytest.fixture(scope="session")
def alone(cluster: Cluster) -> str:
    """A run that one machine makes by itself, with a Ray of its own."""
    machine = cluster.machine("alone")
    recipe = send_recipe(machine)
    where = ["--run", f"s3://{BUCKET}/alone"]
    done = machine.run(["onesketch", "all", recipe, *where, "--workers", "2"])
    assert done.returncode == 0, done.stdout
    machine.end()
    return "alone"
