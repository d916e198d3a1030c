"""The door of `python -m assets.run`: sets Dagster's home up before Dagster is imported, then does what was asked.

python -m assets.run flow JSON      the flow over a window of days (what `rec-platform run` becomes)
python -m assets.run ui HOME PORT   Dagster's UI and daemon on loopback (what `rec-platform ui` becomes)
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from rec_platform.errors import PlatformError, of_files


def main(arguments: list[str]) -> int:
    verb, *rest = arguments
    if verb == "ui":
        return ui(Path(rest[0]), int(rest[1]))
    from assets.instance import prepare

    try:
        prepare(Path(json.loads(rest[0])["home"]))
        # Loading the definitions reads the home, so its faults show here too.
        from assets import launch

        return launch.main(rest)
    except (PlatformError, OSError) as error:
        fault = error if isinstance(error, PlatformError) else of_files(error)
        print(f"error {fault.fault}\n  where  {fault.place}\n  repair {fault.repair}", file=sys.stderr)
        return 2


def ui(home: Path, port: int) -> int:
    """Become `dagster dev` on loopback, from Dagster's own folder so that no file of the user's is imported by accident.

    A shell that starts it in the background leaves SIGINT ignored, and then it could not be stopped: reset it.
    """
    from assets.instance import prepare

    folder = prepare(home)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    command = [sys.executable, "-m", "dagster", "dev", "-m", "assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
