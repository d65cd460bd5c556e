"""Accounts: every planned sample is committed, quarantined or missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dataset.accounting import IncompleteError, read_account
from pipeline.dataset.quarantine import Quarantine, write_quarantine
from pipeline.publishing.publish import publish
from pipeline.storage.local import LocalStore
from tests.standins.published_blobs import encode_shard
from tests.standins.standin_teacher import make_plan


def test_an_account_follows_the_commit_records(tmp_path: Path) -> None:
    store, plan = LocalStore(tmp_path), make_plan()
    assert read_account(store, plan).missing_shards == (0, 1, 2)
    for shard in (0, 2):
        publish(store, plan, shard, encode_shard(plan, shard))
    account = read_account(store, plan)
    assert (account.committed, account.missing_shards, account.complete) == (14, (1,), False)
    with pytest.raises(IncompleteError, match="14 committed, 0 quarantined: 1 of 3 shards are"):
        account.check_complete()
    write_quarantine(store, Quarantine(index=9, shard=1, attempts=3, reason="crash"))
    publish(store, plan, 1, encode_shard(plan, 1, without=(9,)))
    account = read_account(store, plan)
    assert (account.committed, account.quarantined, account.missing_shards) == (21, (9,), ())
    account.check_complete()
