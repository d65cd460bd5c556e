"""A network on a picture of any size in bounded memory, strip by strip, equal to the whole at once.

All layers but the norms look at a neighbourhood, so that a strip of rows and a margin are enough. A
norm's mean and variance are those of its whole map: they are added up in one pass over the strips,
and the next passes use them. Maps that are too large to be kept are computed again in each pass.

C: channels, H, W: rows and columns of a map; a strip is (1, C, rows, W).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.extraction.picture_drawer import OnShare

# Of a map that is kept between passes. Of a phone's 12 megapixels in half precision the widest map
# of the preset `paper` is computed anew, and the next one, half as wide and as high, just fits.
KEPT_BYTES = 768 * 2**20
# Of one strip of the widest map; layers hold a few of them at a time.
STRIP_BYTES = 32 * 2**20

ReadRows = Callable[[int, int], Tensor]


@runtime_checkable
class Layered(Protocol):
    """A network that is one sequence of layers, and so can be run in strips."""

    layers: nn.Sequential


@dataclass(frozen=True)
class Limits:
    """The most bytes of a map that is kept, and of a strip of the widest map."""

    kept_bytes: int = KEPT_BYTES
    strip_bytes: int = STRIP_BYTES


class Layer(Protocol):
    """A layer that computes some rows of its output from some rows of its input."""

    def height(self, height: int) -> int:
        """Return how many rows come out of a map of `height`."""
        ...

    def needs(self, start: int, stop: int, height: int) -> tuple[int, int]:
        """Return which rows of an input of `height` the rows [start, stop) of the output need."""
        ...

    def run(self, x: Tensor, first: int, start: int, stop: int, height: int) -> Tensor:
        """Compute rows [start, stop) from x, which begins at row `first` of an input of `height`.

        It may overwrite x.
        """
        ...


@dataclass(frozen=True)
class Pointwise:
    """A layer that treats each pixel alone."""

    function: Callable[[Tensor], Tensor]

    def height(self, height: int) -> int:
        """Return the input's."""
        return height

    def needs(self, start: int, stop: int, height: int) -> tuple[int, int]:
        """Return the same rows."""
        return start, stop

    def run(self, x: Tensor, first: int, start: int, stop: int, height: int) -> Tensor:
        """Apply the function."""
        return self.function(x)


@dataclass(frozen=True)
class Convolution:
    """A convolution with the padding in front of it, zeros or reflection."""

    module: nn.Conv2d
    padding: int
    mode: str

    def height(self, height: int) -> int:
        """Return the number of positions of its window."""
        kernel, stride = self.module.kernel_size[0], self.module.stride[0]
        return (height + 2 * self.padding - kernel) // stride + 1

    def needs(self, start: int, stop: int, height: int) -> tuple[int, int]:
        """Return the rows under its windows, and those that are mirrored beyond the map."""
        low, high = self._window(start, stop)
        # What is mirrored lies as far inside as what is missing lies outside.
        return max(0, min(low, 2 * height - 1 - high)), min(height, max(high, 1 - low))

    def run(self, x: Tensor, first: int, start: int, stop: int, height: int) -> Tensor:
        """Pad where the map ends, and convolve."""
        low, high = self._window(start, stop)
        above, below = max(0, -low), max(0, high - height)
        if self.padding:
            x = F.pad(x, (self.padding, self.padding, above, below), mode=self.mode)
        x = x.narrow(2, low - (first - above), high - low)
        return F.conv2d(x, self.module.weight, self.module.bias, self.module.stride)

    def _window(self, start: int, stop: int) -> tuple[int, int]:
        kernel, stride = self.module.kernel_size[0], self.module.stride[0]
        low = start * stride - self.padding
        return low, (stop - 1) * stride - self.padding + kernel


