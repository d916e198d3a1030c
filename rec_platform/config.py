"""What a deployment may choose, as frozen models, one per stage.

`platform.toml` in the home folder holds the deployment's choices (all optional); `source.toml` beside it is the source
mapping that `rec-platform ingest` stored, whose `[rules]` are the choices that belong to the source. A stage is given its
own models, never the whole, so its fingerprint changes exactly when something it reads changes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rec_platform.clock import iso, parse_instant
from rec_platform.errors import ConfigError, KeyRefused
from rec_platform.partition import checked_country

PLATFORM_FILE: Final = "platform.toml"
SOURCE_FILE: Final = "source.toml"
#: Where rows stand in a home before they are published, and what runs keep in files meanwhile.
STAGING_FOLDER: Final = "staging"


Model = TypeVar("Model", bound=BaseModel)


class Frozen(BaseModel):
    """A model that cannot be changed after it was read and that refuses keys it does not know.

    The text under a key is its meaning in docs/configuration.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def known_zone(zone: str) -> str:
    """The name of a time zone; `ValueError` if the tz database has none of that name."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{zone!r} is not a time zone of the tz database") from None
    return zone


class EngagementRule(Frozen):
    """When a play counts as engaged, which is what a label of 1 means.

    `always`: every play. `min_seconds`: watched at least `seconds`. `min_share`: watched at least `share` of the play's
    runtime, or `seconds` where that is shorter (and also where the runtime is unknown). `column`: the source's own
    verdict, mapped as `engaged`.
    """

    kind: Literal["always", "min_seconds", "min_share", "column"] = "always"
    """Which of the four rules decides."""
    seconds: Annotated[float, Field(gt=0)] = 600.0
    """Least time watched, in seconds; read by `min_seconds` and `min_share`."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Least share of the runtime; read by `min_share`."""


class SeenRule(Frozen):
    """What happens to titles the profile has already played: they stay, leave for good, or leave for `days`."""

    kind: Literal["keep", "drop", "drop_within_days"] = "keep"
    """Which of the three holds, for negatives, scores, metrics and recommendations alike."""
    days: Annotated[int, Field(ge=1)] = 28
    """How long a played title stays away; read by `drop_within_days`."""


class SessionRule(Frozen):
    """What starts a context: a play after `gap_minutes` without one, or the first play of a source's own session id."""

    kind: Literal["gap", "session_id"] = "gap"
    """A gap in the profile's plays in the country, or the column mapped as `session`."""
    gap_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    """Minutes without a play after which a play starts a context; read by `gap`."""


class SourceRules(Frozen):
    """The choices that belong to a source; the `[rules]` table of its mapping."""

    engagement: EngagementRule = EngagementRule()
    seen: SeenRule = SeenRule()
    sessions: SessionRule = SessionRule()
    time_zones: dict[str, str] = Field(default_factory=lambda: {"default": "UTC"})
    """One declared time zone per country, for clock features; `default` for countries not named."""

    @field_validator("time_zones")
    @classmethod
    def _known_zones(cls, zones: dict[str, str]) -> dict[str, str]:
        for country, zone in zones.items():
            if country != "default":
                checked_country(country, place="[rules.time_zones]")
            known_zone(zone)
        return {"default": "UTC", **zones}

    def zone_of(self, country: str) -> str:
        """The time zone on whose clock local hours and weekdays of a country are read."""
        return self.time_zones.get(country, self.time_zones["default"])

    def has_zone(self, country: str) -> bool:
        """Whether somebody declared it: the country's own, or a default that is not the UTC of empty settings."""
        return country in self.time_zones or self.time_zones["default"] != "UTC"


#: Days that a label window may have.
LONGEST_HORIZON: Final = 28


class LabelConfig(Frozen):
    """The label window: from the context's instant to 00:00 UTC `horizon_days` after the start of its date."""

    horizon_days: Annotated[int, Field(ge=1, le=LONGEST_HORIZON)] = 1
    """Days of a label window, that of the context's own date included."""


class TrainingConfig(Frozen):
    """How much training sets may know. What is chosen stands in every row as `known_by`; scores, metrics and
    recommendations are always made as known then."""

    known_by: str = "then"
    """`then`: what was known at each context's instant; `now`: all that was delivered; an instant: what was known before."""

    @field_validator("known_by")
    @classmethod
    def _readable(cls, text: str) -> str:
        if text in ("then", "now"):
            return text
        try:
            return iso(parse_instant(text, place="training.known_by"))
        except KeyRefused as error:
            raise ValueError(f"{error.fault}: write then, now, or an instant such as 2025-03-01T00:00:00Z") from None


class SamplerConfig(Frozen):
    """The country-tenure stratified sampler.

    A stratum with target share s of `max_contexts` and n contexts keeps each with probability min(1, s * max / n), never
    below `min_probability`. Shares are relative and need not add up to 1.
    """

    max_contexts: Annotated[int, Field(ge=1)] = 20_000
    """Most contexts to expect of a date and country."""
    shares: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=lambda: {"new": 1.0, "1-4w": 1.0, "1-3m": 1.0, "3-12m": 1.0, "1y+": 1.0}
    )
    """Target share by tenure band; a band not named keeps `min_probability`."""
    min_probability: Annotated[float, Field(gt=0, le=1)] = 0.001
    """Least probability with which any context is kept."""


