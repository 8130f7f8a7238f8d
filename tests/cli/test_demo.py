"""The demo with a set and a recipe of seconds: from nothing to a search, and on from where it was stopped."""

import numpy as np
import pytest
import yaml

from sonoprior.cases import CaseSetWriter, DatasetInfo
from sonoprior.cli import demo
from sonoprior.cli.main import main
from tiny import EMBEDDING, VIEWS, stripes


def write_parted(folder, **_):
    """Views in exams of five, every fourth exam to test and every fourth to validate."""
    rng = np.random.default_rng(0)
    levels = {"view": list(VIEWS), "meta": list(dict.fromkeys(VIEWS.values()))}
    with CaseSetWriter(folder, DatasetInfo(name="stripes", levels=levels, simulated=True)) as writer:
        for number in range(80):
            view, exam = list(VIEWS)[number % 5], number // 5
            writer.add(
                f"case{number:02}",
                stripes(rng, number % 5),
                labels={"view": view, "meta": VIEWS[view]},
                exam=f"e{exam}",
                split=("test", "validation", "train", "train")[exam % 4],
            )


@pytest.fixture
def tiny_demo(tmp_path, monkeypatch):
    """A demo of seconds; gives the folder that it writes, and what was simulated."""
    settings = EMBEDDING | {"split": {"protocol": "given"}, "quick": {"training.epochs": 1}}
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(settings))
    made = []
    monkeypatch.setattr(
        demo, "phantom", lambda folder, **said: made.append(folder) or write_parted(folder, **said)
    )
    monkeypatch.setattr(demo, "_RECIPE", str(recipe))
    return tmp_path / "out", made


def ran(out) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--out", str(out), "--jobs", "1", "--device", "cpu"])
    return ended.value.code


@pytest.mark.long
def test_a_demo_ends_with_a_search_and_goes_on_where_it_was_stopped(tiny_demo, monkeypatch, capsys):
    out, made = tiny_demo
    build = demo.build

    def stopped(*_arguments, **_said):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "build", stopped)
    assert ran(out) == 130
    assert not (out / "cases").exists()
    network = (out / "bundle" / "network.onnx").stat()
    monkeypatch.setattr(demo, "build", build)
    capsys.readouterr()
    assert ran(out) == 0
    shown = capsys.readouterr().out
    assert f"casebase search {out / 'cases'} --image {out / 'phantom' / 'images' / 'case00.png'}" in shown
    assert "--term 'adnexal view'" in shown
    assert shown.count("known cases; research use only, not a diagnosis") == 2
    assert "sonoprior casebase evaluate" in shown
    assert (out / "bundle" / "network.onnx").stat() == network
    assert made == [out / "phantom"]
