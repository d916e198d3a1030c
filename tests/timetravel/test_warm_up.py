"""What `make` compiles is all that is ever called: a process that answers compiles nothing, and loads nothing more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

#: Facts whose kernels no other file needs.
_INSTANTS = """
from rec_platform.features import Fact, encoder
from rec_platform.features.encoders import days_since

hour_last = Fact("hour_last", "profile_hour", "last_played_at")
weekday_first = Fact("weekday_first", "profile_weekday", "first_played_at", 7)
genre_first = Fact("genre_first", "profile_attribute", "first_played_at", 28)
genre_last = Fact("genre_last", "profile_attribute", "last_played_at", 28)


@encoder(unit="days", about="the oldest of some instants")
def oldest(hour_last, weekday_first, genre_first, genre_last, at):
    return sum(days_since(one, at) for one in (hour_last, weekday_first, genre_first, genre_last))
"""
MOODS = Path(__file__).parents[2] / "examples" / "features" / "moods.py"

_SCRIPT = """
import sys, tempfile
from pathlib import Path

from rec_platform.config import FeatureConfig
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.sample import Sample
from rec_platform.features.sweep import Past, parts
from rec_platform.pipeline import Sources
from rec_platform.testing.compiled import signatures
from rec_platform.timetravel import kernels
from rec_platform.timetravel.warm_up import run_everything

run_everything()
before = signatures(kernels)
assert len(before) > 30
features, sample = FeatureSet.from_config(FeatureConfig(files=tuple(sys.argv[1:]))), Sample.drawn()
FeatureGenerator(features, certified=True).apply(sample.frame, Sources(sample.timeline(features.needed)))
past = Past(
    lambda: sample.plays.to_batches(), sample.titles, sample.profiles, sample.availability, sample.rules
)
with tempfile.TemporaryDirectory() as scratch:
    for _ in parts(sample.frame, past, features, buckets=2, scratch=Path(scratch)):
        pass
print(sorted(signatures(kernels) - before))
"""


def test_features_of_all_and_of_buckets_need_no_kernel_that_was_not_compiled_beforehand(
    tmp_path: Path,
) -> None:
    instants = tmp_path / "instants.py"
    instants.write_text(_INSTANTS)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(MOODS), str(instants)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
