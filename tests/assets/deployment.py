"""A home with the command line on it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from warm import Started, python, start

from rec_platform import cli

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Deployment:
    """A home, and the command line on it."""

    home: Path

    def command(self, *arguments: str, code: int = 0) -> str:
        """Run `rec-platform`; its output, after checking the exit code.

        In this process, which has imported what every command imports; what Dagster does is another process, as ever.
        """
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            ended = self._main(_beside, *arguments)
        return _checked(ended, code, out.getvalue(), err.getvalue())

    def started(self, *arguments: str) -> Started:
        """The process that the command line becomes, under way."""
        found: list[Started] = []
        ended = self._main(lambda *became: found.append(start("-m", "assets.run", *became)), *arguments)
        assert ended == 0, ended
        return found[0]

    def python(self, *arguments: str) -> str:
        """What `python ARGUMENTS` prints in the environment that `rec-platform ui` would set."""
        (self.home / "dagster").mkdir(exist_ok=True)
        named = {"REC_PLATFORM_HOME": str(self.home), "DAGSTER_HOME": str(self.home / "dagster")}
        with chdir(self.home), patch.dict(os.environ, named):
            done = python(*arguments)
        return _checked(done.code, 0, done.out, done.err)

    def _main(self, become: Callable[..., None], *arguments: str) -> object:
        """The command line's exit code, in this process."""
        with (
            chdir(self.home), patch.object(cli, "_become", become),
            patch.object(sys, "argv", ["rec-platform", *arguments]),
            patch.dict(os.environ, {"REC_PLATFORM_HOME": str(self.home)}),
        ):  # fmt: skip
            try:
                cli.main()
            except SystemExit as end:
                return end.code or 0
        return 0

    def typed(self, *arguments: str, code: int = 0) -> str:
        """The same through the installed program, as in a terminal."""
        environment = {**os.environ, "REC_PLATFORM_HOME": str(self.home)}
        done = subprocess.run(
            [str(BIN / "rec-platform"), *arguments], capture_output=True, text=True, env=environment, cwd=self.home
        )
        return _checked(done.returncode, code, done.stdout, done.stderr)

    def rows(self, *arguments: str) -> list[dict[str, object]]:
        found = json.loads(self.command(*arguments, "--json"))
        assert isinstance(found, list)
        return found


def _beside(*arguments: str) -> None:
    """The process that the command line becomes, as another one."""
    done = python("-m", "assets.run", *arguments)
    sys.stdout.write(done.out)
    sys.stderr.write(done.err)
    sys.exit(done.code)


def _checked(ended: object, code: int, out: str, err: str) -> str:
    assert ended == code, (ended, out, err)
    return out if code == 0 else out + err
