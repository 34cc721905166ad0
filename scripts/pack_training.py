#!/usr/bin/env python3
"""Pack all that `rigid-live train carry-on` needs into one archive for a machine that reaches nothing else.

Unpacked (`tar xJf`), its `carry-on` script goes on from the weights that ship. What is packed is rounded: weights to
half their digits, frozen networks to bfloat16 and a digit more, stills to a smaller JPEG; clips come as aligned faces.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from rigid.assets.store import MANIFEST, AssetStore
from rigid.atomic_files import replacing
from rigid.models.openvino_ir import read_float_constants
from rigid.models.profiles import WEIGHTS
from rigid.training.faces import read_index

ROOT = Path(__file__).parent.parent
LIMIT = 60 * 2**20
PACKAGES = ("cli", "engines", "export", "rigid", "server")
CODE = (*(f"{package}/**/*.py" for package in PACKAGES), "rigid/weights/mobile-256/attributes/*.safetensors")
TRAINED = ("image_encoder", "recurrent_encoder", "visible_net")
WEIGHT_BITS, FROZEN_BITS = 4, 8
"""Bits of the mantissa that are kept, of float16 and of float32."""
LARGEST_NOISE = 128
"""Side of the largest fixed noise that the generator reads; its teacher's larger ones are left out."""
STILL_QUALITY = 82
# Two and four bytes a number: their places say what they are, which halves what has to be stored.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 23, "lc": 2, "lp": 2, "pb": 2}]
START = """#!/bin/sh
# Goes on with the encoders; stop it at any time, start it again to go on. Needs PyTorch, OpenCV, safetensors,
# filelock, matplotlib and typer.
cd "$(dirname "$0")" && export RIGID_LIVE_CACHE=assets RIGID_LIVE_DATA=data PYTHONPATH=.
exec python3 -m cli.main train carry-on "$@"
"""
Numbers = NDArray[np.floating[Any]]
Files = Iterator[tuple[str, bytes]]


def round_mantissas(values: Numbers, bits: int) -> Numbers:
    """`values`, float16 or float32, with `bits` bits of their mantissas left and zeros after them."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    kept = np.ldexp(np.rint(np.ldexp(mantissa, bits + 1)), exponent - bits - 1)
    # a count of batches has no axes, and NumPy makes a plain number of it
    return np.asarray(kept, values.dtype)


def code() -> Files:
    """The program's own files, and the script that starts it."""
    for pattern in CODE:
        for path in sorted(ROOT.glob(pattern)):
            yield str(path.relative_to(ROOT)), path.read_bytes()
    yield "carry-on", START.encode()


def weights() -> Files:
    """The networks that ship, those that training begins from rounded."""
    folder = WEIGHTS / "mobile-256"
    for name in (*TRAINED, "generator"):
        state = load_file(folder / f"{name}.safetensors")
        kept = {key: round_mantissas(value, WEIGHT_BITS) for key, value in state.items()} if name in TRAINED else state
        yield f"rigid/weights/mobile-256/{name}.safetensors", save(kept)


def assets(store: AssetStore) -> Files:
    """The frozen networks, rounded, and a manifest that knows them."""
    files = dict(_generator(store))
    files["perceptual/alex_shift_tolerant.pth"] = _perceptual(store.file("perceptual", "alex_shift_tolerant.pth"))
    manifest = json.loads(MANIFEST.read_text())
    packed = {}
    for asset in ("generator", "perceptual"):
        entries = [_entry(path, content) for path, content in files.items() if path.startswith(asset)]
        packed[asset] = manifest[asset] | {"files": entries}
    yield from ((f"assets/assets/{path}", content) for path, content in files.items())
    yield "rigid/assets/manifest.json", json.dumps(packed, indent=2).encode()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    return {"name": Path(path).name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def _generator(store: AssetStore) -> Files:
    for name in ("MappingNetwork", "SynthesisNetwork"):
        graph = store.file("generator", f"{name}.xml")
        content = bytearray(graph.with_suffix(".bin").read_bytes())
        for constant in read_float_constants(graph):
            unused = constant.value.shape[:2] == (1, 1) and constant.value.shape[-1] > LARGEST_NOISE
            stored = round_mantissas(constant.value, FROZEN_BITS) * (0 if unused else 1)
            content[constant.offset : constant.offset + stored.nbytes] = stored.tobytes()
        yield f"generator/{name}.xml", graph.read_bytes()
        yield f"generator/{name}.bin", bytes(content)


def _perceptual(path: Path) -> bytes:
    state = torch.load(path, map_location="cpu", weights_only=True)
    stream = io.BytesIO()
    torch.save(
        {key: torch.from_numpy(round_mantissas(value.float().numpy(), FROZEN_BITS)) for key, value in state.items()},
        stream,
    )
    return stream.getvalue()


def data(folder: Path) -> Files:
    """The aligned faces of all clips, and the stills that are trained on."""
    index = read_index(folder)
    stills = [still for still in index["stills"] if still["split"] == "train"]
    yield "data/index.json", json.dumps({"clips": index["clips"], "stills": stills}).encode()
    for clip in index["clips"]:
        yield f"data/aligned/{clip['name']}.mp4", (folder / "aligned" / f"{clip['name']}.mp4").read_bytes()
    for still in stills:
        picture = cv2.imread(str(folder / "stills" / f"{still['name']}.jpg"))
        assert picture is not None
        _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, STILL_QUALITY])
        yield f"data/stills/{still['name']}.jpg", encoded.tobytes()


def pack(path: Path, files: Files, limit: int = LIMIT) -> int:
    """Write the archive and return its size in bytes; ends the program where it would be larger than `limit`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        with lzma.open(part, "wb", filters=FILTERS) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in files:
                member = tarfile.TarInfo(f"rigid-live-training/{name}")
                member.size, member.mode = len(content), 0o755 if name == "carry-on" else 0o644
                archive.addfile(member, io.BytesIO(content))
        size = part.stat().st_size
        if size > limit:
            over = f"{size / 2**20:.1f} MiB, over {limit / 2**20:.0f}"
            sys.exit(f"The bundle would be {over}; leave out some clips.")
    return size


def main() -> None:
    """Pack `build/rigid-live-training.tar.xz`, or what `--out` names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("RIGID_LIVE_DATA"), help="folder of real clips and stills"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "rigid-live-training.tar.xz")
    given = parser.parse_args()
    if given.data is None:
        parser.error("name the folder of real clips by --data or RIGID_LIVE_DATA")
    parts = (code(), weights(), assets(AssetStore()), data(Path(given.data)))
    size = pack(given.out, (file for part in parts for file in part))
    print(f"{given.out}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
