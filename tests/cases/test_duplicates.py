from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sonoprior.cases import CaseSet, CaseSetWriter, DatasetInfo
from sonoprior.cases.duplicates import Sketches, duplicate_groups, duplicates_among, near_duplicates
from sonoprior.cases.duplicates.alignment import SAME, aligned_correlation
from sonoprior.cases.duplicates.candidates import DESCRIPTION, WORTH_ALL_VIEWS, candidates, describe
from sonoprior.cases.duplicates.groups import Groups
from sonoprior.cases.duplicates.sketches import SIDE, small_picture
from sonoprior.cases.duplicates.texture import texture, tissue
from sonoprior.core.errors import DataError, FolderError

HEIGHT, WIDTH = 180, 240
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def anatomy(rng: np.random.Generator) -> np.ndarray:
    """Layers and round lesions, as the strength of their echo."""
    echo = np.full((HEIGHT, WIDTH), rng.uniform(0.5, 1))
    for _ in range(rng.integers(3, 7)):
        distance = ROWS - rng.uniform(0, HEIGHT) - rng.uniform(-0.1, 0.1) * COLUMNS
        echo += rng.uniform(-0.4, 1.5) * np.exp(-((distance / rng.uniform(4, 15)) ** 2))
    for _ in range(rng.integers(1, 4)):
        row, column = rng.uniform(30, 150), rng.uniform(40, 200)
        tall, wide = rng.uniform(10, 35, 2)
        echo[((ROWS - row) / tall) ** 2 + ((COLUMNS - column) / wide) ** 2 < 1] *= rng.uniform(0.05, 0.6)
    return np.maximum(echo, 0.02) * np.exp(-ROWS / HEIGHT * rng.uniform(0.5, 2.5))


def frame(echo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One frame of an anatomy: fully developed speckle, log-compressed."""
    parts = [
        cv2.GaussianBlur(rng.standard_normal(echo.shape), (0, 0), sigmaX=1.6, sigmaY=0.8) for _ in range(2)
    ]
    decibel = 20 * np.log10(np.hypot(*parts) * echo + 1e-6)
    return np.clip((decibel - decibel.max() + 60) / 60 * 255, 0, 255).astype(np.uint8)


def speckle(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return frame(anatomy(rng), rng)


def in_sector(image: np.ndarray) -> np.ndarray:
    """The image in a sector on black ground, with the words and the ruler that a device writes beside it."""
    image = image.copy()
    depth, angle = (
        np.hypot(COLUMNS - WIDTH / 2, ROWS + 48),
        np.arctan2(np.abs(COLUMNS - WIDTH / 2), ROWS + 48),
    )
    image[(depth < 60) | (depth > 216) | (angle > 0.6)] = 0
    for line, word in enumerate(("GA 8w", "MI 0.9", "TIS 0.2", "Fr 32")):
        cv2.putText(image, word, (3, 18 + 15 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 255, 1)
    for line in range(10):
        cv2.line(image, (WIDTH - 5, 18 * line), (WIDTH - 1, 18 * line), 255, 1)
    return image


def copy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cropped by up to 5 % of each side, up to 10 % brighter, and through a JPEG."""
    height, width = image.shape
    lost = rng.uniform(0, 0.05, 2) * image.shape
    top, left = np.rint(lost * rng.uniform(0, 1, 2)).astype(int)
    tall, wide = height - int(lost[0]), width - int(lost[1])
    brighter = np.clip(image[top : top + tall, left : left + wide] * rng.uniform(1, 1.1), 0, 255)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 95))]
    return cv2.imdecode(cv2.imencode(".jpg", brighter.astype(np.uint8), quality)[1], cv2.IMREAD_GRAYSCALE)


