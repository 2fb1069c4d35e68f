"""Five published image classifiers, written out compactly.

Blocks are named as torchvision names them, so that weights of other origin (converted to
safetensors) fit; see `load_weights`. Written out, since no build of torchvision fits every torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from livertrack.errors import DataError, UsageError

#: trainable parameters for three channels and 1000 outputs, as published (torchvision's models)
PUBLISHED_PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "squeezenet": 1_235_496,
    "mobilenet_v2": 3_504_872,
}


def build(name: str, *, channels: int, outputs: int) -> nn.Module:
    """Make a network with random weights; ``forward(images)`` gives (n, outputs).

    Parameters
    ----------
    name : {"resnet18", "resnet34", "resnet50", "squeezenet", "mobilenet_v2"}
        SqueezeNet is version 1.1.
    channels : int
        Channels of ``images`` (n, channels, x, y); x and y at least 32.
    outputs : int
        1 for a binary or continuous outcome, stages less one for an ordinal one.

    Notes
    -----
    Source: He et al. (2016), Iandola et al. (2016), Sandler et al. (2018).
    Checked against: published numbers of parameters and shapes of every stage
    (tests/imaging/learning/test_architectures.py).
    """
    if name not in _NETWORKS:
        msg = f"architecture is one of {', '.join(_NETWORKS)}, got {name!r}"
        raise UsageError(msg)
    if channels < 1 or outputs < 1:
        msg = f"channels and outputs are at least 1, got {channels} and {outputs}"
        raise UsageError(msg)
    network = _NETWORKS[name](channels=channels, outputs=outputs)
    network.apply(_initialise)
    return network


class Basic(nn.Module):
    """Two 3 x 3 convolutions beside the identity (or a projection)."""

    expansion = 1

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(before, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(before, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Sum of both ways, rectified."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (which strides) and 1 x 1 convolutions beside the identity."""

    expansion = 4

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(before, width, 1, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, 4 * width, 1, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _projection(before, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Sum of both ways, rectified."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet(nn.Module):
    """Residual network of four stages (64, 128, 256, 512)."""

    def __init__(
        self, block: type[Basic] | type[Bottleneck], depths: Sequence[int], *, channels: int,
        outputs: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        before = 64
        for stage, depth in enumerate(depths):
            width, blocks = 64 * 2**stage, []
            for place in range(depth):
                blocks.append(block(before, width, 2 if stage and not place else 1))
                before = width * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, outputs)

    def features(self, images: Tensor) -> Tensor:
        """Maps of the last stage, (n, features, x / 32, y / 32)."""
        x = torch.relu(self.bn1(self.conv1(images)))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return x

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (n, outputs)."""
        return self.fc(self.features(images).mean((2, 3)))  # type: ignore[no-any-return]


class Fire(nn.Module):
    """A squeezing 1 x 1 convolution, then 1 x 1 and 3 x 3 side by side."""

    def __init__(self, before: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Both expansions, rectified and joined."""
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1: fire modules, no fully connected layer."""

    def __init__(self, *, channels: int, outputs: int) -> None:
        super().__init__()
        pool = partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
        self.features = nn.Sequential(
            nn.Conv2d(channels, 64, 3, 2), nn.ReLU(), pool(),
            Fire(64, 16, 64), Fire(128, 16, 64), pool(),
            Fire(128, 32, 128), Fire(256, 32, 128), pool(),
            Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(512, outputs, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (n, outputs); not rectified at the end, so that they may be negative."""
        return self.classifier(self.features(images)).mean((2, 3))  # type: ignore[no-any-return]


class InvertedResidual(nn.Module):
    """Widening 1 x 1, depthwise 3 x 3 and narrowing 1 x 1 convolution."""

    def __init__(self, before: int, width: int, stride: int, widen: int) -> None:
        super().__init__()
        hidden = before * widen
        first = [_normed(before, hidden, 1)] if widen > 1 else []
        self.conv = nn.Sequential(
            *first,
            _normed(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.adds = stride == 1 and before == width

    def forward(self, x: Tensor) -> Tensor:
        """Output, beside the identity where shapes allow it."""
        y: Tensor = self.conv(x)
        return x + y if self.adds else y


class MobileNetV2(nn.Module):
    """Inverted residuals of seven groups."""

    def __init__(self, *, channels: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_normed(channels, 32, 3, 2)]
        before = 32
        for widen, width, depth, stride in _GROUPS:
            for place in range(depth):
                layers.append(InvertedResidual(before, width, 1 if place else stride, widen))
                before = width
        self.features = nn.Sequential(*layers, _normed(before, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (n, outputs)."""
        return self.classifier(self.features(images).mean((2, 3)))  # type: ignore[no-any-return]


#: widening, width, blocks and first stride of each group of MobileNetV2
_GROUPS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "resnet18": partial(ResNet, Basic, (2, 2, 2, 2)),
    "resnet34": partial(ResNet, Basic, (3, 4, 6, 3)),
    "resnet50": partial(ResNet, Bottleneck, (3, 4, 6, 3)),
    "squeezenet": SqueezeNet,
    "mobilenet_v2": MobileNetV2,
}
ARCHITECTURES = tuple(_NETWORKS)


def _conv(before: int, after: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, stride, size // 2, bias=False)


def _projection(before: int, after: int, stride: int) -> nn.Module:
    if stride == 1 and before == after:
        return nn.Identity()
    return nn.Sequential(_conv(before, after, 1, stride), nn.BatchNorm2d(after))


def _normed(before: int, after: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU6(),
    )


def _initialise(part: nn.Module) -> None:
    """He's initialisation; heads start small and residual blocks as the identity.

    So that training starts calm (Goyal et al. 2017): short schedules need it. Fire modules have
    no normalisation: as much must come out of a layer as went in, else logits start in the
    hundreds.
    """
    if isinstance(part, nn.Conv2d):
        nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        if part.bias is not None:
            nn.init.zeros_(part.bias)
    elif isinstance(part, nn.Linear):
        nn.init.normal_(part.weight, 0.0, 0.01)
        nn.init.zeros_(part.bias)
    elif isinstance(part, SqueezeNet):
        *body, head = (layer for layer in part.modules() if isinstance(layer, nn.Conv2d))
        for layer in body:
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        nn.init.normal_(head.weight, 0.0, 0.01)
    elif isinstance(part, (Basic, Bottleneck, InvertedResidual)):
        norms = [m for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
        if isinstance(part, InvertedResidual):
            last = norms[-1] if part.adds else None
        else:
            last = part.bn3 if isinstance(part, Bottleneck) else part.bn2
        if last is not None:
            nn.init.zeros_(last.weight)


def load_weights(network: nn.Module, weights: Mapping[str, Any]) -> list[str]:
    """Take weights of another network of this architecture; returns the names left as they were.

    A head of another size is left random. A first convolution of other channels becomes the mean
    over the given channels, scaled so that the sum over channels stays what it was.

    Raises
    ------
    DataError
        Fewer than nine in ten of the network's parameters fit: another architecture.
    """
    own = network.state_dict()
    first = next(name for name, value in own.items() if value.ndim == 4)
    fitting = {}
    for name, value in weights.items():
        if name not in own:
            continue
        value = torch.as_tensor(value)
        if name == first and value.shape[1] != own[name].shape[1]:
            mean, wanted = value.mean(1, keepdim=True), own[name].shape[1]
            value = (mean * value.shape[1] / wanted).repeat(1, wanted, 1, 1)
        if value.shape == own[name].shape:
            fitting[name] = value
    left = sorted(set(own) - set(fitting) - {n for n in own if n.endswith("num_batches_tracked")})
    if len(left) > 0.1 * len(own):
        msg = f"weights: {len(left)} of {len(own)} parameters do not fit; give the same network"
        raise DataError(msg)
    network.load_state_dict(fitting, strict=False)
    return left
