"""What the reports on imaging describe: tissue types and their places, scanners, registration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

import livertrack as lt
from livertrack._results import Result
from livertrack._seeds import spawn
from livertrack.endpoints.vocabulary_card import vocabulary_card
from livertrack.pipeline.imaging import Imaging
from livertrack.study import Study

Described = tuple[str, Callable[[], Result]]

#: columns that name where and on what a subject was scanned
_SITES = ("SITEID", "SCANNER", "FIELDSTR")
#: quality measures that a scanner may shape
_MEASURES = ("VOLML", "SNR", "GHOST", "CLIPPED", "BIASSD", "UNKNOWN")


def describe_types(
    study: Study, imaging: Imaging, signatures: pd.DataFrame, records: pd.DataFrame
) -> Iterator[Described]:
    """Where the types are, and what they have to do with the biopsy at baseline."""
    data, level = study.plan.data, study.plan.conf_level
    people = study.analysed()["USUBJID"]
    cells = imaging.adatlas
    if cells is not None:
        cells = cells[cells["USUBJID"].isin(people)]
    yield "type_atlas", lambda: lt.type_atlas(signatures, cells=cells, conf_level=level)
    biopsies = records[records["DATASET"].eq("adbx") & records["USUBJID"].isin(people)]
    at = biopsies[biopsies["AVISIT"].eq(data.baseline)]
    outcomes = sorted(at.loc[at["AVAL"].notna(), "PARAMCD"].unique())
    if outcomes:
        both = pd.concat([signatures, at], ignore_index=True)
        yield "type_correlation", lambda: lt.type_correlation(
            both, parameters=sorted(signatures["PARAMCD"].unique()), outcomes=outcomes,
            visit=data.baseline, conf_level=level,
            seed=int(spawn(study.plan.seed, "type_correlation").generate_state(1)[0]),
        )  # fmt: skip


def describe_scanners(
    study: Study, scans: pd.DataFrame, records: pd.DataFrame
) -> Iterator[Described]:
    """How much of quality and signature is the site's or the scanner's, at baseline."""
    baseline = study.plan.data.baseline
    first = scans[scans["AVISIT"].eq(baseline) & scans["SCANFL"].eq("Y")]
    measures = [
        name for name in _MEASURES if name in first and first[name].astype(float).notna().any()
    ]
    table = first[["USUBJID", *measures]].astype(dict.fromkeys(measures, float))
    own = records[
        records["DATASET"].eq("admri") & records["AVISIT"].eq(baseline)
        & records["REGION"].fillna("").eq("")
    ]  # fmt: skip
    shares = own.pivot_table(index="USUBJID", columns="PARAMCD", values="AVAL", observed=True)
    table = table.merge(shares.reset_index(), on="USUBJID", how="left")
    by = [
        name
        for name in _SITES
        if name in study.adsl and len(study.adsl[name].dropna().unique()) > 1
    ]
    table = table.merge(study.adsl[["USUBJID", *by]], on="USUBJID", how="inner")
    if by and measures:
        yield "site_effects", lambda: lt.site_effects(
            table, by=by, measures=[*measures, *shares.columns],
            conf_level=study.plan.conf_level,
        )  # fmt: skip


def describe_imaging(study: Study, out: Path) -> Iterator[Described]:
    """What imaging left in the run folder beside its records: registration, the vocabulary."""
    data = study.plan.data
    quality = out / "adam" / "adreg.parquet"
    if quality.is_file():
        records = pd.read_parquet(quality).drop(columns=data.arm, errors="ignore")
        records = records.merge(study.adsl[["USUBJID", data.arm]], on="USUBJID", how="inner")
        records["AVISIT"] = pd.Categorical(records["AVISIT"].astype(object), data.visits)
        records = records.dropna(subset=["AVISIT"])
        records["AVISIT"] = records["AVISIT"].cat.remove_unused_categories()
        yield "registration_quality", lambda: lt.registration_quality(records, arm=data.arm)
    words = out / "vocabulary.safetensors"
    if words.is_file():
        yield "vocabulary_card", lambda: _card(words)


def _card(path: Path) -> Result:
    from livertrack.imaging import Vocabulary

    words = Vocabulary.load(path)
    names = list(words.parameters)
    return vocabulary_card(
        words.table, distances=pd.DataFrame(words.card["distances"], names, names),
        hierarchy=words.hierarchy, text=words.text,
        settings={
            "method": str(words.settings["method"]), "sequences": list(words.sequences),
            "n_types": words.n_types,
            **{k: words.settings[k] for k in ("n_scans", "n_places", "steps", "seed")
               if k in words.settings},
        },
    )  # fmt: skip
