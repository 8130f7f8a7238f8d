"""The `sonoprior` command: which subcommand lives where, and how an error ends.

Subcommands are named by path and loaded when used, so that `sonoprior --help` stays quick and free of torch.
"""

import sys
from typing import NoReturn

from cyclopts import App

import sonoprior
from sonoprior.core.errors import MissingExtraError, SonopriorError

app = App(
    name="sonoprior",
    version=sonoprior.__version__,
    help="Learning from ultrasound when labels are scarce. Research use only; never a diagnosis.",
    suppress_keyboard_interrupt=False,  # `main` says what a stop means
)
data = App(name="data", help="Import, make, audit and show case sets.")
models = App(name="models", help="Backbones and the places where they can be guided.")
ontology = App(name="ontology", help="Ontologies: their terms, and how near terms are.")
recipe = App(name="recipe", help="The recipes that come with the project, and your own.")
casebase = App(name="casebase", help="Known cases that may be searched: by image, exam, text and term.")
for group in (data, models, ontology, recipe, casebase):
    app.command(group)

COMMANDS = (
    (data, "import", "data_import:import_set", "Turn folders, tables, clips or DICOM files into a case set."),
    (data, "audit", "data_audit:audit", "Find what would make training go wrong."),
    (data, "phantom", "data_phantom:phantom", "Make a simulated case set."),
    (data, "show", "data_show:show", "Draw a contact sheet with outlines and labels."),
    (models, "taps", "models:taps", "List the taps of a backbone."),
    (ontology, "show", "ontology:show", "Print an ontology as a tree."),
    (ontology, "similarity", "ontology:similarity", "Say how near two terms, or two sets of them, are."),
    (recipe, "list", "recipe:list_recipes", "List the recipes."),
    (recipe, "show", "recipe:show", "Print a recipe as it would run."),
    (casebase, "build", "casebase:build", "Make a case base of case sets, by a bundle."),
    (casebase, "add", "casebase:add", "Add the cases of case sets."),
    (casebase, "remove", "casebase:remove", "Remove cases, exams or case sets."),
    (casebase, "search", "casebase_search:search", "Find known cases like images, a text or a term."),
    (casebase, "stats", "casebase:stats", "Say what a base holds, and whether it is whole."),
    (casebase, "reembed", "casebase:reembed", "Embed all cases anew, by another bundle."),
    (casebase, "evaluate", "casebase_evaluate:evaluate", "Measure a base by itself."),
    (app, "demo", "demo:demo", "Run the main job on simulated exams, from nothing to the report."),
    (app, "train", "train:train", "Train one run of a recipe."),
    (app, "study", "study:study", "Train variants, folds and seeds, and compare them."),
    (app, "report", "report:report", "Write the page of a study or a run again."),
    (app, "tune", "tune:tune", "Choose settings on validation, with the same budget for every variant."),
    (app, "refit", "refit:refit", "Train what a tuning chose, on all folds and seeds."),
    (app, "evaluate", "evaluate:evaluate", "Measure a run."),
    (app, "predict", "predict:predict", "Label images with a run."),
    (app, "explain", "explain:explain", "Draw where a run looks in images."),
    (app, "similar", "similar:similar", "Find the known cases that lie nearest to images."),
    (app, "export", "export:export", "Write the bundle of a run: what answers frames without torch."),
    (app, "compare", "compare:compare", "Compare two runs on the cases they share."),
    (app, "recognise", "recognise:recognise", "Answer images from a bundle: view, confidence, overlay."),
    (app, "doctor", "doctor:doctor", "Say what is installed and what is used."),
)
for parent, name, place, text in COMMANDS:
    parent.command(f"sonoprior.cli.{place}", name=name, help=text)

INPUT_IS_WRONG = 2
INTERRUPTED = 130


# The packages of the extra `train`; whatever else is missing is a fault of the installation.
_BROUGHT_BY_TRAIN = {
    "filelock",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "safetensors",
    "tensorboard",
    "timm",
    "torch",
    "torchvision",
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit with 2 on wrong input, with one sentence on standard error."""
    try:
        status = app(arguments, result_action="return_value")
    except SonopriorError as error:
        _refuse(error)
    except ModuleNotFoundError as error:
        if error.name not in _BROUGHT_BY_TRAIN:
            raise
        _refuse(
            MissingExtraError(
                f"this command needs {error.name}, which comes with the extra 'train'; install it with"
                " pip install 'sonoprior[train]'."
            )
        )
    except KeyboardInterrupt:
        print("sonoprior: stopped.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _refuse(error: SonopriorError) -> NoReturn:
    print(f"sonoprior: {error}", file=sys.stderr)
    sys.exit(INPUT_IS_WRONG)
