"""Where a network looks: Grad-CAM and integrated gradients, and whether such a map can be trusted.

A map is no evidence by itself. `deletion_curves` asks whether what it marks is what the prediction
lives on, against pixels in random order; `pointing_game` whether it marks what is known to matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from livertrack._seeds import generator
from livertrack.errors import MissingToolError, UsageError
from livertrack.imaging._threads import torch_threads
from livertrack.imaging.learning.training import Network

Inputs = Mapping[str, NDArray[np.float32]]
Floats = NDArray[np.float32]
Method = Literal["grad-cam", "integrated-gradients"]
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def explanation_maps(
    network: Network | nn.Module,
    inputs: Inputs,
    *,
    method: Method = "grad-cam",
    name: str = "images",
    layer: nn.Module | None = None,
    baseline: Literal["mean", "zero"] = "mean",
    steps: int = 32,
    batch: int = 16,
    by_channel: bool = False,
) -> Floats:
    """How much every place of a picture speaks for a higher prediction.

    Parameters
    ----------
    network : Network or nn.Module
        What is explained is the sum of its outputs: the logit, the value, or the logits of "this
        stage or more".
    inputs : mapping of name to float32 array, cases first
    method : {"grad-cam", "integrated-gradients"}
        ``grad-cam``: where a layer's features raise the output, as coarse as that layer, never
        negative. ``integrated-gradients``: pixel by pixel, signed, summed over channels; a
        map sums to the output minus that of the baseline.
    name : str
        Input that is explained: (cases, channels, spatial axes); the others are held.
    layer : nn.Module, optional
        Layer of Grad-CAM; the last convolution that ran on more than one place where None.
    baseline : {"mean", "zero"}
        What integrated gradients start from: every channel's own mean, or 0.
    steps, batch : int
        Steps of the integral; cases at a time.
    by_channel : bool
        Keep the channels apart (integrated gradients only).

    Returns
    -------
    float32 array (cases, spatial axes), or (cases, channels, spatial axes) by channel
        Where a network reads slices of a case one by one, (cases, slices, two axes) for Grad-CAM.

    Notes
    -----
    Source: Selvaraju et al. (2017); Sundararajan et al. (2017), both as in captum.
    Checked against: captum's own example of completeness; lesions planted by
    `livertrack.simulate.simulate_lesions` (tests/imaging/learning/test_explanation.py).
    """
    if method not in ("grad-cam", "integrated-gradients") or baseline not in ("mean", "zero"):
        msg = (
            "method is grad-cam or integrated-gradients and baseline mean or zero, got "
            f"{method!r} and {baseline!r}"
        )
        raise UsageError(msg)
    if by_channel and method == "grad-cam":
        msg = "grad-cam knows no channels; use integrated-gradients, or by_channel=False"
        raise UsageError(msg)
    if name not in inputs or inputs[name].ndim < 3:
        msg = f"inputs: no picture {name!r} (cases, channels, axes) among {', '.join(inputs)}"
        raise UsageError(msg)
    attribution = _captum()
    module = (network.module if isinstance(network, Network) else network).eval()
    frozen = [p.requires_grad for p in module.parameters()]
    parts: list[Floats] = []
    with torch_threads(1):
        try:
            for start in range(0, len(inputs[name]), batch):
                part = {
                    key: torch.from_numpy(np.ascontiguousarray(value[start : start + batch]))
                    for key, value in inputs.items()
                }
                if method == "grad-cam":
                    parts.append(_grad_cam(attribution, module, part, name, layer))
                else:
                    found = _integrated(attribution, module, part, name, baseline, steps)
                    parts.append(found if by_channel else found.sum(1))
        finally:
            for parameter, was in zip(module.parameters(), frozen, strict=True):
                parameter.requires_grad_(was)
                parameter.grad = None
    shape = inputs[name].shape[1 if by_channel else 2 :]
    return np.concatenate(parts) if parts else np.zeros((0, *shape), np.float32)


def pointing_game(maps: Floats, targets: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Whether the highest place of every map lies in its target; NaN where there is no target.

    Parameters
    ----------
    maps, targets : arrays (cases, spatial axes)

    Notes
    -----
    Of equally high places the first counts; a map that is the same everywhere points nowhere (0).
    Source: Zhang et al. (2018).
    """
    if maps.shape != targets.shape:
        msg = f"maps and targets differ in shape: {maps.shape} and {targets.shape}"
        raise UsageError(msg)
    flat, wanted = maps.reshape(len(maps), -1), targets.reshape(len(maps), -1)
    best = flat.argmax(axis=1)
    hit = wanted[np.arange(len(flat)), best].astype(float)
    hit[flat.max(axis=1) <= flat.min(axis=1)] = 0.0
    return np.where(wanted.any(axis=1), hit, np.nan)


