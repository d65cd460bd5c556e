"""`onesketch style`: a drawing is a PNG, and never takes its image's place."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.jobs.stages.test_stages import onesketch, refusal


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").resize((30, 20)).convert("RGB").save("photo.png")
    return tmp_path


def test_a_drawing_is_a_png_of_the_images_size() -> None:
    assert onesketch("style", "xdog", "photo.png", "--out", "new/drawing.PNG").exit_code == 0
    drawing = Image.open("new/drawing.PNG")
    assert (drawing.format, drawing.size, drawing.mode) == ("PNG", (30, 20), "L")


@pytest.mark.parametrize("out", ["photo.png", "./photo.png", "new/../photo.png", "PHOTO.png"])
def test_the_image_itself_is_not_replaced(out: str) -> None:
    before = Path("photo.png").read_bytes()
    assert "would replace the photograph photo.png" in refusal("style", "xdog", "photo.png",
                                                               "--out", out)  # fmt: skip
    assert Path("photo.png").read_bytes() == before
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


@pytest.mark.parametrize("out", ["drawing.jpg", "drawing", "new/"])
def test_other_endings_are_refused(out: str) -> None:
    line = refusal("style", "xdog", "photo.png", "--out", out)
    assert "drawings are PNG files; expected a name in .png" in line
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


def test_another_picture_is_not_replaced() -> None:
    Path("drawing.png").write_bytes(b"a person's")
    line = refusal("style", "xdog", "photo.png", "--out", "drawing.png")
    assert "--out drawing.png is there, and another picture" in line
    assert Path("drawing.png").read_bytes() == b"a person's"
    for _ in range(2):  # the same drawing again is no loss
        assert onesketch("style", "xdog", "photo.png", "--out", "other.png").exit_code == 0