def hardest_copy(image: np.ndarray, corner: int) -> np.ndarray:
    """5 % off both sides at one corner, 10 % brighter, a poor JPEG."""
    down, right = divmod(corner % 4, 2)
    rows, columns = round(0.05 * HEIGHT), round(0.05 * WIDTH)
    cropped = image[down * rows : HEIGHT - (1 - down) * rows, right * columns : WIDTH - (1 - right) * columns]
    brighter = np.clip(cropped * 1.1, 0, 255).astype(np.uint8)
    return cv2.imdecode(
        cv2.imencode(".jpg", brighter, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE
    )


def sketched(images: list[np.ndarray]) -> Sketches:
    return Sketches.read(images.__getitem__, len(images))


@pytest.mark.parametrize("look", [lambda image: image, in_sector], ids=["full frame", "sector"])
@pytest.mark.parametrize("how", ["random", "hardest"])
def test_copies_are_found_and_nothing_else(look: Callable[[np.ndarray], np.ndarray], how: str) -> None:
    count, rng = 100, np.random.default_rng(7)
    images = [look(speckle(seed)) for seed in range(count)]
    copies = [
        copy(image, rng) if how == "random" else hardest_copy(image, i) for i, image in enumerate(images)
    ]
    found = duplicates_among(sketched(images + copies))
    planted = {(i, i + count) for i in range(count)}
    pairs = {(i, j) for i, j, _ in found.near}
    assert len(pairs & planted) >= 0.98 * count
    assert not pairs - planted
    assert not found.exact


def test_the_same_anatomy_in_new_speckle_is_another_picture() -> None:
    images = []
    for seed in range(20):
        echo = anatomy(np.random.default_rng(seed))
        images += [
            frame(echo, np.random.default_rng(1000 + seed)),
            frame(echo, np.random.default_rng(2000 + seed)),
        ]
    assert near_duplicates(images) == []


def test_equal_images_are_exact_duplicates_with_the_first_of_their_kind() -> None:
    a, b = speckle(1), speckle(2)
    found = duplicates_among(sketched([a, b, a.copy(), b.copy(), a.copy()]))
    assert found.exact == [(0, 2), (1, 3), (0, 4)]
    assert found.near == []
    assert found.groups.tolist() == [0, 1, 0, 1, 0]
    assert near_duplicates([a, b, a]) == [(0, 2, 1.0)]


def test_a_group_is_held_together_by_its_links() -> None:
    rng = np.random.default_rng(0)
    a, b = speckle(1), speckle(2)
    images = [copy(a, rng), b, a, copy(b, rng), copy(a, rng), a.copy(), speckle(3)]
    found = duplicates_among(sketched(images), threads=1)
    assert found.groups.tolist() == [0, 1, 0, 1, 0, 0, 6]
    assert found.exact == [(2, 5)]
    assert all(correlation >= SAME for _, _, correlation in found.near)


def test_blank_images_are_alike_only_if_equal() -> None:
    blank = np.zeros((40, 50), np.uint8)
    images = [blank, blank + 7, blank.copy(), np.zeros((50, 40), np.uint8), np.zeros((1, 1), np.uint8)]
    assert near_duplicates(images) == [(0, 2, 1.0)]


def test_no_images_and_one_image_have_no_duplicates() -> None:
    assert near_duplicates([]) == []
    assert near_duplicates([speckle(0)]) == []


def test_an_unreadable_image_is_noted_or_refused() -> None:
    images = [speckle(0), speckle(1), speckle(0)]

    def read(position: int) -> np.ndarray:
        if position == 1:
            raise DataError("b.png is damaged.")
        return images[position]

    sketches = Sketches.read(read, 3)
    assert sketches.errors == {1: "b.png is damaged."}
    assert duplicates_among(sketches).groups.tolist() == [0, 1, 0]
    with pytest.raises(DataError, match=r"b\.png is damaged"):
        sketches.require_all()


def test_candidates_are_those_of_the_whole_matrix_whatever_the_blocks() -> None:
    rng = np.random.default_rng(0)
    images = [speckle(seed) for seed in range(25)]
    images += [copy(image, rng) for image in images[:10]]
    descriptions = np.stack([describe(small_picture(image)) for image in images])
    every = np.einsum("ivd,jd->ijv", descriptions, descriptions[:, 0]).max(axis=2)
    every = np.triu(np.maximum(every, every.T), 1)
    wholes = descriptions[:, 0] @ descriptions[:, 0].T
    found = np.nonzero((every >= 0.5) & (wholes >= WORTH_ALL_VIEWS))
    expected = set(zip(*map(np.ndarray.tolist, found), strict=True))
    assert len(expected) >= 10
    for tall in (3, 16, 100):
        blocks = list(candidates(descriptions, similar=0.5, tall=tall))
        assert {
            pair for first, second, _ in blocks for pair in zip(first.tolist(), second.tolist(), strict=True)
        } == expected
        assert all(np.all(np.diff(similarity) <= 0) for _, _, similarity in blocks)


def test_a_description_has_rows_of_length_one_and_does_not_see_brightness() -> None:
    picture = small_picture(speckle(3))
    rows = describe(picture)
    assert rows.shape == DESCRIPTION == (6, 104)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    darker = describe((picture * 0.8).astype(np.uint8))
    assert float(rows[0] @ darker[0]) > 0.98


def test_groups_are_the_connected_components() -> None:
    rng = np.random.default_rng(0)
    edges = rng.integers(0, 200, (120, 2))
    groups = Groups(200)
    for one, other in edges:
        groups.join(int(one), int(other))
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(200, 200))
    _, expected = connected_components(graph, directed=False)
    _, first = np.unique(expected, return_index=True)
    np.testing.assert_array_equal(groups.roots(), first[expected])


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.05, 0.0), (0.96, 3.0), (1.03, -4.0)])
def test_alignment_undoes_size_and_shift(scale: float, shift: float) -> None:
    image = speckle(5)
    moved = cv2.warpAffine(
        image,
        np.array([[scale, 0, shift], [0, scale, shift]]),
        (WIDTH, HEIGHT),
        borderMode=cv2.BORDER_REFLECT,
    )
    one, other = small_picture(image), small_picture(moved)
    assert aligned_correlation(one, other) > 0.9
    assert aligned_correlation(other, one) > 0.9


