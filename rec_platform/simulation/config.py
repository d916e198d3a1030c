"""What a simulated world is made of, as one frozen model."""

from __future__ import annotations

from datetime import date
from math import sqrt
from typing import Annotated, Any, Final

from pydantic import Field, field_validator, model_validator

from rec_platform.config import Frozen, known_zone
from rec_platform.partition import checked_country

Share = Annotated[float, Field(ge=0, le=0.2)]

#: Plays a profile makes on an average day, at most: beyond it sessions would no longer fit into a day.
MOST_PLAYS_A_DAY: Final = 3.0


class CountryConfig(Frozen):
    """A country: its time zone and how many profiles call it home.

    Profiles without a fixed country are spread by `share`; `profiles` instead fixes their number, whatever the size of
    the world. `activity` is the mean activity of its profiles relative to the world's. Travellers go to countries
    without a fixed number.
    """

    code: str
    time_zone: str
    share: Annotated[float, Field(ge=0)] = 1.0
    profiles: Annotated[int, Field(ge=1)] | None = None
    activity: Annotated[float, Field(gt=0, le=2)] = 1.0

    @field_validator("code")
    @classmethod
    def _code(cls, code: str) -> str:
        return checked_country(code, place="countries")

    _zone = field_validator("time_zone")(known_zone)


COUNTRIES: Final = (
    CountryConfig(code="US", time_zone="America/New_York", share=0.40),
    CountryConfig(code="DE", time_zone="Europe/Berlin", share=0.25),
    CountryConfig(code="BR", time_zone="America/Sao_Paulo", share=0.20),
    CountryConfig(code="JP", time_zone="Asia/Tokyo", share=0.15),
    CountryConfig(code="LI", time_zone="Europe/Vaduz", share=0.0, profiles=3, activity=0.2),
)


def _middle_day(world: dict[str, Any]) -> int | None:
    days = world.get("days", 0)
    return (days - 2) // 2 if days > 2 else None


class WorldConfig(Frozen):
    """A world. Equal configurations give equal bytes.

    Attributes:
        plays: plays that should happen; the real number lies within a few percent.
        days: UTC days on which people play, from `start`.
        empty_day: the day (0 is `start`) on which nobody plays anywhere, by default in the middle; None for none.
        new_profile_share, new_title_share: of all profiles and titles, those that appear during the `days`.
        traveller_share: profiles that spend some days in another country.
        late_share: plays that are delivered an hour or more after they ended, up to `late_max_days`.
        duplicate_share: delivered rows that come a second time, half of them in the same file, half in a later one.
        corrupt_share: plays whose row is damaged, spread evenly over the kinds of `delivery.DAMAGES`.
        missing_user_share, missing_device_share: plays delivered without a user id, without a device.
        shown_per_play: rows with `event` shown, for other titles of the page a play was chosen from.
        page_rows, page_positions: the size of a page, without its continue-watching row.
    """

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 20_250_101
    start: date = date(2025, 1, 1)
    days: Annotated[int, Field(ge=1, le=3_660)] = 35
    plays: Annotated[int, Field(ge=1)] = 70_000
    n_profiles: Annotated[int, Field(ge=1, le=10_000_000)] = 1_500
    n_titles: Annotated[int, Field(ge=20, le=1_000_000)] = 400
    countries: Annotated[tuple[CountryConfig, ...], Field(min_length=1)] = COUNTRIES
    empty_day: Annotated[int, Field(ge=0)] | None = Field(default_factory=_middle_day)
    new_profile_share: Annotated[float, Field(ge=0, le=1)] = 0.15
    new_title_share: Annotated[float, Field(ge=0, le=0.9)] = 0.2
    traveller_share: Share = 0.03
    late_share: Share = 0.04
    late_max_days: Annotated[int, Field(ge=1, le=28)] = 5
    duplicate_share: Share = 0.006
    corrupt_share: Share = 0.004
    missing_user_share: Share = 0.003
    missing_device_share: Share = 0.02
    shown_per_play: Annotated[int, Field(ge=0)] = 0
    page_rows: Annotated[int, Field(ge=1, le=20)] = 3
    page_positions: Annotated[int, Field(ge=1, le=40)] = 4

    @model_validator(mode="after")
    def _possible(self) -> WorldConfig:
        codes = [country.code for country in self.countries]
        if len(set(codes)) < len(codes):
            raise ValueError(f"a country is named twice in {codes}")
        if self.empty_day is not None and self.empty_day >= self.days:
            raise ValueError(f"empty_day {self.empty_day} lies outside the {self.days} days, which count from 0")
        if self.shown_per_play >= self.page_slots:
            raise ValueError(f"shown_per_play must be below page_rows * page_positions = {self.page_slots}")
        self._check_people()
        return self

    def _check_people(self) -> None:
        fixed = sum(country.profiles or 0 for country in self.countries)
        spread = sum(country.share for country in self.countries if country.profiles is None)
        if fixed > self.n_profiles or (fixed < self.n_profiles and spread == 0):
            raise ValueError(f"countries fix {fixed} profiles, which cannot make up n_profiles {self.n_profiles}")
        busy = self.plays / self.n_profiles / self.days
        if busy > MOST_PLAYS_A_DAY:
            raise ValueError(
                f"{busy:.1f} plays per profile and day, at most {MOST_PLAYS_A_DAY}: more n_profiles or days"
            )

    @property
    def page_slots(self) -> int:
        """Titles on a page, without the continue-watching row."""
        return self.page_rows * self.page_positions

    @classmethod
    def small(cls, **changes: object) -> WorldConfig:
        """The world of `make run`: five countries, 1,500 profiles, 400 titles, 35 days, about 70,000 plays."""
        return cls.model_validate(changes)

    @classmethod
    def sized(cls, plays: int, days: int = 35, **changes: object) -> WorldConfig:
        """A world of about `plays` plays: profiles grow with the plays of a day, titles with the root of all plays.

        >>> WorldConfig.sized(7_000_000).n_profiles, WorldConfig.sized(7_000_000).n_titles
        (150000, 4000)
        """
        growth = plays / 70_000
        sizes = {
            "n_profiles": max(20, round(1_500 * growth * 35 / days)),
            "n_titles": max(60, round(400 * sqrt(growth))),
        }
        return cls.model_validate({"plays": plays, "days": days, **sizes, **changes})
