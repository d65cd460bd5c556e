"""The noise's spectrum."""

from __future__ import annotations

import numpy as np

from training.embedded.scenes.noise import pink_bank


def test_noise_amplitude_falls_as_one_over_f() -> None:
    spectrum = np.abs(np.fft.rfft2(pink_bank()[0].astype(np.float64)))
    f = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None, :])
    bands = [(0.02, 0.04), (0.04, 0.08), (0.08, 0.16), (0.16, 0.32)]
    level = [np.log2(spectrum[(f >= a) & (f < b)].mean()) for a, b in bands]
    assert np.allclose(np.diff(level), -1.0, atol=0.1)
