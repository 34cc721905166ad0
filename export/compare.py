"""Runs what was exported and compares it with the networks it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from engines import EngineOptions, Precision, find_installed_engines, open_graphs
from engines.backends.torch_engine import open_networks
from engines.graph_runtime import FACE_GRAPH, PARSE_GRAPH
from engines.registry import ENGINES
from export.networks import Exportable, Networks, exportables
from rigid.arrays import Array
from rigid.models.contract import RecurrentState, Runtime

BATCHES = (1, 2)
PRECISIONS: tuple[Precision, ...] = ("f32", "auto")
Compared = Literal["f32", "auto", "int8"]


@dataclass(frozen=True)
class Bound:
    """How far from eager float32 a precision may lie."""

    largest: float = np.inf
    """The largest difference, as a part of the reference's largest value."""
    mean: float = np.inf
    """The root mean square difference, as a part of the reference's."""
    decibels: float = -np.inf
    """The least signal-to-noise ratio of images."""
    lpips: float = np.inf
    """The largest perceptual distance of images."""


BOUNDS: dict[Compared, Bound] = {
    "f32": Bound(largest=1e-4),
    # Eight bits a factor: the one worst of a hundred thousand values says nothing of the picture.
    "auto": Bound(mean=2e-2, decibels=40),
    "int8": Bound(decibels=32, lpips=0.03),
}


@dataclass(frozen=True)
class Difference:
    """How far one graph of an engine lies from eager PyTorch on the same inputs: its worst output."""

    engine: str
    precision: Compared
    graph: str
    batch: int
    largest: float
    """Largest absolute difference, divided by the largest absolute value of the reference."""
    mean: float
    """Root mean square difference, divided by the root mean square of the reference."""
    decibels: float | None = None
    """Signal-to-noise ratio of images; None of what is no image."""
    lpips: float | None = None
    """Perceptual distance of images, where it was measured."""

    @property
    def passed(self) -> bool:
        """False also for NaN."""
        bound = BOUNDS[self.precision]
        clear = self.decibels is None or self.decibels >= bound.decibels
        alike = self.lpips is None or self.lpips <= bound.lpips
        return self.largest <= bound.largest and self.mean <= bound.mean and clear and alike

    def as_json(self) -> dict[str, object]:
        """Return the difference, and whether it is within its bounds, ready for JSON."""
        return {**asdict(self), "passed": self.passed}


def compare(
    networks: Networks, folder: Path, seed: int, precisions: Sequence[Precision] = PRECISIONS
) -> list[Difference]:
    """Compare every installed engine that runs the files in `folder`, in each of `precisions`, with `networks`."""
    reference = eager(networks)
    examples = [example for batch in BATCHES for example in exportables(networks, seed, batch)]
    expected = [_compute_expected(reference, example) for example in examples]
    found = []
    for engine, precision in _choices(folder, precisions):
        runtime = open_graphs(engine, folder, networks.sizes, EngineOptions(precision=precision))
        for example, answers in zip(examples, expected, strict=True):
            if example.name != FACE_GRAPH or runtime.sizes.face_window is not None:
                found.append(_difference(engine, precision, example, answers_of(runtime, example), answers))
        runtime.close()
    return found


def eager(networks: Networks) -> Runtime:
    """`networks` in eager PyTorch, float32: the reference."""
    return open_networks(
        networks.image_encoder,
        networks.generator,
        networks.sizes,
        EngineOptions(precision="f32"),
        recurrent_encoder=networks.recurrent_encoder,
        face_parser=networks.face_parser,
    )


def _choices(folder: Path, precisions: Sequence[Precision]) -> list[tuple[str, Precision]]:
    """The engines that run files which are there, in each precision."""
    choices: list[tuple[str, Precision]] = []
    for name in find_installed_engines():
        files = ENGINES[name].files
        # int8 is made for faces, and says nothing of random codes
        if files and not ENGINES[name].int8 and (folder / files.format("invert")).is_file():
            choices += [(name, precision) for precision in precisions]
    return choices


def _difference(
    engine: str, precision: Precision, example: Exportable, found: Sequence[Array], expected: Sequence[Array]
) -> Difference:
    pairs = list(zip(found, expected, strict=True))
    # NumPy's maximum of anything and NaN is NaN; Python's is not.
    largest, mean = (float(np.max([measure(*pair) for pair in pairs])) for measure in (relative_error, mean_error))
    decibels = signal_to_noise(*pairs[0]) if example.outputs == ("images",) else None
    return Difference(engine, precision, example.name, len(expected[0]), largest, mean, decibels)


def table(differences: Iterable[Difference]) -> str:
    """`differences` as lines of text, those that are too far first."""
    head = f"{'engine':<14}{'precision':<10}{'graph':<16}{'batch':>5}{'largest':>10}{'mean':>10}{'dB':>7}{'LPIPS':>8}"
    bounds = "f32: largest 1e-4; auto: mean 2e-2, 40 dB; int8: 32 dB, LPIPS 0.03"
    return "\n".join((f"{head}  ({bounds})", *map(_line, worst_first(differences))))


def worst_first(differences: Iterable[Difference]) -> list[Difference]:
    """Sort `differences`, those that are too far first; NaN is the worst."""
    return sorted(differences, key=lambda d: (d.passed, -np.nan_to_num(d.largest, nan=np.inf), d.engine, d.batch))


def _line(d: Difference) -> str:
    decibels = "" if d.decibels is None else f"{d.decibels:.1f}"
    lpips = "" if d.lpips is None else f"{d.lpips:.4f}"
    figures = f"{d.batch:>5}{d.largest:>10.1e}{d.mean:>10.1e}{decibels:>7}{lpips:>8}"
    return f"{d.engine:<14}{d.precision:<10}{d.graph:<16}{figures}  {'ok' if d.passed else 'too far'}"


def relative_error(found: Array, expected: Array) -> float:
    """max |found − expected| / max |expected|; max |found| where nothing is expected."""
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1))


def mean_error(found: Array, expected: Array) -> float:
    """rms(found − expected) / rms(expected); rms(found) where nothing is expected."""
    return _rms(found - expected) / (_rms(expected) or 1.0)


def signal_to_noise(found: Array, expected: Array) -> float:
    """PSNR in dB of images in [-1, 1], or in the range that they have where it is wider; infinite where equal."""
    error = float(np.square(found - expected).mean())
    peak = max(2.0, float(np.ptp(expected)))
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def _rms(array: Array) -> float:
    return float(np.sqrt(np.square(array, dtype=np.float64).mean()))


def _compute_expected(reference: Runtime, example: Exportable) -> tuple[Array, ...]:
    """What is to come out; eager networks make whole pictures only, so that a window is the exported module's own."""
    if example.name != FACE_GRAPH:
        return answers_of(reference, example)
    with torch.inference_mode():
        return (example.module(*example.inputs.values()).numpy(),)


def answers_of(runtime: Runtime, example: Exportable) -> tuple[Array, ...]:
    """Every output of the graph, as the runtime's caller gets it."""
    feeds = {name: value.numpy() for name, value in example.inputs.items()}
    if example.name == "synthesize":
        return (runtime.synthesize(**feeds),)
    if example.name == FACE_GRAPH:
        return (runtime.synthesize_face(**feeds),)
    if example.name == PARSE_GRAPH:
        return (runtime.parse(**feeds),)
    inputs = feeds.pop("inputs")
    codes, noise, after = runtime.invert(inputs, replace(RecurrentState.initial(runtime.sizes, len(inputs)), **feeds))
    return codes, noise, after.hidden, after.cell
