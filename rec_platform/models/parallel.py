"""Fitting several dates at once, each on one thread.

Dates are independent, so they share nothing to wait for. Threads inside one fit do: with other work on the machine, a
second thread of XGBoost made a fit of 95,000 items cost 12.9 CPU-seconds instead of 3.3, for the same bytes
(docs/decisions/0036, 0100).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rec_platform.machine import memory

Result = TypeVar("Result")


def in_order(jobs: Iterable[Callable[[], Result]], *, job_bytes: int = 0) -> Iterator[Result]:
    """The results of the jobs in their order, as many running at a time as there are cores and memory for.

    Args:
        job_bytes: what a job takes while it runs; all together take at most a quarter of the machine's memory.

    Jobs are taken from the iterable only when one can start, so what they hold in memory stays bounded. The pools of
    BLAS are held at one thread meanwhile, once for all jobs: the limit belongs to the process, and jobs must not undo
    each other's.

    >>> list(in_order(lambda n=n: n * n for n in range(4)))
    [0, 1, 4, 9]
    """
    most = at_once(job_bytes)
    running: deque[Future[Result]] = deque()
    with threadpool_limits(limits=1), ThreadPoolExecutor(most) as pool:
        for job in jobs:
            running.append(pool.submit(job))
            if len(running) >= most:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def at_once(job_bytes: int) -> int:
    """How many jobs run at a time; never fewer than one."""
    cores = len(os.sched_getaffinity(0))
    return max(min(cores, memory() // 4 // job_bytes), 1) if job_bytes else cores
