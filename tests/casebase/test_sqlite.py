"""The store in SQLite when things go wrong: kills, two writers, damage, full disks, newer formats."""

import os
import shutil
import sqlite3
import subprocess
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from casebase.adding_process import AddingProcess
from casebase.made_records import made_records, made_vectors
from sonoprior.casebase import sqlite_file, sqlite_staging
from sonoprior.casebase.sealed import first_damaged, opened, sealed
from sonoprior.casebase.sqlite import SqliteStore
from sonoprior.casebase.store import Space
from sonoprior.core.errors import DataError, FolderError, SonopriorError

SPACE, OTHER = Space("first", 8), Space("second", 5)
COUNT = 60


def filled(path, count=COUNT, set_name="set"):
    store = SqliteStore.create(path, SPACE)
    add(store, count, set_name)
    return store


def add(store, count, set_name):
    with store.adding() as adding:
        adding.put(made_records(count, set_name=set_name), made_vectors(count))


def content(store):
    """Everything that a reader can ask of a store."""
    vectors = store.vectors()
    records = store.records(vectors.ids.tolist())
    return {
        "ids": vectors.ids.tolist(),
        "matrix": vectors.matrix.tobytes(),
        "groups": vectors.groups.tolist(),
        "exams": vectors.exams.tolist(),
        "records": records,
        "facts": store.facts(),
        "left": store.where({"label.view": ["left"]}).tolist(),
        "findings": store.where({"terms": ["finding 1", "finding 3"], "label.view": ["right"]}).tolist(),
        "every": store.where({}).tolist(),
        "keys": store.ids([record.key for record in records]),
    }


# --- Seals ---


def test_a_seal_shows_every_single_flip_and_where_it_belongs():
    seal = sealed(b"some content", 7)
    assert opened(seal, 7) == b"some content"
    assert opened(seal, 8) is None
    for bit in range(8 * len(seal)):
        flipped = bytearray(seal)
        flipped[bit // 8] ^= 1 << bit % 8
        assert opened(bytes(flipped), 7) is None
    for wrong in (b"", seal[:-1], None, 5, "text"):
        assert opened(wrong, 7) is None
    assert opened(sealed(b""), 0) == b""


def test_the_first_damaged_of_many_is_named():
    rows = [sealed(bytes([number] * 5)) for number in range(9)]
    assert first_damaged(rows, 9) is None
    assert first_damaged([], 9) is None
    assert first_damaged([*rows[:4], b"x" * 9, rows[5], b"y" * 9], 9) == 4
    assert first_damaged([*rows[:6], None], 9) == 6
    assert first_damaged([rows[0], sealed(b"longer than it")], 9) == 1


# --- Damage ---


def is_named(path, expected):
    """Whether damage is named; else everything must be as expected."""
    try:
        with closing(SqliteStore(path)) as store:
            came = content(store)
    except FolderError as error:
        if str(path) not in str(error):
            raise
        return True
    assert came == expected
    return False


def test_every_flipped_byte_is_found_or_changes_nothing(tmp_path):
    store = filled(tmp_path / "cases.db", 25)
    expected = content(store)
    store.close()
    whole = (tmp_path / "cases.db").read_bytes()
    rng = np.random.default_rng(0)
    used = np.flatnonzero(np.frombuffer(whole, np.uint8))  # most of a page is empty
    found = 0
    for number, place in enumerate(rng.choice(used, 300, replace=False)):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path = tmp_path / f"{number}.db"
        path.write_bytes(damaged)
        found += is_named(path, expected)
        path.unlink()
    assert found > 150


def damage(path, statement, *values):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()


def flipped(path, table, column, key):
    with closing(sqlite3.connect(path)) as connection:
        (body,) = connection.execute(
            f"SELECT {column} FROM {table} WHERE case_id = (SELECT id FROM cases WHERE key = ?)", (key,)
        ).fetchone()
        body = bytearray(body)
        body[len(body) // 2] ^= 4
        connection.execute(
            f"UPDATE {table} SET {column} = ? WHERE case_id = (SELECT id FROM cases WHERE key = ?)",
            (bytes(body), key),
        )
        connection.commit()


@pytest.mark.parametrize(
    ("table", "column", "what"),
    [("vectors", "body", "vector"), ("records", "body", "record"), ("records", "thumbnail", "record")],
)
def test_a_damaged_case_is_named(tmp_path, table, column, what):
    store = filled(tmp_path / "cases.db")
    flipped(store.path, table, column, "set/c42")
    message = rf"cases.db is damaged: the {what} of case 'set/c42' is not as written"
    with pytest.raises(FolderError, match=message):
        content(store)
    (problem,) = store.problems()
    assert f"the {what} of case 'set/c42'" in problem
    store.remove(store.ids(["set/c42"]) if table == "vectors" else [43])
    assert store.problems() == []
    assert len(store) == COUNT - 1


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM vectors WHERE case_id = 5", "must hold 60 vectors, but has 59"),
        ("INSERT INTO cases VALUES (99, 'x')", "the list of its cases is not as written"),
        ("UPDATE cases SET key = 'set/c9x' WHERE id = 10", "the list of its cases is not as written"),
        ("UPDATE vectors SET body = 7 WHERE case_id = 3", "the vector of case 'set/c2' is not as written"),
        ("UPDATE texts SET text = 'lefty' WHERE text = 'left'", "fact .* is not as written"),
        ("UPDATE texts SET cases = cases - 1 WHERE text = 'left'", "the fact .*=left is not as written"),
        ("DELETE FROM texts WHERE text = 'p3'", "must hold .* facts, but has"),
        ("DELETE FROM holds WHERE case_id = 4", "the list of cases with .* is not as written"),
        ("UPDATE state SET body = x'00'", "what it says of itself is not as written"),
        ("DELETE FROM state", "what it says of itself is not as written"),
        ("DROP TABLE vectors", "is damaged: no such table"),
        ("PRAGMA user_version = 0", "is no store of cases"),
        ("PRAGMA user_version = 2", "has format 2, and this version of sonoprior reads up to 1"),
    ],
)
def test_what_is_not_as_written_is_not_served(tmp_path, statement, message):
    store = filled(tmp_path / "cases.db")
    store.close()
    damage(store.path, statement)
    with pytest.raises(FolderError, match=message):
        content(SqliteStore(store.path))
    try:
        opened_anyway = SqliteStore(store.path)
    except FolderError:
        return
    assert opened_anyway.problems()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_was_cut_off_is_named(tmp_path, share):
    path = tmp_path / "cases.db"
    filled(path).close()
    size = path.stat().st_size
    os.truncate(path, int(size * share))
    with pytest.raises(FolderError, match=r"cases.db is damaged"):
        content(SqliteStore(path))


