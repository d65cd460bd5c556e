"""The scaling of pictures that networks of ImageNet were trained with, for unit pixels in RGB."""

from __future__ import annotations

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
