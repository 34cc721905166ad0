"""Runs a frozen network: through OpenVINO on a CPU, several times as fast as eager PyTorch; on a GPU as it is."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from rigid.arrays import Array
from rigid.training.device import DEVICE, half_precision, place


def compile_network(network: nn.Module, example: Tensor) -> Callable[[Tensor], Array]:
    """`network` as a function of one float32 tensor shaped as `example`, in bf16 where the machine can."""
    return _on_gpu(network) if DEVICE.type == "cuda" else _on_cpu(network, example)


def _on_gpu(network: nn.Module) -> Callable[[Tensor], Array]:
    network = place(network).eval()

    def call(inputs: Tensor) -> Array:
        with torch.no_grad(), half_precision():
            return np.asarray(network(inputs.to(DEVICE)).float().cpu().numpy(), np.float32)

    return call


def _on_cpu(network: nn.Module, example: Tensor) -> Callable[[Tensor], Array]:
    # A GPU machine that only trains may be without it.
    import openvino

    from rigid.models.openvino_core import get_shared_core

    program = torch.export.export(network.eval(), (example,))
    with warnings.catch_warnings():
        # OpenVINO's converter calls what this version of PyTorch deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        model = openvino.convert_model(program)
    model.reshape(list(example.shape))
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    request = get_shared_core().compile_model(model, "CPU", hints).create_infer_request()

    def call(inputs: Tensor) -> Array:
        outputs = request.infer([inputs.numpy()])
        return np.asarray(next(iter(outputs.values())), np.float32)

    return call
