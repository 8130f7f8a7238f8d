"""The house itself: what is light stays light, what is public exists, what is promised is there."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "timm", "transformers", "torchvision", "captum", "sklearn.ensemble"}
EVERY_COMMAND = """
from importlib import import_module
from sonoprior.cli.main import COMMANDS
for _, _, place, _ in COMMANDS:
    import_module("sonoprior.cli." + place.split(":")[0])
"""
LIGHT = [
    "import sonoprior",
    "import sonoprior.knowledge",
    "import sonoprior.cases",
    "import sonoprior.cases.loading",
    "import sonoprior.metrics",
    "import sonoprior.render",
    "import sonoprior.models, sonoprior.models.text_encoders",
    "import sonoprior.attribution",
    "import sonoprior.objectives, sonoprior.objectives.settings",
    "import sonoprior.training.recipe",
    "import sonoprior.bundle.folder, sonoprior.bundle.decider, sonoprior.bundle.confidence",
    "import sonoprior.runtime, sonoprior.runtime.onnxruntime_engine, sonoprior.runtime.openvino_engine",
    "from sonoprior.cases.phantom import make_phantom",
    EVERY_COMMAND,
]


@pytest.mark.parametrize("entry", LIGHT)
def test_light_entry_points_load_nothing_heavy(entry):
    code = f"{entry}\nimport sys; print(sorted(set(sys.modules) & {HEAVY!r}))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "package",
    ["sonoprior", "knowledge", "cases", "models", "attribution", "objectives", "training", "runtime"],
)
def test_public_names_exist(package):
    module = importlib.import_module("sonoprior" if package == "sonoprior" else f"sonoprior.{package}")
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


def test_every_command_has_help(capsys):
    from sonoprior.cli.main import COMMANDS, app

    for parent, name, place, text in COMMANDS:
        module, function = place.split(":")
        command = getattr(importlib.import_module(f"sonoprior.cli.{module}"), function)
        assert command.__doc__, place
        words = [*([parent.name[0]] if parent is not app else []), name, "--help"]
        with pytest.raises(SystemExit) as ended:
            importlib.import_module("sonoprior.cli.main").main(words)
        assert ended.value.code == 0
        assert text.split()[0] in capsys.readouterr().out, name


def test_the_readme_names_every_command():
    from sonoprior.cli.main import COMMANDS, app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for parent, name, _, _ in COMMANDS:
        words = " ".join(["sonoprior", *([parent.name[0]] if parent is not app else []), name])
        assert words in readme, words


def test_links_in_the_documents_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_one_version():
    import sonoprior

    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'version = "{sonoprior.__version__}"' in project
    assert f"version: {sonoprior.__version__}" in citation
    assert f"[{sonoprior.__version__}]" in changelog


def test_constraints_pin_versions_and_name_no_host():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for line in lines[1:]:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line), line
