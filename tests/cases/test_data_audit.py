import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sonoprior.cases import CaseSetWriter, DatasetInfo
from sonoprior.cli.main import main


def picture(seed: int) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((64, 64)), (0, 0), 2.0)
    return np.clip(128 + 60 * noise / noise.std(), 20, 255).astype(np.uint8)


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve pictures of two classes, one of them twice in the same class."""
    monkeypatch.chdir(tmp_path)
    with CaseSetWriter(tmp_path / "set", DatasetInfo(name="few", levels={"view": ["a", "b"]})) as writer:
        for i in range(12):
            writer.add(f"c{i}", picture(i), labels={"view": "ab"[i % 2]})
        writer.add("again", picture(0), labels={"view": "a"})
    return tmp_path / "set"


def status(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["data", "audit", *map(str, arguments)])
    return int(end.value.code or 0)


def test_duplicates_alone_are_a_warning(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in cases.rglob("*")}
    assert status(cases) == 0
    said = capsys.readouterr().out
    assert "warning: 1 group(s) of images, 2 in all, show the same picture." in said
    assert "audit-set/audit.html" in said
    assert (cases.parent / "audit-set" / "audit.html").is_file()
    assert {path: path.stat().st_mtime_ns for path in cases.rglob("*")} == before


def test_json_goes_to_standard_output_and_to_the_file(
    cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(cases, "--out", "here", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((cases.parent / "here" / "audit.json").read_text())
    assert [[member["case"] for member in group["members"]] for group in printed["duplicates"]] == [
        ["c0", "again"]
    ]


def test_a_leaking_split_ends_with_1(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"c{i},train" for i in range(12)] + ["again,test"]
    (cases.parent / "split.csv").write_text("\n".join(["case,part", *rows]))
    assert status(cases, "--split", "split.csv") == 1
    assert "fatal: 'c0', 'again' show the same picture, but lie in test, train" in capsys.readouterr().out


def test_an_unreadable_image_ends_with_1(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted((cases / "images").iterdir())[:5]:
        path.write_bytes(b"")
    assert status(cases) == 1
    said = capsys.readouterr().out
    assert said.count("is empty (0 bytes)") == 3
    assert "fatal: 2 more image files that cannot be read." in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "nowhere.csv"], "nowhere.csv cannot be read"),
        (["--split", "own"], "brings no split of its own"),
        (["--level", "vew"], "the level must be one of view, but got 'vew'. Did you mean 'view'?"),
        (["--out", "set"], "set must be a new folder or hold an earlier audit"),
    ],
)
def test_wrong_input_ends_with_2_and_leaves_nothing(
    cases: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert status(cases, *arguments) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in cases.parent.iterdir()) == ["set"]


def test_a_folder_that_is_no_case_set_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(tmp_path / "nothing") == 2
    assert "must be the folder of a case set" in capsys.readouterr().err
    assert status(tmp_path) == 2
    assert "is not a case set" in capsys.readouterr().err
