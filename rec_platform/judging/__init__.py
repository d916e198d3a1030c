"""What commands ask of stored metrics and scores: from a home to rows, a sentence and a picture.

sums.py     the sums of some days and countries: stored, or made now
asked.py    metrics by the names people give them
pairs.py    `rec-platform compare`
told.py     its rows, bars and sentence
ages.py     `rec-platform ageing`
"""

from rec_platform.judging.ages import aged, ages
from rec_platform.judging.asked import chosen_metrics, heading, not_counted, refuse_not_counted
from rec_platform.judging.pairs import Compared, compared
from rec_platform.judging.sums import NO_FILES, Files, left_out, measured_on_fewer, published, sums_of

__all__ = [
    "NO_FILES", "Compared", "Files", "aged", "ages", "chosen_metrics", "compared", "heading", "left_out",
    "measured_on_fewer", "not_counted", "published", "refuse_not_counted", "sums_of",
]  # fmt: skip
