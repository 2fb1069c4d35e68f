"""Standardisation takes the scanner out and leaves the disease in."""

import numpy as np
import pytest

from livertrack.errors import ImageError, UsageError
from livertrack.imaging import Scan, fit_vocabulary, signatures
from livertrack.imaging.preprocessing import Preparation, prepare
from livertrack.imaging.quality import Limits

SHAPE, SPACING, FIELD = (40, 36, 12), (3.0, 3.0, 4.0), (5, 5, 3)


def patient(*, fat=0.0, gain=(1.0, 1.0), spread=0.05, body=True, seed=1):
    """In and opposed phase of a liver with fat (which cancels water), spleen and body."""
    rng = np.random.default_rng(seed)
    liver = np.zeros(SHAPE, bool)
    liver[4:22, 6:28, 2:10] = True
    spleen = np.zeros(SHAPE, bool)
    spleen[26:32, 8:18, 3:9] = True
    clean = np.full((2, *SHAPE), 60.0 if body else 0.0)
    clean[:, spleen] = 90.0
    clean[0, liver], clean[1, liver] = 100.0, 100.0 * (1 - 2 * fat)
    clean[:, liver] *= 1 + spread * rng.standard_normal(int(liver.sum()))
    noisy = clean + 0.5 * np.abs(rng.standard_normal(clean.shape))
    volume = noisy * np.array(gain)[:, None, None, None]
    return Scan(volume.astype(np.float32), liver, SPACING, spleen if body else None)


def level(scan, how, channel=1):
    """Median of the prepared liver."""
    prepared = prepare(scan, how, FIELD)
    pad = [(n - 1) // 2 for n in FIELD]
    x, y, z = (slice(p, p + n) for p, n in zip(pad, prepared.mask.shape, strict=True))
    return float(np.median(prepared.volume[channel, x, y, z][prepared.mask]))


@pytest.mark.parametrize("standardise", ["reference", "tail"])
def test_fat_is_as_dark_after_standardisation_as_before(standardise):
    how = Preparation(bias_field="none", standardise=standardise)
    lean, fatty = patient(), patient(fat=0.25, gain=(3.0, 2.0))
    assert level(fatty, how) / level(lean, how) == pytest.approx(0.5, rel=0.03)
    assert level(fatty, how, 0) / level(lean, how, 0) == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize("standardise", ["reference", "tail"])
def test_the_gain_of_the_scanner_is_taken_out(standardise):
    how = Preparation(bias_field="none", standardise=standardise)
    one, other = (prepare(patient(gain=g), how, FIELD).volume for g in ((1, 1), (7, 0.3)))
    np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.parametrize("standardise", ["reference", "tail", "none"])
def test_the_spread_inside_the_liver_is_not_scaled_away(standardise):
    how = Preparation(bias_field="none", standardise=standardise)
    spreads = []
    for spread in (0.04, 0.08):
        prepared = prepare(patient(spread=spread), how, FIELD)
        spreads.append(float(prepared.volume[0].std()))
    assert spreads[1] / spreads[0] == pytest.approx(2, rel=0.1)


def test_none_leaves_the_units_of_the_scanner():
    how = Preparation(bias_field="none", standardise="none")
    assert level(patient(gain=(1.0, 4.0)), how) == pytest.approx(400, rel=0.03)


def test_without_a_body_the_fallback_is_said_and_flagged():
    how = Preparation(bias_field="none", standardise="tail")
    prepared = prepare(patient(body=False), how, FIELD)
    assert prepared.quality["SCALED"] == "liver"
    assert prepare(patient(), how, FIELD).quality["SCALED"] == "body"
    words = fit_vocabulary(
        [patient(body=False)], n_types=2, seed=1, method="kmeans", n_places=500,
        standardise="tail", bias_field="none",
    )  # fmt: skip
    found = signatures([patient(body=False)], words, shells=0, limits=Limits(volume_ml=(10, 9000)))
    assert "scale" in found.scans["FLAGS"].iloc[0]


def test_a_reference_that_is_not_there_is_an_error():
    how = Preparation(bias_field="none", standardise="reference")
    with pytest.raises(ImageError, match="no reference tissue"):
        prepare(patient(body=False), how, FIELD)


@pytest.mark.parametrize("bias_field", ["n4", "none"])
def test_channels_in_physical_units_are_divided_by_their_number_only(bias_field):
    scan = patient()
    percent = np.where(scan.mask, 12.0, 95.0).astype(np.float32)
    both = Scan(np.stack([scan.volume[0], percent]), scan.mask, SPACING, scan.reference)
    how = Preparation(bias_field=bias_field, standardise="tail", divisors=(0.0, 20.0))
    prepared = prepare(both, how, FIELD)
    np.testing.assert_allclose(prepared.volume[1], 12 / 20, rtol=1e-5)
    alone = Scan(scan.volume[:1], scan.mask, SPACING, scan.reference)
    plain = prepare(alone, Preparation(bias_field=bias_field, standardise="tail"), FIELD)
    np.testing.assert_allclose(prepared.volume[0], plain.volume[0], rtol=1e-5)


def test_a_vocabulary_of_a_fat_map_remembers_its_unit(tmp_path):
    from livertrack.imaging import Vocabulary

    scans = []
    for number in range(2):
        scan = patient(seed=number)
        percent = np.where(scan.mask, 5.0 + 20 * (np.indices(SHAPE)[0] > 12), 0.0)
        volume = np.stack([scan.volume[0], percent.astype(np.float32)])
        scans.append(
            Scan(volume, scan.mask, SPACING, scan.reference, sequences=("IP", "PDFF"),
                 subject=f"S{number}", visit="Baseline")
        )  # fmt: skip
    words = fit_vocabulary(
        scans, n_types=2, seed=1, method="kmeans", n_places=600, quantitative={"PDFF": 20}
    )
    words.save(tmp_path / "words.safetensors")
    kept = Vocabulary.load(tmp_path / "words.safetensors").preparation
    assert kept.divisors == (0.0, 20.0)
    assert kept == words.preparation
    assert sorted(words.card["profile"][:, 1].round(2)) == pytest.approx([0.25, 1.25], abs=0.05)
    with pytest.raises(UsageError, match="T1 is not a sequence"):
        fit_vocabulary(scans, n_types=2, seed=1, method="kmeans", quantitative={"T1": 3})
    with pytest.raises(UsageError, match="divisors for 2 channels"):
        prepare(scans[0], Preparation(divisors=(1.0,)), FIELD)
