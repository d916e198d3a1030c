"""Which model stands where and has which colour: the same in every picture of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rec_platform.evaluation.scored import RANDOM
from rec_platform.reports import style


def model_order(models: Sequence[str]) -> list[str]:
    """Baselines last, so that what is compared with them stands above."""
    baselines = ["popularity", "last_played", RANDOM]
    return sorted(models, key=lambda name: (baselines.index(name) + 1 if name in baselines else 0, name))


def coloured(models: Iterable[str], order: Sequence[str] = ()) -> dict[str, str]:
    """The models in an order, each with its colour, the same in every picture that is given the same order.

    Args:
        models: those drawn.
        order: all models there are, as they should stand; those not named stand behind, by `model_order`.

    >>> list(coloured(["random", "b", "popularity", "a"], ["b"]))
    ['b', 'a', 'popularity', 'random']
    """
    drawn = set(models)
    every = [*order, *model_order(sorted(drawn - set(order)))]
    colours = style.colour_of([name for name in every if name != RANDOM]) | {RANDOM: style.FAINT}
    return {name: colours[name] for name in every if name in drawn}
