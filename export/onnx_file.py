"""Writes a module to an ONNX file, with a dynamic batch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from onnxscript.optimizer import optimize_ir

from export.networks import Exportable, InBfloat16

OPSET = 23
MOST_BATCH = 64
LARGEST_CONSTANT = 2**30
"""Bytes; the exporter itself folds only small constants, and would transpose large weights at every call."""


def write_onnx(exportable: Exportable, path: Path) -> None:
    """Write `exportable` to `path`: standard operators, constants folded, weights inside, dynamic batch."""
    batch = torch.export.Dim("batch", min=1, max=MOST_BATCH)
    shapes = tuple({0: batch} for _ in exportable.inputs)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            exportable.module.eval(),
            tuple(exportable.inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(exportable.inputs),
            output_names=list(exportable.outputs),
            dynamic_shapes=(shapes,) if isinstance(exportable.module, InBfloat16) else shapes,
            verbose=False,
        )
        assert program is not None
        optimize_ir(program.model, input_size_limit=LARGEST_CONSTANT, output_size_limit=LARGEST_CONSTANT)
        program.save(path, external_data=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own deprecated calls and of packages that are not used here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
