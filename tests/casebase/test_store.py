"""The laws of every store: what was put is found, as a whole or not at all. A new store joins `STORES`."""

from collections import Counter

import numpy as np
import pytest

from casebase.made_records import made_record, made_records, made_vectors
from sonoprior.casebase.sqlite import SqliteStore
from sonoprior.casebase.store import Space, Store, number_of
from sonoprior.core.errors import DataError, FolderError

SPACE, OTHER = Space("first", 8), Space("second", 5)
STORES = {
    "sqlite": (
        lambda folder: SqliteStore.create(folder / "cases.db", SPACE),
        lambda folder: SqliteStore(folder / "cases.db"),
    )
}


@pytest.fixture(params=STORES)
def place(request, tmp_path):
    """A folder, how a store is made there, and how it is opened."""
    make, reopen = STORES[request.param]
    return tmp_path, make, reopen


@pytest.fixture
def store(place) -> Store:
    folder, make, _ = place
    return make(folder)


def put(store, records, vectors=None):
    with store.adding() as adding:
        adding.put(records, made_vectors(len(records)) if vectors is None else vectors)


def test_an_empty_store(store):
    assert len(store) == 0
    assert store.space() == SPACE
    assert store.vectors().matrix.shape == (0, 8)
    assert store.facts() == {}
    assert store.where({}).tolist() == []
    assert store.problems() == []


def test_what_was_put_is_found(place):
    folder, make, reopen = place
    store, records, vectors = make(folder), made_records(40), made_vectors(40)
    with store.adding() as adding:
        adding.put(records[:15], vectors[:15])
        adding.put(iter(records[15:]), vectors[15:])
    for opened in (store, reopen(folder)):
        found = opened.vectors()
        assert len(opened) == 40
        assert found.matrix == pytest.approx(vectors)
        assert found.matrix.flags.c_contiguous
        assert (np.diff(found.ids) > 0).all()
        assert opened.records(found.ids.tolist()) == records
        assert opened.records(found.ids[[7, 3, 7]].tolist()) == [records[7], records[3], records[7]]
        assert opened.ids([records[5].key, records[2].key]) == found.ids[[5, 2]].tolist()
        assert found.groups.tolist() == [number_of(record.group) for record in records]
        assert found.exams.tolist() == [number_of(record.exam) for record in records]
        assert found.space == SPACE
        assert found.version == opened.version()
        assert opened.problems() == []


def test_numbers_of_groups_agree_where_their_names_do():
    names = [f"set/patient:{number}" for number in range(1000)]
    assert len({number_of(name) for name in names}) == 1000
    assert number_of(names[0]) == number_of("set/patient:0") >= 0
    assert number_of(None) == -1


def slow_where(records, ids, facts):
    kept = [
        number
        for number, record in zip(ids, records, strict=True)
        if all(set(record.facts.get(name, ())) & set(texts) for name, texts in facts.items())
    ]
    return sorted(kept)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"label.view": ["left"]},
        {"label.view": ["left", "right"]},
        {"label.view": ["left"], "patient": ["p1", "p2", "p3"]},
        {"terms": ["finding 2", "middle"], "exam": ["e1", "e4", "e5"]},
        {"label.view": ["none of them"]},
        {"label.view": ["left"], "patient": []},
    ],
)
def test_cases_are_found_by_their_facts(store, facts):
    records = made_records(30)
    put(store, records)
    ids = store.vectors().ids
    assert store.where(facts).tolist() == slow_where(records, ids, facts)
    store.remove(ids[3:9].tolist())
    put(store, records[4:6])
    records = store.records(store.vectors().ids.tolist())
    assert store.where(facts).tolist() == slow_where(records, store.vectors().ids, facts)


def test_an_unknown_field_offers_the_nearest(store):
    put(store, made_records(3))
    with pytest.raises(
        DataError, match=r"a field of the case base must be .*'label.vew'. Did you mean 'label"
    ):
        store.where({"label.vew": ["left"]})


def test_facts_are_counted(store):
    records = made_records(30)
    put(store, records)
    store.remove(store.vectors().ids[:7].tolist())
    expected = Counter(
        (name, text) for record in records[7:] for name, texts in record.facts.items() for text in texts
    )
    found = store.facts()
    assert {(name, text): n for name, texts in found.items() for text, n in texts.items()} == expected
    for texts in found.values():
        assert list(texts.values()) == sorted(texts.values(), reverse=True)


