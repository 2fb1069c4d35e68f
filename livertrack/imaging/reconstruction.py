"""The authors' idea, mended: an autoencoder whose latents are drawn to cluster centres (``dcn``).

Perkonigg et al. (arXiv 2507.12012) after Yang et al. 2017. Mended: the distance to the centre is a
mean square, centres are true means of their members, and a cluster that dies is set on the
patch that fits worst.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from livertrack.imaging._adam import Adam
from livertrack.imaging._clusters import kmeans
from livertrack.imaging.network import PatchEncoder, SliceEncoder
from livertrack.imaging.training import torch_generator


def train_dcn(
    encoder: SliceEncoder,
    patches: Tensor,
    *,
    n_types: int,
    steps: int,
    seed: int,
    device: torch.device,
    batch: int = 256,
    weight: float = 0.5,
    rate: float = 1e-3,
    progress: bool = False,
) -> list[float]:
    """Train ``encoder`` in place on raw patches (n, C, field); returns the loss of every step.

    The first fifth of the steps reconstructs only (15 of 65 epochs in the original); then the
    squared distance to the own centre joins with ``weight``.
    """
    draw = torch_generator(seed, "batches")
    latent = int(encoder.settings["latent"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_generator(seed, "weights").initial_seed())
        for layer in encoder.blocks:
            if isinstance(layer, nn.Conv3d):
                layer.reset_parameters()
        decoder = nn.Sequential(
            nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, patches[0].numel())
        ).to(device)
    with torch.no_grad():
        encoder.centre.copy_(patches.mean(dim=(0, 2, 3, 4)))
        encoder.scale.copy_(patches.std(dim=(0, 2, 3, 4)).clamp_min(1e-6))
    scaled = (patches - encoder.centre.view(1, -1, 1, 1, 1)) / encoder.scale.view(1, -1, 1, 1, 1)
    encoder.to(device).train()
    optimiser = Adam([*encoder.parameters(), *decoder.parameters()], rate=rate)
    start = max(1, steps // 5)
    centres: Tensor | None = None
    losses: list[float] = []
    for step in tqdm(range(steps), desc="vocabulary (dcn)", unit="step", disable=not progress):
        if step >= start and (step - start) % max(1, steps // 10) == 0:
            centres = _centres(encoder, patches, centres, n_types, seed, device)
        chosen = torch.randint(len(patches), (batch,), generator=draw)
        latents = encoder.maps(patches[chosen].to(device)).flatten(1)
        loss = functional.mse_loss(decoder(latents), scaled[chosen].flatten(1).to(device))
        if centres is not None:
            own = torch.cdist(latents.detach(), centres).argmin(1)
            loss = loss + weight * functional.mse_loss(latents, centres[own])
        optimiser.step(loss)
        losses.append(float(loss.detach()))
    encoder.eval()
    return losses


def patch_latents(
    encoder: SliceEncoder | PatchEncoder, patches: Tensor, device: torch.device
) -> Tensor:
    """Latents (n, latent) of raw patches, on the CPU."""
    with torch.inference_mode():
        parts = [encoder.maps(part.to(device)).flatten(1).cpu() for part in patches.split(2048)]
    return torch.cat(parts).clone()


def _centres(
    encoder: SliceEncoder,
    patches: Tensor,
    old: Tensor | None,
    k: int,
    seed: int,
    device: torch.device,
) -> Tensor:
    latents = patch_latents(encoder, patches, device)
    if old is None:
        found, _ = kmeans(latents.numpy(), k, seed=seed, name="dcn", n_init=2)
        return torch.from_numpy(found).to(device)
    distance = torch.cdist(latents, old.cpu())
    near, own = distance.min(1)
    worst = near.argsort(descending=True)
    centres = old.cpu().clone()
    for number in range(k):
        members = own == number
        centres[number] = latents[members].mean(0) if members.any() else latents[worst[number]]
    return centres.to(device)
