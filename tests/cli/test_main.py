"""How the command ends."""

import pytest

from sonoprior.cli import main as command
from sonoprior.core.errors import DataError


def ends_with(monkeypatch, error) -> int:
    def fail(*_arguments, **_settings):
        raise error

    monkeypatch.setattr(command, "app", fail)
    with pytest.raises(SystemExit) as ended:
        command.main([])
    return ended.value.code


def test_wrong_input_is_one_sentence_and_status_2(monkeypatch, capsys):
    assert ends_with(monkeypatch, DataError("a.png is not an image.")) == 2
    assert capsys.readouterr().err == "sonoprior: a.png is not an image.\n"


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    assert ends_with(monkeypatch, ModuleNotFoundError("No module named 'torch'", name="torch")) == 2
    assert "this command needs torch" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        ends_with(monkeypatch, ModuleNotFoundError("No module named 'numpy'", name="numpy"))


def test_an_interruption_is_said(monkeypatch, capsys):
    assert ends_with(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "sonoprior: stopped.\n"


def test_an_interruption_within_a_command_is_said_too(monkeypatch, capsys):
    def stop(*_arguments, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("sonoprior.training.recipe_file.recipe_names", stop)
    with pytest.raises(SystemExit) as ended:
        command.main(["recipe", "list"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "sonoprior: stopped.\n"
