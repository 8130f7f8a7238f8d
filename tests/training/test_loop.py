from math import isnan, nan
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sonoprior.objectives.base import Term
from sonoprior.training.experiment import Outcome
from sonoprior.training.loop import Fit, _Means, steps_per_epoch
from sonoprior.training.recipe import TrainingSettings
from sonoprior.training.streams import rounds


def fit_of(**settings) -> Fit:
    network = nn.Linear(1, 1)
    return Fit(SimpleNamespace(network=network, texts=None, settings=TrainingSettings(**settings)))


def seen(fit: Fit, values: list[float]) -> tuple[int, float]:
    for epoch, value in enumerate(values, start=1):
        with torch.no_grad():
            fit.training.network.weight.fill_(epoch)
        fit._keep_if_better(epoch, value)
    assert float(fit.best["weight"]) == fit.progress.best_epoch
    return fit.progress.best_epoch, fit.progress.best_value


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("accuracy", [0.5, 0.7, 0.6], 2),
        ("accuracy", [0.5, 0.7, 0.7], 2),  # of equal ones the first
        ("ece", [0.5, 0.1, 0.3], 2),
        ("auroc", [nan, nan, 0.4, nan, 0.3], 3),
    ],
)
def test_the_best_epoch_is_kept(monitor, values, best):
    assert seen(fit_of(monitor=monitor), values)[0] == best


def test_a_metric_that_is_never_defined_keeps_the_first_epoch():
    epoch, value = seen(fit_of(monitor="auroc"), [nan, nan])
    assert epoch == 1
    assert isnan(value)


@pytest.mark.parametrize(
    ("epochs", "best", "patience", "finished"),
    [(0, 0, 2, False), (3, 1, 2, True), (3, 2, 2, False), (5, 5, None, True), (4, 1, None, False)],
)
def test_when_a_run_ends(epochs, best, patience, finished):
    fit = fit_of(epochs=5, patience=patience)
    fit.progress.epochs, fit.progress.best_epoch = epochs, best
    assert fit.finished is finished


def term(total: float, count: float, **monitors: tuple[float, float]) -> Term:
    return Term(torch.tensor(total), torch.tensor(count), monitors)


def test_means_of_terms_are_over_items_and_not_over_steps():
    means = _Means()
    means.add(Outcome(torch.tensor(2.0), {"a": term(6.0, 3.0, hits=(1.0, 4.0))}))
    means.add(Outcome(torch.tensor(4.0), {"a": term(2.0, 1.0, hits=(3.0, 4.0))}))
    means.add(Outcome(torch.tensor(0.0), {"a": term(0.0, 0.0, hits=(0.0, 0.0))}))
    assert means.row() == {"train.loss": 2.0, "train.a": 2.0, "train.a.hits": 0.5}


def test_a_term_without_items_in_the_whole_epoch_has_no_mean():
    means = _Means()
    means.add(Outcome(torch.tensor(1.0), {"a": term(0.0, 0.0)}))
    assert isnan(means.row()["train.a"])


class Numbers(list):
    def epoch(self, epoch):
        return iter([(epoch, number) for number in self])


def test_a_stream_that_is_shorter_than_an_epoch_begins_anew_and_never_repeats_an_order():
    assert list(rounds(Numbers([7, 8]), 3, epoch=0)) == [(0, 7), (0, 8), (1, 7), (1, 8)]
    assert list(rounds(Numbers([7, 8]), 3, epoch=1)) == [(2, 7), (2, 8), (3, 7), (3, 8)]
    assert list(rounds(Numbers([7, 8]), 2, epoch=5)) == [(5, 7), (5, 8)]


def test_an_epoch_is_as_long_as_is_asked_for_or_as_the_labelled_stream():
    streams = {"labelled": Numbers([1, 2, 3]), "other": Numbers([7, 8])}
    assert steps_per_epoch(TrainingSettings(), streams) == 3
    assert steps_per_epoch(TrainingSettings(steps_per_epoch=10), streams) == 10
