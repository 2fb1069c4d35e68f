"""Trials with a known truth: images, biopsies, labs and events."""
from livertrack.simulate.subject import simulate_subject
