"""How fast a scan is labelled: dense, patch by patch, and what the machine could do at best.

    OMP_NUM_THREADS=2 python analysis/benchmarks/labelling_speed.py --threads 1 2

A scan of 160 x 160 x 48 voxels and two channels with 241,000 voxels in the mask (three to four
livers' worth at 2.4 x 2.4 x 4 mm). Preparation is timed apart. Every number is the best of
``--repeats``; machine peaks are measured in the same run with the same number of threads. Rates
and ratios are taken from CPU seconds divided by threads, which other programs on the machine
disturb less than the clock; ``dense_wall_s`` is by the clock, ``load`` says how idle it was.

- ``gemm``: product of two 1000 x 1000 matrices. ``convolution``: 3 x 3 x 3, 16 to 32 channels,
  channels last. ``layers``: the network's own pointwise layers as bare products over 1,024 voxels,
  without offsets and rectifiers: the convolution peak at the network's own sizes.
- ``bandwidth``: copying 64 MB, read and written bytes counted; ``cached``: adding two arrays of a
  tile's size, two read and one written.
- ``bank``: differences, logarithms and box sums (memory-bound). Its traffic is counted as 12 bytes
  per element and addition, 8 per in-place function: what the additions ask for, wherever from.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from phantoms import phantom

from livertrack.imaging import Scan, Vocabulary, fit_vocabulary
from livertrack.imaging._assignment import signed_types
from livertrack.imaging._dense import COLUMNS, TILE, over_voxels, tiles
from livertrack.imaging._threads import torch_threads
from livertrack.imaging.invariant import InvariantEncoder
from livertrack.imaging.network import encode_patches
from livertrack.imaging.preprocessing import Prepared, prepare
from livertrack.imaging.texture import LAGS, BankEncoder

SHAPE, SPACING = (160, 160, 48), (2.4, 2.4, 4.0)
CPU = torch.device("cpu")


def scan_of_the_benchmark() -> Scan:
    made = phantom(1, 0, shape=SHAPE, spacing=SPACING)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    radius = ((grid[0] + 0.15) / 0.69) ** 2 + (grid[1] / 0.75) ** 2 + (grid[2] / 0.87) ** 2
    liver = made.mask & (radius < 1)
    liver &= ~((grid[0] > 0.0) & (grid[1] > 0.2))
    return Scan(made.volume, liver, SPACING, made.reference)


def best(work: Callable[[], Any], repeats: int, clock: Callable[[], float]) -> float:
    """Shortest time, s, by a clock."""
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def together(work: Callable[[], Any], threads: int) -> Callable[[], Any]:
    """Run the same work in every thread at the same time, as tiles are."""

    def all_of_them() -> None:
        if threads == 1:
            work()
            return
        with ThreadPoolExecutor(threads) as pool:
            for job in [pool.submit(work) for _ in range(threads)]:
                job.result()

    return all_of_them


def layer_sizes(encoder: BankEncoder, clusters: int) -> list[tuple[int, int]]:
    """(out, in) of each pointwise product of a voxel."""
    width, hidden = encoder.width, int(encoder.settings["hidden"])
    latent = int(encoder.settings["latent"])
    out = latent + encoder.channels
    if isinstance(encoder, InvariantEncoder):
        inner = [(hidden, width), (out, width), (latent, hidden)]
    else:
        inner = [(hidden, width), (hidden, hidden), (latent, hidden), (encoder.channels, width)]
    return [*inner, (clusters, out)]


@torch.inference_mode()
def peaks(encoder: BankEncoder, clusters: int, threads: int, repeats: int) -> dict[str, float]:
    """GFLOP/s and GB/s of the machine."""
    square = torch.rand(1000, 1000)
    picture = torch.rand(1, 16, 66, 66, 50).contiguous(memory_format=torch.channels_last_3d)
    kernel = torch.rand(32, 16, 3, 3, 3).contiguous(memory_format=torch.channels_last_3d)
    sizes = layer_sizes(encoder, clusters)
    weights = [torch.rand(size) for size in sizes]
    inputs = [torch.rand(size[1], COLUMNS) for size in sizes]
    big = torch.rand(2**24)
    spare = torch.empty_like(big)
    tile = torch.rand(3, TILE)

    def layers() -> None:
        for _ in range(10):
            for weight, column in zip(weights, inputs, strict=True):
                torch.mm(weight, column)

    def cached() -> None:
        for _ in range(20):
            torch.add(tile[0], tile[1], out=tile[2])

    def time_of(work: Callable[[], Any]) -> float:
        """CPU seconds of one round."""
        once = together(torch.inference_mode()(work), threads)
        return best(once, 8 * repeats, time.process_time) / threads

    flops = 2 * COLUMNS * 10 * sum(a * b for a, b in sizes)
    per_core = {
        "gemm_gflops": 2 * 1000**3 / time_of(lambda: square @ square) / 1e9,
        "convolution_gflops": 2 * 27 * 16 * 32 * 64 * 64 * 48
        / time_of(lambda: torch.conv3d(picture, kernel)) / 1e9,
        "layers_gflops": flops / time_of(layers) / 1e9,
        "bandwidth_gb_s": 8 * big.numel() / time_of(lambda: spare.copy_(big)) / 1e9,
        "cached_gb_s": 12 * 20 * TILE / time_of(cached) / 1e9,
    }  # fmt: skip
    return {name: value * threads for name, value in per_core.items()}


def bank_bytes(encoder: BankEncoder, volume: torch.Tensor, mask: torch.Tensor) -> float:
    """Bytes that the additions and functions of the bank ask for, of all tiles."""
    total = 0.0
    for box in tiles(mask, TILE):
        x, y, z = (len(axis) for axis in box)
        wide = encoder.pool
        rows, slices = x + wide[0] - 1, z + wide[2] - 1
        start = rows * slices * (y + wide[1] - 1)
        after_z = rows * z * (y + wide[1] - 1)
        after_y = rows * z * y
        each = start * (12 + 3 * 8) + 2 * 12 * after_z + 5 * 12 * after_y
        each += 12 * after_y * 7 + 8 * 2 * x * y * z
        total += each * len(LAGS) * (encoder.channels * (encoder.channels + 1) // 2)
    return total


def patchwise(
    vocabulary: Vocabulary, prepared: Prepared, batch: int, number: int
) -> tuple[float, np.ndarray, np.ndarray]:
    """CPU seconds per voxel, labels and places of patches, cut out and encoded in batches."""
    encoder = vocabulary.encoder
    inside = np.argwhere(prepared.mask)
    places = inside[np.random.default_rng(1).choice(len(inside), number, replace=False)]
    volume = torch.from_numpy(prepared.volume)
    centres = torch.from_numpy(vocabulary.centres)
    offset = (centres**2).sum(1) / 2
    labels = []
    width, depth, height = encoder.field
    start = time.process_time()
    with torch.inference_mode():
        for chunk in np.array_split(places, max(1, number // batch)):
            patches = torch.stack(
                [volume[:, x : x + width, y : y + depth, z : z + height] for x, y, z in chunk]
            )
            found = (encode_patches(encoder, patches) @ centres.T - offset).argmax(1)
            labels.append(vocabulary.groups[found.numpy()])
    return (time.process_time() - start) / number, np.concatenate(labels), places


def measure(vocabulary: Vocabulary, scan: Scan, threads: int, repeats: int) -> dict[str, Any]:
    """One row of the table."""
    encoder = vocabulary.encoder
    assert isinstance(encoder, BankEncoder)
    start = time.process_time()
    prepared = prepare(scan, vocabulary.preparation, encoder.field)
    row: dict[str, Any] = {"threads": threads, "prepare_cpu_s": time.process_time() - start}
    volume, mask = torch.from_numpy(prepared.volume), torch.from_numpy(prepared.mask)
    row["voxels"], row["box_voxels"] = int(mask.sum()), mask.numel()
    boxes = tiles(mask, TILE)
    row["tile_voxels"] = sum(len(x) * len(y) * len(z) for x, y, z in boxes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assign = signed_types(vocabulary, CPU)

    def dense() -> torch.Tensor:
        return over_voxels(encoder, volume, mask, assign, device=CPU, threads=threads)

    def bank() -> torch.Tensor:
        def first(columns: torch.Tensor) -> torch.Tensor:
            return columns[0]

        return over_voxels(
            encoder, volume, mask, first, device=CPU, threads=threads, columns=10**9
        )

    labels = dense().abs().numpy()
    row["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row["added_mb"] = row["peak_mb"] - before / 1024
    row["dense_wall_s"] = best(dense, repeats, time.perf_counter)
    row["dense_s"] = best(dense, repeats, time.process_time) / threads
    row["bank_s"] = best(bank, repeats, time.process_time) / threads
    clusters = len(vocabulary.centres)
    flops = 2 * sum(a * b for a, b in layer_sizes(encoder, clusters))
    columns = torch.rand(len(encoder.centre), COLUMNS)

    def pointwise() -> None:
        for _ in range(10):
            assign(columns)

    once = together(torch.inference_mode()(pointwise), threads)
    done = best(once, 8 * repeats, time.process_time) / threads**2
    row |= peaks(encoder, clusters, threads, repeats)
    row["network_gflop"] = flops * row["voxels"] / 1e9
    row["pointwise_gflops"] = flops * COLUMNS * 10 / done / 1e9
    row["of_layer_peak"] = row["pointwise_gflops"] / row["layers_gflops"]
    row["of_convolution_peak"] = row["pointwise_gflops"] / row["convolution_gflops"]
    row["bank_gb_s"] = bank_bytes(encoder, volume, mask) / row["bank_s"] / 1e9
    row["of_bandwidth"] = row["bank_gb_s"] / row["bandwidth_gb_s"]
    full = np.zeros(prepared.mask.shape, np.int16)
    full[prepared.mask] = labels
    for batch, number in ((1, 200), (256, 2048)):
        seconds, found, places = patchwise(vocabulary, prepared, batch, number)
        row[f"patchwise_{batch}_s"] = seconds * row["voxels"] / threads
        row[f"ratio_{batch}"] = row[f"patchwise_{batch}_s"] / row["dense_s"]
        row[f"agree_{batch}"] = float((found == full[tuple(places.T)]).mean())
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()
    scan = scan_of_the_benchmark()
    vocabulary = fit_vocabulary([scan], n_types=9, seed=1, n_places=3000)
    rows = []
    for threads in arguments.threads:
        with torch_threads(1):
            row = measure(vocabulary, scan, threads, arguments.repeats)
        rows.append({**row, "load": round(os.getloadavg()[0], 1)})
        print(pd.Series(rows[-1]).to_string(float_format=lambda v: f"{v:.3f}"), flush=True)
    pd.DataFrame(rows).T.reset_index(names="measure").to_csv(
        arguments.out, index=False, float_format="%.4g"
    )


if __name__ == "__main__":
    main()
