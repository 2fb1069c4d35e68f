"""Numbers of published tables, computed again from the published data.

Only public data small enough to stand here. Tolerances are half a unit of the last published
digit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

import livertrack as lt

#: quantity, value, published, half a unit of its last digit
Row = tuple[str, float, float, float]

FREIREICH = "Freireich et al. (1963), Blood 21:699-716, as analysed in Kleinbaum and Klein (2012)"
POTTHOFF = (
    "Potthoff and Roy (1964), Biometrika 51:313-326; ML as in Verbeke and Molenberghs (2000), "
    "Linear Mixed Models for Longitudinal Data, chapter 17"
)
SHROUT = "Shrout and Fleiss (1979), Psychological Bulletin 86:420-428, tables 2 and 4"
BRETZ = "Bretz et al. (2011), Biometrical Journal 53:894-913, section 3"
NEWCOMBE = "Newcombe (1998), Statistics in Medicine 17:873-890, table II, case (a)"


def rows() -> list[dict[str, object]]:
    """Every published quantity: ``family, method, quantity, value, published, tolerance``."""
    return [
        {
            "family": family, "method": method, "quantity": quantity, "value": value,
            "published": published, "tolerance": tolerance, "source": source,
        }
        for family, method, source, check in CHECKS
        for quantity, value, published, tolerance in check()
    ]  # fmt: skip


def remission() -> pd.DataFrame:
    """Weeks in remission of 42 children with leukaemia (1963); CNSR 0 = relapse."""
    treated = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
    control = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"
    rows = [
        (arm, float(word.rstrip("+")), int(word.endswith("+")))
        for arm, words in (("6-MP", treated), ("Placebo", control))
        for word in words.split()
    ]
    frame = pd.DataFrame(rows, columns=["TRT01P", "AVAL", "CNSR"])
    frame["USUBJID"] = [f"{number:02d}" for number in range(1, len(frame) + 1)]
    frame["TRT01P"] = pd.Categorical(frame["TRT01P"], ["Placebo", "6-MP"])
    return frame


def growth() -> pd.DataFrame:
    """Distance (mm) from pituitary to pterygomaxillary fissure, 27 children at four ages."""
    boys = (
        "26 25 29 31/21.5 22.5 23 26.5/23 22.5 24 27.5/25.5 27.5 26.5 27/20 23.5 22.5 26/"
        "24.5 25.5 27 28.5/22 22 24.5 26.5/24 21.5 24.5 25.5/23 20.5 31 26/27.5 28 31 31.5/"
        "23 23 23.5 25/21.5 23.5 24 28/17 24.5 26 29.5/22.5 25.5 25.5 26/"
        "23 24.5 26 30/22 21.5 23.5 25"
    )
    girls = (
        "21 20 21.5 23/21 21.5 24 25.5/20.5 24 24.5 26/23.5 24.5 25 26.5/21.5 23 22.5 23.5/"
        "20 21 21 22.5/21.5 22.5 23 25/23 23 23.5 24/20 21 22 21.5/16.5 19 19 19.5/24.5 25 28 28"
    )
    rows = [
        (f"{sex}{number:02d}", sex, age, float(value))
        for sex, words in (("F", girls), ("M", boys))
        for number, child in enumerate(words.split("/"), start=1)
        for age, value in zip((8, 10, 12, 14), child.split(), strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["USUBJID", "SEX", "AGE", "AVAL"])
    return frame.assign(AVISIT=frame["AGE"].map("{:02d}".format))


def _kaplan_meier() -> list[Row]:
    curve = lt.kaplan_meier(remission(), arm="TRT01P").curve
    treated = curve[curve["arm"].eq("6-MP")].set_index("time")["estimate"]
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    return [(f"S({t}), 6-MP", float(treated[t]), s, 5e-4) for t, s in published.items()]


def _log_rank() -> list[Row]:
    table = lt.log_rank(remission(), arm="TRT01P").table
    return [("chi-square", float(table["statistic"].dropna().iloc[0]), 16.793, 5e-4)]


def _cox() -> list[Row]:
    rows = []
    for ties, coefficient in (("breslow", -1.509), ("efron", -1.572)):
        fit = lt.cox(remission(), "TRT01P", time="AVAL", censor="CNSR", ties=ties)  # type: ignore[arg-type]
        rows.append(
            (f"log hazard ratio, {ties}", float(fit.table["estimate"].iloc[0]), coefficient, 5e-4)
        )
    return rows


def _icc() -> list[Row]:
    scores = ["9 2 5 8", "6 1 3 2", "8 4 6 8", "7 1 2 6", "10 5 6 9", "6 2 4 7"]
    data = pd.DataFrame(
        [
            (str(s), str(r), float(x))
            for s, row in enumerate(scores)
            for r, x in enumerate(row.split())
        ],
        columns=["USUBJID", "RATER", "AVAL"],
    )
    table = lt.icc(data, rater="RATER").table.set_index("form")["estimate"]
    published = {
        "ICC1": 0.17, "ICC2": 0.29, "ICC3": 0.71,
        "ICC1k": 0.44, "ICC2k": 0.62, "ICC3k": 0.91,
    }  # fmt: skip
    return [(form, float(table[form]), number, 5e-3) for form, number in published.items()]


def _mmrm() -> list[Row]:
    rows = []
    for formula, published in (
        ("AVAL ~ SEX * AVISIT + us(AVISIT | USUBJID)", 416.509),
        ("AVAL ~ SEX * AGE + us(AVISIT | USUBJID)", 419.477),
        ("AVAL ~ SEX + AGE + us(AVISIT | USUBJID)", 426.153),
        ("AVAL ~ SEX * AGE + toep(AVISIT | USUBJID)", 424.643),
        ("AVAL ~ SEX * AGE + ar1(AVISIT | USUBJID)", 440.681),
        ("AVAL ~ SEX * AGE + cs(AVISIT | USUBJID)", 428.639),
    ):
        fit = lt.mmrm(growth(), formula, method="ml")
        rows.append(
            (f"-2 log-likelihood, {formula.split(' ~ ')[1]}", -2 * fit.loglik, published, 5e-4)
        )
    return rows


def _newcombe() -> list[Row]:
    arms = [("A", 56, 70), ("B", 48, 80)]
    data = pd.DataFrame(
        [(arm, int(i < hits)) for arm, hits, n in arms for i in range(n)],
        columns=["TRT01P", "RESPONSE"],
    ).assign(USUBJID=[f"{i:03d}" for i in range(150)])
    rows: list[Row] = []
    for method, low, high in (
        ("newcombe", 0.0524, 0.3339),
        ("miettinen-nurminen", 0.0528, 0.3382),
    ):
        table = lt.risk_difference(data, response="RESPONSE", reference="B", method=method).table  # type: ignore[arg-type]
        rows.append((f"{method}, lower limit", float(table["conf_low"].iloc[0]), low, 5e-5))
        rows.append((f"{method}, upper limit", float(table["conf_high"].iloc[0]), high, 5e-5))
    return rows


def _adjusted() -> list[Row]:
    published = {
        "holm": (0.0312, 0.0394, 0.0394), "hochberg": (0.0312, 0.0394, 0.0394),
        "bonferroni": (0.0312, 0.0591, 0.1182),
    }  # fmt: skip
    p = np.array([0.0104, 0.0197, 0.0394])
    return [
        (f"{method}, p{place}", float(value), number, 5e-5)
        for method, numbers in published.items()
        for place, (value, number) in enumerate(
            zip(np.asarray(lt.adjust_pvalues(p, method)), numbers, strict=True), start=1
        )
    ]


def _graph() -> list[Row]:
    names = ["H11", "H21", "H31", "H12", "H22", "H32"]
    third, half = 1 / 3, 0.5
    graph = [
        [0, half, 0, half, 0, 0], [third, 0, third, 0, third, 0], [0, half, 0, 0, 0, half],
        [0, 1, 0, 0, 0, 0], [half, 0, half, 0, 0, 0], [0, 1, 0, 0, 0, 0],
    ]  # fmt: skip
    p = dict(zip(names, [0.1, 0.008, 0.005, 0.15, 0.04, 0.006], strict=True))
    weights = dict(zip(names, [third, third, third, 0, 0, 0], strict=True))
    frame = pd.DataFrame(graph, names, names)
    result = lt.graphical_test(p, weights, frame, alpha=0.025)
    order = result.table.set_index("hypothesis")["order"]
    left = result.steps[result.steps["step"] == 3].set_index("hypothesis")["weight"]
    return [
        *((f"Place of {name} among the rejections", float(order[name]), float(place), 0.0)
          for place, name in enumerate(["H31", "H21", "H32"], start=1)),
        *((f"Weight of {name} after three rejections", float(left[name]), weight, 1e-12)
          for name, weight in (("H11", 2 / 3), ("H12", 0.0), ("H22", 1 / 3))),
    ]  # fmt: skip


CHECKS: list[tuple[str, str, str, Callable[[], list[Row]]]] = [
    ("Models of change", "lt.mmrm", POTTHOFF, _mmrm),
    ("Responders", "lt.risk_difference", NEWCOMBE, _newcombe),
    ("Events", "lt.kaplan_meier", FREIREICH, _kaplan_meier),
    ("Events", "lt.log_rank", FREIREICH, _log_rank),
    ("Events", "lt.cox", FREIREICH, _cox),
    ("Agreement and repeatability", "lt.icc", SHROUT, _icc),
    ("Multiplicity and interim looks", "lt.adjust_pvalues", "by hand from the definitions",
     _adjusted),
    ("Multiplicity and interim looks", "lt.graphical_test", BRETZ, _graph),
]  # fmt: skip
