import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from sonoprior.metrics import SCALARS
from sonoprior.metrics.bootstrap import Sample, interval, resampled
from sonoprior.metrics.contrast import Contrast


def made(seed=0, cases=60):
    rng = np.random.default_rng(seed)
    given = rng.dirichlet(np.ones(3), cases)
    return rng.random(cases) < 0.6, rng.integers(0, 3, cases), given


def test_a_loss_is_the_metric_on_the_kept_less_that_on_the_lost():
    kept, labels, given = made()
    slow = [accuracy_score(labels[side], given[side].argmax(1)) for side in (kept, ~kept)]
    assert Contrast(SCALARS["accuracy"])(kept, labels, given) == pytest.approx(slow[0] - slow[1])


@pytest.mark.parametrize("name", SCALARS)
def test_both_forms_give_the_same_interval(name):
    kept, labels, given = made(1)
    groups = np.random.default_rng(2).integers(0, 15, len(labels))
    contrast = Contrast(SCALARS[name])
    quick = resampled(contrast, [Sample(groups, (kept, labels, given))], samples=40).interval()

    def plain(*arrays):
        return contrast(*arrays)

    plain.rises_with_repeats = contrast.rises_with_repeats
    assert quick == pytest.approx(interval(plain, groups, kept, labels, given, samples=40), nan_ok=True)


def test_with_one_kind_only_there_is_no_loss():
    _, labels, given = made()
    for kept in (np.ones(60, bool), np.zeros(60, bool)):
        assert np.isnan(Contrast(SCALARS["accuracy"])(kept, labels, given))
