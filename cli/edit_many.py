"""`rigid-live edit` for a folder or a list of files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.edit_options import Wanted
from cli.errors import FAILED, bad_input, say
from cli.streams import open_engine, open_stream
from cli.tables import print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from rigid.files.batch import BatchReport, Report, Settings, Through
    from rigid.files.edit_job import EditJob

MOST_NAMED = 20
"""Files left out that are named on the terminal."""


def edit_many(source: Path, target: Path, wanted: Wanted, jobs: int | None, share: tuple[str, float] | None) -> None:
    """Edit every file that `source` means; `share`: a cluster's address, and a file's processors there."""
    from rigid.atomic_files import check_folder, write_json
    from rigid.files.batch import RECORD, Settings, edit_files
    from rigid.files.batch_plan import find_left_out, plan
    from rigid.operating_system import count_cores
    from rigid.progress import show_progress

    if share is not None:
        # as every node is to name them
        source, target = source.absolute(), target.absolute()
    with bad_input():
        files = plan(source, target)
        profile, composite = wanted.profile, wanted.composite
        settings = Settings(
            *wanted.strengths(), profile=profile, composite=composite, faces=wanted.faces, **wanted.how()
        )
        if wanted.report is not None:
            check_folder(wanted.report)
        processes = min(jobs or count_cores(), len(files))
        threads = max(1, count_cores() // processes)
        if share is not None:
            threads = max(1, int(share[1]))
        else:
            # what is the same for every file fails here, once; and `auto` measures here, alone on the machine
            open_engine(profile, wanted.engine, threads, shared=wanted.faces.most > 1).close()
        through = None if share is None else _on_cluster(*share)
    open_worker = partial(_open_worker, settings, wanted.engine, threads)
    with show_progress(f"Editing {len(files)} files", len(files), "files") as progress:
        done = edit_files(files, settings, open_worker, processes, target / RECORD, progress, through)
    done.left_out = find_left_out(source, target)
    if wanted.report is not None:
        write_json(wanted.report, done.as_json())
    _summarise(target, done, as_json=wanted.as_json)


def _on_cluster(address: str, cpus: float) -> Through:
    from cli.cluster import batch_on

    return batch_on(address, cpus)


def _open_worker(settings: Settings, engine: str, threads: int) -> Callable[[EditJob], Report]:
    """One process of a batch: loads the engine once, for all the files that it will do."""
    import cv2

    from rigid.files.edit import edit_file

    cv2.setNumThreads(threads)
    runtime = open_engine(settings.profile, engine, threads, shared=settings.faces.most > 1)

    def work(job: EditJob) -> Report:
        make_stream = partial(open_stream, runtime, settings.profile, settings.composite, settings.faces)
        return edit_file(job, make_stream, settings.profile).as_json()

    return work


def _summarise(target: Path, done: BatchReport, *, as_json: bool) -> None:
    for source, entry in done.files.items():
        if entry["status"] == "failed":
            say(f"Failed: {source}: {entry['error']}")
        for warning in done.warnings(source):
            say(f"Warning: {source}: {warning}")
        for note in done.notes(source):
            say(f"Note: {source}: {note}")
    for path, why in list(done.left_out.items())[:MOST_NAMED]:
        say(f"Left out: {path}: {why}.")
    if len(done.left_out) > MOST_NAMED:
        say(f"Left out: {len(done.left_out) - MOST_NAMED} more files; --report names them all.")
    if as_json:
        print_json(done.as_json())
    else:
        fps = done.frames / done.seconds if done.seconds else 0.0
        typer.echo(
            f"{target}: {done.count('done')} files done, {done.count('skipped')} as they were, {done.count('failed')} "
            f"failed; {done.frames} frames in {done.seconds:.1f} s ({fps:.1f} a second)."
        )
    if done.count("failed"):
        raise typer.Exit(FAILED)