def test_what_cannot_be_aligned_correlates_with_nothing() -> None:
    flat, picture = np.zeros((SIDE, SIDE), np.uint8), small_picture(speckle(0))
    assert aligned_correlation(flat, flat) == 0
    assert aligned_correlation(flat, picture) == 0
    assert aligned_correlation(picture, small_picture(speckle(1))) < 0.7


def test_tissue_is_the_sector_without_what_is_written_beside_it() -> None:
    plain = np.where(in_sector(np.full((HEIGHT, WIDTH), 120, np.uint8)) == 120, np.uint8(1), np.uint8(0))
    inside = tissue(small_picture(in_sector(speckle(0))))
    sector = small_picture(plain * np.uint8(255)) > 200
    assert (inside.astype(bool) & ~sector).mean() < 0.06  # the hull closes the arc at the probe
    assert (inside.astype(bool) & sector).sum() > 0.8 * sector.sum()
    assert not inside[:35, :12].any()  # the words


def test_the_border_of_the_tissue_has_no_texture_of_its_own() -> None:
    flat = np.zeros((SIDE, SIDE), np.uint8)
    flat[:, 30:] = 150
    inside = tissue(flat)
    assert inside[:, 40:].all()
    assert not inside[:, :30].any()
    assert np.abs(texture(flat, inside, SIDE, 8)).max() < 0.01


BUSI = Path(__file__).parents[3] / "shared" / "data" / "BUSI" / "Dataset_BUSI_with_GT"


@pytest.mark.real_data
@pytest.mark.skipif(not BUSI.is_dir(), reason="the BUSI images are not beside the repository")
def test_on_real_images() -> None:
    paths = sorted(path for path in BUSI.rglob("*.png") if "_mask" not in path.name)
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    rng = np.random.default_rng(0)
    found = duplicates_among(sketched(images + [copy(image, rng) for image in images]))
    groups = found.groups.reshape(2, -1)
    assert (groups[0] == groups[1]).mean() >= 0.98
    own = duplicates_among(sketched(images))
    pairs = {(paths[i].stem, paths[j].stem) for i, j, _ in own.near}
    across = {pair for pair in pairs if pair[0].split()[0] != pair[1].split()[0]}
    # All seen to be the same picture; other frames of one lesion, such as malignant (3) and (4), are not.
    assert len(across) >= 7
    assert {("benign (406)", "malignant (94)"), ("benign (437)", "normal (34)")} <= across
    assert not {("malignant (3)", "malignant (4)"), ("benign (204)", "benign (303)")} & pairs


def case_set(folder: Path, images: list[np.ndarray]) -> CaseSet:
    with CaseSetWriter(folder, DatasetInfo(name="a few")) as writer:
        for number, image in enumerate(images):
            writer.add(f"c{number}", image)
    return CaseSet.open(folder)


def test_groups_of_a_case_set_are_remembered_until_it_changes(tmp_path: Path) -> None:
    a = speckle(1)
    cases = case_set(tmp_path / "set", [a, speckle(2), copy(a, np.random.default_rng(0))])
    cache = tmp_path / "cache"
    assert duplicate_groups(cases).tolist() == [0, 1, 0]
    assert duplicate_groups(cases, cache).tolist() == [0, 1, 0]
    (kept,) = cache.iterdir()
    kept.write_text('{"groups": [0, 0, 0]}', encoding="utf-8")
    assert duplicate_groups(cases, cache).tolist() == [0, 0, 0]  # read, not computed
    assert duplicate_groups(cases.subset([1, 2]), cache).tolist() == [0, 1]
    cv2.imwrite(str(cases.image_path(2)), speckle(3))
    assert duplicate_groups(cases, cache).tolist() == [0, 1, 2]


def test_a_damaged_memory_is_refused(tmp_path: Path) -> None:
    cases = case_set(tmp_path / "set", [speckle(1)])
    duplicate_groups(cases, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text("{", encoding="utf-8")
    with pytest.raises(FolderError, match="cannot be read as JSON"):
        duplicate_groups(cases, tmp_path / "cache")


def test_groups_of_a_case_set_need_every_image(tmp_path: Path) -> None:
    cases = case_set(tmp_path / "set", [speckle(1), speckle(2)])
    cases.image_path(1).write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"c1\.png must be a PNG"):
        duplicate_groups(cases)
