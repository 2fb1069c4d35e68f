"""A study in, a run out: check, image, analyse, report, and the manifest that proves it."""
