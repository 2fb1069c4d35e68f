"""Power of change pathways, and separation by the signature, as simulated for the release."""

from __future__ import annotations

from importlib import resources

import pandas as pd

__all__ = ["released_power", "released_separation"]


def released_power() -> pd.DataFrame:
    """Return the power curves of change pathways.

    Returns
    -------
    DataFrame
        One row per ``effect`` (of the planted pathways; 0: none) and ``n_per_arm``: ``trials``,
        and the share of them with p <= 0.05: ``global_sum, global_maximum`` (global tests),
        ``any_flow`` (step-down max-T), ``largest_flow`` (the one with the largest true
        difference, by max-T), ``any_net`` (net change, max-T); ``planted_in_first_five``: mean
        share of flows between planted states among the five of largest statistic.

    Notes
    -----
    Denominator: simulated trials. Source: analysis/benchmarks/pathways_power.py.
    """
    return _read("pathways_power.csv")


def released_separation() -> pd.DataFrame:
    """Return how the signature separates arms beside the measures that a trial has.

    Returns
    -------
    DataFrame
        One row per ``effect, n_per_arm`` and ``measure`` (ALT, PDFF, STIFF): ``trials``, mean
        ``g_signature, g_measure, g_difference, auc_signature, auc_measure, auc_difference`` of the
        cross-fitted score and the measure, share of trials in which the paired interval of the
        difference of AUC lies above (``better``) or below (``worse``) zero, and holds the mean
        difference of all trials (``coverage``), and its mean ``half_width``.

    Notes
    -----
    Denominator: simulated trials. Source: analysis/benchmarks/pathways_power.py.
    """
    return _read("signature_separation.csv")


def _read(name: str) -> pd.DataFrame:
    with resources.files(__package__).joinpath(name).open(encoding="utf-8") as stream:
        return pd.read_csv(stream)