def test_what_is_no_database_or_not_there_is_named(tmp_path):
    path = tmp_path / "cases.db"
    with pytest.raises(FolderError, match=r"cases.db is missing"):
        SqliteStore(path)
    path.write_bytes(b"not a database" * 5000)
    with pytest.raises(FolderError, match=r"cases.db is damaged: file is not a database"):
        SqliteStore(path)


def test_a_fact_that_vanished_is_not_taken_for_one_that_no_case_has(tmp_path):
    store = filled(tmp_path / "cases.db")
    damage(store.path, "UPDATE texts SET text = 'lefty' WHERE text = 'left' AND name = 'label.view'")
    with pytest.raises(FolderError, match=r"label.view=lefty is not as written"):
        store.where({"label.view": ["left"]})


# --- Kills ---


def killed_somewhere(tmp_path, kills):
    """Add in another process and kill it after a random time; the base is as it was, or complete."""
    path = tmp_path / "cases.db"
    store = filled(path)
    trial = AddingProcess(path, "trial")
    begin = time.perf_counter()
    trial.go()
    trial.wait()
    duration = time.perf_counter() - begin
    store.remove(store.where({"set": ["trial"]}).tolist())
    rng, before, complete = np.random.default_rng(0), content(store), 0
    for number in range(kills):
        process = AddingProcess(path, f"new{number}")
        process.go()
        time.sleep(rng.uniform(0, 1.1 * duration))
        process.kill()
        with closing(SqliteStore(path)) as after:
            assert after.problems() == []
            if len(after) == COUNT:
                assert content(after) == before
                continue
            complete += 1
            new = after.where({"set": [f"new{number}"]}).tolist()
            assert after.records(new) == made_records(400, set_name=f"new{number}")
            found = after.vectors()
            assert found.matrix[np.isin(found.ids, new)] == pytest.approx(made_vectors(400))
            after.remove(new)
            assert content(after) == before
    with store.adding() as adding:  # removes what the killed ones left
        adding.put(made_records(1, set_name="last"), made_vectors(1))
    assert [each.name for each in tmp_path.glob("*.adding-*")] == []
    return complete


def test_a_kill_leaves_the_base_as_it_was_or_complete(tmp_path):
    killed_somewhere(tmp_path, 5)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fifty_kills_leave_the_base_as_it_was_or_complete(tmp_path):
    complete = killed_somewhere(tmp_path, 50)
    assert 0 < complete < 50  # or the moments were not random


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(tmp_path):
    path = tmp_path / "cases.db"
    store = filled(path)
    process = AddingProcess(path, "slow", 20_000)
    process.go()
    while not (left := list(tmp_path.glob("*.adding-*"))):
        time.sleep(0.01)
    with store.adding():
        assert left[0].exists()
    process.kill()
    assert left[0].exists()
    with store.adding():
        assert not left[0].exists()
    assert len(store) == COUNT


