"""How much processor time a part of the work took, whichever threads did it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import thread_time


class Meter:
    """Adds up what passes inside `counting`, over all threads. What a thread does meanwhile for others is not counted.

    >>> meter = Meter()
    >>> with meter.counting():
    ...     _ = sum(range(1_000))
    >>> meter.cpu_seconds > 0
    True
    """

    def __init__(self) -> None:
        self.cpu_seconds = 0.0
        self._lock = Lock()

    def taken(self) -> float:
        """What was added up since this was last asked."""
        with self._lock:
            found, self.cpu_seconds = self.cpu_seconds, 0.0
        return found

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the processor time of this thread until the end of the block."""
        started = thread_time()
        try:
            yield
        finally:
            with self._lock:
                self.cpu_seconds += thread_time() - started
