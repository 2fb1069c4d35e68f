"""The steps of fitting a vocabulary: choose scans, sample, train, cluster, describe."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from livertrack._seeds import generator, spawn
from livertrack.errors import DataError, ImageError, UsageError
from livertrack.imaging._calibration import calibration
from livertrack.imaging._choice import choose_types
from livertrack.imaging._clusters import kmeans, merge
from livertrack.imaging._metric import set_metric
from livertrack.imaging.invariant import InvariantEncoder, gain_views, learn_invariant
from livertrack.imaging.network import (
    Encoder,
    PatchEncoder,
    SliceEncoder,
    encoder_kind,
)
from livertrack.imaging.preprocessing import Preparation
from livertrack.imaging.reading import read_header
from livertrack.imaging.reconstruction import patch_latents, train_dcn
from livertrack.imaging.sampling import Plan, Sample, draw_samples
from livertrack.imaging.scan import Floats, Source, Spacing
from livertrack.imaging.texture import BankEncoder, TextureEncoder
from livertrack.imaging.training import Recipe, codes_of, torch_generator, train_joint

#: exemplar pictures kept per type
EXEMPLARS = 6

#: starts of the final k-means: with few, one fit in several ends in a poor optimum
RESTARTS = 20


def fit(
    scans: Sequence[Source],
    *,
    n_types: int | None,
    type_range: tuple[int, int],
    seed: int,
    method: str,
    steps: int,
    spacing_mm: Spacing | None,
    standardise: str,
    bias_field: str,
    align_channels: str,
    quantitative: Mapping[str, float],
    over: int,
    max_scans: int,
    n_places: int,
    recipe: Recipe,
    workers: int | None,
    threads: int,
    device: torch.device,
    progress: bool,
) -> dict[str, Any]:
    """Fields of a `Vocabulary` (see `fit_vocabulary` for the arguments)."""
    scans, sequences = _usable(scans, max_scans, seed)
    grid = spacing_mm or _median_spacing(scans)
    if standardise == "auto":
        standardise = "reference" if all(map(_has_reference, scans)) else "tail"
    preparation = Preparation(
        grid, bias_field, standardise, align_channels,  # type: ignore[arg-type]
        _divisors(sequences, quantitative),
    )  # fmt: skip
    channels, most = len(sequences), n_types or type_range[1]
    encoder = _encoder(method, channels, grid, most)
    scanner = recipe.scanner
    if isinstance(encoder, InvariantEncoder):  # gains are drawn later, for every place
        scanner = dataclasses.replace(scanner, level=0.0, level_alone=0.0, gain=0.0)
    plan = Plan(
        preparation, encoder, max(1, -(-n_places // len(scans))), recipe.views, recipe.jitter,
        scanner, seed, max(12, -(-3000 // len(scans))),
    )  # fmt: skip
    samples, reasons = draw_samples(scans, plan, workers=workers)
    if not samples:
        msg = f"no scan can be used to fit a vocabulary ({len(reasons)} tried): {reasons[0]}"
        raise DataError(msg)
    rows = torch.from_numpy(np.concatenate([sample.rows for sample in samples]))
    if len(rows) < 10 * most:
        msg = f"{len(rows)} places in {len(samples)} scans, too few for {most} types"
        raise DataError(msg)
    views = _train(
        encoder, rows, method, n_types=most, steps=steps, seed=seed, recipe=recipe, over=over,
        device=device, progress=progress,
    )  # fmt: skip
    encoder.to("cpu")
    latents = views[:, 0]
    profile = np.concatenate([sample.profile for sample in samples])
    choice: list[dict[str, Any]] = []
    if n_types is None:
        scan_of = np.repeat(np.arange(len(samples)), [len(sample.rows) for sample in samples])
        low, high = type_range
        n_types, choice = choose_types(latents, scan_of, range(low, high + 1), seed=seed)
    centres, groups, types = _types(
        latents, profile, n_types, over if isinstance(encoder, BankEncoder) else 1, seed
    )
    settings = {
        "method": method, "n_types": n_types, "seed": seed, "steps": steps, "over": over,
        "sequences": list(sequences), "preparation": dataclasses.asdict(preparation),
        "encoder": {"kind": encoder_kind(encoder), **encoder.settings},
        "recipe": dataclasses.asdict(recipe), "threads": threads, "n_scans": len(samples),
        "n_places": len(rows), "excluded": dict(Counter(reasons)), "choice": choice,
    }  # fmt: skip
    return {
        "encoder": encoder, "centres": centres, "groups": groups, "settings": settings,
        "card": {
            **_card(latents, types, profile, samples, n_types),
            **calibration(views, centres, groups, types),
        },
    }  # fmt: skip


def _usable(
    scans: Sequence[Source], max_scans: int, seed: int
) -> tuple[list[Source], tuple[str, ...]]:
    """Choose scans with every sequence, at most ``max_scans`` of them, and the sequences."""
    if not scans:
        msg = "images: no scans to fit a vocabulary on"
        raise DataError(msg)
    if all(source.scan is not None for source in scans):
        channels = {len(source.scan.volume) for source in scans if source.scan is not None}
        if len(channels) != 1:
            msg = f"scans have different numbers of channels ({sorted(channels)}); give the same"
            raise DataError(msg)
        named = scans[0].scan.sequences if scans[0].scan is not None else ()
        count = channels.pop()
        sequences = named if len(named) == count else ("",) * count
        complete = list(scans)
    else:
        sequences = max((source.sequences for source in scans), key=len)
        complete = [source for source in scans if source.sequences == sequences]
    if len(complete) > max_scans:
        chosen = generator(seed, "scans").choice(len(complete), max_scans, replace=False)
        complete = [complete[i] for i in sorted(chosen)]
    return complete, tuple(sequences)


def _divisors(sequences: Sequence[str], quantitative: Mapping[str, float]) -> tuple[float, ...]:
    """Divisor of each channel, zero for those without one; empty where none has one."""
    unknown = sorted(set(quantitative) - set(sequences))
    if unknown or any(not value > 0 for value in quantitative.values()):
        msg = (
            f"quantitative: {', '.join(unknown) or 'a divisor'} is not a sequence of the scans "
            "with a number above 0"
        )
        raise UsageError(msg)
    return tuple(float(quantitative.get(name, 0)) for name in sequences) if quantitative else ()


def _median_spacing(scans: Sequence[Source]) -> Spacing:
    sizes = []
    for source in scans:
        if source.scan is not None:
            spacing, affine = source.scan.spacing, source.scan.affine
        elif source.mask is not None:
            try:
                header = read_header(source.mask)
            except ImageError:
                continue
            spacing, affine = header.spacing, header.affine
        else:
            continue
        order = nib.orientations.io_orientation(affine)[:, 0].astype(int)
        size = np.empty(3)
        size[order] = spacing
        sizes.append(size)
    if not sizes:
        msg = "no mask can be read, so no working grid can be chosen; check the files"
        raise DataError(msg)
    x, y, z = np.round(np.median(sizes, axis=0), 3).tolist()
    return (x, y, z)


def _has_reference(source: Source) -> bool:
    if source.scan is not None:
        return source.scan.reference is not None
    return source.reference_label is not None


def _encoder(method: str, channels: int, grid: Spacing, n_types: int) -> Encoder:
    """Make the encoder of a method; the boxes of the bank are set in millimetres.

    K types span K - 1 directions: as many has the code that is learned in closed form.
    """
    if method == "kmeans":
        return PatchEncoder(channels)
    if method == "dcn":
        return SliceEncoder(channels)

    def odd(millimetres: float, step: float, low: int, high: int) -> int:
        return int(np.clip(2 * round((millimetres / step - 1) / 2) + 1, low, high))

    across, through = (grid[0] + grid[1]) / 2, grid[2]
    wide, near, deep = odd(22, across, 5, 11), odd(12, across, 3, 7), odd(12, through, 1, 5)
    pool, middle = (wide, wide, deep), (near, near, deep)
    if method == "joint":
        return TextureEncoder(channels, pool=pool, middle=middle)
    return InvariantEncoder(channels, pool=pool, middle=middle, latent=n_types - 1)


def _train(
    encoder: Encoder,
    rows: torch.Tensor,
    method: str,
    *,
    n_types: int,
    steps: int,
    seed: int,
    recipe: Recipe,
    over: int,
    device: torch.device,
    progress: bool,
) -> Floats:
    """Train the encoder in place; latents (places, views, latent) of the training places."""
    if isinstance(encoder, InvariantEncoder):
        rows = gain_views(encoder, rows, recipe.scanner, torch_generator(seed, "gains"))
        with threadpool_limits(1):
            learn_invariant(encoder, rows)
    elif isinstance(encoder, TextureEncoder):
        train_joint(
            encoder, rows, n_prototypes=over * n_types, steps=steps, seed=seed, recipe=recipe,
            device=device, progress=progress,
        )  # fmt: skip
    if isinstance(encoder, BankEncoder):
        return _in_one_metric(encoder, rows, device)
    patches = rows[:, 0]
    if isinstance(encoder, SliceEncoder):
        train_dcn(
            encoder, patches, n_types=n_types, steps=steps, seed=seed, device=device,
            progress=progress,
        )  # fmt: skip
    else:
        _principal_components(encoder, patches, seed)
        encoder.to(device)
    return patch_latents(encoder, patches, device).numpy()[:, np.newaxis]


def _in_one_metric(encoder: BankEncoder, rows: torch.Tensor, device: torch.device) -> Floats:
    """Set the common metric of code and signal; latents (places, views, latent)."""
    views = range(rows.shape[1])
    codes = torch.stack([codes_of(encoder, rows[:, view], device) for view in views], dim=1)
    encoder.to("cpu")
    with threadpool_limits(1):
        set_metric(encoder, codes, encoder.signal(rows))
    with torch.no_grad():
        parts = [encoder.head(rows[:, view]) for view in views]
    latents: Floats = torch.stack(parts, dim=1).numpy()
    return latents


def _principal_components(encoder: PatchEncoder, patches: torch.Tensor, seed: int) -> None:
    flat = patches.flatten(1).numpy()
    components = int(encoder.settings["latent"])
    state = int(spawn(seed, "pca").generate_state(1, np.uint32)[0] % 2**31)
    with threadpool_limits(1):
        model = PCA(components, svd_solver="covariance_eigh", random_state=state).fit(flat)
    weight = torch.from_numpy(model.components_.astype(np.float32))
    with torch.no_grad():
        encoder.components.weight.copy_(weight.view_as(encoder.components.weight))
        offset = -weight @ torch.from_numpy(model.mean_.astype(np.float32))
        encoder.components.bias = torch.nn.Parameter(offset)


def _types(
    latents: Floats, profile: Floats, n_types: int, over: int, seed: int
) -> tuple[Floats, NDArray[np.int16], NDArray[np.int16]]:
    """Centres of clusters, type of each cluster, type of each place; darkest type first."""
    clusters = min(n_types * over, len(latents) // 5)
    centres, own = kmeans(latents, clusters, seed=seed, name="clusters", n_init=RESTARTS)
    group = merge(centres, np.bincount(own, minlength=clusters), n_types)
    level = [
        profile[group[own] == number, 0].mean() if (group[own] == number).any() else np.inf
        for number in range(n_types)
    ]
    rank = np.empty(n_types, np.int64)
    rank[np.argsort(level, kind="stable")] = np.arange(1, n_types + 1)
    groups = rank[group].astype(np.int16)
    return centres, groups, groups[own]


def _card(
    latents: Floats,
    types: NDArray[np.int16],
    profile: Floats,
    samples: Sequence[Sample],
    n_types: int,
) -> dict[str, NDArray[Any]]:
    """Describe what each type looks like (see `Vocabulary.card`)."""
    channels = profile.shape[1]
    means = np.zeros((n_types, latents.shape[1]))
    profiles = np.zeros((n_types, channels))
    sides = samples[0].pictures.shape[2:]
    exemplars = np.zeros((n_types, EXEMPLARS, channels, *sides), np.float16)
    pictures = np.concatenate([sample.pictures for sample in samples])
    starts = np.cumsum([0, *(len(sample.rows) for sample in samples[:-1])])
    pictured = np.concatenate(
        [start + np.arange(len(s.pictures)) for start, s in zip(starts, samples, strict=True)]
    )
    spread = 0.0
    for number in range(1, n_types + 1):
        members = types == number
        if not members.any():
            continue
        means[number - 1] = latents[members].mean(0)
        profiles[number - 1] = profile[members].mean(0)
        spread += float(((latents[members] - means[number - 1]) ** 2).sum())
        own = np.flatnonzero(members[pictured])
        far = ((latents[pictured[own]] - means[number - 1]) ** 2).sum(1)
        best = own[np.argsort(far, kind="stable")[:EXEMPLARS]]
        exemplars[number - 1, : len(best)] = pictures[best]
    spread = np.sqrt(spread / len(latents)) or 1.0
    distances = np.sqrt(((means[:, None] - means[None]) ** 2).sum(-1)) / spread
    counts = np.bincount(types, minlength=n_types + 1)[1:]
    return {
        "profile": profiles.astype(np.float32),
        "prevalence": (counts / len(types)).astype(np.float32),
        "exemplars": exemplars,
        "distances": distances.astype(np.float32),
    }
