"""Optical flow between frames: OpenCV's DIS, or a network from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Pixels
from rigid.training.device import DEVICE


class FlowEstimator(Protocol):
    """Dense motion between pictures."""

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """f (B, 2, H, W) in pixels with first(x) ≈ second(x + f(x)); pictures (B, 3, H, W) RGB in [-1, 1].

        No gradient passes.
        """


class DisFlow:
    """Dense inverse search (Kroeger, 2016), the default: a few milliseconds on any CPU."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        pairs = zip(_grey(first), _grey(second), strict=True)
        flows = [np.asarray(self._dis.calc(a, b, None), np.float32) for a, b in pairs]  # type: ignore[call-overload]
        return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).contiguous().to(first.device)


class ProgramFlow:
    """A network such as RAFT or FlowNet2, saved by `torch.export.save`.

    It takes two pictures as `FlowEstimator` does, of any batch size and the size it was exported for, and returns
    the flow.
    """

    def __init__(self, path: Path):
        """ValueError when `path` is not such a file."""
        try:
            self._network = torch.export.load(path).module().to(DEVICE)
        except Exception as error:  # the reader raises whatever its archive's parts raise
            raise ValueError(f"{path} cannot be read as a program saved by torch.export.save: {error}") from error
        self.path = path

    @torch.no_grad()
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        flow: Tensor = self._network(first.to(DEVICE), second.to(DEVICE))
        expected = (len(first), 2, *first.shape[-2:])
        if flow.shape != expected:
            raise ValueError(f"{self.path} gives a flow of {tuple(flow.shape)}, but {expected} is needed.")
        return flow.float().to(first.device)


def load_flow(path: Path | None) -> FlowEstimator:
    """The estimator in the file `path`; DIS for None. ValueError when the file is not usable."""
    if path is None:
        return DisFlow()
    if not path.is_file():
        raise ValueError(f"There is no flow estimator at {path}; --flow names a file saved by torch.export.save.")
    return ProgramFlow(path)


def _grey(pictures: Tensor) -> list[Pixels]:
    weights = pictures.new_tensor([0.299, 0.587, 0.114])
    grey = torch.einsum("bchw,c->bhw", pictures.detach(), weights)
    return list(((grey + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy())
