import pandas as pd
import pytest

from sonoprior.training.assemble import assemble
from sonoprior.training.machine import choose_device
from sonoprior.training.recipe_file import validated, with_value
from sonoprior.training.run import Computing, Plan, train_run

CPU = Computing(choose_device("cpu"))


def guided_by(plan: Plan, **priors) -> Plan:
    content = with_value(plan.recipe.content(), "training.epochs", 1)
    for key, value in priors.items():
        content = with_value(content, f"data.priors.{key}", value)
    return Plan(validated(content, "tiny"), plan.case_set, plan.parts, plan.groups, seed=plan.seed)


def areas(run) -> dict[tuple[str, str], float]:
    looked = pd.read_csv(run / "localisation.csv", dtype={"case": str})
    return {(row.case, row.prior): row.area for row in looked.itertuples()}


@pytest.mark.parametrize(
    "priors", [{"control": "blob"}, {"control": "random"}, {"control": "shuffled"}, {"noise": 4}]
)
def test_a_run_guided_elsewhere_is_measured_by_the_real_priors(trained, tmp_path, priors):
    run = train_run(guided_by(trained.plan, **priors), tmp_path / "run", CPU)
    assert areas(run)
    assert areas(run) == areas(trained.run)


def test_a_control_changes_what_guides_and_nothing_else(trained, tmp_path):
    from sonoprior.cases.loading.cache import Cache

    spec = trained.plan.recipe.data.priors
    cache = Cache.build(trained.case_set, tmp_path, size=32, priors=spec)
    batches = []
    for plan in (trained.plan, guided_by(trained.plan, control="blob")):
        training, _ = assemble(plan.recipe, cache, plan.parts, plan.seed, CPU.device)
        batches.append([views["only"] for views in training.streams["labelled"].epoch(0)])
    for real, control in zip(*batches, strict=True):
        assert (real["image"] == control["image"]).all()
        assert (real.present["prior"] == control.present["prior"]).all()
    assert not all((real["prior"] == control["prior"]).all() for real, control in zip(*batches, strict=True))
