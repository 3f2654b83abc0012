"""The tensors of a training: taken for a checkpoint, and put back.

They are put back by copy into tensors that torch allocated: one that is mapped from a file, or a view, may be aligned
otherwise, and small matrix products give other bits then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW

from mtl_transformers.errors import CheckpointError
from mtl_transformers.model.network import Network


def weights_of(network: Network) -> dict[str, Tensor]:
    """Return every parameter, and every buffer that is saved, by name; a shared one once."""
    persistent = network.state_dict().keys()
    buffers = {name: buffer for name, buffer in network.named_buffers() if name in persistent}
    return {**{name: parameter.detach() for name, parameter in network.named_parameters()}, **buffers}


def moments_of(network: Network, optimizer: AdamW) -> dict[str, Tensor]:
    """Return the optimizer's tensors as ``<moment>.<parameter>``; a parameter that was never moved has none."""
    return {
        f"{moment}.{name}": tensor
        for name, parameter in network.named_parameters()
        for moment, tensor in optimizer.state.get(parameter, {}).items()
    }


def put_back(
    network: Network, optimizer: AdamW, *, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor]
) -> None:
    """Give network and optimizer the tensors of a checkpoint.

    Raises:
        CheckpointError: a tensor is missing, left over or of another shape; names it.
    """
    own = weights_of(network)
    _check_fit(own, weights)
    parameters = dict(network.named_parameters())
    _check_frozen(parameters, weights)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])
    optimizer.state.clear()
    for key, tensor in moments.items():
        moment, _, name = key.partition(".")
        if name not in parameters:
            raise CheckpointError(f"the optimizer's {key} belongs to no parameter of this network")
        optimizer.state[parameters[name]][moment] = _own_copy(tensor, parameters[name])


def _own_copy(tensor: Tensor, parameter: Parameter) -> Tensor:
    """Return a copy as the optimizer would have made it: like its parameter, or a number on its device."""
    made = torch.empty_like(parameter) if tensor.ndim else torch.empty((), device=parameter.device)
    if made.shape != tensor.shape:
        raise CheckpointError(f"the optimizer holds a tensor of shape {list(tensor.shape)} for {list(made.shape)}")
    return made.detach().to(tensor.dtype).copy_(tensor)


def _check_frozen(parameters: Mapping[str, Parameter], given: Mapping[str, Tensor]) -> None:
    """Refuse frozen weights other than those that were loaded: the files of a frozen encoder are copied, not saved."""
    for name, parameter in parameters.items():
        if not parameter.requires_grad and not torch.equal(parameter.detach().cpu(), given[name]):
            raise CheckpointError(
                f"{name} is frozen, but the checkpoint holds other values than the encoder that was loaded: restore "
                "encoder.name, encoder.revision and encoder.freeze as they were"
            )


def _check_fit(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    problems = [
        *(f"{name} is missing" for name in _without(own, given)),
        *(f"{name} is left over" for name in _without(given, own)),
        *(
            f"{name} has shape {list(given[name].shape)}, expected {list(tensor.shape)}"
            for name, tensor in own.items()
            if name in given and given[name].shape != tensor.shape
        ),
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(f"the checkpoint's weights are not this network's: {'; '.join(problems[:3])}{more}")


def _without(names: Iterable[str], others: Mapping[str, Tensor]) -> list[str]:
    return [name for name in names if name not in others]
