"""Measures the whole path of live frames on this machine: sessions that share an engine, beside eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from engines import EngineError
from engines.machine import versions
from rigid.arrays import Pixels
from rigid.edits.library import AttributeLibrary
from rigid.operating_system import count_cores, name_processor
from server.backend import Backend
from server.bench.measure import Measure, measure, memory_mb

PACKAGES = ("rigid-live", "torch", "openvino", "onnxruntime", "numpy")


def machine() -> dict[str, object]:
    """What the figures depend on."""
    memory = round(psutil.virtual_memory().total / 2**30, 1)
    return {"processor": name_processor(), "cores": count_cores(), "memory_gb": memory, "versions": versions(PACKAGES)}


@dataclass(frozen=True)
class BenchmarkJob:
    """What a benchmark is asked to measure."""

    profile: str
    frames: Sequence[Pixels]
    """uint8 RGB (H, W, 3), all of one size, with a face."""
    sessions: Sequence[int]
    """How many sessions at once, one measurement each."""
    seconds: float
    """How long each measurement takes."""


def run_benchmark(
    job: BenchmarkJob,
    backend: Backend,
    load_eager: Callable[[], Backend] | None,
    on_measure: Callable[[str, Measure], None],
) -> dict[str, object]:
    """The benchmark's JSON; `on_measure` gets each engine's name and figures as they come.

    `backend` runs the engine that is measured, `load_eager` makes the reference, for one session, once that is
    done. `speedup_vs_eager` compares it with the fewest sessions; it is None without a reference. Raises ValueError
    when no face is found in the frames or nothing can be edited, and EngineError when frames fail.
    """
    edits = strong_edit(backend.library)
    backend.warm_up()
    base_mb = memory_mb()
    measures = []
    for n in job.sessions:
        measures.append(_check(measure(backend.make_stream, job.frames, edits, n, job.seconds)))
        on_measure(backend.runtime.name, measures[-1])
    done: dict[str, object] = {
        "machine": machine(),
        "profile": job.profile,
        "engine": backend.runtime.name,
        "edits": edits,
        "frame_size": [job.frames[0].shape[1], job.frames[0].shape[0]],
        "sessions": [measured.as_json(base_mb) for measured in measures],
        "eager": None,
        "speedup_vs_eager": None,
    }
    if load_eager is not None:
        eager = _measure_eager(load_eager(), job, edits)
        on_measure("eager", eager)
        done["eager"] = eager.as_json(base_mb)
        done["speedup_vs_eager"] = round(min(measures, key=lambda measured: measured.n).fps / eager.fps, 2)
    return done


def _measure_eager(reference: Backend, job: BenchmarkJob, edits: Mapping[str, float]) -> Measure:
    try:
        return _check(measure(reference.make_stream, job.frames, edits, 1, job.seconds))
    finally:
        reference.runtime.close()


def strong_edit(library: AttributeLibrary) -> dict[str, float]:
    """A smile, else the first attribute there is, at the end of its range; ValueError without any."""
    if not library.names:
        raise ValueError("This profile has no attributes, so there is no edit to measure; add one first.")
    attribute = library["smile" if "smile" in library else library.names[0]]
    return {attribute.name: float(attribute.max or attribute.min)}


def _check(measured: Measure) -> Measure:
    if measured.errors:
        raise EngineError(f"{len(measured.errors)} of {len(measured.frame_ms)} frames failed: {measured.errors[0]}")
    if not measured.edited_frames:
        raise ValueError("No face was found in the clip; give --input a video with a face in it.")
    return measured
