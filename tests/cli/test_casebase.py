"""The commands of a case base, from a bundle and case sets to the page of a search."""

import json

import numpy as np
import pytest
from PIL import Image

from made_bundle import made_bundle
from sonoprior.casebase.base import CaseBase
from sonoprior.cases import CaseSet
from sonoprior.cli.main import main
from tiny import VIEWS, write_blobs, write_views


def ran(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """The folder of a case set of 30 views in exams of five."""
    return write_views(tmp_path_factory.mktemp("views") / "set", 30)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle that names these views and knows their terms."""
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    return made_bundle(folder, classes=list(VIEWS), ontology="early_pregnancy")


@pytest.fixture(scope="module")
def built(views, bundle, tmp_path_factory):
    """A base that is only read."""
    out = tmp_path_factory.mktemp("base") / "cases"
    assert ran("casebase", "build", bundle, views, "--out", out) == 0
    return out


@pytest.fixture
def own(views, bundle, tmp_path):
    """A base to be changed."""
    CaseBase.build(bundle, [views], tmp_path / "cases").close()
    return tmp_path / "cases"


def found(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_a_search_by_an_image_is_that_of_a_slow_loop(built, views, capsys):
    case_set, base = CaseSet.open(views), CaseBase.open(built)
    every = base.recogniser.embed(case_set.read_image(at) for at in range(30))
    assert ran("casebase", "search", built, "--image", case_set.image_path(7), "--k", 4, "--json") == 0
    said = capsys.readouterr()
    hits = json.loads(said.out)["hits"]
    groups, near = case_set.groups(), every @ every[7]
    wanted = [at for at in np.argsort(-near) if groups[at] != groups[7]][:4]
    assert [hit["case"] for hit in hits] == [f"stripes/case{at:02}" for at in wanted]
    assert [hit["similarity"] for hit in hits] == pytest.approx(near[wanted], abs=1e-4)
    assert all(hit["distance"] is not None for hit in hits)
    assert "5 cases of the query's own patient or exam left out; --own finds them" in said.err


def test_tables_for_people(built, views, capsys):
    image = CaseSet.open(views).image_path(7)
    assert ran("casebase", "search", built, "--image", image, "--k", 2, "--rerank") == 0
    shown = capsys.readouterr().out
    assert "research use only, not a diagnosis" in shown
    assert all(word in shown for word in ("similarity", "re-ranked", "distance", "stripes/case"))
    assert ran("casebase", "search", built, "--exam", "stripes/e1", "--k", 2) == 0
    assert "stripes/e" in capsys.readouterr().out


def test_by_term_text_filter_and_correction(built, views, capsys):
    search = ("casebase", "search", built, "--json")
    assert ran(*search, "--term", "adnexal view", "--k", 99) == 0
    said = capsys.readouterr()
    hits = json.loads(said.out)["hits"]
    assert {hit["facts"]["label.view"][0] for hit in hits} == {name for name in VIEWS if "adnexa" in name}
    assert len(hits) == 12
    assert "12 cases found, fewer than the 99 asked for: no more may be found" in said.err
    assert ran(*search, "--where", "exam=e1", "--where", "exam=e2") == 0
    assert {hit["exam"] for hit in found(capsys)["hits"]} == {"stripes/e1", "stripes/e2"}
    image = CaseSet.open(views).image_path(2)
    assert ran(*search, "--image", image, "--term", "transverse view of right adnexa") == 0
    assert {hit["facts"]["label.view"][0] for hit in found(capsys)["hits"]} == {
        "transverse view of right adnexa"
    }
    assert ran(*search, "--text", "an adnexa") == 2
    assert "needs a bundle with a text encoder, but 'made' has none" in capsys.readouterr().err


def test_several_images_find_exams(built, views, capsys):
    images = [CaseSet.open(views).image_path(at) for at in (5, 6)]
    assert ran("casebase", "search", built, "--image", *images, "--k", 3, "--json") == 0
    said = found(capsys)
    assert said["found"] == "exams"
    assert "stripes/e1" not in [hit["exam"] for hit in said["hits"]]
    assert all(len(hit["frames"]) == 2 for hit in said["hits"])


@pytest.mark.parametrize("kind", [["--image", 0], ["--image", 0, 1], ["--term", "adnexal view"]])
def test_the_page_shows_what_was_asked_and_found(built, views, tmp_path, capsys, kind):
    given = [CaseSet.open(views).image_path(each) if isinstance(each, int) else each for each in kind]
    out = tmp_path / "out"
    assert ran("casebase", "search", built, *given, "--k", 3, "--out", out, "--json") == 0
    said = found(capsys)
    assert said == json.loads((out / "search.json").read_text())
    page = (out / "index.html").read_text()
    images = sum(isinstance(each, int) for each in kind)
    assert page.count("<img") == images + 3 * max(1, images)
    assert "Research use only" in page
    assert "Simulated data" in page
    assert ran("casebase", "search", built, *given, "--out", out) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "a search needs images, a case, an exam, a text, a term or a filter"),
        (["--term", "adnexal vew"], "Did you mean 'adnexal view'?"),
        (["--where", "devise"], "--where must be NAME=VALUE, but got 'devise'"),
        (["--where", "exxam=e1"], "Did you mean 'exam'?"),
        (["--where", "exam=e77"], "no case of the base has exam=e77."),
        (["--case", "stripes/case77"], "there is no case 'stripes/case77'"),
        (["--image", "nowhere.png"], "nowhere.png is missing or is not a file."),
        (["--term", "adnexal view", "--k", "0"], "k must be at least 1, but got 0"),
    ],
)
def test_wrong_questions_end_in_a_sentence(built, capsys, given, sentence):
    assert ran("casebase", "search", built, *given) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_images_that_are_none_of_a_frame(built, tmp_path, capsys):
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(tmp_path / "pixel.png")
    assert ran("casebase", "search", built, "--image", tmp_path / "pixel.png") == 2
    assert "pixel.png" in capsys.readouterr().err


def test_adding_and_removing(own, tmp_path, capsys):
    blobs = write_blobs(tmp_path / "blobs", 12)
    assert ran("casebase", "add", own, blobs) == 0
    assert "12 cases added" in capsys.readouterr().out
    assert ran("casebase", "add", own, blobs) == 2
    assert "already" in capsys.readouterr().err
    assert (
        ran("casebase", "remove", own, "--set", "blobs", "--exam", "stripes/e0", "--case", "stripes/case29")
        == 0
    )
    assert "18 cases removed" in capsys.readouterr().out
    assert ran("casebase", "remove", own) == 2
    assert "--case, --exam or --set" in capsys.readouterr().err
    assert ran("casebase", "remove", own, "--set", "stripes") == 0
    assert ran("casebase", "search", own, "--term", "adnexal view") == 2
    assert "holds no case" in capsys.readouterr().err
    assert ran("casebase", "evaluate", own) == 2
    assert "holds no case" in capsys.readouterr().err


def test_images_that_cannot_be_read_are_listed_and_left_out(bundle, tmp_path, capsys):
    blobs = write_blobs(tmp_path / "blobs", 12)
    (blobs / "images" / "case03.png").write_bytes(b"no image")
    assert ran("casebase", "build", bundle, blobs, "--out", tmp_path / "cases") == 0
    said = capsys.readouterr()
    assert "11 cases in" in said.out
    assert "left out:" in said.err
    assert "case03.png" in said.err


def test_what_a_base_holds(own, capsys):
    assert ran("casebase", "stats", own) == 0
    shown = capsys.readouterr().out
    assert "30" in shown
    assert "stripes (30)" in shown
    assert ran("casebase", "stats", own, "--check", "--json") == 0
    said = found(capsys)
    assert (said["cases"], said["problems"]) == (30, [])
    network = next(own.glob("bundles/*/network.onnx"))
    network.write_bytes(network.read_bytes()[:-9])
    assert ran("casebase", "stats", own, "--check") == 1
    assert "network.onnx is damaged" in capsys.readouterr().err


def test_another_bundle(own, tmp_path, capsys):
    other = made_bundle(
        tmp_path / "other", dimension=5, seed=1, classes=list(VIEWS), ontology="early_pregnancy"
    )
    assert ran("casebase", "reembed", own, other) == 0
    assert "30 cases of" in capsys.readouterr().out
    assert CaseBase.open(own).vectors().matrix.shape == (30, 5)
    assert ran("casebase", "reembed", own, other, "--moved", "stripes") == 2
    assert "--moved must be NAME=VALUE" in capsys.readouterr().err


def test_a_base_measured_by_itself(built, capsys):
    assert ran("casebase", "evaluate", built) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("recall@1.view", "re-ranked", "30 of 30 cases looked for, of 6"))
    assert ran("casebase", "evaluate", built, "--level", "meta", "--where", "exam=e1", "--json") == 0
    said = found(capsys)
    assert (said["queries"], list(said["levels"])) == (5, ["meta"])
    assert said["measures"]["recall@1.meta"]["value"] is not None
    assert ran("casebase", "evaluate", built, "--level", "veiw") == 2
    assert "Did you mean 'view'" in capsys.readouterr().err


def test_a_folder_that_is_no_base(tmp_path, capsys):
    assert ran("casebase", "search", tmp_path, "--term", "x") == 2
    assert "is not a case base folder" in capsys.readouterr().err
