"""Settings of a training; no torch here, so that a task can be described without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
#: ``build(shapes of a case's inputs, outputs) -> untrained module``
Build = Callable[[Shapes, int], "nn.Module"]
Loss = Literal["binary", "ordinal", "squared"]
Augment = Callable[["dict[str, Tensor]", "torch.Generator"], "dict[str, Tensor]"]


@dataclass(frozen=True)
class Training:
    """Schedule of a training: fixed beforehand, so that no data are spent on when to stop.

    Attributes
    ----------
    epochs, batch : int
        Passes over the training cases, and cases per step.
    rate, decay : float
        Of Adam with decoupled weight decay; the rate warms up and falls along half a cosine.
    augment : callable, optional
        ``augment(inputs, generator) -> inputs`` on the tensors of a batch, e.g. `Jitter`.
    """

    epochs: int = 8
    batch: int = 32
    rate: float = 1e-3
    decay: float = 1e-2
    augment: Augment | None = None

    def facts(self) -> dict[str, Any]:
        """Settings as plain values, for settings of results and for model files."""
        plain = {k: v for k, v in asdict(self).items() if k != "augment"}
        return {**plain, "augment": "" if self.augment is None else repr(self.augment)}


@dataclass(frozen=True)
class Jitter:
    """Flips, shifts, gain and noise of one input, another draw for every case.

    Attributes
    ----------
    name : str
        Input that is changed: (cases, channels, spatial axes).
    flip : tuple of int
        Axes that are flipped half of the time, e.g. (-1,).
    shift : int
        Largest shift along the last two axes, pixels; what leaves comes in at the other side.
    gain, noise : float
        Standard deviation of the logarithm of a factor per channel, and of added noise.
    """

    name: str = "images"
    flip: tuple[int, ...] = (-1,)
    shift: int = 3
    gain: float = 0.1
    noise: float = 0.0

    def __call__(self, inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Change a batch; the caller's tensors stay as they are."""
        import torch

        images = inputs[self.name]
        n, channels = images.shape[:2]
        moves = torch.randint(-self.shift, self.shift + 1, (n, 2), generator=generator).tolist()
        turns = torch.rand((n, len(self.flip)), generator=generator).lt(0.5).tolist()
        cases = []
        for image, move, turn in zip(images, moves, turns, strict=True):
            axes = [axis for axis, yes in zip(self.flip, turn, strict=True) if yes]
            cases.append(torch.roll(image.flip(axes), move, dims=(-2, -1)))
        out = torch.stack(cases)
        if self.gain:
            drawn = torch.randn((n, channels), generator=generator) * self.gain
            out = out * drawn.exp().reshape(n, channels, *[1] * (out.ndim - 2))
        if self.noise:
            out = out + self.noise * torch.randn(out.shape, generator=generator)
        return {**inputs, self.name: out}
