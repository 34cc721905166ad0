"""A whole evaluation: every clip under every method, and the report of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rigid.atomic_files import write_json, write_text
from rigid.evaluation.measure import Measured, Meters, Source, measure_clip
from rigid.evaluation.methods import MethodOptions, Networks, method_names, prepare
from rigid.evaluation.plots import write_plots
from rigid.evaluation.report import Run, report_json, report_markdown
from rigid.evaluation.results import Result, ResultStore, check_out, file_stamp, without_nan
from rigid.evaluation.strips import strip
from rigid.files.clips import Clip, GroupTracker, Track, find_clips, track_clip, track_faces
from rigid.files.image_writing import write_image
from rigid.files.video_reader import VideoError, VideoReader
from rigid.reporting import CountDone, Say
from rigid.stream.face_stream import Tracker


@dataclass(frozen=True)
class EvaluationJob:
    """What is asked for."""

    videos: Path
    out: Path
    edits: Mapping[str, float]
    """The edit that is measured; the first attribute's change is the edit strength."""
    methods: Sequence[str] = ("rigid", "per-frame")
    without: Sequence[str] = ()
    """Parts of the method to leave out, one at a time."""
    frames: int = 60
    """The first frames of each clip."""
    every: int = 1
    """LPIPS, identity and edit strength are taken of every so many frames."""
    split: str | None = None
    names: Sequence[str] = ()
    """Clips to take; all when empty."""
    max_faces: int = 1
    """How many faces of a clip to measure, each as a clip of its own; of one, the largest."""
    options: MethodOptions = field(default_factory=MethodOptions)

    def rows(self) -> list[str]:
        """The methods and variants of the run."""
        return method_names(self.methods, self.without)

    def check(self) -> list[Clip]:
        """The clips; ValueError, one sentence, when the job cannot be as it is."""
        self.rows()
        if not any(self.edits.values()):
            raise ValueError("No edit was asked for, and without one there is nothing to measure; use --set smile=1.")
        check_out(self.out)
        return find_clips(self.videos, self.split, self.names)


@dataclass(frozen=True)
class Tools:
    """What a job is done with; each part may be stood in for."""

    networks: Networks
    meters: Meters
    make_tracker: Callable[[], Tracker]
    """A tracker for each clip; closed after it."""
    make_group_tracker: Callable[[int], GroupTracker]
    """The same for up to so many faces."""
    facts: Mapping[str, object]
    """What, besides the job, results depend on: profile, engine, weights."""
    say: Say = print
    plot: Callable[[Path, str, Mapping[str, Result]], None] = write_plots
    """Draws a clip's results, by method, to a file."""


def count_expected_frames(job: EvaluationJob, clips: Sequence[Clip]) -> int:
    """How many frames the progress will count, as far as the files tell."""
    return len(job.rows()) * sum(_length(clip.path, job.frames) for clip in clips)


def _length(path: Path, limit: int) -> int:
    try:
        with VideoReader(path) as reader:
            return min(limit, reader.frame_estimate or limit)
    except VideoError:
        return 0  # told when its turn comes


def evaluate(job: EvaluationJob, tools: Tools, command: str, progress: CountDone = lambda done: None) -> Run:
    """Do the job and write `report.json`, `report.md`, `plots` and `strips` to `job.out`.

    Pairs of clip and method that were measured under the same options before are taken from there. `command`: the
    line that makes the report; `progress` takes the frames done. ValueError when no clip can be measured.
    """
    clips = job.check()
    job.out.mkdir(parents=True, exist_ok=True)
    run = Run(command, {**tools.facts, **_facts(job)}, job.rows())
    runner = _Runner(job, tools, run, progress)
    for clip in clips:
        runner.measure_faces(clip)
    if not run.results:
        reasons = "; ".join(f"{clip}: {reason}" for clip, reason in run.skipped.items())
        raise ValueError(f"No video in {job.videos} could be measured ({reasons}); give clips that show a face.")
    _write(job.out, run, tools)
    return run


def _facts(job: EvaluationJob) -> dict[str, object]:
    return {
        "edits": dict(job.edits),
        "frames_per_clip": job.frames,
        "every": job.every,
        "composite": job.options.composite,
        "optimise_steps": job.options.optimise_steps,
        "tune_steps": job.options.tune_steps,
    }