@dataclass(frozen=True)
class TransposedConvolution:
    """A transposed convolution: row i of its input adds to rows from i * stride - padding on."""

    module: nn.ConvTranspose2d

    def height(self, height: int) -> int:
        """Return the number of rows that torch makes."""
        module = self.module
        grown = (height - 1) * module.stride[0] - 2 * int(module.padding[0])
        return grown + module.kernel_size[0] + module.output_padding[0]

    def needs(self, start: int, stop: int, height: int) -> tuple[int, int]:
        """Return the rows that add something to those of the output."""
        kernel, stride, padding = self._sizes()
        low = -(-(start + padding - kernel + 1) // stride)
        return max(0, low), min(height, (stop - 1 + padding) // stride + 1)

    def run(self, x: Tensor, first: int, start: int, stop: int, height: int) -> Tensor:
        """Add the rows up, and cut off what belongs to other strips."""
        module = self.module
        _, stride, padding = self._sizes()
        # As large as any row that is asked for, without padding above and below.
        x = F.conv_transpose2d(
            x, module.weight, module.bias, module.stride,
            padding=(0, int(module.padding[1])), output_padding=module.output_padding,
        )  # fmt: skip
        return x.narrow(2, start + padding - first * stride, stop - start)

    def _sizes(self) -> tuple[int, int, int]:
        return self.module.kernel_size[0], self.module.stride[0], int(self.module.padding[0])


@dataclass(frozen=True)
class Enlargement:
    """Each pixel becomes a square of `scale` x `scale`."""

    scale: int

    def height(self, height: int) -> int:
        """Return `scale` times as many rows."""
        return height * self.scale

    def needs(self, start: int, stop: int, height: int) -> tuple[int, int]:
        """Return the rows that those of the output repeat."""
        return start // self.scale, -(-stop // self.scale)

    def run(self, x: Tensor, first: int, start: int, stop: int, height: int) -> Tensor:
        """Repeat rows and columns."""
        x = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        return x.narrow(2, start - first * self.scale, stop - start)


@dataclass(frozen=True)
class Map:
    """Rows that are kept or read somewhere, and the layers that follow them.

    Attributes:
        read: gives the rows [start, stop) of what the layers begin with, which they may overwrite.
        height: of what they begin with, in rows.
        layers: what is applied to it.
    """

    read: ReadRows
    height: int
    layers: tuple[Layer, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows it has, after the layers."""
        return self._heights()[-1]

    def then(self, layer: Layer) -> Map:
        """Return it with one more layer."""
        return replace(self, layers=(*self.layers, layer))

    def strip(self, start: int, stop: int) -> Tensor:
        """Compute the rows [start, stop)."""
        heights = self._heights()
        needed = [(start, stop)]
        for layer, height in zip(reversed(self.layers), reversed(heights[:-1]), strict=True):
            needed.append(layer.needs(*needed[-1], height))
        first, last = needed.pop()
        x = self.read(first, last)
        for layer, height in zip(self.layers, heights, strict=False):
            start, stop = needed.pop()
            x = layer.run(x, first, start, stop, height)
            first = start
        return x

    def _heights(self) -> list[int]:
        heights = [self.height]
        for layer in self.layers:
            heights.append(layer.height(heights[-1]))
        return heights


class StripRunner:
    """Runs the layers of one network in strips."""

    def __init__(self, layers: nn.Sequential, limits: Limits | None = None) -> None:
        """Take a network apart.

        Args:
            layers: convolutions, transposed ones, nearest enlargements, paddings by reflection,
                instance norms without weights, and what treats each pixel alone; any other module
                gets its whole map at once.
            limits: on memory.
        """
        self._steps = _steps(layers)
        self._limits = limits or Limits()

    @torch.no_grad()
    def run(self, read: ReadRows, size: tuple[int, int], on_share: OnShare) -> Iterator[Tensor]:
        """Yield the strips of the network's output, from top to bottom.

        Args:
            read: gives the rows [start, stop) of the picture, (1, C, rows, W), to be overwritten.
            size: of the picture, (H, W).
            on_share: is told how much of the work is done, up to 1.
        """
        passes = sum(isinstance(step, nn.Module) for step in self._steps) + 1
        done = 0
        current = Map(read, size[0])
        for step in self._steps:
            if not isinstance(step, nn.Module):
                current = current.then(step)
                continue
            strips = self._strips(current, size, partial(_report_share, on_share, done, passes))
            if isinstance(step, nn.InstanceNorm2d):
                current = self._normalised(current, strips, step.eps)
            else:
                current = _kept(step(torch.cat(list(strips), 2)))
            done += 1
        yield from self._strips(current, size, partial(_report_share, on_share, done, passes))

    def _strips(self, source: Map, size: tuple[int, int], on_share: OnShare) -> Iterator[Tensor]:
        total = source.rows
        step = max(1, int(self._limits.strip_bytes / self._row_bytes(size) * total / size[0]))
        for start in range(0, total, step):
            stop = min(start + step, total)
            yield source.strip(start, stop)
            on_share(stop / total)

    def _row_bytes(self, size: tuple[int, int]) -> float:
        """Return the bytes in the widest map for each row of a picture (H, W)."""
        height, widest = size[0], 0.0
        for step in self._steps:
            if not isinstance(step, nn.Module):
                height = step.height(height)
            if isinstance(step, Convolution | TransposedConvolution):
                weight = step.module.weight
                row = step.module.out_channels * weight.element_size() * size[1]
                widest = max(widest, row * (height / size[0]) ** 2)
        return widest

    def _normalised(self, source: Map, strips: Iterator[Tensor], eps: float) -> Map:
        """Measure a map, and return it normalised; it is kept where it is not too large."""
        moments: Moments | None = None
        kept: Tensor | None = None
        row = 0
        for strip in strips:
            if moments is None:
                moments = Moments(strip.shape[1])
                if strip[:, :, :1].nbytes * source.rows <= self._limits.kept_bytes:
                    kept = strip.new_empty((*strip.shape[:2], source.rows, strip.shape[3]))
            moments.add(strip)
            if kept is not None:
                kept[:, :, row : row + strip.shape[2]] = strip
            row += strip.shape[2]
        assert moments is not None
        return (source if kept is None else _kept(kept)).then(Pointwise(moments.norm(eps)))


class Moments:
    """Mean and variance of each channel of a map, from its strips."""

    def __init__(self, channels: int) -> None:
        self._count = 0
        self._mean = torch.zeros(channels, dtype=torch.float64)
        self._squares = torch.zeros(channels, dtype=torch.float64)  # of distances to the mean

    def add(self, strip: Tensor) -> None:
        """Add a strip, by the update of Chan, Golub and LeVeque 1983."""
        variance, mean = torch.var_mean(strip.float(), (0, 2, 3), correction=0)
        count = strip[:, 0].numel()
        total = self._count + count
        distance = mean.double().cpu() - self._mean
        self._squares += count * variance.double().cpu()
        self._squares += distance**2 * (self._count * count / total)
        self._mean += distance * (count / total)
        self._count = total

    def norm(self, eps: float) -> Callable[[Tensor], Tensor]:
        """Return the instance norm of the map, for strips of it."""
        mean, variance = self._mean.float(), (self._squares / self._count).float()

        def normalise(x: Tensor) -> Tensor:
            return F.batch_norm(x, mean.to(x.device), variance.to(x.device), eps=eps)

        return normalise


def _steps(layers: nn.Sequential) -> list[Layer | nn.Module]:
    """Turn modules into layers; those that need a whole map stay modules."""
    steps: list[Layer | nn.Module] = []
    reflected = 0
    for module in layers:
        if isinstance(module, nn.ReflectionPad2d):
            reflected = int(module.padding[0])
        elif isinstance(module, nn.Conv2d):
            mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
            if reflected:
                mode = "reflect"
            steps.append(Convolution(module, reflected or int(module.padding[0]), mode))
            reflected = 0
        elif isinstance(module, nn.ConvTranspose2d):
            steps.append(TransposedConvolution(module))
        elif isinstance(module, nn.Upsample):
            steps.append(Enlargement(int(cast(float, module.scale_factor))))
        elif isinstance(module, nn.ReLU | nn.Tanh):
            steps.append(Pointwise(module))
        else:
            steps.append(module)
    return steps


def _kept(whole: Tensor) -> Map:
    return Map(lambda start, stop: whole[:, :, start:stop].clone(), whole.shape[2])


def _report_share(on_share: OnShare, done: int, passes: int, share: float) -> None:
    on_share((done + share) / passes)
