"""Every day: yesterday for all countries, and today's features, models and lists, one layer after the other."""

from datetime import date, timedelta
from typing import Final

import dagster as dg

from assets.home import home_folder
from assets.jobs import DAILY_FLOW, ORDER, chain_config
from rec_platform.errors import PlatformError
from rec_platform.flow import Platform, Window


def request(day: date) -> dg.RunRequest | dg.SkipReason:
    """The run that brings `day` (yesterday) up to date.

    The window reaches back to the day whose label window closes now, and on to the day after, today, whose lists need no
    play of it. A day that was not delivered is skipped with the reason.
    """
    platform = Platform(home_folder())
    back = platform.settings.labels.horizon_days - 1
    try:
        index = platform.index
        if day > index.last_day:
            return dg.SkipReason(f"{day} was not delivered yet; the last delivered day is {index.last_day}")
        first = max(day - timedelta(days=back), index.first_day)
        window = Window.checked(index, platform.settings, first, day + timedelta(days=1))
    except PlatformError as reason:
        return dg.SkipReason(str(reason))
    keys = {stage: platform.needed(stage, window) for stage in ORDER}
    return dg.RunRequest(
        run_key=f"{day}-{index.versions.get('landing')}",
        run_config=chain_config(keys),
        tags={"rec_platform/day": day.isoformat()},
    )


@dg.schedule(
    name="daily",
    cron_schedule="30 0 * * *",
    execution_timezone="UTC",
    job=DAILY_FLOW,
    description="At 00:30 UTC: the flow of yesterday for all countries, each layer when the one before it has ended.",
)
def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    return request(context.scheduled_execution_time.date() - timedelta(days=1))


SCHEDULES: Final = (daily,)
