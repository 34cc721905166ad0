"""Int8 for a profile: which of the generator's layers bear it, by a measured scan; the file, and how close it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from engines import EngineOptions, open_graphs
from engines.exports import INT8_FILES, INT8_RECORD
from engines.graph_runtime import FACE_GRAPH
from export.calibration import FaceSource, Feed
from export.compare import Difference, eager, mean_error, relative_error, signal_to_noise
from export.networks import Networks, window_generator
from export.quantize import Ranges, measure_ranges, quantise_layers
from rigid.arrays import Array
from rigid.assets.store import AssetStore
from rigid.models.build import build_lpips
from rigid.models.contract import Runtime, Sizes

TARGET = 40.0
"""Least signal-to-noise ratio of images, dB: what half precision has to reach. 32 would pass, and gain little."""
CALIBRATION_SEED, TRIAL_SEED = 0, 1
CALIBRATION_FACES, TRIAL_FACES, COMPARED_FACES = 8, 3, 4
ENGINE = "openvino-int8"


@dataclass(frozen=True)
class Sensitivity:
    """What int8 in one layer alone costs."""

    layer: str
    decibels: float
    """Signal-to-noise ratio of the images."""
    quantised: bool = False
    """Whether the layer computes in int8 in the end."""


@dataclass(frozen=True)
class Quantised:
    """A network with as many layers in int8 as it bears."""

    model: onnx.ModelProto
    ranges: Ranges
    """What its layers in int8 were given on the calibration faces."""
    layers: tuple[Sensitivity, ...]
    """The most sensitive first."""
    decibels: float
    """Of all of it."""


def quantise(path: Path, calibration: Sequence[Feed], trial: Sequence[Feed], target: float = TARGET) -> Quantised:
    """The ONNX file `path` with int8 in all layers that can have it but the most sensitive: so many that it reaches
    `target` dB on `trial`.

    ValueError where no layer can have it.
    """
    ranges, model = measure_ranges(path, calibration), onnx.load(path)
    expected = _images(model, trial)

    def decibels_of(layers: Sequence[str]) -> float:
        return signal_to_noise(
            _images(quantise_layers(model, {name: ranges[name] for name in layers}), trial), expected
        )

    scan = sorted((Sensitivity(name, decibels_of([name])) for name in ranges), key=lambda one: one.decibels)
    for dropped in range(len(scan)):
        chosen = {one.layer for one in scan[dropped:]}
        decibels = decibels_of(sorted(chosen))
        if decibels >= target:
            layers = (Sensitivity(one.layer, round(one.decibels, 2), one.layer in chosen) for one in scan)
            kept = {name: ranges[name] for name in ranges if name in chosen}
            return Quantised(quantise_layers(model, kept), kept, tuple(layers), round(decibels, 2))
    raise ValueError(f"No layer of {path.name} can compute in int8 at {target:g} dB; use another precision.")


def write_int8(networks: Networks, source: FaceSource, folder: Path, weights: str) -> Quantised:
    """Write int8's files beside the exports of `networks` in `folder`, and a record of what was measured.

    `weights`: the hash that the exports are recorded under. ValueError where no layer bears it.
    """
    runtime = eager(networks)
    calibration = source.feeds(runtime, CALIBRATION_FACES, CALIBRATION_SEED)
    made = quantise(folder / "synthesize.onnx", calibration, source.feeds(runtime, TRIAL_FACES, TRIAL_SEED))
    runtime.close()
    keep_int8(made, folder, weights)
    return made


def keep_int8(made: Quantised, folder: Path, weights: str) -> None:
    """Write the files and the record of `made`; see `write_int8`."""
    models = {INT8_FILES[0]: made.model}
    if (folder / f"{FACE_GRAPH}.onnx").is_file():
        # The same layers of the same generator, on a part of its features.
        models[INT8_FILES[1]] = quantise_layers(onnx.load(folder / f"{FACE_GRAPH}.onnx"), made.ranges)
    for name, model in models.items():
        onnx.save(model, folder / name)
    sizes = {name: (folder / name).stat().st_size for name in models}
    layers = [asdict(one) for one in made.layers]
    record = {"weights": weights, "sizes": sizes, "decibels": made.decibels, "layers": layers}
    (folder / INT8_RECORD).write_text(json.dumps(record, indent=1), "utf-8")


def compare_int8(
    networks: Networks, source: FaceSource, folder: Path, store: AssetStore, seed: int
) -> list[Difference]:
    """Int8 in `folder` on its engine against eager PyTorch, on generated faces of `seed` that are edited."""
    reference, runtime = eager(networks), open_graphs(ENGINE, folder, networks.sizes, EngineOptions())
    feeds = source.feeds(reference, COMPARED_FACES, seed)
    expected, found = (np.concatenate([_synthesize(one, feed) for feed in feeds]) for one in (reference, runtime))
    differences = [_difference("synthesize", found, expected, store)]
    if runtime.sizes.face_window is not None:
        window = window_generator(networks)
        feeds = [{**feed, "corners": _middle(runtime.sizes, len(feed["codes"]))} for feed in feeds]
        with torch.inference_mode():
            parts = [window(*map(torch.from_numpy, feed.values())).numpy().clip(-1, 1) for feed in feeds]
        faces = [runtime.synthesize_face(**feed).clip(-1, 1) for feed in feeds]
        differences.append(_difference(FACE_GRAPH, np.concatenate(faces), np.concatenate(parts), store))
    reference.close()
    runtime.close()
    return differences


def _middle(sizes: Sizes, batch: int) -> Array:
    """Corners of windows in the middle of their pictures."""
    assert sizes.face_window is not None
    room = np.subtract(sizes.noise_shape[1:], sizes.face_window)
    return np.tile(room // 2, (batch, 1)).astype(np.float32)


def _difference(graph: str, found: Array, expected: Array, store: AssetStore) -> Difference:
    largest, mean = relative_error(found, expected), mean_error(found, expected)
    decibels, lpips = signal_to_noise(found, expected), largest_lpips(store, found, expected)
    return Difference(ENGINE, "int8", graph, 2, largest, mean, decibels, lpips)


def scan_table(made: Quantised) -> str:
    """What was measured of each layer, as lines of text."""
    lines = [f"{'layer':<36}{'alone, dB':>10}"]
    lines += [f"{one.layer:<36}{one.decibels:>10.1f}{'' if one.quantised else '  not in int8'}" for one in made.layers]
    return "\n".join([*lines, f"{'all that are in int8':<36}{made.decibels:>10.1f}"])


def _images(model: onnx.ModelProto, feeds: Sequence[Feed]) -> Array:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, dict(feed))[0] for feed in feeds]).clip(-1, 1)


def _synthesize(runtime: Runtime, feed: Feed) -> Array:
    return runtime.synthesize(**feed).clip(-1, 1)


def largest_lpips(store: AssetStore, found: Array, expected: Array) -> float:
    """The largest perceptual distance of images (B, 3, H, W) in [-1, 1] and what they should be."""
    net = build_lpips(store)
    with torch.inference_mode():
        pairs = zip(found, expected, strict=True)
        distances = [float(net(*(torch.from_numpy(image[None]) for image in pair))) for pair in pairs]
    return max(distances)
