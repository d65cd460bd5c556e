"""README.md: the dataset card, with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.dataset.manifest import Manifest
from pipeline.publishing.gallery import ShownPair
from pipeline.render import TEMPLATES, render

# The hub's names for dataset sizes, by their upper limit in samples.
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)

_MEANINGS = {
    "key": "nine-digit sample index, the stem of its three members",
    "index": "sample index in the plan; the sample depends on (plan, index) only",
    "shard": "number of the shard",
    "image_offset": "first byte of the image in the shard; likewise `sketch_`, `facts_`",
    "image_size": "bytes of the image; likewise `sketch_`, `facts_`",
    "image_sha256": "hash of the image's bytes; likewise `sketch_`, `facts_`",
    "image_hash": "64-bit difference hash of the image, for near-duplicates",
    "ink_coverage": "mean darkness of the sketch: 0 empty page, 1 solid ink",
    "blankness": "one minus the sketch's contrast: 1 uniform page",
    "clip_agreement": "cosine of CLIP's direction image to sketch with that of the example",
    "clip_within": "cosine of CLIP's direction example to image with that of their sketches",
    "confidence": "100 times the mean of both: equation 7 against full agreement; divide by this "
    "column's mean for the paper's scale",
    "height": "pixels",
    "width": "pixels",
    "cdst_step": "i of the condition diffusion (CDST): 0 follows the example's condition",
    "alpha": "weight of the example's condition",
    "beta": "weight of the random condition",
    "noise_seed": "64-bit seed of the first latent, in hexadecimal",
    "condition_seed": "64-bit seed of the random condition, in hexadecimal",
}


def write_card(manifest: Manifest, pairs: Sequence[ShownPair]) -> bytes:
    """Render the card; its table of columns lists those of the pairs shown."""
    columns = list(pairs[0].row) if pairs else []
    return render(
        TEMPLATES / "card.md.j2",
        manifest=manifest,
        front=_front_matter(manifest),
        columns=[(name, _meaning(name)) for name in columns if _meaning(name)],
        software=", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    )


def _front_matter(manifest: Manifest) -> Mapping[str, object]:
    count = manifest.counts.committed
    stated = {"license": manifest.license} if manifest.license else {}
    return {
        "pretty_name": f"onesketch {manifest.style}",
        **stated,
        "task_categories": ["image-to-image"],
        "tags": ["sketch", "line-art", "synthetic", "webdataset", "onesketch"],
        "size_categories": [next((name for limit, name in _SIZES if count < limit), "n>1T")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": "shards/*.tar"}],
            }
        ],
    }


def _meaning(name: str) -> str:
    if name.startswith(("sketch_", "facts_")):
        return ""
    return _MEANINGS.get(name, "from the teacher")
