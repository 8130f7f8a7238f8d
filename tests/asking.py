"""What stops a GPU: to ask it for a number, or to send it one. A step that does neither can be recorded."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
ASKING = {
    _aten._local_scalar_dense,
    _aten._unique2,
    _aten.equal,
    _aten.is_nonzero,
    _aten.masked_select,
    _aten.nonzero,
}
SENDING = {_aten.lift_fresh, _aten.lift_fresh_copy}  # torch.tensor(...), which is made on the processor first


class AsksNothing(TorchDispatchMode):
    """While it is entered, a processor refuses what would stop a GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        operation = func.overloadpacket
        assert operation not in ASKING, f"{func} asks for the value of a tensor"
        assert operation not in SENDING, f"{func} sends a number to the device"
        if operation is _aten.index:
            masks = [at for at in args[1] if at is not None and at.dtype == torch.bool]
            assert not masks, "a mask as an index asks how many there are"
        return func(*args, **(kwargs or {}))
