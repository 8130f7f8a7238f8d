"""Every page that the project writes, opened without a network in a real browser.

Skips where Debian's Chromium is missing; the CI installs it.
"""

import shutil

import pytest

from made_bundle import made_bundle
from made_embedding import write_embedding_study, write_views
from made_study import FULL, SMALL, FakePredictor, write_cases, write_study, write_tried
from sonoprior.casebase.base import CaseBase
from sonoprior.casebase.page import write_search
from sonoprior.casebase.query import Query
from sonoprior.casebase.search import search
from sonoprior.cases import CaseSet
from sonoprior.cases.audit import audit, write_audit
from sonoprior.studies import StudyResults, run_report, study_report

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the Debian package chromium is not installed")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Name to file of each kind of page."""
    folder = tmp_path_factory.mktemp("pages")
    case_set = CaseSet.open(write_cases(folder / "cases", 36))
    study = write_study(folder / "study", case_set, SMALL)
    everything = write_study(folder / "everything", case_set, FULL)
    write_tried(everything, FULL)
    run = next((study / "runs").glob("alpha-10/*"))
    write_audit(folder / "audit", case_set, audit(case_set))
    views = CaseSet.open(write_views(folder / "views", 36))
    embedding = write_embedding_study(folder / "embedding", views)
    embedded = next((embedding / "runs").glob("guided/*"))
    for name, asked in {"cases": [7], "exams": [7, 9]}.items():
        write_found(folder / name, Query([views.image_path(at) for at in asked]), views)
    return {
        "audit": folder / "audit" / "audit.html",
        "study": study_report(StudyResults.read(study), case_set, load=FakePredictor),
        "everything": study_report(StudyResults.read(everything, case_set), case_set, load=FakePredictor),
        "run": run_report(run, folder / "run.html", case_set, load=FakePredictor),
        "cases found": folder / "cases" / "index.html",
        "exams found": folder / "exams" / "index.html",
        "embedding": run_report(embedded, folder / "embedding.html", views, load=FakePredictor),
    }


def write_found(folder, query: Query, case_set: CaseSet) -> None:
    """The page of a search."""
    bundle = made_bundle(folder / "bundle", classes=case_set.classes("view"), ontology="early_pregnancy")
    base = CaseBase.build(bundle, [case_set], folder / "base")
    write_search(folder, search(base, query), query, base.manifest)


@pytest.fixture
def opened(browser, pages, request):
    """A page in a context without a network, and everything that went wrong while it loaded."""
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda failed: wrong.append(failed.url[:80]))
    page.goto(pages[request.param].as_uri())
    yield page, wrong
    context.close()


KINDS = ["audit", "study", "everything", "run", "embedding", "cases found", "exams found"]
EVERY = pytest.mark.parametrize("opened", KINDS, indirect=True)


@EVERY
def test_it_opens_offline_with_every_picture(opened):
    page, wrong = opened
    assert wrong == []
    # Pictures far down the page load when they are reached; `decode` reaches for them and fails if it cannot.
    page.eval_on_selector_all(
        "img", "all => Promise.all(all.map(one => { one.loading = 'eager'; return one.decode() }))"
    )
    assert all(page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth > 0 && one.alt)"))
    assert page.get_by_text("Research use only").first.is_visible()
    assert page.locator("h1").is_visible()


@EVERY
def test_nothing_hangs_over_the_edge_of_a_small_screen(opened):
    page, _ = opened
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 421


@EVERY
def test_links_within_the_page_lead_somewhere(opened):
    page, _ = opened
    targets = page.eval_on_selector_all("a[href^='#']", "all => all.map(one => one.getAttribute('href'))")
    assert all(page.locator(f"[id='{target[1:]}']").count() == 1 for target in targets)


@pytest.mark.parametrize("opened", ["study"], indirect=True)
def test_a_study_says_its_answer_first_and_gives_its_numbers(opened):
    page, _ = opened
    top = page.locator("main, body").first.inner_text()[:1500]
    assert "alpha-10" in top
    with page.expect_download() as download:
        page.locator("a[download$='.csv']").first.click()
    assert "," in download.value.path().read_text().splitlines()[0]
