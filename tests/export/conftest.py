"""Finished runs of every kind, and their bundles, made once."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tiny import EMBEDDING, write_views
from tiny_several import CLUSTERS, SEVERAL, write_shapes


def finished(folder: Path, content: dict, case_set, variant: str = "plain") -> Path:
    """A finished run of a recipe."""
    from sonoprior.training.machine import choose_device
    from sonoprior.training.recipe_file import load_recipe
    from sonoprior.training.run import Computing, plan_run, train_run

    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    plan = plan_run(load_recipe(folder / "recipe.yaml"), case_set, variant)
    return train_run(plan, folder / "run", Computing(choose_device("cpu")))


@pytest.fixture(scope="session")
def bundles(tmp_path_factory, trained):
    """By kind a run, its case set and its bundle, each made when it is first asked for."""
    from sonoprior.cases import CaseSet
    from sonoprior.export.run import export_run

    folder = tmp_path_factory.mktemp("bundles")
    made = {}

    def run_of(kind):
        if kind == "classifier":
            return trained.run, trained.case_set
        if kind in {"several", "clusters"}:
            case_set = CaseSet.open(write_shapes(folder / f"set of {kind}", hidden=2))
            content = SEVERAL if kind == "several" else CLUSTERS
            # At the last map the attribution has a closed form, which is written in no time.
            content = content | {"model": content["model"] | {"tap": "last"}}
            return finished(folder / kind, content, case_set), case_set
        case_set = CaseSet.open(write_views(folder / f"set of {kind}"))
        embedding = {"dimension": 8, "levels": ["view", "meta"], "inference": ["view", "meta"]}
        logits = {
            "model": EMBEDDING["model"] | {"tap": "last", "embedding": embedding | {"logits": True}},
            "objectives": EMBEDDING["objectives"] | {"classes": {"type": "cross_entropy"}},
        }
        last = {"model": EMBEDDING["model"] | {"tap": "last"}}
        content = EMBEDDING | (logits if kind == "both" else last)
        return finished(folder / kind, content, case_set), case_set

    def bundle_of(kind):
        if kind not in made:
            run, case_set = run_of(kind)
            out = folder / f"bundle of {kind}"
            manifest = export_run(run, out)
            made[kind] = SimpleNamespace(run=run, case_set=case_set, out=out, manifest=manifest)
        return made[kind]

    return bundle_of


@pytest.fixture
def without_overlay(monkeypatch):
    """Exports that are not about where a run looks, in half the time."""
    from sonoprior.core.errors import ModelError
    from sonoprior.export import overlay

    def refuse(*_arguments):
        raise ModelError("left out here.")

    monkeypatch.setattr(overlay, "write_attribution", refuse)
