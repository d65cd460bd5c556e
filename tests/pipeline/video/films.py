"""Small films for tests, made by PyAV and described by their frames."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.arrays import Pixels


def frame_of(number: int, height: int = 48, width: int = 64) -> Pixels:
    """A ramp with a white bar that moves; its corner at the upper left is red."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 60)], -1)
    picture[:, (3 * number) % width : (3 * number) % width + 5] = 255
    picture[:8, :8] = (250, 10, 10)
    return picture.astype(np.uint8)


def write_film(
    path: Path,
    frames: Sequence[Pixels],
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    pix_fmt: str = "yuv444p",
    audio: int = 0,
    rotation: int = 0,
    **options: str,
) -> Path:
    """Write frames as x264, with sine tones as audio tracks."""
    with av.open(str(path), "w") as container:
        rate = Fraction(1) / time_base if times is None else Fraction(25)
        stream: Any = container.add_stream("libx264", rate=rate, options={"crf": "8", **options})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        tracks: list[Any] = [container.add_stream("aac", rate=8000) for _ in range(audio)]
        for number, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts = number if times is None else times[number]
            picture.time_base = time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        for pitch, track in enumerate(tracks):
            tone = np.sin(np.arange(8000) * (0.2 + 0.1 * pitch)).astype(np.float32)[None] / 4
            sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            sound.sample_rate = 8000
            container.mux(track.encode(sound))
            container.mux(track.encode())
    return path


def moments(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds, by decoding all of them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [Fraction(f.pts) * Fraction(f.time_base) for f in container.decode(stream)]
