"""How clinical measures are made, and everything that blurs them."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ClinicSettings:
    """Noise and rates of the clinical data.

    Attributes
    ----------
    alt_placebo, alt_active : float
        Mean change of ALT from baseline at week 12 in the reference arm and at the full dose,
        U/L: -8.3 and -23.0 (FLIGHT-FXR part C, NCT02855164). A dose of two thirds gives -18.1
        (published -18.0).
    alt_cv, ast_cv : float
        Within-person coefficients of variation: 20.4 % and 13.9 % (Lazo et al., Ann Intern Med
        2008;148:348).
    platelet_cv : float
        Within-person coefficient of variation of platelets, 9.1 % (Ricos et al., Scand J Clin Lab
        Invest 1999;59:491).
    pdff_sd : float
        Standard deviation of a fat fraction measurement, percentage points. Limits of agreement of
        -3.95 to 3.40 points between MRI and spectroscopy (Yokoo et al., Radiology 2018;286:486)
        are a standard deviation of 1.87 of the difference, 1.3 for each.
    stiffness_cv : float
        Within-subject coefficient of variation of stiffness: 21 % (repeatability figure of the
        trials this package is written for). The mean near 3 kPa is that of NIMBLE 1.2
        (PMC10625902: 3.15 kPa).
    t1_cv : float
        Within-subject coefficient of variation of T1: 5 % (same source as ``stiffness_cv``).
    core_weight : float
        Weight of the tissue in the needle against the whole liver in what a pathologist sees:
        the illness is diffuse below the scale of the simulated regions. Sampling error is known to
        be large (Ratziu et al., Gastroenterology 2005;128:1898).
    misread : dict
        Probability that a reader gives a neighbouring grade. The defaults reproduce the weighted
        kappa between two readers of Kleiner et al. (Hepatology 2005;41:1313): fibrosis 0.84,
        steatosis 0.79, ballooning 0.56, lobular inflammation 0.45.
    missed_biopsy : float
        Probability that a subject who is still in the trial declines the last biopsy.
    event_scale : float
        Multiplies the published rates of liver-related events (see `events`), which would give
        about one event in a small trial; 1 gives the published rates.
    follow_up_weeks : (float, float)
        Shortest and longest follow-up for events.
    """

    alt_placebo: float = -8.3
    alt_active: float = -23.0
    alt_cv: float = 0.204
    ast_cv: float = 0.139
    platelet_cv: float = 0.091
    pdff_sd: float = 1.3
    stiffness_cv: float = 0.21
    t1_cv: float = 0.05
    core_weight: float = 0.25
    misread: dict[str, float] = field(
        default_factory=lambda: {
            "STEATOSIS": 0.07, "INFLAM": 0.25, "BALLOON": 0.22, "FIBROSIS": 0.08,
        }
    )  # fmt: skip
    missed_biopsy: float = 0.1
    event_scale: float = 20.0
    follow_up_weeks: tuple[float, float] = (96.0, 144.0)
