"""Python with what every run imports already imported: a process that forks, and becomes what is asked of it.

A run of the small deployment takes a few seconds, and the imports before it as long. Each command still has a process of its
own, which reads its own environment, imports `assets` and ends by itself or by a signal; it starts without any thread.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Done:
    """How a process ended (below zero: by that signal), and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Started:
    """A process under way. One at a time: the next starts after this one was waited for."""

    pid: int
    _server: subprocess.Popen[bytes]

    def ended(self, within: float) -> bool:
        """Whether it ended within these seconds."""
        return bool(select.select([self._server.stdout], [], [], within)[0])

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        return int(_line(self._server))


def start(*arguments: str, out: str = os.devnull, err: str = os.devnull) -> Started:
    """Start `python ARGUMENTS` (`-m MODULE`, `-c CODE` or a file, then what it is given) here, in this environment."""
    server = _server()
    assert server.stdin is not None
    server.stdin.write(json.dumps([arguments, dict(os.environ), str(Path.cwd()), [out, err]]).encode() + b"\n")
    return Started(int(_line(server)), server)


def python(*arguments: str) -> Done:
    """The same, waited for."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        code = start(*arguments, out=str(out), err=str(err)).wait()
        return Done(code, out.read_text(), err.read_text())


@cache
def _server() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", __file__]
    server = subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(server.communicate)
    return server


def _line(server: subprocess.Popen[bytes]) -> bytes:
    assert server.stdout is not None
    line = server.stdout.readline()
    assert line, "the process that forks has ended"
    return line


def serve() -> None:
    """Fork once for each line of standard input: write the number of the process, then its exit code."""
    import dagster
    import implicit.als  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import xgboost  # noqa: F401

    import rec_platform.cli
    import rec_platform.flow
    import rec_platform.reports.pictures  # noqa: F401
    from rec_platform.checks.judge import get_ready

    get_ready()
    with tempfile.TemporaryDirectory() as folder, dagster.DagsterInstance.local_temp(folder):
        pass  # Its storage, and what that imports, is looked up by name when an instance is made.
    gc.freeze()  # Or each process would spend two seconds, at its end, on taking apart what it shares with this one.
    while line := sys.stdin.readline():
        arguments, environment, cwd, streams = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(arguments, environment, cwd, streams)
            return
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    gc.unfreeze()


def become(arguments: list[str], environment: Mapping[str, str], cwd: str, streams: Sequence[str]) -> None:
    """This process as `python ARGUMENTS` would be; it ends as the interpreter does."""
    for number, name in enumerate((os.devnull, *streams)):
        file = os.open(name, os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    what, *rest = arguments
    if what == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif what == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = arguments
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    serve()
