"""`sonoprior data show`: a contact sheet of a case set."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sonoprior.cases.loading.spec import AugmentSpec
    from sonoprior.training.recipe import Recipe


def show(
    data: Path,
    /,
    *,
    out: Path | None = None,
    augment: str | None = None,
    cases: int | None = None,
    columns: int = 6,
    level: str | None = None,
    outlined: bool = False,
    seed: int = 0,
) -> None:
    """Draw a contact sheet with outlines and labels, or of what an augmentation does to the images.

    Args:
        data: a case set.
        out: the PNG; by default "sheet.png" where the command runs.
        augment: "weak", "strong", a recipe whose augment section to take, by name or path, or a view of one
            of its streams ("RECIPE:STREAM.VIEW"): a row a case, first the plain image, then several draws.
        cases: how many, spread evenly over the classes; by default 36, or 6 with --augment.
        columns: pictures in a row.
        level: whose labels stand below the pictures; by default the first.
        outlined: show only cases with outlines.
        seed: for which cases are shown, and for the draws.
    """
    from sonoprior.cases import CaseSet
    from sonoprior.cases.show import sheet_of
    from sonoprior.core.checks import at_least
    from sonoprior.core.errors import DataError
    from sonoprior.core.folder import whole_file

    count = at_least("--cases", cases if cases is not None else 6 if augment else 36, 1, DataError)
    at_least("--columns", columns, 2 if augment else 1, DataError)
    spec = None if augment is None else _augmentation(augment)
    case_set = CaseSet.open(data)
    if spec is None:
        sheet = sheet_of(case_set, count, columns=columns, level=level, outlined=outlined, seed=seed)
    else:
        from sonoprior.cases.loading.sheet import augmented_sheet

        sheet = augmented_sheet(
            case_set, count, spec, columns=columns, level=level, outlined=outlined, seed=seed
        )
    target = Path("sheet.png") if out is None else out
    with whole_file(target) as temporary:
        sheet.save(temporary, format="PNG")
    print(f"{target}")


def _augmentation(name: str) -> "AugmentSpec":
    from sonoprior.cases.loading.policies import POLICIES, policy
    from sonoprior.core.checks import one_of
    from sonoprior.core.errors import RecipeError
    from sonoprior.training.recipe_file import load_recipe, recipe_names

    if name in POLICIES:
        return policy(name)
    recipe, colon, view = name.partition(":")
    if not recipe.endswith(".yaml"):
        one_of("--augment", recipe, [*POLICIES, *recipe_names()], RecipeError)
    return _of_a_view(load_recipe(recipe), view) if colon else load_recipe(recipe).augment


def _of_a_view(recipe: "Recipe", place: str) -> "AugmentSpec":
    """What augments a view of a stream, named as "STREAM.VIEW"; a plain view is left as it is."""
    from sonoprior.cases.loading.policies import UNCHANGED
    from sonoprior.core.checks import one_of
    from sonoprior.core.errors import RecipeError

    stream, _, view = place.rpartition(".")
    known = [f"{name}.{each}" for name, settings in recipe.streams.items() for each in settings.specs]
    one_of(f"--augment: the view of {recipe.name}", place, known or ["nothing"], RecipeError)
    return recipe.streams[stream].specs[view] or UNCHANGED
