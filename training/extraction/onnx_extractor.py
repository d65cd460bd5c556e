"""The extractor by ONNX Runtime, without torch.

B: pictures, H, W: pixels. Pictures are uint8 (H, W, 3), drawings uint8 (H, W), 255 = paper.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import Pixels
from training.extraction.extractor_folder import ExtractorError, read_config
from training.extraction.picture_drawer import OnShare, PictureDrawer, be_silent

FORMAT = "onesketch-onnx/1"
INPUT, OUTPUT = "pictures", "sketches"
ONNX = "onnx/model.onnx"
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxExtractor(PictureDrawer):
    """An exported network, ready to draw; threads may share it."""

    def __init__(self, session: Any, multiple: int, least_side: int, device: str) -> None:
        super().__init__(multiple, least_side)
        self._session = session
        self._device = device

    @classmethod
    def load(cls, location: str | Path, device: str = "cpu", threads: int = 0) -> OnnxExtractor:
        """Open what `onesketch publish` wrote.

        Args:
            location: its folder, or the ONNX file.
            device: cpu, or cuda where this ONNX Runtime has it.
            threads: of the processor; 0: as ONNX Runtime chooses.

        Raises:
            ExtractorError: there is no such file, or it is not from here, or not of the weights
                that lie beside it.
            ValueError: the extra `onnx` is not installed, or the device is not there.
        """
        path = _onnx_file(Path(location))
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as errors
        except ImportError as error:
            raise ValueError(
                "drawing with ONNX needs the extra `onnx`: pip install 'onesketch[onnx]'"
            ) from error
        provider = _PROVIDERS.get(device.partition(":")[0])
        if provider not in onnxruntime.get_available_providers():
            raise ValueError(
                f"device {device!r}: this ONNX Runtime has no {provider or 'such'} one"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except (errors.Fail, errors.InvalidGraph, errors.InvalidProtobuf) as error:
            reason = str(error).splitlines()[0]
            raise ExtractorError(f"{path} cannot be read as ONNX: {reason}") from error
        metadata = session.get_modelmeta().custom_metadata_map
        if metadata.get("format") != FORMAT:
            raise ExtractorError(f"{path} is no extractor: `onesketch publish` writes one")
        _check_weights(path, metadata)
        return cls(session, int(metadata["multiple"]), int(metadata["least_side"]), device)

    @property
    def device(self) -> str:
        """Where the network runs."""
        return self._device

    def draw(self, pictures: Pixels, on_share: OnShare = be_silent) -> Pixels:
        """Draw pictures of a fitting size, each as a whole."""
        x = pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        (sketches,) = self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(x)})
        on_share(1.0)
        return np.rint(np.clip((sketches[:, 0] + 1) / 2, 0, 1) * 255).astype(np.uint8)


def _onnx_file(location: Path) -> Path:
    if location.is_file():
        return location
    path = location / ONNX
    if not path.is_file():
        raise ExtractorError(
            f"{location} holds no {ONNX}: expected the folder that `onesketch publish` wrote, or "
            "its ONNX file"
        )
    return path


def _check_weights(path: Path, metadata: dict[str, str]) -> None:
    """Refuse an ONNX file whose folder holds other weights."""
    folder = path.parent.parent
    if path != folder / ONNX or not (folder / "config.json").is_file():
        return
    if read_config(folder)["sha256"] != metadata.get("weights_sha256"):
        raise ExtractorError(
            f"{path} was made of other weights than {folder} holds: run `onesketch publish` again"
        )
