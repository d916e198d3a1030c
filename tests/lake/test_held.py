"""What killed processes left in a scratch folder is removed by the next one; what lives, and what is not ours, stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from rec_platform.errors import StorageFault
from rec_platform.features.by_bucket import Swept
from rec_platform.lake import HeldFolder, Lake, held, remove_left
from rec_platform.lake.held import HELD

#: A process that works in the folder given until it is killed: on a sweep whose frames do not come, and in a staging folder.
SWEEPING = """
import sys
from pathlib import Path
from rec_platform.features.by_bucket import Swept

before = {*Path(sys.argv[1]).glob("sweep.*")}

def frames():
    (folder,) = {*Path(sys.argv[1]).glob("sweep.*")} - before
    (folder / "rows").write_bytes(b"x" * 1000)
    print(folder.name, flush=True)
    sys.stdin.read()
    yield

next(Swept(None, None, None, 2, Path(sys.argv[1])).applied([object()], frames()))
"""
STAGING = """
import sys
from pathlib import Path
from rec_platform.lake import Lake

with Lake(Path(sys.argv[1])).staging("run") as staging:
    (staging.folder / "rows").write_bytes(b"x" * 1000)
    print(staging.folder.name, flush=True)
    sys.stdin.read()
"""


class Worker:
    """A process at work, and the folder it holds."""

    def __init__(self, script: str, root: Path) -> None:
        command = [sys.executable, "-c", script, str(root)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.name = self.process.stdout.readline().strip()

    def killed(self) -> str:
        """The folder that it leaves."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        return self.name


@pytest.fixture(name="living")
def living_fixture(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(SWEEPING, tmp_path)
    yield worker
    worker.killed()


def names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def test_a_killed_sweeps_folder_is_gone_after_the_next_sweep(tmp_path: Path, living: Worker) -> None:
    left = Worker(SWEEPING, tmp_path).killed()
    assert (tmp_path / left / "rows").stat().st_size == 1000
    assert names(tmp_path) == {left, living.name}
    assert list(Swept(None, None, None, 2, tmp_path).applied([], [(date(2025, 1, 1), None)])) == [None]  # type: ignore[arg-type, list-item]
    assert names(tmp_path) == {living.name}
    assert (tmp_path / living.name / "rows").exists()


def test_a_killed_runs_staging_folder_is_gone_after_the_next_run(tmp_path: Path) -> None:
    left = Worker(STAGING, tmp_path).killed()
    root = tmp_path / "staging"
    assert names(root) == {left}
    with Lake(tmp_path).staging("next") as staging:
        assert names(root) == {staging.folder.name}
    assert names(root) == set()


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """Names like ours, numbers of processes that are gone, marks that are folders or links, and links to what was left."""
    left = Worker(SWEEPING, tmp_path).killed()
    elsewhere = tmp_path / "elsewhere" / "kept"
    (tmp_path / left).rename(elsewhere.parent.mkdir() or elsewhere)
    root = tmp_path / "scratch"
    for name in ("sweep.abc", "sweep.abc.999999", "run.x", "marked"):
        (root / name).mkdir(parents=True)
        (root / name / "data").write_text("theirs")
    (root / "marked" / HELD).mkdir()
    (root / HELD).write_text("a file, not in a folder")
    (root / "link").symlink_to(elsewhere)
    remove_left(root)
    assert names(root) == {"sweep.abc", "sweep.abc.999999", "run.x", "marked", HELD, "link"}
    assert names(elsewhere) >= {HELD, "rows"}
    assert all((root / name / "data").exists() for name in ("sweep.abc", "sweep.abc.999999", "run.x", "marked"))
    remove_left(elsewhere.parent)
    assert not elsewhere.exists()
    remove_left(tmp_path / "nowhere")


def test_a_folder_is_held_until_the_end_and_by_each_on_its_own(tmp_path: Path) -> None:
    with HeldFolder(tmp_path, "one") as one, HeldFolder(tmp_path, "two") as two:
        remove_left(tmp_path)
        assert names(tmp_path) == {one.folder.name, two.folder.name}
    assert names(tmp_path) == set()


def test_a_folder_whose_files_cannot_be_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("No locks available")

    monkeypatch.setattr(held.fcntl, "flock", refuse)
    with pytest.raises(StorageFault, match=r"cannot be locked: No locks available.*local file system"):
        HeldFolder(tmp_path, "one")
    assert names(tmp_path) == set()