def test_removed_cases_are_gone_and_their_numbers_are_not_used_again(store):
    put(store, made_records(10))
    before = store.vectors()
    store.remove(before.ids[8:].tolist())
    assert store.vectors().ids.tolist() == before.ids[:8].tolist()
    with pytest.raises(DataError, match="there is no case 'set/c9'"):
        store.ids(["set/c9"])
    with pytest.raises(DataError, match=r"is not in .* any more; search again"):
        store.records([int(before.ids[9])])
    put(store, made_records(2, start=8))
    assert store.vectors().ids[8:].min() > before.ids.max()
    assert store.problems() == []


def test_all_cases_may_be_removed(store):
    put(store, made_records(10))
    store.remove(store.vectors().ids.tolist())
    assert (len(store), store.facts(), store.problems()) == (0, {}, [])
    assert store.vectors().matrix.shape == (0, 8)


def test_a_key_is_there_once(store):
    put(store, made_records(5))
    before = store.version()
    with pytest.raises(DataError, match=r"the case 'set/c4' is in .* already; remove it first"):
        put(store, made_records(5, start=4))
    with pytest.raises(DataError, match="must be added once, but 'set/c7' came twice"):
        put(store, [made_record(7), made_record(7)])
    assert (len(store), store.version()) == (5, before)
    assert store.problems() == []


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (made_vectors(2, 9), r"must have the shape \(2, 8\), as those in the case base, but have \(2, 9\)"),
        (made_vectors(3), r"must have the shape \(2, 8\).*but have \(3, 8\)"),
        (np.full((2, 8), np.nan, np.float32), "finite numbers, but 2 of 2 cases have a NaN"),
        (np.zeros((2, 8), np.float32), "embeddings other than zero"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(store, vectors, message):
    with pytest.raises(DataError, match=message):
        put(store, made_records(2), vectors)
    assert len(store) == 0


def test_nothing_is_added_when_the_block_ends_badly(store):
    with pytest.raises(RuntimeError), store.adding() as adding:
        adding.put(made_records(5), made_vectors(5))
        raise RuntimeError
    assert len(store) == 0
    put(store, made_records(5))
    assert len(store) == 5


def counted(store):
    """How many cases have a set, by the facts."""
    return sum(store.facts()["set"].values())


def test_every_change_is_seen_by_another_reader(place):
    folder, make, reopen = place
    store = make(folder)
    reader = reopen(folder)
    seen = [reader.version()]
    put(store, made_records(4))
    seen.append(reader.version())
    assert len(reader.vectors().ids) == 4
    assert counted(reader) == 4
    store.remove([int(store.vectors().ids[0])])
    seen.append(reader.version())
    assert len(reader.vectors().ids) == 3
    assert counted(reader) == 3
    reader.facts()["set"].clear()  # what a reader was given is its own
    assert counted(reader) == 3
    with store.reembedding(OTHER) as new:
        new.put(new.missing(9), made_vectors(3, 5))
        assert reader.version() == seen[-1]
    seen.append(reader.version())
    assert reader.vectors().space == OTHER
    assert len(set(seen)) == 4
    assert reader.version() == seen[-1]


def test_two_may_add_at_once(place):
    folder, make, reopen = place
    first = make(folder)
    second = reopen(folder)
    with first.adding() as one, second.adding() as two:
        one.put(made_records(3), made_vectors(3))
        two.put(made_records(3, set_name="other"), made_vectors(3, seed=1))
        assert len(first) == 0
    assert len(first) == len(second) == 6
    assert second.problems() == []


def test_what_both_add_is_added_by_the_first(place):
    folder, make, reopen = place
    first = make(folder)
    with pytest.raises(DataError, match="'set/c0' is in"), first.adding() as late:
        late.put(made_records(3), made_vectors(3))
        put(reopen(folder), made_records(1))
    assert len(first) == 1


def test_a_new_space_takes_the_place_of_the_old_as_a_whole(store):
    records, vectors = made_records(7), made_vectors(7, 5, seed=2)
    put(store, records)
    with store.reembedding(OTHER) as new:
        while missing := new.missing(3):
            new.put(missing, vectors[np.searchsorted(store.vectors().ids, missing)])
            assert store.vectors().space == SPACE
    assert store.space() == OTHER
    assert store.vectors().matrix == pytest.approx(vectors)
    assert store.records(store.vectors().ids.tolist()) == records
    assert store.problems() == []
    put(store, made_records(2, start=7), made_vectors(2, 5))
    assert len(store.vectors().matrix) == 9


def test_a_half_built_space_serves_nobody_and_is_gone_on_with(store):
    put(store, made_records(7))
    before = store.vectors()
    with pytest.raises(RuntimeError), store.reembedding(OTHER) as new:
        new.put(new.missing(4), made_vectors(4, 5))
        raise RuntimeError
    assert store.vectors().matrix == pytest.approx(before.matrix)
    assert store.version() == before.version
    with store.reembedding(OTHER) as new:
        assert new.missing(9) == before.ids[4:].tolist()
        new.put(new.missing(9), made_vectors(3, 5, seed=1))
    assert store.vectors().matrix[:4] == pytest.approx(made_vectors(4, 5))


def test_a_half_built_space_is_given_up_for_another(store):
    put(store, made_records(4))
    with pytest.raises(RuntimeError), store.reembedding(OTHER) as new:
        new.put(new.missing(4), made_vectors(4, 5))
        raise RuntimeError
    third = Space("third", 3)
    with store.reembedding(third) as new:
        new.put(new.missing(4), made_vectors(4, 3))
    assert store.vectors().space == third
    assert store.problems() == []


def test_cases_that_come_and_go_meanwhile_are_in_the_new_space_as_in_the_old(place):
    folder, make, reopen = place
    store = make(folder)
    put(store, made_records(6))
    other = reopen(folder)
    with store.reembedding(OTHER) as new:
        first = new.missing(6)
        other.remove(first[:2])
        new.put(first, made_vectors(6, 5))
        put(other, made_records(3, start=6))
        late = new.missing(6)
        assert late == other.vectors().ids[-3:].tolist()
        new.put(late, made_vectors(3, 5, seed=1))
        assert new.missing(6) == []
    found = store.vectors()
    assert found.ids.tolist() == [*first[2:], *late]
    assert found.matrix == pytest.approx(np.concatenate([made_vectors(6, 5)[2:], made_vectors(3, 5, seed=1)]))
    assert store.problems() == []


def test_a_space_that_is_not_whole_does_not_serve(store):
    put(store, made_records(3))
    with pytest.raises(DataError, match="has not been embedded anew"), store.reembedding(OTHER) as new:
        new.put(new.missing(2), made_vectors(2, 5))
    assert store.space() == SPACE


def test_cases_embedded_by_the_old_bundle_do_not_come_into_the_new_space(place):
    folder, make, reopen = place
    store = make(folder)
    put(store, made_records(3))
    with (
        pytest.raises(DataError, match="embedded anew meanwhile; add the cases again"),
        store.adding() as late,
    ):
        late.put(made_records(2, start=3), made_vectors(2))
        with reopen(folder).reembedding(OTHER) as new:
            new.put(new.missing(3), made_vectors(3, 5))
    assert len(store) == 3


def test_of_two_new_spaces_the_later_is_built(place):
    folder, make, reopen = place
    store = make(folder)
    put(store, made_records(3))
    with pytest.raises(DataError, match="was given up"), store.reembedding(OTHER) as early:
        with reopen(folder).reembedding(Space("third", 4)) as late:
            late.put(late.missing(3), made_vectors(3, 4))
        early.put([1], made_vectors(1, 5))
    assert store.space().id == "third"


def test_a_space_is_not_built_twice(store):
    with pytest.raises(DataError, match="embedded by this network already"), store.reembedding(SPACE):
        pass


def test_an_empty_store_takes_a_new_space(store):
    with store.reembedding(OTHER):
        pass
    assert store.vectors().matrix.shape == (0, 5)


def test_several_threads_may_read(place):
    from concurrent.futures import ThreadPoolExecutor

    folder, make, _ = place
    store = make(folder)
    put(store, made_records(20))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: store.records(store.vectors().ids.tolist()), range(20)))
    assert all(each == made_records(20) for each in found)
    store.close()


def test_a_store_is_not_written_over(place):
    folder, make, _ = place
    make(folder)
    with pytest.raises(FolderError, match="exists already"):
        make(folder)
