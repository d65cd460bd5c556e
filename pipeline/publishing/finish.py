"""The last step of a dataset: gallery, card and finally the manifest."""

from __future__ import annotations

from pipeline.dataset import layout
from pipeline.dataset.accounting import Account, read_account
from pipeline.dataset.commit import committed_shards
from pipeline.dataset.manifest import Manifest, build_manifest, read_manifest, write_manifest
from pipeline.dataset.plan import Plan
from pipeline.publishing.card import write_card
from pipeline.publishing.gallery import choose_pairs, write_gallery
from pipeline.publishing.heartbeats import remove_heartbeats
from pipeline.storage.store import Store


def manifest_of_complete(store: Store, plan: Plan) -> Manifest | None:
    """Return the manifest of a dataset to which nothing is left to do; None of any other.

    Raises:
        ManifestError: the manifest is broken.
    """
    if not store.exists(layout.MANIFEST) or len(committed_shards(store)) < plan.num_shards:
        return None
    return read_manifest(store)


def complete(store: Store, plan: Plan) -> Account:
    """Finish a dataset whose shards are all committed.

    A card or gallery that exists already is kept: people edit them.

    Returns:
        The account of the finished dataset.

    Raises:
        IncompleteError: some samples are neither committed nor quarantined.
        ManifestError: the store holds another manifest.
    """
    account = read_account(store, plan, include_unlisted=True)
    manifest = build_manifest(plan, account)
    if not store.exists(layout.MANIFEST):
        pairs = choose_pairs(store, account.commits)
        store.create(layout.GALLERY, write_gallery(manifest, pairs))
        store.create(layout.CARD, write_card(manifest, pairs))
    write_manifest(store, manifest)
    remove_heartbeats(store)
    return account
