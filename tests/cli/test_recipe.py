import json

import pytest
import yaml

from sonoprior.cli.main import main
from sonoprior.training.recipe_file import recipe_names


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_list(capsys):
    assert ran("recipe", "list") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in recipe_names())
    assert ran("recipe", "list", "--json") == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == recipe_names()


def test_show_as_it_would_run(capsys, tiny_recipe):
    assert ran("recipe", "show", tiny_recipe, "--quick", "--set", "training.batch_size=4") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["training"]["epochs"], shown["training"]["batch_size"]) == (1, 4)
    assert ran("recipe", "show", tiny_recipe, "--variant", "guided", "--json") == 0
    assert json.loads(capsys.readouterr().out)["objectives"]["guidance"]["weight"] == 2
    assert ran("recipe", "show", tiny_recipe, "--without", "guided", "--json") == 0
    assert list(json.loads(capsys.readouterr().out)["study"]["variants"]) == ["plain"]


def test_several_settings(capsys, tiny_recipe):
    code = ran("recipe", "show", tiny_recipe, "--set", "training.epochs=9", "--set", "data.size=64")
    assert code == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["training"]["epochs"], shown["data"]["size"]) == (9, 64)


def test_a_typo_ends_with_one_sentence(capsys):
    assert ran("recipe", "show", "busi-pga", "--set", "training.epoch=3") == 2
    assert capsys.readouterr().err == (
        "sonoprior: busi-pga: unknown key 'training.epoch'. Did you mean 'training.epochs'?\n"
    )