def test_two_processes_may_add_at_once(tmp_path):
    path = tmp_path / "cases.db"
    store = filled(path)
    processes = [AddingProcess(path, name) for name in ("one", "two")]
    for process in processes:
        process.go()
    assert [process.wait() for process in processes] == ["done", "done"]
    assert len(store) == COUNT + 800
    assert store.problems() == []
    for name in ("one", "two"):
        assert store.records(store.where({"set": [name]}).tolist()) == made_records(400, set_name=name)


def test_a_new_space_that_was_killed_half_way_is_gone_on_with(tmp_path):
    store = filled(tmp_path / "cases.db")
    with pytest.raises(KeyboardInterrupt), store.reembedding(OTHER) as new:
        ids = new.missing(20)
        new.put(ids, made_vectors(20, 5))
        assert new.missing(0) == []  # the lock is taken, as at the end
        raise KeyboardInterrupt
    assert store.space() == SPACE
    assert store.problems() == []
    with store.reembedding(OTHER) as new:
        left = new.missing(COUNT)
        assert len(left) == COUNT - 20
        new.put(left, made_vectors(len(left), 5))
    assert store.space() == OTHER


# --- Readers and writers ---


def test_a_reader_does_not_wait_for_a_writer_and_sees_the_last_whole_state(tmp_path):
    store = filled(tmp_path / "cases.db")
    before = content(store)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as writer:
        writer.execute("PRAGMA foreign_keys = ON")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM cases")
        found = []
        reader = threading.Thread(target=lambda: found.append(content(SqliteStore(store.path))))
        reader.start()
        reader.join(timeout=20)
        assert found == [before]
        assert content(store) == before
        writer.execute("ROLLBACK")


def test_a_writer_does_not_wait_for_a_reader(tmp_path):
    store = filled(tmp_path / "cases.db")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM cases").fetchone()
        store.remove([1, 2])
        assert reader.execute("SELECT count(*) FROM cases").fetchone() == (COUNT,)
    assert len(store) == COUNT - 2


def test_to_embed_holds_no_lock(tmp_path):
    store = filled(tmp_path / "cases.db")
    with store.adding() as adding:
        adding.put(made_records(5, set_name="slow"), made_vectors(5))
        SqliteStore(store.path).remove([1])
        assert len(store) == COUNT - 1
    assert len(store) == COUNT + 4


def test_a_writer_that_never_ends_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_file, "_PATIENCE", 0.05)
    store = filled(tmp_path / "cases.db")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(FolderError, match=r"is being written by another process for more than 0.05 s"):
            store.remove([1])


# --- A full disk ---


def limited(monkeypatch, module, pages):
    """Files of the module may not grow beyond so many pages; SQLite then says what it says of a full disk."""
    connect = sqlite3.connect

    def limited_connect(*args, **settings):
        connection = connect(*args, **settings)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(module.sqlite3, "connect", limited_connect)


@pytest.mark.parametrize("module", [sqlite_file, sqlite_staging])
def test_a_full_disk_while_adding_leaves_the_base_as_it_was(tmp_path, monkeypatch, module):
    store = filled(tmp_path / "cases.db")
    before = content(store)
    pages = store.path.stat().st_size // 16384 + 2
    with monkeypatch.context() as context:
        limited(context, module, pages)
        with (
            pytest.raises(
                FolderError, match=r"cannot write .*: the disk is full; the case base is as it was"
            ),
            store.adding() as adding,
        ):
            adding.put(made_records(2000, set_name="large"), made_vectors(2000))
    assert content(store) == before
    assert store.problems() == []
    assert [each.name for each in tmp_path.glob("*.adding-*")] == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounts a file system of 1 MB")
def test_a_disk_that_is_really_full(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with closing(filled(place / "cases.db", 100)) as store:
            before = content(store)
            for number, name in ((4000, "too large to wait"), (800, "too large to be taken over")):
                with pytest.raises(FolderError, match="the disk is full"):
                    add(store, number, name)
                assert content(store) == before
            add(store, 5, "small")
            assert len(store) == 105
    finally:
        subprocess.run(["umount", str(place)], check=True)


# --- What is not to be written ---


def test_a_folder_that_must_not_be_written_is_named(tmp_path, monkeypatch):
    store = filled(tmp_path / "cases.db")

    def refused(*args, **settings):
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error

    monkeypatch.setattr(sqlite_file.sqlite3, "connect", refused)
    with pytest.raises(FolderError, match="must be readable and its folder writable"):
        store.remove([1])


def test_a_store_that_is_not_there_is_not_made_by_reading(tmp_path):
    with pytest.raises(SonopriorError):
        SqliteStore(tmp_path / "cases.db")
    assert list(tmp_path.iterdir()) == []


def test_removed_twice_is_removed_once(tmp_path):
    store = filled(tmp_path / "cases.db")
    store.remove([1, 1, 2])
    store.remove([2, 3])
    assert len(store) == COUNT - 3
    with pytest.raises(DataError, match="there is no case"):
        store.ids(["set/c0"])
    assert store.problems() == []
