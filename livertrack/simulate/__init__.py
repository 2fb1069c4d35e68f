"""Trials with a known truth: images, biopsies, labs and events."""

from livertrack.simulate.baseline import TextureImage, simulate_baseline, simulate_textures
from livertrack.simulate.clinic import ClinicSettings
from livertrack.simulate.elastography import (
    Elastogram,
    simulate_elastogram,
    simulate_elastograms,
)
from livertrack.simulate.lesions import PlantedLesions, simulate_lesions
from livertrack.simulate.physics import Protocol
from livertrack.simulate.scan import SEQUENCES, SimulatedScan, simulate_scan
from livertrack.simulate.scanner import ScanSettings
from livertrack.simulate.staging import StagingCohort, simulate_cirrhosis, simulate_stiffness
from livertrack.simulate.subject import SimulatedSubject, simulate_subject
from livertrack.simulate.trial import SimulatedTrial, simulate_trial
from livertrack.simulate.truth import Truth, load_truth

__all__ = [
    "SEQUENCES",
    "ClinicSettings",
    "Elastogram",
    "PlantedLesions",
    "Protocol",
    "ScanSettings",
    "SimulatedScan",
    "SimulatedSubject",
    "SimulatedTrial",
    "StagingCohort",
    "TextureImage",
    "Truth",
    "load_truth",
    "simulate_baseline",
    "simulate_cirrhosis",
    "simulate_elastogram",
    "simulate_elastograms",
    "simulate_lesions",
    "simulate_scan",
    "simulate_stiffness",
    "simulate_subject",
    "simulate_textures",
    "simulate_trial",
]
