"""The methods text, made of the plan: what is not in the plan is not said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livertrack.tables._endpoint_words import DRAWS, MISSING, SENTENCES
from livertrack.tables._format import confidence, proper
from livertrack.tables._table import Row, Table, grouped

#: quality measures of a scan -> what a reader calls them
SCAN_MEASURES = {
    "NVOX": "Liver voxels", "VOLML": "Liver volume (mL)", "SNR": "Signal-to-noise ratio",
    "BIASSD": "Bias field (SD of its logarithm over the liver)",
    "NCOMP": "Connected parts of the liver mask",
    "LARGEST": "Share of the mask in its largest part",
    "GHOST": "Ghosting (signal of the air beside the body over that of the body)",
    "CLIPPED": "Liver voxels at the end of the grey scale (proportion)",
    "UNKNOWN": "Share of the liver unlike any tissue seen",
    "ALIGNMM": "Shift between sequences before alignment (mm)",
    "DICE": "Overlap with the baseline liver after registration (Dice)",
}  # fmt: skip
_METHOD = {
    "invariant": "k-means on those combinations of texture features that differ least between "
    "views of a place by other scanners, and most between places",
    "joint": "a network that learns to encode and to cluster image patches at once",
    "dcn": "a deep clustering network that reconstructs image patches and clusters their codes",
    "kmeans": "k-means on image patches",
}
_STANDARD = {
    "reference": "scaled by a reference tissue",
    "tail": "scaled by the median of the body outside the liver",
    "none": "left as acquired",
}
_WAYS = {
    "rigid": "aligned rigidly on the liver", "deformable": "aligned by a deformation of the liver",
    "none": "not aligned: pathways are the least change that explains both signatures",
}  # fmt: skip
_SOFT = (
    " They are counted from the probabilities of the types: of a voxel only what both visits' "
    "probabilities cannot have in common counts as change. Maps of change show the most probable "
    "types."
)


def methods_paragraphs(plan: Mapping[str, Any], *, compared: bool = True) -> list[str]:
    """Markdown paragraphs: design, imaging, statistics; with citations of ``references.bib``.

    The design names the arms; it is left out where arms are not ``compared``.
    """
    data = plan["data"]
    others = [arm for arm in data["arms"] if arm != data["reference"]]
    strata = ", ".join(data.get("strata") or [])
    paragraphs = [
        f"**Design.** {', '.join(others)} {'is' if len(others) == 1 else 'are'} compared with "
        f"{data['reference']} at {', '.join(v for v in data['visits'] if v != data['baseline'])}; "
        f"baseline is {data['baseline']}. The analysed population is "
        + (f"flagged by `{data['population']}`" if data.get("population") else "all subjects")
        + (f"; randomisation was stratified by {strata}." if strata else ".")
    ]
    paragraphs = paragraphs if compared else []
    if plan.get("imaging"):
        paragraphs.append(_imaging(plan["imaging"]))
    paragraphs.append(_statistics(plan))
    return paragraphs


def _imaging(settings: Mapping[str, Any]) -> str:
    spacing = " × ".join(f"{value:g}" for value in settings.get("spacing_mm", ()))
    bias = "corrected for the bias field (N4)" if settings.get("bias_field") == "n4" else "used"
    standard = _STANDARD.get(settings.get("standardise", ""), "standardised")
    types = f"{settings['n_types']} types"
    if settings["n_types"] == "auto":
        low, high = settings.get("type_range", (4, 12))
        types = (
            f"as many types, {low} to {high}, as come back on other scans and explain them best"
        )
    return (
        f"**Imaging.** The sequences {', '.join(settings['sequences'])} were resampled to "
        f"{spacing} mm, {bias} and {standard}. The tissue vocabulary has "
        f"{types}, learned by "
        f"{_METHOD.get(settings.get('method', ''), settings.get('method', ''))}, after "
        "@perkonigg2020 and @perkonigg2025; it does not know the arms. Each liver voxel gets one "
        "type. Scans with fewer than "
        f"{settings.get('min_voxels', 0)} liver voxels are not analysed. For pathways, visits "
        f"were {_WAYS.get(settings.get('correspondence', ''), 'aligned')}."
        + (
            _SOFT
            if settings.get("soft_labels") and settings.get("correspondence") != "none"
            else ""
        )
    )


def _statistics(plan: Mapping[str, Any]) -> str:
    sentences = []
    for analysis in plan.get("analyses") or []:
        template = SENTENCES.get(analysis["endpoint"])
        if template is None:
            continue
        options = {
            key: _option(value).replace("{arm}", plan["data"].get("arm", "TRT01P"))
            for key, value in (analysis.get("options") or {}).items()
        }
        options["missing"] = MISSING.get(options.get("missing", ""), "")
        draws = DRAWS.get(options.get("draws", ""), "")
        options["draws"] = draws.format(n=options.get("n_imputations", "several"))
        sentence = template.format_map(_Known(options))
        if sentence not in sentences:
            sentences.append(sentence)
    multiplicity = plan.get("multiplicity")
    family = list(
        (multiplicity or {}).get("family") or (multiplicity or {}).get("hypotheses") or []
    )
    if multiplicity and family:
        how = {
            "graphical": "graphical procedure [@bretz2009]",
            "closed": f"closed testing procedure, intersections by "
            f"{proper(str(multiplicity.get('local', 'simes')))}",
            "gatekeeping": "multistage gatekeeping procedure in the order of the families "
            + ", ".join(multiplicity.get("families") or []),
        }.get(multiplicity["method"], f"{proper(multiplicity['method'])} procedure")
        sentences.append(f"The family of {'; '.join(family)} is adjusted by the {how}.")
    level = confidence(plan.get("conf_level", 0.95))
    sentences.append(f"Intervals are two-sided with confidence level {level}.")
    return "**Statistics.** " + " ".join(sentences)


def _option(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    if isinstance(value, list):
        return ", ".join(map(_option, value))
    return proper(str(value))


class _Known(dict[str, str]):
    """Options of the plan; what a plan leaves open is said to be the default."""

    def __missing__(self, key: str) -> str:
        return "the default"


def limitations(plan: Mapping[str, Any]) -> list[str]:
    """Markdown items that every reader of these results should weigh."""
    items = []
    if plan["study"].get("simulated"):
        items.append("The data are simulated: the results say nothing about any treatment.")
    if plan.get("imaging"):
        items += [
            "A tissue type is a pattern of image texture and intensity, not a histological "
            "finding; its relation to biopsy is shown where biopsies exist, and nowhere assumed.",
            "The shares of a signature add up to one: a fall of one type is a rise of others, and "
            "tests of single types are not independent.",
            "Pathways depend on how well two scans are aligned; misalignment looks like change in "
            "every arm, which is why arms are compared with each other and not with zero.",
        ]
    if any(a["endpoint"] == "biopsy_prediction" for a in plan.get("analyses") or []):
        items.append(
            "Biopsy scores carry sampling and reader error, which limits how well anything can "
            "predict them; predictions were made within this trial and await another cohort."
        )
    if not plan.get("multiplicity"):
        items.append(
            "The plan names no family of primary analyses: p-values are adjusted within an "
            "analysis where that is said, and not across analyses."
        )
    items.append(
        "Subjects without a value at a visit are left out of that visit's comparison unless the "
        "model or the estimand handles them; the counts stand beside each result."
    )
    return items


def provenance_table(facts: Mapping[str, Any]) -> Table:
    """Plan hash, inputs, seed, threads and versions of a run."""
    run = [
        Row("Study", (str(facts.get("study", "–")),)),
        Row("Hash of the plan (SHA-256)", (str(facts.get("plan_hash", "–")),)),
        Row("Input files, each with its SHA-256 in the manifest",
            (str(len(facts.get("inputs", {}))),)),
        Row("Seed", (str(facts.get("seed", "–")),)),
        Row("Threads", (str(facts.get("threads", "–")),)),
    ]  # fmt: skip
    versions = [Row(str(k), (str(v),)) for k, v in sorted(facts.get("versions", {}).items())]
    return Table(
        title="Where the numbers come from",
        stub="Fact",
        headers=("Value",),
        rows=grouped([("Run", run), ("Versions", versions)]),
        text_columns=(0,),
        empty="The run holds no provenance.",
    )


def responder_rule(options: Mapping[str, Any]) -> str:
    """Say what makes a responder, from the options of a `risk_difference` analysis."""
    measure = {
        "PCHG": "a relative change from baseline", "CHG": "a change from baseline",
        "AVAL": "a value",
    }.get(str(options.get("measure", "")), "")  # fmt: skip
    if options.get("criteria"):
        return ""
    unit = " %" if options.get("measure") == "PCHG" else ""
    if measure and options.get("below") is not None:
        return f"{measure} of {options['below']:g}{unit} or less".replace("-", "−")
    if measure and options.get("above") is not None:
        return f"{measure} of {options['above']:g}{unit} or more".replace("-", "−")
    return ""
