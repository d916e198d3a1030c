"""A home folder with everything in it: settings, lake, stages. What the CLI and the Dagster assets hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rec_platform.config import SOURCE_FILE, Settings, load_settings
from rec_platform.errors import MissingInput, PlatformError
from rec_platform.facts.stage import Facts
from rec_platform.flow.index import Index
from rec_platform.flow.raised import FOLDER, Raised, Versions, note, told_of
from rec_platform.flow.reader import LakeReader
from rec_platform.flow.registry import stages_for
from rec_platform.flow.run import Progress, Report, Todo, note_left_behind, plan_stage, quiet, run_stage
from rec_platform.flow.window import Window, needed
from rec_platform.lake import Lake
from rec_platform.partition import Partition
from rec_platform.plays.mapping import SourceMapping, load_mapping
from rec_platform.plays.raw import RawPlays
from rec_platform.stage import Input, Stage
from rec_platform.tables import TABLES


@dataclass(frozen=True)
class Platform:
    """One deployment. Opening it fixes the versions of all tables.

    Later stages of the same object see what earlier ones of it committed, and nothing that others commit meanwhile.
    """

    home: Path

    @cached_property
    def settings(self) -> Settings:
        return load_settings(self.home)

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.home)

    @cached_property
    def index(self) -> Index:
        return Index(self.lake, {spec.name: self.lake.version(spec.name) for spec in TABLES})

    @cached_property
    def mapping(self) -> SourceMapping:
        """The source mapping that the first ingest stored; `MissingInput` before that."""
        stored = self.home / SOURCE_FILE
        if not stored.exists():
            raise MissingInput(
                "there is no source mapping", place=str(stored),
                repair="Run `rec-platform ingest --mapping FILE FILES` once: it stores the mapping.",
            )  # fmt: skip
        return load_mapping(stored)

    @cached_property
    def stages(self) -> dict[str, Stage]:
        return stages_for(self.mapping)

    def reader(self, *inputs: Input) -> LakeReader:
        """A reader over what these inputs name, at the versions fixed."""
        return LakeReader(self.index, "a command", inputs)

    def needed(self, stage: str, window: Window) -> list[Partition]:
        return needed(stage, window, self.index, self.settings)

    def plan(
        self, stage: str, partitions: Sequence[Partition], *, force: bool = False, allow_stale: bool = False
    ) -> Todo:
        """What `run` would do with this stage alone, as things stand; `flow.plan.foreseen` plans a whole run."""
        return plan_stage(
            self.index, self.stages[stage], partitions, self.settings, force=force, allow_stale=allow_stale
        )

    def due(
        self, stage: str, partitions: Sequence[Partition], *, force: bool = False, allow_stale: bool = False
    ) -> Todo:
        """As `plan`, for a run that goes stage by stage: also notes, for the stages after it, what this one leaves as it is.

        `run` does so of the partitions it is given; a run that gives it none, or only what is stale, asks here for all.
        """
        todo = self.plan(stage, partitions, force=force, allow_stale=allow_stale)
        note_left_behind(self.index, self.stages[stage], todo)
        return todo

    def waiting(self) -> tuple[Partition, ...]:
        """The delivered days and countries that the next run takes in, whatever days it is asked for."""
        cells = [Partition(day, place) for day, places in self.index.delivered.items() for place in places]
        if not cells:
            return ()
        taken = [self.plan(stage, cells, allow_stale=True).stale for stage in (RawPlays.name, Facts.name)]
        return tuple(sorted({cell for stale in taken for cell in stale}))

    def run(
        self,
        stage: str,
        partitions: Sequence[Partition],
        *,
        run_id: str,
        force: bool = False,
        allow_stale: bool = False,
        progress: Progress = quiet,
    ) -> Report:
        """Bring partitions of a stage up to date; see `flow.run.run_stage`. What it raises is noted in the home, too."""
        before = dict(self.index.versions)
        try:
            report = run_stage(
                self.lake,
                self.stages[stage],
                partitions,
                self.settings,
                index=self.index,
                run_id=run_id,
                force=force,
                allow_stale=allow_stale,
                progress=progress,
            )
        except Exception as error:
            self._note(stage, partitions, before, run_id, error, allow_stale=allow_stale)
            raise
        if report.raised is not None:
            self._note(stage, partitions, before, run_id, report.raised, allow_stale=allow_stale)
        return report

    def _note(
        self, stage: str, partitions: Sequence[Partition], versions: Versions, run_id: str, error: Exception, *,
        allow_stale: bool,
    ) -> None:  # fmt: skip
        """Note what a run that raised has left: what would still be made; all of it where that cannot be told."""
        try:
            left: Sequence[Partition] = list(self.plan(stage, partitions, allow_stale=allow_stale).stale)
        except PlatformError:
            left = partitions
        note(self.index, self.stages[stage], self.settings, left, versions, run_id=run_id, error=error)

    def raised(self) -> dict[str, list[Raised]]:
        """The runs in which a stage raised and left what no run has made since, newest first, by stage."""
        if not (self.home / FOLDER).is_dir():
            return {}
        told = {name: told_of(self.index, stage, self.settings) for name, stage in self.stages.items()}
        return {name: found for name, found in told.items() if found}