class _Runner:
    """Measures clip by clip into a `Run`."""

    def __init__(self, job: EvaluationJob, tools: Tools, run: Run, progress: CountDone) -> None:
        self._job, self._tools, self._run, self._progress = job, tools, run, progress
        self._store = ResultStore(job.out / "measured")
        self._rows = run.methods
        self._done = 0

    def measure_faces(self, clip: Clip) -> None:
        """All methods on one clip, of several faces on each, or the reason why not."""
        if self._job.max_faces == 1:
            self._measure_all(clip, self._track)
            return
        tracker = self._tools.make_group_tracker(self._job.max_faces)
        try:
            tracks = track_faces(clip, tracker, self._job.frames)
        except VideoError as error:
            self._skip(clip, str(error))
            return
        finally:
            tracker.close()
        if not tracks:
            self._skip(clip, "no face was found")
        for number, track in sorted(tracks.items()):
            self._measure_all(Clip(f"{clip.name}-face-{number}", clip.path), partial(_keep_track, track))

    def _measure_all(self, clip: Clip, find_track: Callable[[Clip], Track]) -> None:
        """All methods on one face of a clip."""
        kept = {method: self._store.load(clip.name, method, self._options(clip, method)) for method in self._rows}
        source: Source | None = None
        for method, result in kept.items():
            if result is None:
                source = source or self._source(clip, find_track)
                if source is None:
                    return
                result = self._measure(source, method)
            else:
                self._done += result.counts["frames"]
                self._progress(self._done)
            self._run.results[clip.name, method] = result

    def _track(self, clip: Clip) -> Track:
        tracker = self._tools.make_tracker()
        try:
            return track_clip(clip, tracker, self._job.frames)
        finally:
            tracker.close()

    def _source(self, clip: Clip, find_track: Callable[[Clip], Track]) -> Source | None:
        """The clip with its faces found; None, and the reason told, where there is nothing to measure."""
        try:
            track = find_track(clip)
        except VideoError as error:
            self._skip(clip, str(error))
            return None
        if not track.face_frames:
            self._skip(clip, f"no face was found in its first {len(track.faces)} frames")
        elif not track.pairs:
            self._skip(clip, f"no two neighbouring ones of its first {len(track.faces)} frames show a face")
        return Source(clip, track) if track.pairs else None

    def _skip(self, clip: Clip, reason: str) -> None:
        self._run.skipped[clip.name] = reason
        self._tools.say(f"{clip.name} is left out: {reason.rstrip('.')}.")

    def _measure(self, source: Source, method: str) -> Result:
        done = self._done
        job, tools, track = self._job, self._tools, source.track
        prepared = prepare(method, tools.networks, job.options, source.clip, track)
        found = measure_clip(
            source, prepared, job.edits, tools.meters, job.every, lambda frames: self._progress(done + frames)
        )
        self._done += len(track.faces)
        result = _result(found, {"frames": len(track.faces), "face_frames": track.face_frames})
        self._store.save(source.clip.name, method, self._options(source.clip, method), result)
        return result

    def _options(self, clip: Clip, method: str) -> dict[str, object]:
        """Everything that a result depends on."""
        job = self._job
        own = {"edits": dict(job.edits), "frames": job.frames, "every": job.every, "clip": file_stamp(clip)}
        if job.max_faces > 1:
            own["max_faces"] = job.max_faces
        return {**self._tools.facts, **own, "method": method, **job.options.of(method)}


def _keep_track(track: Track, clip: Clip) -> Track:
    return track


def _result(found: Measured, counts: dict[str, int]) -> Result:
    return Result(found.means, found.strengths, found.frames, counts, found.rows, found.features)


def _write(out: Path, run: Run, tools: Tools) -> None:
    """The pictures first, then the reports that speak of them."""
    for folder in (out / "plots", out / "strips"):
        folder.mkdir(exist_ok=True)
    for clip in run.clips:
        results = {method: run.results[clip, method] for method in run.methods}
        tools.plot(out / "plots" / f"{clip}.png", clip, results)
        write_image(out / "strips" / f"{clip}.png", strip({method: result.rows for method, result in results.items()}))
    write_json(out / "report.json", without_nan(report_json(run)))
    write_text(out / "report.md", report_markdown(run))