def deletion_curves(
    network: Network,
    inputs: Inputs,
    maps: Floats,
    *,
    name: str = "images",
    order: Literal["map", "random"] = "map",
    steps: int = 20,
    share: float = 0.5,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Predictions while the places that a map marks highest are taken out of the pictures.

    Parameters
    ----------
    network : Network
    inputs : mapping of name to float32 array, cases first
    maps : array (cases, spatial axes)
        Of the input ``name``.
    order : {"map", "random"}
        The highest first; or, to compare with, the same number of places drawn from ``seed``.
    steps : int
        Points of the curve after the whole picture.
    share : float
        Share of the places that are gone at its end (0 to 1).

    Returns
    -------
    float64 array (cases, steps + 1)
        A place that is taken out has the mean of its channel. A map that is faithful makes the
        curve fall sooner than random order.

    Notes
    -----
    Source: Petsiuk, Das and Saenko (2018).
    """
    if maps.shape != (len(inputs[name]), *inputs[name].shape[2:]) or not 0 < share <= 1:
        msg = (
            f"maps have the shape {maps.shape}, pictures {inputs[name].shape}; share is above 0 "
            f"and at most 1, got {share}"
        )
        raise UsageError(msg)
    n, places = len(maps), int(np.prod(maps.shape[1:]))
    if order == "random":
        ranks = np.stack([generator(seed, "deletion", k).permutation(places) for k in range(n)])
    else:
        ranks = np.argsort(-maps.reshape(n, -1), axis=1, kind="stable")
    whole = inputs[name].reshape(n, inputs[name].shape[1], places)
    filling = whole.mean(axis=2, keepdims=True)
    curve = np.empty((n, steps + 1))
    for step in range(steps + 1):
        gone = np.zeros((n, 1, places), bool)
        count = round(share * places * step / steps)
        np.put_along_axis(gone[:, 0], ranks[:, :count], values=True, axis=1)
        left = np.where(gone, filling, whole).reshape(inputs[name].shape).astype(np.float32)
        curve[:, step] = network.predict({**inputs, name: left})
    return curve


def curve_areas(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean height of every curve (trapezoids), in the unit of the prediction."""
    return np.asarray((curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2)


def _captum() -> Any:
    try:
        from captum import attr
    except ImportError as error:
        msg = "explanation maps need captum: pip install 'livertrack[explain]'"
        raise MissingToolError(msg) from error
    return attr


def _output(
    module: nn.Module, part: Mapping[str, Tensor], name: str
) -> Callable[[Tensor], Tensor]:
    """Sum of outputs (n,) as a function of one input; the others are repeated as it grows."""

    def forward(picture: Tensor) -> Tensor:
        times = len(picture) // len(part[name])
        others = {key: value.repeat(times, *[1] * (value.ndim - 1)) for key, value in part.items()}
        out: Tensor = module(**{**others, name: picture})
        return out.reshape(len(picture), -1).sum(1)

    return forward


def _grad_cam(
    attribution: Any, module: nn.Module, part: Mapping[str, Tensor], name: str,
    layer: nn.Module | None,
) -> Floats:  # fmt: skip
    picture = part[name]
    chosen = _last_convolution(module, part) if layer is None else layer
    method = attribution.LayerGradCam(_output(module, part, name), chosen)
    found = method.attribute(picture, relu_attributions=True).detach()
    slices = len(found) // len(picture)
    axes = tuple(picture.shape[2:]) if slices == 1 else tuple(picture.shape[-2:])
    if found.ndim != 2 + len(axes) or slices * len(picture) != len(found):
        msg = f"Grad-CAM: a layer with features {tuple(found.shape)} has no places of the picture"
        raise UsageError(msg)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(axes)]
    maps = functional.interpolate(found, size=axes, mode=mode, align_corners=False)[:, 0]
    if slices > 1:
        maps = maps.reshape(len(picture), slices, *axes)
    return np.asarray(maps.numpy(), np.float32)


def _integrated(
    attribution: Any, module: nn.Module, part: Mapping[str, Tensor], name: str, baseline: str,
    steps: int,
) -> Floats:  # fmt: skip
    picture = part[name]
    axes = tuple(range(2, picture.ndim))
    start = picture.mean(dim=axes, keepdim=True).expand_as(picture)
    start = start if baseline == "mean" else torch.zeros_like(picture)
    method = attribution.IntegratedGradients(_output(module, part, name))
    found = method.attribute(
        picture, baselines=start, n_steps=steps, internal_batch_size=len(picture)
    )
    return np.asarray(found.detach().numpy(), np.float32)


def _last_convolution(module: nn.Module, part: Mapping[str, Tensor]) -> nn.Module:
    """The convolution that runs last on more than one place."""
    ran: list[nn.Module] = []

    def note(layer: nn.Module, _: Any, out: Any) -> None:
        if isinstance(out, Tensor) and out[0, 0].numel() > 1:
            ran.append(layer)

    hooks = [
        layer.register_forward_hook(note)
        for layer in module.modules()
        if isinstance(layer, _CONVOLUTIONS)
    ]
    try:
        with torch.no_grad():
            module(**part)
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        msg = "Grad-CAM: the network has no convolution over places; name a layer"
        raise UsageError(msg)
    return ran[-1]
