"""`sonoprior recipe list` and `sonoprior recipe show`."""

from typing import Annotated

from cyclopts import Parameter

from .output import print_json, print_table

Set = Annotated[list[str] | None, Parameter(name="--set", negative="")]
Without = Annotated[list[str] | None, Parameter(name="--without", negative="")]


def list_recipes(*, json: bool = False) -> None:
    """List the recipes that come with the project.

    Parameters
    ----------
    json:
        Print JSON instead of a table.
    """
    from sonoprior.training.recipe_file import load_recipe, recipe_names

    recipes = [load_recipe(name) for name in recipe_names()]
    if json:
        print_json([{"name": recipe.name, "about": recipe.about} for recipe in recipes])
        return
    print_table("recipes", ["name", "about"], [(recipe.name, recipe.about) for recipe in recipes])


def show(
    recipe: str,
    *,
    quick: bool = False,
    changes: Set = None,
    without: Without = None,
    variant: str | None = None,
    json: bool = False,
) -> None:
    """Print a recipe as it would run, with every default written out.

    Parameters
    ----------
    recipe:
        A recipe's name, or the path of a YAML file.
    quick:
        Take its quick form.
    changes:
        A setting to change, as dotted.key=value; may be given several times.
    without:
        A variant to leave out; * stands for any letters; may be given several times.
    variant:
        The variant whose settings to take.
    json:
        Print JSON instead of YAML.
    """
    from sonoprior.training.recipe_file import as_yaml, load_recipe

    found = load_recipe(recipe, quick=quick, changes=changes or [], without=without or [], variant=variant)
    if json:
        print_json(found.content())
    else:
        print(as_yaml(found), end="")
