from itertools import product

from sonoprior.training.tune_settings import TuneSettings

RATES, WEIGHTS = [1e-4, 1e-3, 1e-2], [1, 5]


def tuning(budget, **more):
    return TuneSettings(budget=budget, grid={"rate": RATES}, **more)


# `rate` and `weight` stand for dotted keys; whether a recipe has them is the recipe's affair.
def test_a_whole_grid_is_tried_in_its_order():
    settings = tuning(6, variants={"guided": {"weight": WEIGHTS}})
    expected = [{"rate": rate, "weight": weight} for rate, weight in product(RATES, WEIGHTS)]
    assert settings.offered("guided") == 6
    assert settings.tried("guided") == expected


def test_an_own_grid_takes_the_place_of_the_common_one():
    assert tuning(1, variants={"guided": {"rate": [0.5]}}).tried("guided") == [{"rate": 0.5}]


def test_from_a_larger_grid_the_budget_is_drawn_without_replacement():
    grid = {"a": list(range(50)), "b": list(range(50))}
    drawn = [TuneSettings(budget=10, seed=seed, grid=grid).tried("any") for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    pairs = [(one["a"], one["b"]) for one in drawn[0]]
    assert len(set(pairs)) == 10
    assert pairs == sorted(pairs)


def test_variants_with_the_same_grid_try_the_same():
    settings = tuning(2, variants={"guided": {"weight": WEIGHTS}})
    assert settings.tried("plain") == settings.tried("control")


def test_every_setting_can_be_drawn():
    seen = {tuning(1, seed=seed).tried("plain")[0]["rate"] for seed in range(40)}
    assert seen == set(RATES)
