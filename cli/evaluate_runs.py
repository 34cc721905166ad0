"""What `rigid-live evaluate` does: it measures methods, draws a contact sheet, or measures for whom it works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.errors import fail, say
from rigid.assets.store import AssetStore

if TYPE_CHECKING:
    from rigid.evaluation.fairness import FairnessJob
    from rigid.evaluation.run import EvaluationJob
    from rigid.evaluation.sheet import SheetJob
    from rigid.models.contract import Runtime


@dataclass(frozen=True)
class Measuring:
    """How measuring runs, whatever is measured; what is wrong with a job is told before anything slow is loaded."""

    profile: str
    engine: str
    command: str
    """The line that makes the report again."""
    store: AssetStore = field(default_factory=AssetStore)

    def measure_methods(self, job: EvaluationJob, i3d: Path | None) -> None:
        """Do `job`, with FVD where there are I3D weights."""
        from rigid.evaluation.fvd import I3D
        from rigid.evaluation.run import count_expected_frames, evaluate
        from rigid.evaluation.tools import open_tools
        from rigid.progress import show_progress

        clips = job.check()
        self._check("dlib", "matplotlib")
        if i3d is not None:
            I3D(i3d)
        with (
            self._open_runtime() as (runtime, facts),
            open_tools(self.profile, runtime, self.store, facts=facts, i3d=i3d, say=say) as tools,
            show_progress("Evaluating", count_expected_frames(job, clips), "frames") as update,
        ):
            evaluate(job, tools, self.command, update)
        typer.echo(f"{job.out / 'report.md'}: the tables; plots and strips are beside it.")

    def make_sheet(self, job: SheetJob) -> None:
        """Draw the contact sheet."""
        from rigid.evaluation.sheet import make_sheet
        from rigid.evaluation.tools import open_sheet_tools
        from rigid.progress import show_progress

        clips = job.check()
        self._check()
        with self._open_runtime() as (runtime, facts):
            tools = open_sheet_tools(self.profile, runtime, self.store, facts=facts, say=say)
            with show_progress("Drawing", len(clips) * len(job.edits), "cells") as update:
                make_sheet(job, tools, self.command, update)
        typer.echo(f"{job.out / 'sheet.md'}: what was found; the pages are in {job.out / 'pages'}.")

    def measure_fairness(self, job: FairnessJob) -> None:
        """Measure for whom it works."""
        from rigid.evaluation.fairness import measure_fairness
        from rigid.evaluation.tools import open_fairness_tools
        from rigid.progress import show_progress

        clips = job.check()
        self._check("dlib")
        with (
            self._open_runtime() as (runtime, facts),
            open_fairness_tools(self.profile, runtime, self.store, facts=facts, say=say) as tools,
            show_progress("Measuring", job.faces + len(clips), "people") as update,
        ):
            measure_fairness(job, tools, self.command, update)
        typer.echo(f"{job.out / 'fairness.md'}: the tables; all figures are in {job.out / 'fairness.json'}.")

    def _check(self, *packages: str) -> None:
        import importlib.util

        from engines import check_engine

        check_engine(self.engine)
        for name in packages:
            if importlib.util.find_spec(name) is None:
                fail(f"The evaluation needs {name}, which is not installed; run pip install 'rigid-live[evaluate]'.")

    @contextmanager
    def _open_runtime(self) -> Iterator[tuple[Runtime, dict[str, object]]]:
        """The runtime, and what results depend on besides the job."""
        from engines import load_runtime
        from engines.exports import weights_hash
        from rigid.operating_system import count_cores, name_processor

        runtime = load_runtime(self.profile, self.engine, store=self.store)
        weights = weights_hash(self.profile, self.store)[:12]
        try:
            yield runtime, {"weights": weights, "machine": f"{name_processor()}, {count_cores()} cores"}
        finally:
            runtime.close()
