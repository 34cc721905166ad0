"""Edit many files: a folder or a list, on several processes, going on where an earlier run was stopped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from rigid.atomic_files import write_json
from rigid.composite.compositor import CompositeKind
from rigid.files.edit_job import EditJob
from rigid.files.film_formats import FORMATS, VIDEO_SUFFIXES
from rigid.files.image_formats import IMAGE_FORMATS, IMAGE_SUFFIXES
from rigid.files.provenance import Signing
from rigid.files.timeline import ScheduledEdit
from rigid.workers import Outcome, work_through

LIST_SUFFIX = ".txt"
RECORD = "batch.json"
"""Beside the results: what was done, with which settings, to which state of each input."""
KNOWN = frozenset((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))

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
    """By source: `target`, `status` (done, skipped or failed), `error`, and the file's own `report`."""
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


def is_batch(source: Path) -> bool:
    """Whether an input means many files: a folder, or a list in a text file."""
    return source.is_dir() or source.suffix.lower() == LIST_SUFFIX


def plan(source: Path, target: Path) -> dict[Path, Path]:
    """The files that `source`, a folder or a list, means, and where each goes below the folder `target`.

    ValueError, one sentence, where there are none or `target` cannot be their folder.
    """
    if target.is_file() or (target.suffix and not target.is_dir()):
        kind = "a folder" if source.is_dir() else "a list"
        raise ValueError(f"{source} is {kind}, so the output must be a folder; {target} is the name of a file.")
    if source.is_dir() and target.exists() and target.samefile(source):
        raise ValueError(f"The output {target} is the input itself; give another folder.")
    found = sorted(_in_folder(source, target)) if source.is_dir() else _in_list(source)
    if not found:
        raise ValueError(f"{source} holds no video or image; give a folder or a list that does.")
    base = source if source.is_dir() else Path(os.path.commonpath([path.parent for path in found]))
    return {path: target / _name_result(path.relative_to(base)) for path in found}


def find_left_out(source: Path, target: Path) -> dict[Path, str]:
    """Find the files of the folder `source` that `plan` does not take, and why; none of a list."""
    return dict(sorted(_unknown(source, target))) if source.is_dir() else {}


def _unknown(folder: Path, target: Path) -> Iterator[tuple[Path, str]]:
    for path in _visible(folder, target):
        if path.suffix.lower() not in KNOWN:
            ending = f"its name ends in {path.suffix}" if path.suffix else "its name has no ending"
            yield path, f"{ending}, which is that of no image or video that is read"
        elif not path.is_file():
            yield path, "it is no file"


def _in_folder(folder: Path, target: Path) -> Iterator[Path]:
    return (path for path in _visible(folder, target) if path.suffix.lower() in KNOWN and path.is_file())


def _visible(folder: Path, target: Path) -> Iterator[Path]:
    """What is below `folder`, but for folders, what is hidden, and what lies in `target`."""
    results = target.absolute()
    for path in folder.rglob("*"):
        # Results in a folder inside the input are no inputs of the next run.
        inside = results in path.absolute().parents
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not inside and not hidden and not path.is_dir():
            yield path


def _in_list(path: Path) -> list[Path]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a list; write the name of a file on each line, in UTF-8.") from None
    except OSError as error:
        raise ValueError(f"The list {path} cannot be read: {error.strerror}; check the name.") from None
    named = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    # Names are meant as seen from the list.
    return list(dict.fromkeys(Path(os.path.abspath(path.parent / name)) for name in named))


def _name_result(path: Path) -> Path:
    """The result's name: the input's, with .mp4 or .png behind it where its own format is not written."""
    suffix = path.suffix.lower()
    if suffix in FORMATS or suffix in IMAGE_FORMATS:
        return path
    return path.with_name(path.name + (".png" if suffix in IMAGE_SUFFIXES else ".mp4"))


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
