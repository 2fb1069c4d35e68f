"""One trainer for every task: a network, named inputs, a target, a fixed schedule.

A fit is a function of its arguments alone: one thread, every draw from the seed, and one fit at a
time in a process, so that any number of workers gives the same weights.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from livertrack._seeds import spawn
from livertrack.errors import DataError, UsageError
from livertrack.imaging._threads import torch_threads
from livertrack.imaging.learning.settings import Jitter, Loss, Training

__all__ = ["Inputs", "Jitter", "Loss", "Network", "Training", "fit_network"]

Inputs = Mapping[str, NDArray[np.float32]]
Make = Callable[[], nn.Module]
#: torch's own generator (dropout) is one per process
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Network:
    """A fitted network.

    Attributes
    ----------
    module : nn.Module
        In evaluation mode.
    loss : {"binary", "ordinal", "squared"}
    scale : tuple of float
        Levels of an ordinal outcome; mean and standard deviation of a continuous one.
    """

    module: nn.Module
    loss: Loss
    scale: tuple[float, ...]

    def predict(self, inputs: Inputs, *, batch: int = 64) -> NDArray[np.float64]:
        """Probability of 1, expected stage or value of every case, (n,)."""
        tensors = _tensors(inputs)
        n = _cases(tensors)
        parts = []
        with _ONE_AT_A_TIME, torch_threads(1), torch.inference_mode():
            for start in range(0, n, batch):
                part = {name: value[start : start + batch] for name, value in tensors.items()}
                parts.append(_outputs(self.module, part).double())
        logits = torch.cat(parts) if parts else torch.zeros((0, 1), dtype=torch.float64)
        return np.asarray(outcome(logits, self.loss, self.scale).numpy(), np.float64)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """State of the module, for `save_model`."""
        return {
            name: np.ascontiguousarray(value.detach().cpu().numpy())
            for name, value in self.module.state_dict().items()
        }

    @classmethod
    def restored(
        cls, make: Make, tensors: Mapping[str, NDArray[Any]], *, loss: Loss,
        scale: tuple[float, ...],
    ) -> Network:  # fmt: skip
        """Network of a stored state; `DataError` where state and architecture differ."""
        with torch.random.fork_rng(devices=[]):
            module = make()
        state = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
        try:
            module.load_state_dict(state, strict=True)
        except RuntimeError as error:
            msg = f"the stored weights do not fit the architecture ({error!s:.120})"
            raise DataError(msg) from error
        return cls(module.eval(), loss, tuple(scale))


def fit_network(
    make: Make,
    inputs: Inputs,
    target: NDArray[np.float64],
    *,
    loss: Loss,
    settings: Training,
    seed: int,
) -> Network:
    """Train a network from its random (or given) weights.

    Parameters
    ----------
    make : callable
        Makes the untrained module; its draws come from ``seed``. Its forward takes the names of
        ``inputs`` and gives (n, outputs): 1 logit (binary), 1 value (squared), levels - 1
        logits of "this level or more" (ordinal).
    inputs : mapping of name to float32 array, cases first
    target : array (cases,)
        0/1, stages, or a value in any unit (standardised inside).
    loss : {"binary", "ordinal", "squared"}
    settings : Training
    seed : int

    Returns
    -------
    Network

    Raises
    ------
    DataError
        Inputs of different lengths, values that are not finite, a target of one level.

    Notes
    -----
    Bit-identical for any number of workers and callers' threads, unless other code draws from
    torch's own generator in another thread meanwhile. A last batch of a single case is
    joined to the one before it: batch normalisation needs two.
    Source: Kingma and Ba (2015); Loshchilov and Hutter (2019); cumulative logits by Niu et al.
    (2016). Checked against: tests/imaging/learning/test_training.py.
    """
    tensors = _tensors(inputs)
    n = _cases(tensors)
    y = np.asarray(target, np.float64)
    scale = _scale(y, n, loss)
    goal = _goal(y, loss, scale)
    draw = torch.Generator().manual_seed(_number(seed, "batches"))
    with _ONE_AT_A_TIME, torch_threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(_number(seed, "weights"))
        module = make().train()
        free = [p for p in module.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(
            free, lr=settings.rate, weight_decay=settings.decay, fused=True
        )
        batches = _batches(n, settings.batch)
        steps, step = settings.epochs * len(batches), 0
        for _ in range(settings.epochs):
            order = torch.randperm(n, generator=draw)
            for start, stop in batches:
                chosen = order[start:stop]
                part = {name: value[chosen] for name, value in tensors.items()}
                if settings.augment is not None:
                    part = settings.augment(part, draw)
                value = _loss(_outputs(module, part), goal[chosen], loss)
                optimiser.param_groups[0]["lr"] = settings.rate * _factor(step, steps)
                optimiser.zero_grad()
                value.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                step += 1
        module.eval()
    return Network(module, loss, scale)


def outcome(logits: Tensor, loss: Loss, scale: tuple[float, ...]) -> Tensor:
    """Probability of 1, expected stage or value (n,) of a network's outputs (n, outputs)."""
    if loss == "binary":
        return torch.sigmoid(logits[:, 0])
    if loss == "squared":
        return logits[:, 0] * scale[1] + scale[0]
    levels = torch.tensor(scale, dtype=logits.dtype)
    # logits of "this level or more" may cross; their running minimum cannot
    reached = torch.cummin(torch.sigmoid(logits), dim=1).values
    return levels[0] + (reached * levels.diff()).sum(1)


