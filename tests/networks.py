"""Tiny networks with random weights, for tests of engines and exports."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import torch
from filelock import FileLock
from torch import nn

from engines.exports import INT8_FILES, INT8_RECORD, write_record
from export import export_networks
from export.networks import Networks, exportables
from export.onnx_file import write_onnx
from rigid.assets.store import default_cache_dir
from rigid.models.contract import CLASSES, Sizes
from rigid.models.face_parser import FaceParser
from rigid.models.image_encoder import ImageEncoder
from rigid.models.light_recurrent import LightRecurrentEncoder
from rigid.models.mobile_stylegan import MobileStyleGAN

Network = TypeVar("Network", bound=nn.Module)

ROOT = Path(__file__).resolve().parents[1]
KEPT = default_cache_dir().expanduser() / "test-exports"
EXPORTING = sorted(
    [*ROOT.glob("rigid/models/*.py"), *ROOT.glob("export/*.py"), ROOT / "engines/exports.py", Path(__file__)]
)
VERSIONS = [version(library) for library in ("torch", "onnx", "onnxscript", "onnx-ir", "numpy")]

SIZES = Sizes(
    image_size=64,
    n_codes=10,
    code_size=32,
    n_shared_codes=3,
    noise_shape=(16, 8, 8),
    hidden_shape=(8, 4, 4),
    face_window=(5, 4),
    n_classes=len(CLASSES),
)


def random_networks(seed: int = 0, *, recurrent: bool = False) -> Networks:
    """Networks of `SIZES` in eval mode; every weight, fixed noise and BatchNorm statistic is random."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = MobileStyleGAN((16, 16, 16, 16), code_size=SIZES.code_size, noise_resolution=8)
        encoder = ImageEncoder(torch.randn(SIZES.code_size), n_codes=SIZES.n_codes, widths=(8,) * 3, depths=(1,) * 3)
        for module in (*generator.modules(), *encoder.modules()):
            randomise(module)
        recurrent_encoder = untrained_recurrent_encoder() if recurrent else None
        for module in recurrent_encoder.modules() if recurrent_encoder else ():
            randomise(module)
        parser = _random_parser(seed)
    return Networks(SIZES, _frozen(encoder), _frozen(generator), recurrent_encoder, face_parser=_frozen(parser))


def _random_parser(seed: int) -> FaceParser:
    torch.manual_seed(seed)
    network = FaceParser(4)
    for module in network.modules():
        randomise(module)
        # Else hardly anything of a picture would reach the classes.
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data += 1
    return network


def untrained_recurrent_encoder() -> LightRecurrentEncoder:
    """A recurrent encoder of `SIZES`, whose offsets and noise are exactly zero."""
    channels, side, _ = SIZES.hidden_shape
    network = LightRecurrentEncoder(
        stem=8,
        widths=(8, channels),
        squeeze=4,
        hidden_size=side,
        noise_channels=SIZES.noise_shape[0],
        n_early=SIZES.n_codes - SIZES.n_shared_codes,
        code_size=SIZES.code_size,
    )
    return _frozen(network)


def export_once(*, recurrent: bool = False) -> Path:
    """The folder with the exports of `random_networks`; nobody writes to it."""
    if recurrent:
        return keep("recurrent", lambda folder: export_inversion(random_networks(recurrent=True), folder))
    return keep("random", _export_random)


def _export_random(folder: Path) -> None:
    # What half precision makes of random weights says nothing.
    export_networks(random_networks(), folder, "random", ["f32"])
    _add_int8(folder, "random")


def export_inversion(networks: Networks, folder: Path) -> None:
    """Export to `folder` networks that differ from `random_networks` in their inversion alone."""
    shutil.copytree(export_once(), folder)
    (invert,) = (one for one in exportables(networks) if one.name == "invert")
    write_onnx(invert, folder / "invert.onnx")
    write_record(folder, "random")


def keep(name: str, export: Callable[[Path], object], made_of: str = "", kept: Path = KEPT) -> Path:
    """The folder in `kept` to which `export` writes networks at the first call of all processes and all test runs.

    Anew where `made_of`, the code that exports, or a library that it uses is another one.
    """
    key = hashlib.sha256(f"{VERSIONS} {made_of}".encode())
    for path in EXPORTING:
        key.update(path.read_bytes())
    folder = kept / f"{name}-{key.hexdigest()[:16]}"
    kept.mkdir(parents=True, exist_ok=True)
    with FileLock(kept / f"{name}.lock"):
        if not folder.exists():
            for old in kept.glob(f"{name}-*"):
                shutil.rmtree(old)
            scratch = folder.with_suffix(".part")
            export(scratch)
            scratch.rename(folder)
    return folder


def _add_int8(folder: Path, weights: str) -> None:
    """Int8 of tiny networks, none of whose layers is wide enough for it: the file computes what the exports do."""
    for name in INT8_FILES:
        shutil.copy(folder / name.replace(".int8", ""), folder / name)
    record = {"weights": weights, "sizes": {name: (folder / name).stat().st_size for name in INT8_FILES}}
    (folder / INT8_RECORD).write_text(json.dumps(record), "utf-8")


def _frozen(network: Network) -> Network:
    return network.eval().requires_grad_(False)


def randomise(module: nn.Module) -> None:
    """Give the module's own weights and buffers random values."""
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if tensor.is_floating_point():
            tensor.data.normal_(0, 0.2)
    if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
        module.running_var.uniform_(0.5, 2)
