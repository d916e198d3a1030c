"""Every day: yesterday for all countries, and today's features, models and lists, one layer after the other.

The schedule starts the first layer; `next_layer` starts each following one when the one before it succeeded.
"""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import dagster as dg

from assets.home import home_folder
from assets.jobs import STAGE_JOBS
from rec_platform.errors import PlatformError
from rec_platform.flow import LAYERS, Platform, Window

_ORDER: Final = tuple(stage for layer in LAYERS for stage in layer)
_JOBS: Final = {job.name: job for job in STAGE_JOBS}
#: The tag that says a run belongs to a day's flow, and to which day.
DAY_TAG: Final = "rec_platform/day"


def request(stage: str, day: date) -> dg.RunRequest | dg.SkipReason:
    """The run of a stage in the flow of `day` (yesterday; lists are made for the day after it too)."""
    platform = Platform(home_folder())
    try:
        last = min(day + timedelta(days=1), platform.index.last_day + timedelta(days=1))
        window = Window.checked(platform.index, platform.settings, min(day, last), last)
        keys = [partition.key for partition in platform.needed(stage, window)]
    except PlatformError as reason:
        return dg.SkipReason(str(reason))
    if not keys:
        return dg.SkipReason(f"{stage} has nothing to do for {day}")
    return dg.RunRequest(
        run_key=f"{stage}-{day}-{_delivered_so_far(platform)}",
        job_name=f"run_{stage}",
        run_config={"ops": {f"make_{stage}": {"config": {"partitions": keys}}}},
        tags={DAY_TAG: day.isoformat()},
    )


def _delivered_so_far(platform: Platform) -> int:
    """The landing version, so that a day's flow is asked for again only when something more was delivered."""
    return platform.index.versions.get("landing") or 0


@dg.schedule(
    name="daily",
    cron_schedule="30 0 * * *",
    execution_timezone="UTC",
    job=_JOBS[f"run_{_ORDER[0]}"],
    description="At 00:30 UTC: the flow of yesterday for all countries; each following stage starts when this one succeeded.",
)
def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    return request(_ORDER[0], context.scheduled_execution_time.date() - timedelta(days=1))


@dg.run_status_sensor(
    name="next_layer",
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=list(STAGE_JOBS),
    request_jobs=list(STAGE_JOBS),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Starts the next stage of a day's flow when the one before it succeeded.",
)
def next_layer(context: dg.RunStatusSensorContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    stage = context.dagster_run.job_name.removeprefix("run_")
    day = context.dagster_run.tags.get(DAY_TAG)
    following = _ORDER[_ORDER.index(stage) + 1 :] if stage in _ORDER else ()
    if day is None or not following:
        yield dg.SkipReason(f"{json.dumps(context.dagster_run.job_name)} is not part of a day's flow, or is its end")
        return
    yield request(following[0], date.fromisoformat(day))


SCHEDULES: Final = (daily,)
FOLLOWING: Final = next_layer
