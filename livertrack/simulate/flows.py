"""Pathway records of a trial without its images: for thousands of trials with a known truth.

The same subjects, doses and planted pathways as `simulate_trial`; what imaging does to them is
summed up in a few numbers: a vocabulary that splits and confuses tissue states, labelling errors
of each scan, misregistration, sites and drifting scanners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from livertrack._seeds import generator
from livertrack.errors import UsageError
from livertrack.simulate import tissue
from livertrack.simulate.cohort import arm_doses, cohort_severity, draw_cohort
from livertrack.simulate.severity import Severity
from livertrack.simulate.states import SEVERITY, subject_rates

Array = NDArray[np.float64]

ARMS = ("Placebo", "Low dose", "High dose")
#: share of the liver that is vessels
VESSELS = 0.05
#: states that a labelling takes for one another, and how readily
NEIGHBOURS: Mapping[tuple[int, int], float] = {
    (tissue.NORMAL, tissue.MILD): 1.0, (tissue.MILD, tissue.SEVERE): 0.7,
    (tissue.FINE, tissue.COARSE): 1.2, (tissue.FINE, tissue.INFLAMED): 0.8,
    (tissue.NORMAL, tissue.IRON): 0.4, (tissue.NORMAL, tissue.VESSEL): 0.3,
    (tissue.NORMAL, tissue.INFLAMED): 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class FlowSettings:
    """What imaging does to the true flows.

    Attributes
    ----------
    confusion : float
        Share of a state that one scan labels as its nearest neighbour.
    misregistered : float
        Mean share of the liver whose follow-up is read from a random place of it.
    concentration : float
        Of the Dirichlet distribution around the expected flows: the number of independent patches
        that a liver is worth.
    region_spread : float
        Standard deviation of the log composition of a region about the whole liver's.
    site_spread : float
        Standard deviation of the log confusion between sites.
    drift : float
        Share of mild steatosis that every scanner reads as normal from the first follow-up on, in
        all arms alike: confounded with the visit.
    site_drift : float
        Standard deviation of that share between sites.
    dropout : float
        Probability that a subject misses a follow-up scan.
    """

    confusion: float = 0.06
    misregistered: float = 0.08
    concentration: float = 600.0
    region_spread: float = 0.3
    site_spread: float = 0.0
    drift: float = 0.0
    site_drift: float = 0.0
    dropout: float = 0.05


@dataclass(frozen=True)
class FlowTrial:
    """Records of a simulated trial.

    Attributes
    ----------
    adsl : DataFrame
        One row per subject: ``USUBJID, SITEID, TRT01P, AGE, SEX, BMIBL, DIABFL``.
    adpath : DataFrame
        Pathway records as `livertrack.imaging.pathways` makes them; types 1..K.
    truth : DataFrame
        Expected difference of every flow of every arm from the first one under this labelling, per
        visit and region: ``TRT01P, AVISIT, REGION, FROMTYPE, TOTYPE, DIFFERENCE`` (mean over
        subjects of the flow under the arm's dose less that under the first arm's).
    repeats : DataFrame
        Pathway records of a repeat scan at baseline, ``AVISIT`` "Repeat".
    composition : DataFrame
        Signature records: ``USUBJID, TRT01P, AVISIT, AVISITN, PARAMCD`` (TV01..), ``AVAL, BASE,
        CHG``; whole liver.
    severities : tuple of Severity
        Illness of each subject, in the order of ``adsl``.
    states : dict of visit to array (subjects, 8)
        True composition at each visit, the baseline included.
    """

    adsl: pd.DataFrame
    adpath: pd.DataFrame
    truth: pd.DataFrame
    repeats: pd.DataFrame
    composition: pd.DataFrame
    severities: tuple[Severity, ...] = field(repr=False)
    states: Mapping[str, Array] = field(repr=False)


def simulate_flows(
    *,
    n_per_arm: int,
    seed: int,
    effect: float = 1.0,
    arms: Sequence[str] = ARMS,
    prefix: str = "SIM",
    visits: Mapping[str, float] | None = None,
    n_shells: int = 0,
    n_sites: int = 4,
    vocabulary: Array | None = None,
    settings: FlowSettings | None = None,
) -> FlowTrial:
    """Simulate the pathway records of a trial.

    Parameters
    ----------
    n_per_arm, seed, effect, arms, prefix, n_sites
        As in `simulate_trial`; with ``effect=0`` all arms follow the first one's process.
    visits : mapping of visit to its time, optional
        Follow-up visits as fraction of the whole, by default week 12 (0.25) and week 48 (1).
    n_shells : int
        Regions besides the whole liver, each a part of it of equal size.
    vocabulary : array (8, K), optional
        Probability that a place of each true state has each type of the vocabulary; rows sum to
        one. By default one type per state.
    settings : FlowSettings, optional

    Returns
    -------
    FlowTrial

    Notes
    -----
    Whole-liver records are the mean of the regions' where there are some. Labelling errors are
    independent between scans given the state.
    """
    how = settings or FlowSettings()
    times = dict(visits) if visits is not None else {"Week 12": 0.25, "Week 48": 1.0}
    words = np.eye(tissue.N_STATES) if vocabulary is None else np.asarray(vocabulary, float)
    if words.ndim != 2 or len(words) != tissue.N_STATES or not np.allclose(words.sum(axis=1), 1):
        msg = f"vocabulary: expected {tissue.N_STATES} rows that sum to one, got {words.shape}"
        raise UsageError(msg)
    cohort = draw_cohort(
        seed, n_per_arm=n_per_arm, arms=arms, n_sites=n_sites, n_scanners=n_sites, prefix=prefix
    )
    severities = tuple(cohort_severity(seed, cohort))
    rng = generator(seed, "flows")
    base = np.stack([_composition(severity) for severity in severities])
    regions = _regions(rng, base, n_shells, how.region_spread)
    site = cohort["SITEID"].astype(int).to_numpy() - 1
    strength = how.confusion * np.exp(how.site_spread * rng.normal(size=n_sites))
    drifts = np.clip(how.drift + how.site_drift * rng.normal(size=n_sites), 0, 0.9)
    first = _labelling(strength[site], np.zeros(len(site)), words)
    later = _labelling(strength[site], drifts[site], words)
    doses = np.array([dict(zip(arms, arm_doses(len(arms)), strict=True))[a]
                      for a in cohort["TRT01P"]])  # fmt: skip
    mixed = rng.beta(8 * how.misregistered, 8 * (1 - how.misregistered), (len(cohort), len(times)))
    names = [""] if n_shells == 0 else [f"SHELL{n}" for n in range(1, n_shells + 1)]
    people = cohort[["USUBJID", "SITEID", "TRT01P"]]
    parts, truth, states = [], [], {"Baseline": base}
    for v, (visit, time) in enumerate(times.items()):
        rates = _rates(severities, doses, effect, time)
        true = _flows(regions, rates)
        states[visit] = true.mean(axis=1).sum(axis=1)
        seen = _observed(true, first, later, mixed[:, v])
        drawn = _dirichlet(rng, seen * how.concentration)
        absent = rng.random(len(cohort)) < how.dropout
        parts.append(_records(drawn, people, visit, 48 * time, names, ~absent))
        none = _flows(regions, _rates(severities, np.zeros(len(doses)), effect, time))
        calm = _observed(none, first, later, mixed[:, v])
        truth.append(_truth(regions, severities, arms, effect, time, visit, names, calm, first,
                            later, mixed[:, v]))  # fmt: skip
    still = regions[..., None] * np.eye(tissue.N_STATES)
    again = _observed(still, first, first, mixed[:, 0])
    repeats = _records(_dirichlet(rng, again * how.concentration), people, "Repeat", 0.0, names,
                       np.ones(len(cohort), bool))  # fmt: skip
    adpath = pd.concat(parts, ignore_index=True)
    columns = ["USUBJID", "SITEID", "TRT01P", "AGE", "SEX", "BMIBL", "DIABFL"]
    return FlowTrial(
        adsl=cohort[columns].copy(), adpath=adpath, truth=pd.concat(truth, ignore_index=True),
        repeats=repeats, composition=signatures_of(adpath), severities=severities, states=states,
    )  # fmt: skip


def split_vocabulary(n_types: int) -> Array:
    """Vocabulary (8, K) of more types than states: common states are split evenly in turn."""
    order = [tissue.NORMAL, tissue.SEVERE, tissue.MILD, tissue.FINE, tissue.INFLAMED]
    extra = n_types - tissue.N_STATES
    if not 0 <= extra <= len(order):
        msg = f"n_types is {tissue.N_STATES} to {tissue.N_STATES + len(order)}, got {n_types}"
        raise UsageError(msg)
    words = np.concatenate([np.eye(tissue.N_STATES), np.zeros((tissue.N_STATES, extra))], axis=1)
    for place, code in enumerate(order[:extra]):
        words[code - 1, code - 1] = words[code - 1, tissue.N_STATES + place] = 0.5
    return words


def signatures_of(adpath: pd.DataFrame) -> pd.DataFrame:
    """Signatures of the whole liver: row sums of flows (mean over visits) and column sums."""
    whole = adpath[adpath["REGION"] == ""]
    keys = ["USUBJID", "TRT01P", "AVISIT", "AVISITN"]
    types = np.unique(whole[["FROMTYPE", "TOTYPE"]].to_numpy())
    start = whole.groupby([*keys, "FROMTYPE"], observed=True)["AVAL"].sum().reset_index()
    after = whole.groupby([*keys, "TOTYPE"], observed=True)["AVAL"].sum()
    index = pd.MultiIndex.from_tuples(
        [(*key, kind) for key in whole[keys].drop_duplicates().itertuples(index=False)
         for kind in types], names=[*keys, "TYPE"],
    )  # fmt: skip
    frame = after.rename_axis(index.names).reindex(index, fill_value=0.0).reset_index()
    # one baseline per subject, whatever the visit it is compared with
    visits = whole.groupby("USUBJID")["AVISIT"].nunique()
    total = start.groupby(["USUBJID", "FROMTYPE"])["AVAL"].sum()
    pairs = pd.MultiIndex.from_frame(frame[["USUBJID", "TYPE"]])
    base = total.rename_axis(pairs.names).reindex(pairs, fill_value=0.0).to_numpy()
    frame["BASE"] = base / visits.reindex(frame["USUBJID"]).to_numpy()
    frame["PARAMCD"] = [f"TV{int(kind):02d}" for kind in frame.pop("TYPE")]
    return frame.assign(CHG=frame["AVAL"] - frame["BASE"])


def _composition(severity: Severity) -> Array:
    """Share of the liver in each state, vessels included."""
    shares = np.zeros(tissue.N_STATES)
    for code, share in severity.proportions.items():
        shares[code - 1] = share
    shares[tissue.NORMAL - 1] = 1 - shares.sum()
    shares *= 1 - VESSELS
    shares[tissue.VESSEL - 1] = VESSELS
    return shares


def _regions(rng: np.random.Generator, base: Array, n_shells: int, spread: float) -> Array:
    """Composition (subjects, regions, states) of equal parts, the whole liver being their mean."""
    if n_shells == 0:
        return base[:, None]
    logs = spread * rng.normal(size=(len(base), n_shells, base.shape[1]))
    parts = np.exp(logs)
    parts *= base[:, None] / parts.mean(axis=1, keepdims=True)
    return np.asarray(parts / parts.sum(axis=2, keepdims=True))


def _labelling(strength: Array, drift: Array, words: Array) -> Array:
    """Probability of each type given the state (subjects, states, types) at one scan."""
    confused = np.zeros((len(strength), tissue.N_STATES, tissue.N_STATES))
    for (one, two), weight in NEIGHBOURS.items():
        confused[:, one - 1, two - 1] = confused[:, two - 1, one - 1] = weight * strength
    confused[:, tissue.MILD - 1, tissue.NORMAL - 1] += drift
    total = confused.sum(axis=2, keepdims=True)
    confused = np.where(total > 0.9, confused * 0.9 / np.maximum(total, 1e-12), confused)
    stays = 1 - confused.sum(axis=2)
    return np.asarray((confused + stays[:, :, None] * np.eye(tissue.N_STATES)) @ words)


def _rates(severities: Sequence[Severity], doses: Array, effect: float, time: float) -> Array:
    """Share of each state that turns into each other (subjects, states, states)."""
    out = np.zeros((len(severities), tissue.N_STATES, tissue.N_STATES))
    response = np.array([severity.response for severity in severities])
    for dose in np.unique(doses):
        rows = np.flatnonzero(doses == dose)
        rates = subject_rates(dose=float(dose), effect=effect, elapsed=time, response=1.0)
        for (source, target), rate in rates.items():
            better = SEVERITY[target] < SEVERITY[source]
            factor = response[rows] if better else 1 / response[rows]
            out[rows, source - 1, target - 1] = rate * factor
    total = out.sum(axis=2, keepdims=True)
    out /= np.maximum(1.0, total / 0.95)
    kept = 1 - out.sum(axis=2)
    return np.asarray(out + kept[:, :, None] * np.eye(tissue.N_STATES))


def _flows(regions: Array, rates: Array) -> Array:
    """Turn shares of regions (subjects, regions, states, states)."""
    return np.asarray(regions[..., None] * rates[:, None])


def _observed(true: Array, first: Array, later: Array, mixed: Array) -> Array:
    """Expected labelled flows (subjects, regions, types, types)."""
    seen = np.einsum("nrij,nia,njb->nrab", true, first, later, optimize=True)
    before, after = seen.sum(axis=3), seen.sum(axis=2)
    random = before[..., :, None] * after[..., None, :]
    share = mixed[:, None, None, None]
    return np.asarray((1 - share) * seen + share * random)


def _dirichlet(rng: np.random.Generator, alpha: Array) -> Array:
    drawn = rng.gamma(alpha)
    return np.asarray(drawn / drawn.sum(axis=(-2, -1), keepdims=True))


def _records(
    cube: Array, people: pd.DataFrame, visit: str, week: float, names: Sequence[str],
    present: NDArray[np.bool_],
) -> pd.DataFrame:  # fmt: skip
    labels = list(names)
    if "" not in labels:
        cube = np.concatenate([cube.mean(axis=1, keepdims=True), cube], axis=1)
        labels = ["", *labels]
    cube, who = cube[present], people[present]
    cube = np.where(cube < 1e-9, 0.0, cube)
    cube = cube / cube.sum(axis=(2, 3), keepdims=True)
    subject, region, source, target = np.nonzero(cube)
    frame = who.iloc[subject].reset_index(drop=True)
    return frame.assign(
        AVISIT=visit, AVISITN=week, REGION=np.array(labels, object)[region],
        FROMTYPE=source + 1, TOTYPE=target + 1, AVAL=cube[subject, region, source, target],
        NVOX=30_000, METHOD="voxel",
    )  # fmt: skip


def _truth(
    regions: Array, severities: Sequence[Severity], arms: Sequence[str], effect: float,
    time: float, visit: str, names: Sequence[str], calm: Array, first: Array, later: Array,
    mixed: Array,
) -> pd.DataFrame:  # fmt: skip
    """Mean over all subjects of what each arm's dose would change in each labelled flow."""
    frames = []
    doses = dict(zip(arms, arm_doses(len(arms)), strict=True))
    for arm in arms[1:]:
        rates = _rates(severities, np.full(len(severities), doses[arm]), effect, time)
        gap = (_observed(_flows(regions, rates), first, later, mixed) - calm).mean(axis=0)
        labels = list(names)
        if "" not in labels:
            gap, labels = np.concatenate([gap.mean(axis=0, keepdims=True), gap]), ["", *labels]
        region, source, target = (axis.ravel() for axis in np.indices(gap.shape))
        frames.append(
            pd.DataFrame(
                {
                    "TRT01P": arm, "AVISIT": visit, "REGION": np.array(labels, object)[region],
                    "FROMTYPE": source + 1, "TOTYPE": target + 1, "DIFFERENCE": gap.ravel(),
                }
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)
