"""`data show --augment`, from the command line to the picture."""

import numpy as np
import pytest
import yaml
from PIL import Image

from sonoprior.cases.loading.policies import policy
from sonoprior.cases.loading.sheet import augmented_sheet
from sonoprior.cases.loading.spec import AugmentSpec
from sonoprior.cli.main import main

OFF = AugmentSpec(mirror=0, rotate=0, zoom=0, translate=0, gain=0, depth_gain=0, contrast=0, gamma=0, noise=0)


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.mark.parametrize("augment", ["weak", "strong", "busi-pga"])
def test_a_row_a_case_the_plain_image_first(sides, tmp_path, augment):
    flags = ("--augment", augment, "--cases", 2, "--columns", 3, "--level", "side")
    assert run("data", "show", sides.root, "--out", tmp_path / "sheet.png", *flags) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] == 6 + 3 * 230
        assert 2 * 230 < sheet.size[1] < 3 * 230


def tiles(sheet, columns):
    page = np.asarray(sheet)
    return [page[6 : 6 + 224, 6 + k * 230 : 6 + k * 230 + 224].astype(int) for k in range(columns)]


def test_the_first_is_plain_and_the_draws_differ_and_repeat(sides):
    plain, still = tiles(augmented_sheet(sides, 1, OFF, columns=2, outlined=True), 2)
    assert np.abs(plain - still).mean() < 4
    first, one, two = tiles(augmented_sheet(sides, 1, AugmentSpec(), columns=3, outlined=True), 3)
    assert np.array_equal(first, plain)
    assert np.abs(one - plain).mean() > 10
    assert np.abs(two - one).mean() > 10
    again = tiles(augmented_sheet(sides, 1, AugmentSpec(), columns=3, outlined=True), 3)
    assert np.array_equal(again[2], two)


def sheet_by(sides, out, augment):
    flags = ("--augment", augment, "--cases", 1, "--columns", 4, "--outlined")
    assert run("data", "show", sides.root, "--out", out, *flags) == 0
    with Image.open(out) as sheet:
        return np.asarray(sheet)


def write_recipe(path, stream):
    content = {
        "format": 1,
        "name": "own",
        "objectives": {"labels": {"type": "cross_entropy"}},
        "streams": {"frames": stream},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_view_of_a_stream_is_shown_as_the_recipe_changes_it(sides, tmp_path):
    changed = {"shadow": 0, "cutout": 0, "speckle": 0, "rotate": 40}
    own = write_recipe(tmp_path / "own.yaml", {"views": "weak-strong", "augment": {"strong": changed}})
    spec = policy("strong").model_copy(update=changed)
    expected = np.asarray(augmented_sheet(sides, 1, spec, columns=4, outlined=True))
    shown = sheet_by(sides, tmp_path / "own.png", f"{own}:frames.strong")
    assert np.array_equal(shown, expected)
    strong = sheet_by(sides, tmp_path / "strong.png", "strong")
    assert not np.array_equal(shown, strong)
    assert np.array_equal(strong, sheet_by(sides, tmp_path / "as.png", "abdomen-labels:unlabelled.strong"))


def test_a_plain_view_is_shown_as_it_is(sides, tmp_path):
    own = write_recipe(tmp_path / "own.yaml", {"views": "plain"})
    plain, *draws = tiles(sheet_by(sides, tmp_path / "own.png", f"{own}:frames.plain"), 4)
    assert all(np.abs(drawn - plain).mean() < 4 for drawn in draws)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--augment", "stronk"), "--augment must be one of weak, strong, abdomen-clustering"),
        (
            ("--augment", "abdomen-labels:unlabelled.stronk"),
            "the view of abdomen-labels must be one of unlabelled.weak, unlabelled.strong",
        ),
        (("--augment", "busi-pga:unlabelled.strong"), "the view of busi-pga must be one of nothing"),
        (("--augment", "weak", "--columns", 1), "--columns must be at least 2, but got 1"),
        (("--augment", "weak", "--cases", 0), "--cases must be at least 1, but got 0"),
        (("--augment", "weak", "--level", "sid"), "Did you mean 'side'"),
    ],
)
def test_what_cannot_be_is_refused(sides, tmp_path, capsys, flags, message):
    assert run("data", "show", sides.root, "--out", tmp_path / "sheet.png", *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "sheet.png").exists()
