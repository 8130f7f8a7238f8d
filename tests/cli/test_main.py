"""How the command ends."""

import signal
import subprocess
import sys
import time

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


def test_a_kill_ends_it_as_an_interruption_does(tmp_path):
    words = ["data", "phantom", str(tmp_path / "set"), "--patients", "200"]
    program = f"import sys; sys.argv[1:] = {words!r}; from sonoprior.cli.main import main; main()"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob(".set.*/*")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith("sonoprior: stopped.\n")
    assert not list(tmp_path.iterdir())
