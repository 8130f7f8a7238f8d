"""Work on a cluster of dask, started here with workers in processes of their own."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path
from threading import Thread

import dask.config
import pytest
import yaml
from distributed import Client, LocalCluster

from sonoprior.cases import CaseSet
from sonoprior.core.errors import FolderError, MissingExtraError, SonopriorError
from sonoprior.studies.cluster import Cluster
from sonoprior.studies.layout import planned_runs
from sonoprior.studies.refit import run_refit, trained_by
from sonoprior.studies.runs import Machines
from sonoprior.studies.study import run_study
from sonoprior.studies.tuning import Tuning, read_chosen, run_tuning
from sonoprior.training.recipe_file import load_recipe
from sonoprior.training.run import CHECKPOINT, WEIGHTS, is_finished
from tiny import TINY


def work(tell, folder, what):
    """A piece of work: report, fail in a foreseen or another way, or kill the worker, once or always."""
    tell(1)
    mark = folder / "killed"
    if what == "known":
        raise SonopriorError("the sentence.")
    if what == "unforeseen":
        raise KeyError("thing")
    if what == "dies" or (what == "dies once" and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    tell(2)
    (folder / what).touch()


@pytest.fixture(scope="module")
def local():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def address(local):
    with Client(local.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2)  # a test before may have killed one
    return local.scheduler_address


def test_a_piece_that_fails_or_kills_its_worker_takes_no_other_along(address, tmp_path):
    pieces = {name: (tmp_path, name) for name in ("known", "good", "dies once", "unforeseen", "well")}
    with Cluster(address) as cluster:
        news = list(cluster.work_through(pieces, work))
    ends = {item.name: item for item in news if item.steps is None}
    assert ends.keys() == pieces.keys()
    assert len([item for item in news if item.steps is None]) == len(pieces)
    for name in ("good", "dies once", "well"):
        assert ends[name].error is None
        assert (tmp_path / name).exists()
    assert ends["known"].error == "the sentence."
    assert not ends["known"].trace
    assert ends["unforeseen"].error == "KeyError: 'thing'"
    assert "raise KeyError" in ends["unforeseen"].trace
    assert [item.steps for item in news if item.name == "good"][-1] is None


@pytest.mark.long
def test_a_piece_that_kills_every_worker_is_given_up(tmp_path):
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        one = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0")
    with one, Cluster(one.scheduler_address) as cluster:
        news = list(cluster.work_through({"bad": (tmp_path, "dies")}, work))
    assert "the workers that it ran on died one after another" in news[-1].error


def long_work(tell, folder):
    """Report until nobody wants it any more."""
    for step in range(1, 2000):
        (folder / "step").write_text(str(step))
        time.sleep(0.01)
        tell(step)


def test_work_that_nobody_waits_for_any_more_ends_at_its_next_report(address, tmp_path):
    with Cluster(address) as cluster, closing(cluster.work_through({"long": (tmp_path,)}, long_work)) as news:
        assert next(news).steps == 1
    time.sleep(0.5)
    left_at = (tmp_path / "step").read_text()
    time.sleep(0.3)
    assert (tmp_path / "step").read_text() == left_at


def test_workers_of_a_machine_share_its_cores(address):
    with Cluster(address) as cluster:
        assert cluster.sharing == 2


def test_a_folder_that_workers_do_not_see_is_refused(address, tmp_path, monkeypatch):
    with Cluster(address) as cluster:
        cluster.check_sees([tmp_path])
        monkeypatch.setattr("sonoprior.studies.cluster._sees", lambda probe, word: False)
        with pytest.raises(FolderError, match=r"every worker must see .* under this path, but those on 127"):
            cluster.check_sees([tmp_path])
    assert not list(tmp_path.iterdir())


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr("sonoprior.studies.cluster._ANSWER_S", 0.5)
    with pytest.raises(SonopriorError, match=r"no dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        Cluster("tcp://127.0.0.1:9")
    with pytest.raises(SonopriorError, match="no dask scheduler answers at 'nonsense'"):
        Cluster("nonsense")


def test_workers_with_several_threads_are_refused():
    refused = pytest.raises(SonopriorError, match=r"one run at a time, but .* has 2 threads; .* --nthreads 1")
    workers = LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0")
    with workers, refused, Cluster(workers.scheduler_address):
        pytest.fail("it was taken")


def test_a_scheduler_without_workers_is_refused(monkeypatch):
    monkeypatch.setattr("sonoprior.studies.cluster._START_S", 0.1)
    refused = pytest.raises(SonopriorError, match="has no workers; start some with `dask worker")
    empty = LocalCluster(n_workers=0, processes=False, dashboard_address=":0")
    with empty, refused, Cluster(empty.scheduler_address):
        pytest.fail("it was taken")


def test_without_dask_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sonoprior\[cluster\]'"):
        Cluster("tcp://127.0.0.1:8786")


@pytest.mark.long
def test_workers_take_over_what_a_tuning_has_trained(address, blobs, tmp_path, monkeypatch):
    tune = {"budget": 2, "grid": {"training.learning_rate": [1e-4, 1e-2]}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY | {"tune": tune}))
    recipe = load_recipe(tmp_path / "tiny.yaml", changes=["training.epochs=1", "study.seeds=1"])
    case_set, tuned, out = CaseSet.open(blobs), tmp_path / "tuned", tmp_path / "refit"
    assert run_tuning(recipe, case_set, tuned, Machines(cluster=address)) == {}
    Tuning.read(tuned).write()
    seen, check_sees = [], Cluster.check_sees
    monkeypatch.setattr(
        Cluster, "check_sees", lambda self, folders: (seen.extend(folders), check_sees(self, folders))
    )
    assert run_refit(tuned, case_set, out, Machines(cluster=address)) == {}
    assert any(folder.is_relative_to(tuned) for folder in seen)
    taken = trained_by(tuned, read_chosen(tuned, case_set))
    assert taken.keys() == set(planned_runs(read_chosen(tuned, case_set)))
    for run, trial in taken.items():  # the log tells the seconds of every epoch, which no other training has
        assert (run.folder(out) / "log.csv").read_bytes() == (trial / "log.csv").read_bytes()


@pytest.mark.long
def test_the_runs_of_a_worker_that_is_killed_in_mid_run_are_taken_up_by_others(local, blobs, tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    recipe = load_recipe(tmp_path / "tiny.yaml", changes=["training.epochs=20", "study.seeds=2"])
    case_set, out = CaseSet.open(blobs), tmp_path / "study"
    killed: list[int] = []

    def kill_one_that_is_in_mid_run():
        while not (found := list(out.glob(f"runs/*/*/{CHECKPOINT}"))):
            time.sleep(0.01)
        run = found[0].parent
        for pid in [worker.pid for worker in local.workers.values()]:
            if any(
                str(fd.readlink()).endswith(f"/{run.parent.name}/{run.name}.lock") for fd in open_files(pid)
            ):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = Thread(target=kill_one_that_is_in_mid_run)
    killer.start()
    assert run_study(recipe, case_set, out, Machines(cluster=local.scheduler_address)) == {}
    killer.join()
    assert killed
    assert all(is_finished(run.folder(out)) for run in planned_runs(recipe))
    alone = tmp_path / "alone"
    assert run_study(recipe, case_set, alone) == {}
    for run in planned_runs(recipe):
        weights = [(run.folder(study) / WEIGHTS).read_bytes() for study in (out, alone)]
        assert weights[0] == weights[1]


def open_files(pid):
    return list(Path(f"/proc/{pid}/fd").iterdir())
