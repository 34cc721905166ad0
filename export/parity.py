"""The parity of exports at any time, with fresh random inputs, and with random weights where a profile has none."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from engines.exports import has_int8
from engines.filling import require_exports
from export import ensure_exported, export_networks
from export.calibration import FaceSource
from export.compare import Difference, compare
from export.int8 import compare_int8
from export.networks import Networks, build_networks, exportables
from export.onnx_file import write_onnx
from rigid.assets.store import AssetStore
from rigid.models.build import new_e4e, new_face_parser, new_image_encoder, new_recurrent_encoder, new_stylegan2
from rigid.models.profiles import PAPER, sizes_of


def check_parity(profile: str, store: AssetStore) -> list[Difference]:
    """The profile's exports against its networks, int8 on faces where it is there; EngineError where they are missing.

    AssetError where what measures perceptual distance cannot be fetched.
    """
    networks, folder, seed = build_networks(profile, store), require_exports(profile, store), time.time_ns() % 2**31
    found = compare(networks, folder, seed)
    if has_int8(folder):
        found.extend(compare_int8(networks, FaceSource.of(profile, store), folder, store, seed))
    return found


def check_untrained(profile: str, store: AssetStore) -> list[Difference]:
    """Networks of the profile's full size with random weights, exported for this only; ExportError if they differ."""
    with tempfile.TemporaryDirectory(prefix="rigid-live-") as folder:
        return list(export_networks(make_untrained_networks(profile, store), Path(folder) / "exports", "untrained"))


@contextmanager
def exports_of(profile: str, store: AssetStore, *, untrained: bool) -> Iterator[tuple[Networks, Path]]:
    """The profile's networks and the folder of their exports; `untrained`: made for this only, and gone afterwards.

    Raises as `ensure_exported` does, and AssetError where the profile has no weights.
    """
    if not untrained:
        networks = build_networks(profile, store)
        yield networks, ensure_exported(profile, store)
        return
    networks = make_untrained_networks(profile, store)
    with tempfile.TemporaryDirectory(prefix="rigid-live-") as made:
        folder = Path(made)
        for exportable in exportables(networks):
            write_onnx(exportable, folder / f"{exportable.name}.onnx")
        yield networks, folder


def make_untrained_networks(profile: str, store: AssetStore) -> Networks:
    """Make the profile's networks as they are before training, with something random wherever they begin as zero."""
    torch.manual_seed(0)
    if profile == PAPER:
        encoder: nn.Module = new_e4e()
        generator: nn.Module = new_stylegan2()
    else:
        encoder = new_image_encoder(profile, torch.randn(sizes_of(profile).code_size))
        generator = build_networks(profile, store).generator
    recurrent = new_recurrent_encoder(profile)
    parser = new_face_parser()
    for module in (*encoder.modules(), *recurrent.modules()):
        for tensor in module.parameters(recurse=False):
            if not tensor.any():
                tensor.data.normal_(0, 0.02)
    parts = [network.eval().requires_grad_(False) for network in (encoder, generator, recurrent, parser)]
    return Networks(sizes_of(profile), parts[0], parts[1], parts[2], face_parser=parts[3])  # type: ignore[arg-type]
