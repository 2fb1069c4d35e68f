"""Augmentation of pictures of several sequences; no torch until it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class SequenceDropout:
    """Flip a batch in the plane, and take sequences away from cases that have another.

    Attributes
    ----------
    share : float
        Probability that a case loses one of its sequences: a network learns to do without.
    flips : tuple of int
        Axes that are flipped half of the time, the same for a whole batch.
    """

    share: float = 0.2
    flips: tuple[int, ...] = (-1, -2)

    def __call__(self, inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Change ``images, masks`` (where they are) and ``present``, not the caller's tensors."""
        import torch

        changed = dict(inputs)
        turned = torch.rand(len(self.flips), generator=generator).lt(0.5).tolist()
        axes = [axis for axis, yes in zip(self.flips, turned, strict=True) if yes]
        for name in ("images", "masks"):
            if axes and name in changed:
                changed[name] = changed[name].flip(axes)
        present = inputs["present"]
        n, sequences = present.shape
        lost = torch.rand(n, generator=generator).lt(self.share) & (present.sum(1) > 1)
        order = torch.rand((n, sequences), generator=generator) * present
        victim = torch.nn.functional.one_hot(order.argmax(1), sequences)
        present = present * (1 - victim * lost[:, None])
        return {**changed, "present": present}
