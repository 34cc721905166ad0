"""What a GPU's engines are built of in bfloat16 keeps the bounds of half precision, as PyTorch computes it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engines.graph_runtime import FACE_GRAPH
from export.compare import BOUNDS, mean_error, signal_to_noise
from export.networks import build_networks, exportables, in_bfloat16
from rigid.assets.store import AssetStore


@pytest.mark.slow
def test_bfloat16_throughout_is_close_enough(store: AssetStore) -> None:
    bound = BOUNDS["auto"]
    for exportable in exportables(build_networks("mobile-256", store), 2023, 1):
        # A GPU makes whole pictures.
        if exportable.name == FACE_GRAPH:
            continue
        with torch.inference_mode():
            expected, found = (one.module(*exportable.inputs.values()) for one in (exportable, in_bfloat16(exportable)))
        pairs = [(found, expected)] if isinstance(found, Tensor) else list(zip(found, expected, strict=True))
        errors = [mean_error(one.numpy(), other.numpy()) for one, other in pairs]
        assert 0 < max(errors) <= bound.mean, exportable.name
        if exportable.outputs == ("images",):
            assert signal_to_noise(found.numpy(), expected.numpy()) >= bound.decibels
