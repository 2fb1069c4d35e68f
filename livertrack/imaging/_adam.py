"""Adam with decoupled weight decay.

Written out, since ``torch.optim`` imports torch's compiler, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Adam:
    """Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019)."""

    def __init__(self, parameters: Iterable[Tensor], *, rate: float, decay: float = 0.0) -> None:
        self.rate, self.decay = rate, decay
        self._slots = [_Slot(parameter) for parameter in parameters]

    def add(self, parameter: Tensor) -> None:
        """Train one more parameter from now on."""
        self._slots.append(_Slot(parameter))

    def step(self, loss: Tensor, *, factor: float = 1.0) -> None:
        """Differentiate ``loss`` and move every parameter at ``factor`` times the rate."""
        for slot in self._slots:
            slot.parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for slot in self._slots:
                slot.move(self.rate * factor, self.decay)


class _Slot:
    """A parameter with its running moments."""

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.first = torch.zeros_like(parameter)
        self.second = torch.zeros_like(parameter)
        self.age = 0

    def move(self, rate: float, decay: float) -> None:
        gradient = self.parameter.grad
        if gradient is None:
            return
        self.age += 1
        self.first.lerp_(gradient, 0.1)
        self.second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        size = (self.second / (1 - 0.999**self.age)).sqrt_().add_(1e-8)
        self.parameter.mul_(1 - rate * decay)
        self.parameter.addcdiv_(self.first, size, value=-rate / (1 - 0.9**self.age))
