"""What other programs import: pictures of any kind in, drawings of their size out."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import ExifTags, Image
from scipy import ndimage

import onesketch
from onesketch import SketchExtractor, open_dataset
from pipeline.arrays import Pixels
from pipeline.storage.address import open_store
from tests.standins.published_blobs import write_dataset
from tests.standins.tiny_extractor import write_tiny_extractor
from training.extraction.extractor_folder import ExtractorError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_extractor(tmp_path_factory.mktemp("extractor"))


@pytest.fixture(scope="module")
def sketch(folder: Path) -> SketchExtractor:
    return SketchExtractor.from_pretrained(folder)


def picture(height: int = 40, width: int = 56, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def drawn(sketch: SketchExtractor, image: Any, **options: Any) -> Pixels:
    return np.asarray(sketch(image, output_type="np", **options))


def test_every_kind_of_picture_gives_the_same_drawing(sketch: SketchExtractor) -> None:
    pixels = picture()
    expected = drawn(sketch, pixels)
    assert expected.shape == (40, 56) and expected.dtype == np.uint8
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    for same in (Image.fromarray(pixels), pixels / 255, tensor, tensor.float() / 255):
        np.testing.assert_array_equal(drawn(sketch, same), expected)
    opaque = np.dstack([pixels, np.full((40, 56), 255, np.uint8)])
    np.testing.assert_array_equal(drawn(sketch, opaque), expected)
    grey = pixels[..., 0]
    three = drawn(sketch, np.repeat(grey[..., None], 3, 2))
    for same in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(drawn(sketch, same), three)


def test_what_is_transparent_is_paper(sketch: SketchExtractor) -> None:
    pixels = picture()
    half = np.dstack([pixels, np.full((40, 56), 255, np.uint8)])
    half[:20, :, 3] = 0
    expected = pixels.copy()
    expected[:20] = 255
    np.testing.assert_array_equal(drawn(sketch, half), drawn(sketch, expected))


def test_a_photograph_is_turned_upright(sketch: SketchExtractor, tmp_path: Path) -> None:
    turned = Image.fromarray(picture()).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # as a camera that was held on its side writes it
    turned.save(tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(
        drawn(sketch, Image.open(tmp_path / "photo.png")), drawn(sketch, picture())
    )


def test_one_in_one_out_and_lists_of_mixed_sizes(sketch: SketchExtractor) -> None:
    mixed = [picture(40, 56), Image.fromarray(picture(33, 47, 1)), picture(40, 56, 2)]
    together = sketch(mixed, batch_size=2)
    assert isinstance(together, list) and all(isinstance(x, Image.Image) for x in together)
    assert [x.size for x in together] == [(56, 40), (47, 33), (56, 40)]
    for alone, listed in zip(mixed, together, strict=True):
        difference = drawn(sketch, alone).astype(int) - np.asarray(listed)
        assert np.abs(difference).max() <= 1
    batch = np.stack([picture(seed=seed) for seed in range(3)])
    assert len(sketch(batch)) == 3 and len(sketch(torch.zeros(2, 3, 32, 32))) == 2
    assert sketch([]) == []


def test_forms_of_output(sketch: SketchExtractor) -> None:
    pixels = picture()
    expected = drawn(sketch, pixels)
    assert np.array_equal(np.asarray(sketch(pixels)), expected) and sketch(pixels).mode == "L"
    tensor = sketch(pixels, output_type="pt")
    assert tensor.shape == (1, 40, 56) and tensor.dtype == torch.float32
    torch.testing.assert_close(tensor[0], torch.from_numpy(expected / 255).float())
    np.testing.assert_array_equal(drawn(sketch, pixels, invert=True), 255 - expected)
    # Laid over white paper, ink that is transparent elsewhere is the drawing again.
    ink = sketch(pixels, output_type="alpha")
    paper = Image.new("LA", ink.size, (255, 255))
    laid = np.asarray(Image.alpha_composite(paper.convert("RGBA"), ink.convert("RGBA")))
    assert np.abs(laid[..., 0].astype(int) - expected).max() <= 1


def test_lines_are_cut_and_grown_as_said(sketch: SketchExtractor) -> None:
    pixels = picture()
    plain = drawn(sketch, pixels)
    limit = float(np.median(plain)) / 255
    np.testing.assert_array_equal(
        drawn(sketch, pixels, threshold=limit), np.where(plain < limit * 255, 0, 255)
    )
    thick = ndimage.minimum_filter(plain, 5, mode="nearest")
    thin = ndimage.maximum_filter(plain, 3, mode="nearest")
    np.testing.assert_array_equal(drawn(sketch, pixels, thickness=2), thick)
    np.testing.assert_array_equal(drawn(sketch, pixels, thickness=-1), thin)


def test_svg_and_what_is_transparent(sketch: SketchExtractor) -> None:
    pixels = np.dstack([picture(), np.full((40, 56), 255, np.uint8)])
    pixels[:20, :, 3] = 0
    assert 'width="56" height="40"' in str(sketch(pixels, output_type="svg"))
    ink = np.asarray(sketch(pixels, output_type="alpha"))
    assert not ink[:20, :, 1].any() and ink[20:, :, 1].any()


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[:, ::-1],
        lambda x: x[::-1, ::-1],
        lambda x: np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2),
    ],
)
def test_views_of_arrays_are_taken(sketch: SketchExtractor, view: Any) -> None:
    pixels = picture()
    pixels.flags.writeable = False
    expected = drawn(sketch, np.array(view(pixels)))
    np.testing.assert_array_equal(drawn(sketch, view(pixels)), expected)


def test_formats_of_numbers(folder: Path) -> None:
    rounded = SketchExtractor.from_pretrained(folder, dtype="bfloat16")
    exact = SketchExtractor.from_pretrained(folder, dtype=torch.float32)
    difference = drawn(rounded, picture()).astype(int) - drawn(exact, picture())
    assert 0 < np.abs(difference).max() < 16
    for wrong in ("int8", "Tensor", "nothing"):
        with pytest.raises(ValueError, match="dtype: expected float32, bfloat16 or float16"):
            SketchExtractor.from_pretrained(folder, dtype=wrong)


def test_an_lfs_note_is_told_from_weights(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    note = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (tmp_path / "model.safetensors").write_text(note)
    with pytest.raises(ExtractorError, match="Git LFS's note .* `git lfs pull`"):
        SketchExtractor.from_pretrained(tmp_path)


def test_a_smaller_resolution_keeps_the_size(sketch: SketchExtractor) -> None:
    small = drawn(sketch, picture(64, 96), short_side=32)
    assert small.shape == (64, 96) and not np.array_equal(small, drawn(sketch, picture(64, 96)))


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        (picture(), {"threshold": 1.5}, "threshold: expected between 0 and 1, got 1.5"),
        (picture(), {"thickness": 33}, "thickness: expected at most 32 px"),
        (picture(), {"short_side": 0}, "short_side: expected 1 pixel or more"),
        (picture(), {"output_type": "svg!"}, "output_type: expected one of pil, np"),
        (picture() * 2.0, {}, r"expected floats in \[0, 1\], got 0 to 510"),
        (picture().astype(np.int32), {}, "expected uint8, or floats"),
        (picture().transpose(2, 0, 1), {}, r"expected .*\(H, W, 3\).*got \(3, 40, 56\)"),
        ("photo.png", {}, "expected a PIL image, an array, a tensor or a list"),
        (np.zeros((4, 5, 2), np.uint8), {}, r"expected .*\(H, W, 3\).*got \(4, 5, 2\)"),
        (np.zeros((0, 5, 3), np.uint8), {}, r"got \(0, 5, 3\)"),
        (torch.zeros(5, 32, 32), {}, r"expected a tensor \(C, H, W\), got \(5, 32, 32\)"),
        ([picture(), "b.png"], {}, "picture 1: expected a PIL image, an array or a tensor"),
        (3, {}, "expected a PIL image, an array, a tensor or a list"),
    ],
)
def test_mistakes_are_named(
    sketch: SketchExtractor, images: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        sketch(images, **options)


def test_threads_share_one(sketch: SketchExtractor) -> None:
    pictures = [picture(seed=seed) for seed in range(16)]
    expected = [drawn(sketch, image) for image in pictures]
    with ThreadPoolExecutor(4) as pool:
        for ours, theirs in zip(
            pool.map(lambda x: drawn(sketch, x), pictures), expected, strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_diffusers_takes_what_comes_out(sketch: SketchExtractor) -> None:
    processor = VaeImageProcessor(do_normalize=False, do_convert_rgb=True)
    condition = processor.preprocess(sketch(picture(), output_type="pil"))
    assert condition.shape == (1, 3, 40, 56)
    expected = torch.from_numpy(drawn(sketch, picture()) / 255).float()
    torch.testing.assert_close(condition[0], expected.expand(3, -1, -1), atol=1e-6, rtol=0)


@pytest.mark.s3
def test_it_opens_from_a_store(
    folder: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESKETCH_CACHE", str(tmp_path))
    store = open_store(f"s3://{bucket}/blobs")
    for file in folder.iterdir():
        store.create(file.name, file.read_bytes())
    far = SketchExtractor.from_pretrained(store.url)
    near = SketchExtractor.from_pretrained(folder)
    np.testing.assert_array_equal(drawn(far, picture()), drawn(near, picture()))


def test_it_opens_from_the_hub_s_cache_and_downloads_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ExtractorError, match="someone/ink: no such folder.*download=True"):
        SketchExtractor.from_pretrained("someone/ink")
    snapshot = tmp_path / "models--someone--ink/snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (tmp_path / "models--someone--ink/refs").mkdir()
    (tmp_path / "models--someone--ink/refs/main").write_text("0" * 40)
    for file in folder.iterdir():
        os.link(file, snapshot / file.name)
    assert drawn(SketchExtractor.from_pretrained("someone/ink"), picture()).shape == (40, 56)


def test_a_folder_without_an_extractor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExtractorError, match="holds no extractor"):
        SketchExtractor.from_pretrained(tmp_path)


def test_a_dataset_opens(tmp_path: Path) -> None:
    dataset = open_dataset(write_dataset(tmp_path / "dataset"))
    image, drawing = dataset.pair(0, 3)
    assert image.shape == (32, 32, 3) and drawing.shape == (32, 32)


def test_names_are_listed_and_others_refused() -> None:
    assert dir(onesketch) == ["OneSketchDetector", "SketchExtractor", "open_dataset"]
    with pytest.raises(AttributeError, match="no attribute 'Sketch'"):
        _ = onesketch.Sketch


def test_importing_costs_no_more_than_torch() -> None:
    code = (
        "import sys, onesketch; print(*sys.modules); onesketch.SketchExtractor; print(*sys.modules)"
    )
    first, every = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    heavy = {
        "ray",
        "diffusers",
        "transformers",
        "cv2",
        "torchvision",
        "scipy",
        "open_clip",
        "boto3",
    }
    assert (heavy | {"torch"}).isdisjoint(every.split())
    assert "numpy" not in first.split()
