"""Retries are for storage faults: nothing else gets better by itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rec_platform.errors import ConfigError, StorageFault


class Faulty:
    """A home whose platform raises."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def platform(self) -> Faulty:
        return self

    def run(self, *_: object, **__: object) -> None:
        raise self.fault


def asked(fault: Exception, *, retry: int = 0) -> BaseException:
    """What the body of an asset makes of a fault."""
    from assets.materialise import run

    context: Any = SimpleNamespace(run_id="r", retry_number=retry, log=None)
    home: Any = Faulty(fault)
    with pytest.raises(Exception) as raised:
        run(context, home, "facts", [])
    return raised.value


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REC_PLATFORM_HOME", str(tmp_path))


@pytest.mark.parametrize(("retry", "seconds"), [(0, 2), (1, 4), (2, 8)])
def test_a_storage_fault_is_tried_again_later_and_later(retry: int, seconds: int) -> None:
    import dagster as dg

    wanted = asked(StorageFault("disk full", place="table facts", repair="Again."), retry=retry)
    assert isinstance(wanted, dg.RetryRequested)
    assert (wanted.max_retries, wanted.seconds_to_wait) == (3, seconds)


def test_a_fault_of_the_user_fails_at_once_in_its_own_words() -> None:
    import dagster as dg

    wanted = asked(ConfigError("no such key", place="platform.toml", repair="Correct it."))
    assert isinstance(wanted, dg.Failure)
    assert not wanted.allow_retries
    assert "no such key (platform.toml). Correct it." in str(wanted.description)


def test_a_fault_of_ours_is_not_hidden() -> None:
    assert isinstance(asked(KeyError("bug")), KeyError)