def _loss(logits: Tensor, goal: Tensor, loss: Loss) -> Tensor:
    if logits.shape != goal.shape:
        msg = f"the network has {logits.shape[1]} output(s), the {loss} loss wants {goal.shape[1]}"
        raise UsageError(msg)
    if loss == "squared":
        return functional.mse_loss(logits, goal)
    return functional.binary_cross_entropy_with_logits(logits, goal)


def _scale(y: NDArray[np.float64], n: int, loss: Loss) -> tuple[float, ...]:
    if loss not in ("binary", "ordinal", "squared"):
        msg = f"loss is binary, ordinal or squared, got {loss!r}"
        raise UsageError(msg)
    if len(y) != n or not np.isfinite(y).all():
        msg = f"target: {len(y)} value(s) for {n} case(s), {int((~np.isfinite(y)).sum())} missing"
        raise DataError(msg)
    levels = np.unique(y)
    if len(levels) < 2:
        msg = f"target: one level in {n} case(s); there is nothing to learn"
        raise DataError(msg)
    if loss == "binary":
        if not set(levels) <= {0.0, 1.0}:
            msg = "target: a binary outcome is 0 or 1"
            raise DataError(msg)
        return ()
    if loss == "ordinal":
        return tuple(float(v) for v in levels)
    return float(y.mean()), float(y.std())


def _goal(y: NDArray[np.float64], loss: Loss, scale: tuple[float, ...]) -> Tensor:
    if loss == "binary":
        out = y[:, None]
    elif loss == "squared":
        out = ((y - scale[0]) / scale[1])[:, None]
    else:
        out = (y[:, None] >= np.array(scale)[None, 1:]).astype(float)
    return torch.from_numpy(np.asarray(out, np.float32))


def _outputs(module: nn.Module, part: Mapping[str, Tensor]) -> Tensor:
    out: Tensor = module(**part)
    return out[:, None] if out.ndim == 1 else out


def _tensors(inputs: Inputs) -> dict[str, Tensor]:
    out = {}
    for name, values in inputs.items():
        array = np.ascontiguousarray(values, dtype=np.float32)
        bad = int((~np.isfinite(array)).reshape(len(array), -1).any(axis=1).sum())
        if bad:
            msg = f"{name}: {bad} case(s) hold values that are not finite; replace them first"
            raise DataError(msg)
        out[name] = torch.from_numpy(array)
    return out


def _cases(tensors: Mapping[str, Tensor]) -> int:
    lengths = {name: len(value) for name, value in tensors.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{name} {count}" for name, count in lengths.items())
        msg = f"inputs: numbers of cases differ ({listed or 'no input'})"
        raise DataError(msg)
    return next(iter(lengths.values()))


def _batches(n: int, size: int) -> list[tuple[int, int]]:
    edges = list(range(0, n, size))
    if len(edges) > 1 and n - edges[-1] < 2:
        edges.pop()
    return list(zip(edges, [*edges[1:], n], strict=True))


def _factor(step: int, steps: int) -> float:
    """Warm up over a tenth of the steps, then half a cosine."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _number(seed: int, *names: str) -> int:
    return int(spawn(seed, "network", *names).generate_state(1, np.uint32)[0])
