"""A step of training: taken kernel by kernel, or recorded once on a GPU and replayed."""

import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sonoprior.cases.loading.batch import Batch
from sonoprior.core.errors import ModelError

from .experiment import Experiment, Outcome

Batches = Mapping[str, Mapping[str, Batch]]
Step = Callable[[Batches], Outcome]
"""What takes one step with the batches of every stream and view, and says what it gave."""

_WARM_UP = 3  # steps before the recording, in which libraries choose their kernels and take their memory


def plain_step(experiment: Experiment, optimiser: torch.optim.Optimizer) -> Step:
    """The step as it is written: forward, backward, optimiser."""

    def take(batches: Batches) -> Outcome:
        optimiser.zero_grad(set_to_none=True)
        outcome = experiment(batches)
        outcome.loss.backward()
        optimiser.step()
        return outcome

    return take


class RecordedStep:
    """A step that is recorded as a CUDA graph, one for each shape of batches, and replayed from then on.

    To launch the kernels of a small network one by one takes far longer than the kernels themselves; in a
    replay they are launched at once. It computes what the recorded step did, with other numbers: nothing in
    the step may depend on the values of a tensor, but through other tensors (`Objective.recordable`).

    Args:
        step: the step that is recorded, with an optimiser that keeps its state on the device (`capturable`).
        device: the GPU.

    Raises:
        ModelError: from a step that cannot be recorded.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        self._step, self._device = step, device
        self._stream = torch.cuda.Stream(device)
        self._memory = torch.cuda.graph_pool_handle()
        self._begun: dict[object, int] = {}
        self._recorded: dict[object, tuple[torch.cuda.CUDAGraph, list[Tensor], Outcome]] = {}

    def __call__(self, batches: Batches) -> Outcome:
        """Take a step; what it gives is overwritten by the next one."""
        with torch.cuda.device(self._device):
            return self._taken(batches)

    def _taken(self, batches: Batches) -> Outcome:
        given = _tensors_of(batches)
        shapes = tuple(tensor.shape for tensor in given)
        if shapes not in self._recorded:
            self._begun[shapes] = self._begun.get(shapes, 0) + 1
            if self._begun[shapes] <= _WARM_UP:
                return self._aside(batches)
            self._recorded[shapes] = self._record(batches)
        graph, kept, outcome = self._recorded[shapes]
        for place, tensor in zip(kept, given, strict=True):
            place.copy_(tensor)
        graph.replay()
        return outcome

    def _aside(self, batches: Batches) -> Outcome:
        """The step itself, on the stream on which it will be recorded."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
            outcome = self._step(batches)
        torch.cuda.current_stream().wait_stream(self._stream)
        return outcome

    def _record(self, batches: Batches) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Outcome]:
        """The step as a graph, the tensors that it reads, and those that it writes."""
        own = _cloned(batches)
        graph = torch.cuda.CUDAGraph()
        # The loader works in a thread of its own, which a recording must not forbid.
        recording = torch.cuda.graph(
            graph, pool=self._memory, stream=self._stream, capture_error_mode="thread_local"
        )
        try:
            with recording:
                outcome = self._step(own)
        except RuntimeError as error:
            said = str(error).partition("\n")[0]  # what follows is advice for those who write kernels
            raise ModelError(
                f"the steps of this network cannot be recorded on the GPU: {said}; train it with"
                " --set training.recorded=false."
            ) from error
        return graph, _tensors_of(own), outcome


def _tensors_of(batches: Batches) -> list[Tensor]:
    """All tensors of all batches, in one order."""
    return [
        tensor
        for views in batches.values()
        for batch in views.values()
        for tensors in (batch.fields, batch.present)
        for tensor in tensors.values()
    ]


def _cloned(batches: Batches) -> Batches:
    """The same batches in memory of their own."""

    def own(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in tensors.items()}

    return {
        stream: {view: Batch(own(batch.fields), own(batch.present)) for view, batch in views.items()}
        for stream, views in batches.items()
    }