class NegativeConfig(Frozen):
    """Items of a training context: every title played, and `items` titles drawn from its candidate set.

    A drawn title that was played stands there once, as played. So what is drawn never depends on what was played.
    """

    items: Annotated[int, Field(ge=2)] = 50
    """Titles drawn per context, fewer where the candidate set is smaller."""
    popularity_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the draw that goes by plays in the country over 28 days; the rest is uniform."""


class WeightConfig(Frozen):
    """Training weights: a context of a profile with n contexts that day weighs n^-profile_power; a positive of a title
    with p plays in the country's last 28 days weighs (1 + p)^-title_power; both scaled to a mean of 1."""

    profile_power: Annotated[float, Field(ge=0, le=1)] = 0.5
    """0: every context weighs the same; 1: every profile and day weighs the same."""
    title_power: Annotated[float, Field(ge=0, le=1)] = 0.2
    """0: every positive weighs the same; larger: positives of hit titles weigh less."""


class FeatureConfig(Frozen):
    """Which features training and scoring use: the standard set, and files of the user's own."""

    files: tuple[str, ...] = ()
    """Python files of your own that declare facts and encoders."""
    leave_out: tuple[str, ...] = ()
    """Names of features that are not used."""


class CandidateConfig(Frozen):
    """Models fitted on plays alone: how far back they look and the collaborative model's hyper-parameters."""

    popularity_days: Annotated[int, Field(ge=1)] = 28
    """Days of plays that `popularity` counts."""
    history_days: Annotated[int, Field(ge=1)] = 180
    """Days of plays that `collaborative` is fitted on."""
    embedding_size: Annotated[int, Field(ge=1)] = 32
    """Numbers per profile and title in `collaborative`."""
    epochs: Annotated[int, Field(ge=1)] = 12
    """Passes of alternating least squares."""
    reg: Annotated[float, Field(ge=0)] = 0.05
    """L2 penalty of the vectors."""
    confidence: Annotated[float, Field(gt=0)] = 10.0
    """Confidence of a pair is 1 + this x ln(1 + plays + engaged plays)."""


class RankerConfig(Frozen):
    """Models fitted on training sets. Above `max_items` items, contexts are thinned by hash (`models/training.py`)."""

    training_days: Annotated[int, Field(ge=1)] = 28
    """How many of the newest usable days a ranker is fitted on."""
    min_training_days: Annotated[int, Field(ge=1)] = 3
    """With fewer usable days that have contexts no ranker is fitted: baselines only."""
    models: tuple[str, ...] = ("logistic", "xgboost")
    """Rankers to fit, by name; those of `files` are fitted besides."""
    files: tuple[str, ...] = ()
    """Python files of your own that declare rankers."""
    n_trees: Annotated[int, Field(ge=1)] = 80
    """Trees of `xgboost`."""
    max_depth: Annotated[int, Field(ge=1, le=16)] = 6
    """Depth of a tree of `xgboost`."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Step size of `xgboost`."""
    max_items: Annotated[int, Field(ge=1000)] = 500_000
    """Most items a fit reads."""


class EvaluationConfig(Frozen):
    """Cut-offs, replicates of the bootstrap, the smallest n that gets a verdict, and files of metrics of the user's own."""

    cutoffs: tuple[Annotated[int, Field(ge=1)], ...] = (5, 10, 20, 100)
    """The k of every metric that has one."""
    replicates: Annotated[int, Field(ge=20)] = 100
    """Bootstrap draws behind an interval."""
    min_contexts: Annotated[int, Field(ge=2)] = 30
    """With fewer contexts a number has no interval: no verdict."""
    keep_top: Annotated[int, Field(ge=1)] = 100
    """Best titles of each model kept in `scores`, and the longest list whose coverage is known."""
    files: tuple[str, ...] = ()
    """Python files of your own that declare metrics and slices."""


class RecommendConfig(Frozen):
    """The published lists: their length, who gets one, and which model makes them (first that exists for the date).

    A ranker orders a shortlist of the candidate set: the `shortlist` best titles by the collaborative model, as many by
    popularity, and every title the profile has played; 0 orders the whole candidate set.
    """

    n: Annotated[int, Field(ge=1)] = 20
    """Titles per list."""
    active_days: Annotated[int, Field(ge=1)] = 28
    """Who played in the last so many days gets a personal list; 1, 7, 28 or 90."""
    models: tuple[str, ...] = ("xgboost", "logistic", "collaborative", "popularity")
    """The first of these that exists for the date makes the lists."""
    reasons: Annotated[int, Field(ge=0)] = 3
    """Most reasons given per title."""
    shortlist: Annotated[int, Field(ge=0)] = 150
    """Titles taken from each of the two shortlists; 0: rank the whole candidate set."""


