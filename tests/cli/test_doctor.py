import json

import pytest
import torch

from sonoprior.cli import doctor
from sonoprior.cli.main import main


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_what_is_installed_and_used(capsys):
    assert ran("doctor", "--device", "cpu", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["packages"]["torch"] == ["train", torch.__version__.split("+")[0]]
    assert said["packages"]["pandas"][0] == "core"
    assert said["computing"]["device"] == "cpu"
    assert said["free_disk_gb"] > 0


def test_as_tables(capsys):
    assert ran("doctor") == 0
    assert "safetensors" in capsys.readouterr().out


def test_a_missing_package_and_a_missing_extra(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda _name: None)
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "torch" else "1")
    assert ran("doctor") == 0
    shown = capsys.readouterr().out
    assert "not installed" in shown
    assert "sonoprior[train]" in shown


def test_a_device_that_is_not_there(capsys):
    assert ran("doctor", "--device", "cuda:77") == 2
    assert "device must be one that this machine has" in capsys.readouterr().err
