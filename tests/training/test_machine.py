import warnings

import pytest
import torch

from sonoprior.core.errors import SonopriorError
from sonoprior.training import machine
from sonoprior.training.machine import choose_device, computing, environment, share_of_cores


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_cores_are_shared(monkeypatch, workers, threads):
    monkeypatch.setattr(machine, "cores", lambda: 8)
    assert share_of_cores(workers) == threads


def test_no_workers():
    with pytest.raises(SonopriorError, match="the number of jobs must be at least 1, but got 0"):
        share_of_cores(0)


def test_computing_leaves_everything_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    with computing(threads=1, seed=3):
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        torch.rand(7)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.equal(torch.rand(1), expected)


def test_computing_starts_from_its_seed():
    with computing(threads=1, seed=3):
        first = torch.rand(1)
    with computing(threads=1, seed=3):
        assert torch.equal(torch.rand(1), first)


def test_computing_passes_over_what_torch_says_of_every_gpu_and_nothing_else():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with computing(threads=1, seed=3):
            warnings.warn("Attempting to run cuBLAS, but there was no current CUDA context!", stacklevel=1)
            warnings.warn("Memory Efficient attention defaults to a non-deterministic one.", stacklevel=1)
            warnings.warn("the loss is strange", stacklevel=1)
        warnings.warn("Attempting to run cuBLAS, but there was no current context!", stacklevel=1)
    assert [str(one.message)[:8] for one in heard] == ["the loss", "Attempti"]


@pytest.mark.parametrize("name", ["gpu", "cuda9", ""])
def test_a_device_that_nobody_has(name):
    with pytest.raises(SonopriorError, match="device must be one of auto, cpu, cuda, mps, but got"):
        choose_device(name)


@pytest.mark.parametrize("name", ["cuda:99", "cuda:x", "cpu:1"])
def test_a_device_that_this_machine_does_not_have(name):
    with pytest.raises(SonopriorError, match=f"but got '{name}'; it has cpu"):
        choose_device(name)


def test_auto_is_a_device():
    assert choose_device().type in {"cpu", "cuda"}
    assert choose_device("cpu") == torch.device("cpu")


def test_the_environment_says_what_decides_the_numbers():
    found = environment(torch.device("cpu"), threads=3, workers=2)
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert (found["device"], found["gpu"], found["threads"], found["workers"]) == ("cpu", None, 3, 2)
