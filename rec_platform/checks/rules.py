"""Every rule, as data: what is measured on a partition, the bounds it must stay in, and what to do when it does not.

A rule's measure is one number per partition. Most are the SQL aggregate in `sql`, all of a table's evaluated by DuckDB in
one query over the staged files; in it

    date, country               are the partition's own (where the table has them),
    is_first                    says that the row is the first of its file,
    previous_<column>           is the value in the row before (only columns in `PREVIOUS`, and the table's order columns).

A rule without `sql` gets its number from `counts.py` (what the stage counted, history, other tables of the same call),
`unique.py` (ids) or `nested.py` (items of DMC-12 tables). A number that does not exist (no history yet) is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from rec_platform import columns as c
from rec_platform import tables as t
from rec_platform.checks.leak import HIGH_AUC, LEAK_AUC
from rec_platform.checks.rule import ENCODER, SOURCE, Rule, key_rules, no_row, not_probability, outside_date, quoted
from rec_platform.partition import Grain
from rec_platform.tables import TABLES, WINDOWS

_PLAY_RULES: Final = (
    no_row(
        "played_at_inside_date", outside_date(c.PLAYED_AT), "A play began outside the partition's UTC date.", SOURCE
    ),
    no_row(
        "known_after_played", f"{c.KNOWN_AT} < {c.PLAYED_AT}",
        "A play was known before it began: features of that time would see the future.",
        "Correct the mapping's `known_at` rule; a delivery cannot arrive before its plays.",
    ),
    no_row("watched_not_negative", f"{c.WATCHED_MS} < 0", "A play was watched for a negative time.", SOURCE),
    no_row(
        "propensity_is_probability", not_probability(c.PROPENSITY),
        "An exposure probability is not in (0, 1]; unknown must be null, never 0 or 1.", SOURCE,
    ),
    no_row(
        "place_on_page_not_negative", f"{c.ROW} < 0 OR {c.POSITION} < 0", "A row or position on the page is below 0.",
        SOURCE,
    ),
)  # fmt: skip

_RAW_RULES: Final = (
    no_row("event_known", f"{c.EVENT} NOT IN ('play', 'shown')", "An event is neither play nor shown.", SOURCE),
    no_row("runtime_not_negative", f"{c.RUNTIME_MS} < 0", "A play says its title lasts a negative time.", SOURCE),
    Rule(
        "play_ids_unique", "Two rows of the partition have the same play_id.",
        "Two deliveries give one id to different plays: correct the source, or map no `play_id`.",
    ),
    Rule(
        "landing_reconciles", "Delivered rows are not accepted + duplicates + quarantined: a row was lost or counted twice.",
        ENCODER, unit="rows unaccounted for",
    ),
    Rule(
        "quarantined_share_bounded",
        "A larger share of rows was refused than `audit.max_quarantined_share`; perhaps the mapping no longer fits.",
        "Look at the rules in `quarantined_plays`; correct the mapping, or raise `audit.max_quarantined_share`.",
        high="max_quarantined_share", unit="of the delivered rows", blocking=False,
    ),
    Rule(
        "some_row_accepted", "Of all rows delivered in the run, and they are many, not one was accepted.",
        "The mapping does not fit this source: correct it and ingest again.",
        low=1.0, high=None, unit="rows accepted in the run",
    ),
    Rule(
        "volume_like_history",
        "Far more or fewer rows than the median of the country's last `audit.volume_days` published partitions.",
        "Compare the delivery with the source. If it is incomplete, deliver the rest; late rows rebuild the partition.",
        low="1/volume_factor", high="volume_factor", unit="times the median", blocking=False,
    ),
)  # fmt: skip

_QUARANTINE_RULES: Final = (
    no_row("rule_named", f"{c.RULE} IS NULL OR {c.RULE} = ''", "A refused row does not say which rule it broke.", ENCODER),
    Rule("quarantined_rows_counted", "The table holds other than the rows counted as quarantined.", ENCODER, unit="rows apart"),
)  # fmt: skip

_LANDING_RULES: Final = (
    no_row("lines_counted_from_one", f"{c.LINE} < 1", "A delivered row has a line number below 1.", ENCODER),
)

_TITLE_RULES: Final = (no_row("runtime_not_negative", f"{c.RUNTIME_MS} < 0", "A title lasts a negative time.", SOURCE),)
_AVAILABILITY_RULES: Final = (
    no_row(
        "availability_not_reversed", f"{c.AVAILABLE_TO} < {c.AVAILABLE_FROM}",
        "A title stops being available before it starts.", SOURCE,
    ),
    no_row(
        "country_is_code", f"NOT regexp_full_match({c.COUNTRY}, '[A-Z]{{2}}')", "A country is not a two-letter code.", SOURCE,
    ),
)  # fmt: skip
_PROFILE_RULES: Final = (
    no_row(
        "country_is_code", f"NOT regexp_full_match({c.HOME_COUNTRY}, '[A-Z]{{2}}')",
        "A profile's country is not a two-letter code.", SOURCE,
    ),
)  # fmt: skip

_FACT_RULES: Final = (
    no_row("engaged_is_0_or_1", f"{c.ENGAGED} NOT IN (0, 1)", "A play's engagement is neither 0 nor 1.", ENCODER),
    *_PLAY_RULES,
)

_TILE_RULES: Final = (
    no_row(
        "known_date_not_before_date", f"{c.KNOWN_DATE} < {c.DATE}",
        "A tile was known before the plays in it were made.", ENCODER,
    ),
    no_row("last_play_inside_date", outside_date(c.LAST_PLAYED_AT), "A tile's last play lies outside its date.", ENCODER),
    no_row(
        "counts_consistent",
        f"{c.PLAYS} < 1 OR {c.ENGAGED_PLAYS} < 0 OR {c.ENGAGED_PLAYS} > {c.PLAYS} OR {c.WATCHED_MS} < 0",
        "A tile has no play, more engaged plays than plays, or a negative count.", ENCODER,
    ),
    Rule(
        "tile_sums_equal_facts", "Plays, engaged plays and milliseconds of the tiles do not add up to those of `play_facts`.",
        ENCODER, unit="plays, engaged plays and ms apart",
    ),
)  # fmt: skip


def _snapshot_rules(scopes: Sequence[str]) -> tuple[Rule, ...]:
    """Rules over window columns; a longer window holds every shorter one."""
    columns = {
        (measure, scope): [c.windowed(measure, days, scope) for days in WINDOWS]
        for measure in (c.PLAYS, c.WATCHED_MS, c.ENGAGED_PLAYS)
        for scope in scopes
    }
    shrinking = [f"{a} > {b}" for names in columns.values() for a, b in pairwise(names)]
    negative = [f"{names[0]} < 0" for names in columns.values()]
    engaged = [
        f"{c.windowed(c.ENGAGED_PLAYS, days, scope)} > {c.windowed(c.PLAYS, days, scope)}"
        for days in WINDOWS
        for scope in scopes
    ]
    longest = c.windowed(c.PLAYS, WINDOWS[-1])
    return (
        no_row(
            "windows_monotone", " OR ".join(shrinking + negative),
            "A longer window counts less than a shorter one inside it, or a count is below 0.",
            "The roll from the day before lost or kept plays twice: run the date again with --force (it recomputes).",
        ),
        no_row("engaged_within_plays", " OR ".join(engaged), "A window has more engaged plays than plays.", ENCODER),
        no_row(
            "snapshot_sees_no_future", f"{c.LAST_PLAYED_AT} >= {c.DATE}",
            "The last play of a row is not before 00:00 of the date: the snapshot sees the future.", ENCODER,
        ),
        no_row(
            "last_play_matches_window",
            f"({c.LAST_PLAYED_AT} IS NULL) <> ({longest} = 0) OR {c.LAST_PLAYED_AT} < {c.DATE} - {WINDOWS[-1]}",
            f"A row has a last play without plays in {WINDOWS[-1]} days, or plays without a last one.", ENCODER,
        ),
        no_row(
            "country_within_all_countries",
            f"{c.windowed(c.PLAYS, WINDOWS[-1], 'country')} > {longest}",
            "More plays in this country than in all countries.", ENCODER,
        ),
    )  # fmt: skip


def _context_rules() -> tuple[Rule, ...]:
    return (
        no_row("at_inside_date", outside_date(c.AT), "A context's instant lies outside the partition's date.", ENCODER),
        no_row(
            "inclusion_is_probability", not_probability(c.INCLUSION_PROBABILITY),
            "A context's inclusion probability is not in (0, 1]: metrics divide by it.",
            "Correct `sampler.shares` and `sampler.min_probability`; every stratum needs a probability above 0.",
        ),
        no_row(
            "stratum_starts_with_country", f"NOT starts_with({c.STRATUM}, {c.COUNTRY} || '/')",
            "A context's stratum does not begin with its country.", ENCODER,
        ),
        no_row("tenure_not_negative", f"NOT ({c.TENURE_DAYS} >= 0)", "A context's tenure is negative.", ENCODER),
        Rule(
            "context_ids_unique", "Two contexts of the partition have the same id.", ENCODER
        ),
    )  # fmt: skip


#: Checks that hold certificates before their contexts' instants.
CERTIFICATE_CHECKS: Final = ("newest_played_before_at", "newest_known_before_at")


def _certificate_rules() -> tuple[Rule, ...]:
    repair = (
        "A lookup or a step reads what was not visible at the context's instant: run tests/timetravel and tests/contexts. "
        "Nothing of the partition was published."
    )
    return (
        no_row(
            CERTIFICATE_CHECKS[0], f"{c.NEWEST_PLAYED_AT} >= {quoted(c.AT)}",
            "A context's features read a play that began at its instant or later.", repair,
        ),
        no_row(
            CERTIFICATE_CHECKS[1], f"{c.NEWEST_KNOWN_AT} >= {quoted(c.AT)}",
            "A context's features read something that became known at its instant or later.", repair,
        ),
        Rule(
            "known_by_is_one", "A partition's contexts are not all built by the same `known_by`.", ENCODER,
            sql=f"count(DISTINCT {c.KNOWN_BY}) + count(*) FILTER (WHERE {c.KNOWN_BY} IS NULL)", high=1.0,
            unit="values of known_by",
        ),
    )  # fmt: skip


_DMC12_COUNTRY: Final = c.DMC12_NAMES[c.COUNTRY]
_DMC12_RULES: Final = (
    *_context_rules(),
    no_row(
        "country_is_partition", f"{_DMC12_COUNTRY} <> {c.COUNTRY}", "A context stands in another country's partition.", ENCODER,
    ),
    Rule("label_is_0_or_1", "An item's label is neither 0 nor 1.", ENCODER, unit="items"),
    Rule(
        "item_inclusion_is_probability", "An item's inclusion probability is not in (0, 1].", ENCODER, unit="items"
    ),
    Rule("titles_once_per_context", "A title stands twice in one context.", ENCODER, unit="items"),
)  # fmt: skip

_TRAINING_RULES: Final = (
    *_DMC12_RULES,
    *_certificate_rules(),
    Rule("items_not_empty", "A context has no items.", ENCODER, unit="contexts"),
    Rule("weight_positive_finite", "A training weight is not above 0, or not finite.", ENCODER, unit="items"),
    Rule(
        "features_not_null", "A feature is null; missing is NaN.", "Let the encoder return NaN where a fact is missing.",
        unit="values",
    ),
    Rule(
        "features_finite", "A feature is infinite: models and their scaling break on it.",
        "Guard the encoder's division or logarithm.", unit="values",
    ),
    Rule(
        "features_present", "A feature is NaN for every item of the partition, so it says nothing.",
        "Expected in the first days of a source. Later: look at the facts the encoder names, or leave the feature out.",
        unit="features", blocking=False,
    ),
    Rule(
        "both_labels_present", "No context has both a positive and another item, so a ranker learns nothing from the partition.",
        "Expected on days nobody engaged. Otherwise look at `rules.engagement` in the mapping.",
        low=1.0, high=None, unit="contexts with both labels", blocking=False,
    ),
    Rule(
        "contexts_match", "`training_sets` and `contexts` do not hold the same number of contexts.", ENCODER,
        unit="contexts apart",
    ),
    Rule(
        "too_good_feature",
        "One feature alone finds the positives, or the context's own play, almost perfectly: it is the label, or counts the "
        "play itself.",
        "See that the encoder's facts end strictly before the context's instant, and that its columns are known before the "
        "play; a feature that is honest all the same can be named in `features.leave_out`.",
        unit="features",
        wants=f"no feature's AUC beyond {LEAK_AUC} (beyond {HIGH_AUC} where it is empty for most items but never for those "
        "played): let its encoder read nothing at or after the context's instant, or name it in `features.leave_out`",
    ),
)  # fmt: skip

_MODEL_RULES: Final = (
    no_row(
        "payload_matches_hash", "sha256(payload) <> sha256", "A file's bytes are not those its SHA-256 names.",
        "Make the model again with --force.",
    ),
    Rule(
        "manifest_per_model", "A model has no manifest.json, or more than one.", ENCODER, unit="models",
        sql=f"abs(count(DISTINCT {c.MODEL}) - count(*) FILTER (WHERE file = 'manifest.json'))",
    ),
    no_row(
        "file_kind_allowed", "NOT regexp_full_match(file, '[A-Za-z0-9_.-]+\\.(json|npy|ubj|parquet)')",
        "A file is of a kind that is never loaded.", ENCODER,
    ),
    no_row(
        "model_sees_no_future",
        "CASE WHEN file = 'manifest.json' "
        f"THEN json_extract_string(decode(payload), '$.data.as_of') > strftime({c.DATE}, '%Y-%m-%d') END",
        "A model's manifest says its data reach beyond 00:00 of the date.", ENCODER,
    ),
)  # fmt: skip

_SCORE_RULES: Final = (
    *_DMC12_RULES,
    no_row("candidates_not_negative", f"{c.N_CANDIDATES} < 0", "A context has a negative number of candidates.", ENCODER),
    Rule(
        "scores_not_nan", "A score is null, NaN or infinite.",
        "See the model's features for that date; make the model again with --force.", unit="scores",
    ),
    Rule(
        "ranks_within_candidates",
        "A title of the candidate set has as many others above and beside it as there are candidates, or a count is below 0.",
        ENCODER, unit="counts",
    ),
    Rule(
        "reachable_consistent",
        "A title outside the candidate set does not stand below every candidate, or more titles are reachable than there are "
        "candidates.", ENCODER, unit="items or contexts",
    ),
)  # fmt: skip

#: Metrics whose values lie in [0, 1]; a user's own metric is not judged by this.
BOUNDED: Final = (
    "nmrr", "mrr", "ndcg", "recall", "precision", "r_precision", "map", "auc", "hit_rate", "coverage", "gini", "percentile_rank",
    "diversity", "serendipity",
    "intra_list_diversity",
)  # fmt: skip
#: Sums in fixed point, merged and divided, may pass a bound by a rounding.
ROUNDING: Final = 1e-9

_METRIC_RULES: Final = (
    no_row(
        "bounded_metric_in_0_1",
        f"{c.METRIC} IN ({', '.join(repr(name) for name in BOUNDED)}) AND NOT isnan({c.VALUE}) "
        f"AND ({c.VALUE} < -{ROUNDING} OR {c.VALUE} > 1 + {ROUNDING})",
        "A metric that lies in [0, 1] does not.", ENCODER,
    ),
    no_row(
        "interval_holds_value",
        f"(NOT isnan({c.LOW}) AND ({c.LOW} > {c.VALUE} + {ROUNDING} OR isnan({c.VALUE}))) "
        f"OR (NOT isnan({c.HIGH}) AND ({c.HIGH} < {c.VALUE} - {ROUNDING} OR isnan({c.VALUE})))",
        "A value lies outside its own interval.",
        "Usual only with a handful of contexts: raise `evaluation.min_contexts`, below which no interval is given.",
    ),
    no_row(
        "counts_not_negative", f"{c.N} < 0 OR {c.N_EXCLUDED} < 0 OR {c.N_UNREACHABLE} < 0",
        "A count of contexts is below 0.", ENCODER,
    ),
    no_row(
        "value_where_counted", f"isnan({c.VALUE}) <> ({c.N} = 0)",
        "A metric has a value although nothing was counted, or none although something was.", ENCODER, blocking=False,
    ),
)  # fmt: skip
_METRIC_SUM_RULES: Final = (
    no_row(
        "counts_not_negative",
        f"{c.N} < 0 OR {c.N_EXCLUDED} < 0 OR {c.N_UNREACHABLE} < 0 OR (kind = 'weight' AND total < 0)",
        "A count or a sum of weights is below 0.", ENCODER,
    ),
    Rule(
        "replicates_agree", "Rows do not all have the same number of bootstrap replicates, so they do not merge.", ENCODER,
        sql="count(DISTINCT len(replicates)) FILTER (WHERE kind <> 'tally')", high=1.0, unit="numbers of replicates",
    ),
    no_row(
        "tally_lists_paired", "len(cells) <> len(groups) OR len(weights) < len(cells)",
        "A row has not one set of groups per cell, and a weight for each of its groups.", ENCODER,
    ),
)  # fmt: skip

_RECOMMENDATION_RULES: Final = (
    no_row(
        "ranks_without_gaps",
        f"{c.RANK} <> CASE WHEN is_first OR {c.PROFILE} <> previous_{c.PROFILE} THEN 1 ELSE previous_{c.RANK} + 1 END",
        "A list's ranks are not 1, 2, 3, ... without gaps.", ENCODER,
    ),
    Rule(
        "titles_once_per_profile", "A title is recommended twice to one profile.", ENCODER,
        sql=f"count(*) - count(DISTINCT ({c.PROFILE}, {c.TITLE}))",
    ),
    no_row(
        "score_falls_with_rank",
        f"NOT is_first AND {c.PROFILE} = previous_{c.PROFILE} AND {c.MODEL} = previous_{c.MODEL} "
        f"AND {c.SCORE} > previous_{c.SCORE}",
        "A title stands above one that the same model scores higher.", ENCODER,
    ),
    no_row("score_is_number", f"NOT isfinite({c.SCORE})", "A score is NaN or infinite.", ENCODER),
)  # fmt: skip

#: Columns besides the order columns whose value in the row before a rule reads.
PREVIOUS: Final = {t.RECOMMENDATIONS.name: (c.MODEL, c.SCORE)}

_OWN: Final[dict[str, tuple[Rule, ...]]] = {
    **dict.fromkeys((spec.name for spec in TABLES if spec.stage == t.LANDING.stage), _LANDING_RULES),
    t.RAW_PLAYS.name: (*_PLAY_RULES, *_RAW_RULES),
    t.QUARANTINED_PLAYS.name: _QUARANTINE_RULES,
    t.TITLES.name: _TITLE_RULES,
    t.PROFILES.name: _PROFILE_RULES,
    t.AVAILABILITY.name: _AVAILABILITY_RULES,
    t.PLAY_FACTS.name: _FACT_RULES,
    t.TITLE_TILES.name: _TILE_RULES,
    t.PROFILE_TILES.name: _TILE_RULES,
    t.PROFILE_SNAPSHOT.name: _snapshot_rules(("",)),
    t.TITLE_SNAPSHOT.name: _snapshot_rules(("", "country")),
    t.CONTEXTS.name: (*_context_rules(), *_certificate_rules()),
    t.TRAINING_SETS.name: _TRAINING_RULES,
    t.CANDIDATE_MODELS.name: _MODEL_RULES,
    t.RANKER_MODELS.name: _MODEL_RULES,
    t.SCORES_TABLE.name: _SCORE_RULES,
    t.METRICS.name: _METRIC_RULES,
    t.METRIC_SUMS.name: _METRIC_SUM_RULES,
    t.RECOMMENDATIONS.name: _RECOMMENDATION_RULES,
}

#: Every table's rules, in flow order.
RULES: Final[dict[str, tuple[Rule, ...]]] = {spec.name: (*key_rules(spec), *_OWN[spec.name]) for spec in TABLES}

#: Columns of the partition that SQL may read, per grain.
PARTITION_COLUMNS: Final = {Grain.DATE_COUNTRY: (c.DATE, c.COUNTRY), Grain.DATE: (c.DATE,), Grain.NONE: ()}
