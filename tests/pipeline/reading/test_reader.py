import numpy as np
import pytest

from pipeline.reading.dataset import PublishedDataset
from pipeline.reading.order import Order
from pipeline.reading.reader import Reader
from tests.standins.published_blobs import write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    return PublishedDataset.open(write_dataset(folder / "dataset"), folder / "cache")


def read(dataset, start=0, stop=None, flip=True, threads=2, rank=0, ranks=1):
    order = Order(dataset.sizes, batch=6, seed=1)
    reader = Reader(dataset, order, flip, threads, rank, ranks)
    return list(reader.batches(start, 2 * order.steps if stop is None else stop))


def test_ranks_share_each_batch_in_equal_steps(dataset):
    whole = read(dataset)
    assert len(whole) == 6 and whole[0][0].shape == (6, 32, 32, 3)
    for ranks in (2, 3, 6):
        parts = [read(dataset, rank=rank, ranks=ranks, threads=rank + 1) for rank in range(ranks)]
        for step, (images, sketches) in enumerate(whole):
            np.testing.assert_array_equal(np.concatenate([p[step][0] for p in parts]), images)
            np.testing.assert_array_equal(np.concatenate([p[step][1] for p in parts]), sketches)


def test_reading_can_start_anywhere(dataset):
    whole = read(dataset)
    for start in (1, 3, 5):
        for (images, _), (expected, _) in zip(read(dataset, start), whole[start:], strict=True):
            np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("where", ["", "cdst_step >= 11 and cdst_step != 17"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
def test_ranks_have_equal_steps_whatever_is_filtered(dataset, tmp_path, where, ranks):
    chosen = PublishedDataset.open(dataset.store.url, tmp_path, where)
    counts = {len(read(chosen, rank=rank, ranks=ranks, threads=1 + rank)) for rank in range(ranks)}
    assert counts == {2 * (sum(chosen.sizes) // 6)}
    assert sum(chosen.sizes) == (10 if where else 22) and (chosen.sizes[0] == 0) == bool(where)


def test_mirrored_pairs_are_mirrored_together(dataset):
    straight, flipped = read(dataset, flip=False), read(dataset, flip=True)
    mirrored = 0
    for (images, sketches), (images_f, sketches_f) in zip(straight, flipped, strict=True):
        for n in range(6):
            if not np.array_equal(images[n], images_f[n]):
                mirrored += 1
                np.testing.assert_array_equal(images_f[n], images[n][:, ::-1])
                np.testing.assert_array_equal(sketches_f[n], sketches[n][:, ::-1])
    assert 0 < mirrored < 36


def test_a_batch_that_cannot_be_shared_is_refused(dataset):
    with pytest.raises(ValueError, match="expected a multiple of the 4 workers.*got 6"):
        read(dataset, ranks=4)


def test_a_reader_that_is_left_early_leaves_no_thread_behind(dataset):
    order = Order(dataset.sizes, batch=6, seed=1)
    batches = Reader(dataset, order, False, 2).batches(0, order.steps)
    next(batches)
    batches.close()
