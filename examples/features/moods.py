"""What is this profile in the mood for now? Beside platform.toml: `[features] files = ["moods.py"]`.

Shows windows in minutes, filters on plays and titles, shares, distinct titles and facts read by the hour.
"""

from rec_platform.features import Fact, encoder
from rec_platform.features.encoders import ratio

just_now = Fact("just_now", "profile", "plays", "90min", "the profile's plays of the last 90 minutes")
drama_share_7d = Fact(
    "drama_share_7d", "profile", "share", "7d", "of the profile's plays over 7 days, those of dramas",
    where="'drama' in genres",
)  # fmt: skip
evening_titles_28d = Fact(
    "evening_titles_28d", "profile", "distinct_titles", "28d", "titles it played after 18:00 local time, over 28 days",
    where="hour >= 18",
)  # fmt: skip
unfinished_7d = Fact(
    "unfinished_7d", "profile_title", "plays", "7d", "its plays of the title over 7 days that stopped before nine tenths",
    where="watched_ms < 0.9 * runtime_ms",
)  # fmt: skip
title_big_screen_share_7d = Fact(
    "title_big_screen_share_7d", "title", "share", "7d", "of the title's plays over 7 days, those on a television",
    where="device in ('tv', 'console')", of="title",
)  # fmt: skip
country_title_plays_6h = Fact(
    "country_title_plays_6h", "title_country", "plays", "6h", "the title's plays in the country over 6 full hours",
    tick="hour",
)  # fmt: skip
title_share_1d = Fact(
    "title_share_1d", "title_country", "share", 1, "of the country's plays over the last full day, the title's"
)


@encoder(unit="plays", about="of the profile, in the last 90 minutes")
def plays_just_now(just_now):
    return just_now


@encoder(unit="share", about="of the profile's plays over 7 days, dramas; missing without plays")
def drama_mood(drama_share_7d):
    return drama_share_7d


@encoder(unit="ratio", about="different titles per play of the profile over 28 days, evenings only")
def evening_variety(evening_titles_28d, profile_plays_28d):
    return ratio(evening_titles_28d, profile_plays_28d)


@encoder(unit="0 or 1", about="1 if the profile left the title unfinished in the last 7 days")
def left_unfinished(unfinished_7d):
    return (unfinished_7d > 0).astype(float)


@encoder(unit="share", about="of the title's plays over 7 days, those on a television; missing without plays")
def title_on_big_screens(title_big_screen_share_7d):
    return title_big_screen_share_7d


@encoder(
    unit="ratio", about="the title's plays in the country of 6 full hours against a quarter of those of its last day"
)
def country_title_surge(country_title_plays_6h, country_title_plays_1d):
    return ratio(4 * country_title_plays_6h, country_title_plays_1d)


@encoder(unit="share", about="of the country's plays over the last full day, the title's; missing without plays")
def title_of_the_day(title_share_1d):
    return title_share_1d
