"""Edit many files: a folder or a list, on several processes, going on where an earlier run was stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from rigid.atomic_files import write_json
from rigid.composite.compositor import CompositeKind
from rigid.face.group_tracker import FaceChoice
from rigid.files.edit_job import EditJob
from rigid.files.provenance import Signing
from rigid.files.timeline import ScheduledEdit
from rigid.workers import Outcome, work_through

RECORD = "batch.json"
"""The file beside the results that says what was done, with which settings, to which state of each input."""

Report = Mapping[str, object]
"""An `EditReport` as JSON."""
OpenWorker = Callable[[], Callable[[EditJob], Report]]
Through = Callable[[Sequence[EditJob], OpenWorker], Iterator[Outcome[EditJob, Report]]]
"""Does jobs, and gives their outcomes as they are ready."""


@dataclass(frozen=True)
class Settings:
    """What every file gets."""

    edits: Mapping[str, float]
    schedule: Sequence[ScheduledEdit]
    compare: bool
    profile: str
    composite: CompositeKind
    faces: FaceChoice = field(default_factory=FaceChoice)
    strip_metadata: bool = False
    badge: bool = False
    signing: Signing | None = None

    def as_json(self) -> dict[str, object]:
        """Equal for equal settings, also after it was written and read."""
        made: dict[str, object] = json.loads(json.dumps(asdict(self), default=str))
        return made


@dataclass
class BatchReport:
    """What became of every file."""

    files: dict[str, dict[str, object]] = field(default_factory=dict)
    """What is known of each source: `target`, `status` (done, skipped or failed), `error`, and its own `report`."""
    seconds: float = 0.0
    left_out: Mapping[Path, str] = field(default_factory=dict)
    """Files of the folder that were not looked at, and why."""

    def count(self, status: str) -> int:
        """How many files have that status."""
        return sum(entry["status"] == status for entry in self.files.values())

    @property
    def frames(self) -> int:
        """The frames of the files done in this run."""
        done = (entry["report"] for entry in self.files.values() if entry["status"] == "done")
        return sum(int(str(report["frames"])) for report in done if isinstance(report, dict))

    def warnings(self, source: str) -> list[str]:
        """What is to be said about a file that was done."""
        return self._read_report(source, "warnings")

    def notes(self, source: str) -> list[str]:
        """What of a file that was done could not be kept."""
        return self._read_report(source, "notes")

    def _read_report(self, source: str, what: str) -> list[str]:
        report = self.files[source].get("report")
        told = report.get(what, []) if isinstance(report, dict) else []
        return [str(one) for one in told]

    def as_json(self) -> dict[str, object]:
        """Return the report as `--report` writes it."""
        counts = {status: self.count(status) for status in ("done", "skipped", "failed")}
        fps = round(self.frames / self.seconds, 3) if self.seconds else 0.0
        left_out = {str(path): why for path, why in self.left_out.items()}
        seconds = round(self.seconds, 3)
        told = {"frames": self.frames, "seconds": seconds, "fps": fps, "files": self.files, "left_out": left_out}
        return {**counts, **told}


def edit_files(
    files: Mapping[Path, Path],
    settings: Settings,
    open_worker: OpenWorker,
    processes: int,
    record: Path,
    progress: Callable[[int, str], None],
    through: Through | None = None,
) -> BatchReport:
    """Edit `files` (source → target), each in one of the processes; see `work_through` for `open_worker`.

    `record` remembers what is done: files that have not changed since, with the same settings and with their result
    in place, are skipped. A file that fails is told of in the report, and tried again by the next run. `progress`
    takes the number of files that are through, and those in hand. `through` does the jobs elsewhere than in processes
    of this machine.
    """
    started = time.monotonic()
    memory = _Record(record, settings)
    report = BatchReport()
    jobs: list[EditJob] = []
    for source, target in files.items():
        if memory.knows(source, target):
            report.files[str(source)] = {"target": str(target), "status": "skipped"}
        else:
            jobs.append(_job(source, target, settings))
            target.parent.mkdir(parents=True, exist_ok=True)
    left = {job.source: None for job in jobs}
    progress(len(report.files), _in_hand(left, processes))
    outcomes = through(jobs, open_worker) if through else work_through(jobs, open_worker, processes)
    for outcome in outcomes:
        report.files[str(outcome.task.source)] = _entry(outcome)
        if outcome.error is None:
            memory.add(outcome.task)
        left.pop(outcome.task.source, None)
        progress(len(report.files), _in_hand(left, processes))
    report.seconds = time.monotonic() - started
    return report


def _in_hand(left: Iterable[Path], processes: int) -> str:
    """The names of the files that are being edited: the first ones that are left, as they are taken in order."""
    return ", ".join(path.name for path in islice(left, processes))


def _job(source: Path, target: Path, settings: Settings) -> EditJob:
    kept = settings.compare, settings.strip_metadata, settings.badge, settings.signing
    return EditJob(source, target, settings.edits, settings.schedule, *kept)


def _entry(outcome: Outcome[EditJob, Report]) -> dict[str, object]:
    entry: dict[str, object] = {"target": str(outcome.task.target)}
    if outcome.error is not None:
        return entry | {"status": "failed", "error": outcome.error}
    return entry | {"status": "done", "report": dict(outcome.result or {})}


class _Record:
    """The file that remembers what is done; each input by its size and time."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings.as_json()
        known = _read(path)
        done = known.get("done")
        same = known.get("settings") == self._settings and isinstance(done, dict)
        self._done: dict[str, object] = dict(done) if same and isinstance(done, dict) else {}

    def knows(self, source: Path, target: Path) -> bool:
        """Whether the result of the input as it is now is in its place."""
        return target.is_file() and str(source) in self._done and self._done[str(source)] == _state(source)

    def add(self, job: EditJob) -> None:
        self._done[str(job.source)] = _state(job.source)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path, {"settings": self._settings, "done": self._done})


def _state(source: Path) -> list[int] | None:
    try:
        status = source.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _read(path: Path) -> dict[str, object]:
    """What was written before; nothing where the file is missing or broken."""
    try:
        known = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
