"""A home with the command line on it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

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
        with (
            chdir(self.home), redirect_stdout(out), redirect_stderr(err), patch.object(cli, "_become", _beside),
            patch.object(sys, "argv", ["rec-platform", *arguments]),
            patch.dict(os.environ, {"REC_PLATFORM_HOME": str(self.home)}),
        ):  # fmt: skip
            try:
                cli.main()
                ended: object = 0
            except SystemExit as end:
                ended = end.code or 0
        return _checked(ended, code, out.getvalue(), err.getvalue())

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
    done = subprocess.run([sys.executable, "-m", "assets.run", *arguments], capture_output=True, text=True)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    sys.exit(done.returncode)


def _checked(ended: object, code: int, out: str, err: str) -> str:
    assert ended == code, (ended, out, err)
    return out if code == 0 else out + err