class MemoryConfig(Frozen):
    """How much of the log a stage holds in memory at once. What it makes is the same bytes whatever is chosen here, so this
    is in no fingerprint."""

    plays_at_once: Annotated[int, Field(ge=1)] | None = None
    """Most plays that one timeline is made of; a longer log is swept in buckets of profiles. Without it as many as fit into a
    quarter of the memory there is (a container may have less than its machine), at 100 bytes a play."""
    scratch: str | None = None
    """Folder for what a sweep keeps in files meanwhile; without it `staging` in the home."""


class AuditConfig(Frozen):
    """Bounds of the checks between stages."""

    max_quarantined_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A larger share of refused rows in a partition is a warning."""
    volume_days: Annotated[int, Field(ge=2)] = 28
    """Published partitions of the country before this one that give the usual volume (their median)."""
    volume_factor: Annotated[float, Field(gt=1)] = 20.0
    """More than this times the usual volume, or less than 1 over it, is a warning."""


class Settings(Frozen):
    """Everything a deployment chose. `countries` None means every country the source has delivered."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 20_250_101
    """Behind every draw, and part of every fingerprint: another seed makes everything anew."""
    countries: tuple[str, ...] | None = None
    """Countries from contexts on, as ISO codes; without it every country delivered."""
    rules: SourceRules = SourceRules()
    labels: LabelConfig = LabelConfig()
    training: TrainingConfig = TrainingConfig()
    sampler: SamplerConfig = SamplerConfig()
    negatives: NegativeConfig = NegativeConfig()
    weights: WeightConfig = WeightConfig()
    features: FeatureConfig = FeatureConfig()
    candidates: CandidateConfig = CandidateConfig()
    rankers: RankerConfig = RankerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    recommend: RecommendConfig = RecommendConfig()
    memory: MemoryConfig = MemoryConfig()
    audit: AuditConfig = AuditConfig()

    @field_validator("countries")
    @classmethod
    def _known_countries(cls, countries: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if countries is None:
            return None
        return tuple(sorted({checked_country(country, place="countries") for country in countries}))

    @model_validator(mode="after")
    def _training_days_fit(self) -> Settings:
        if self.rankers.min_training_days > self.rankers.training_days:
            raise ValueError("rankers.min_training_days is larger than rankers.training_days")
        return self


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dict; `ConfigError` naming the file and the line otherwise."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("the file does not exist", place=str(path), repair="Give the path of a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not TOML: {error}", place=str(path), repair="Correct that line.") from None


def checked(model: type[Model], data: dict[str, Any], *, place: str) -> Model:
    """`data` as a `model`; `ConfigError` naming every key that is wrong otherwise."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(
            f"[{'.'.join(str(part) for part in fault['loc']) or 'file'}] {_said(fault, model)}"
            for fault in error.errors()
        )
        raise ConfigError(faults, place=place, repair="docs/configuration.md lists every key with its range.") from None


def _said(fault: Mapping[str, Any], model: type[BaseModel]) -> str:
    """What is wrong with a key, in our words; of a key that is none, the one most like it."""
    if fault["type"] == "tuple_type":  # TOML has no tuples
        return (
            f"a list is wanted, in brackets: [{fault['input']!r}]"
            if isinstance(fault["input"], str)
            else "a list is wanted"
        )
    if fault["type"] != "extra_forbidden":
        return str(fault["msg"]).removeprefix("Value error, ")
    table: Any = model
    for part in fault["loc"][:-1]:
        field = getattr(table, "model_fields", {}).get(part)
        table = None if field is None else field.annotation
    near = get_close_matches(str(fault["loc"][-1]), list(getattr(table, "model_fields", {})), 1)
    return "there is no such key" + (f"; did you mean {near[0]}?" if near else "")


def _of_home(home: Path, files: Any) -> Any:
    """Whole paths of the files that a list names; what is no list of texts is left to be refused.

    >>> _of_home(Path("/home"), ["mine.py", "/other/yours.py"])
    ['/home/mine.py', '/other/yours.py']
    """
    if not isinstance(files, list):
        return files
    return [str(home / Path(file).expanduser()) if isinstance(file, str) else file for file in files]


def load_settings(home: Path) -> Settings:
    """The settings of a home: `platform.toml` over the defaults, with the `[rules]` of `source.toml`.

    Files it names are looked for in the home, unless their paths are absolute, or of the user's own folder (`~/`).
    """
    data = read_toml(home / PLATFORM_FILE) if (home / PLATFORM_FILE).exists() else {}
    if "rules" in data:
        raise ConfigError(
            "[rules] stands in platform.toml",
            place=str(home / PLATFORM_FILE),
            repair="Rules belong to the source's mapping.",
        )
    for section in ("features", "rankers", "evaluation"):
        if isinstance(data.get(section), dict) and "files" in data[section]:
            data[section] = data[section] | {"files": _of_home(home, data[section]["files"])}
    memory = data.get("memory", {})
    if isinstance(memory, dict) and isinstance(folder := memory.get("scratch", STAGING_FOLDER), str):
        data["memory"] = memory | {"scratch": str(home / folder)}
    if (home / SOURCE_FILE).exists():
        data["rules"] = read_toml(home / SOURCE_FILE).get("rules", {})
    return checked(Settings, data, place=str(home / PLATFORM_FILE))
