"""A home with the command line on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Deployment:
    """A home, and the command line on it."""

    home: Path

    def command(self, *arguments: str, code: int = 0) -> str:
        """Run `rec-platform`; its output, after checking the exit code."""
        environment = {**os.environ, "REC_PLATFORM_HOME": str(self.home)}
        done = subprocess.run(
            [str(BIN / "rec-platform"), *arguments], capture_output=True, text=True, env=environment, cwd=self.home
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def rows(self, *arguments: str) -> list[dict[str, object]]:
        found = json.loads(self.command(*arguments, "--json"))
        assert isinstance(found, list)
        return found
