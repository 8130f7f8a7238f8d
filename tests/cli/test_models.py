"""`sonoprior models taps`, end to end, and what the survey says of taps."""

import json

import pytest

from sonoprior.attribution import survey
from sonoprior.attribution.survey import survey_taps
from sonoprior.cli.main import main
from sonoprior.core.errors import ModelError


@pytest.fixture
def only(monkeypatch):
    """Try these taps alone; to export one takes seconds."""

    def choose(*taps):
        monkeypatch.setattr(survey, "list_taps", lambda _backbone: iter(taps))

    return choose


def test_taps_as_json(capsys, only):
    only(("stage3, default", "layer3"), ("last, stage4", "layer4"))
    with pytest.raises(SystemExit) as ended:
        main(["models", "taps", "test_resnet", "--size", "64", "--json"])
    assert ended.value.code == 0
    rows = {row["layer"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["layer3", "layer4"]
    assert rows["layer3"]["tap"] == "stage3, default"
    assert (rows["layer3"]["exported"], rows["layer4"]["exported"]) == ("graph", "closed form")
    assert any("'grad' is constant here" in remark for remark in rows["layer4"]["remarks"])


def test_taps_as_a_table(capsys, only):
    only(("last, stage4", "layer4"))
    with pytest.raises(SystemExit):
        main(["models", "taps", "test_resnet", "--size", "64"])
    shown = capsys.readouterr().out
    assert "stage4" in shown
    assert "guided" in shown


def test_a_tap_without_second_derivative_says_why(only):
    only(("stage3", "blocks.3"))
    rows = {row.layer: row for row in survey_taps("mobilenetv3_small_050", 64)}
    stopped = rows["blocks.3"]
    assert not stopped.guided
    assert "hardsigmoid" in stopped.remarks[0]


def test_a_tap_that_cannot_be_exported_says_why(only, monkeypatch):
    def refuse(*_arguments):
        raise ModelError("ONNX has no word for it.")

    only(("last, stage4", "layer4"))
    monkeypatch.setattr(survey, "write_attribution", refuse)
    (row,) = survey_taps("test_resnet", 64)
    assert (row.exported, row.remarks[0]) == ("no", "ONNX has no word for it.")


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("resnet_of_mine", 64, "backbone must be a timm name"),
        ("my.module:net", 64, "is your own and has no named taps"),
        ("resnet18", 8, "size must be at least 16, but got 8"),
    ],
)
def test_wrong_names_are_refused(name, size, message):
    with pytest.raises(ModelError, match=message):
        survey_taps(name, size)
