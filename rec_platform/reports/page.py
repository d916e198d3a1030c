"""One self-contained HTML page: sections of words, figures, standings, pictures and tables; opens from disk, asks no network.

Pictures are the SVG text that `plots` and `comparison` draw. On a page their colours become variables of its style, so
that one drawing reads on light and on dark: the reader's system chooses, a button in the corner changes it. Each picture has
a sentence above it that says what is seen, which is also what a screen reader reads in its place. On narrow screens pictures
keep a size that can be read, and scroll sideways in their frames. On paper everything is light.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from typing import Final

from rec_platform.reports.page_style import SCRIPT, VARIABLES, css
from rec_platform.reports.tables import Cell


@dataclass(frozen=True)
class Words:
    """A paragraph; `lead`: the one that stands first and large."""

    text: str
    lead: bool = False


@dataclass(frozen=True)
class Figure:
    """A number worth a card: what it is, the value, and how to read it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """Cards in a row."""

    cards: tuple[Figure, ...]


@dataclass(frozen=True)
class Standing:
    """A line of standings.

    Attributes:
        name: who.
        value, low, high: where it stands, and its interval (NaN: none), on the scale of the standings.
        text: the same in figures.
        note: what is said of it.
        mark: -2 to 2 as a cell of a heat map is coloured (`DIVERGING`), for the dot before the note; None: no dot.
        quiet: whether it only stands there to be compared with.
    """

    name: str
    value: float
    low: float
    high: float
    text: str
    note: str = ""
    mark: int | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Standings:
    """Who stands where between 0 and `top`, as bars with their intervals, in the order given."""

    lines: Sequence[Standing]
    top: float
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A drawing with what it shows; `rows` stand under it, folded away.

    Attributes:
        svg: the drawing.
        caption: how to read it.
        rows: its numbers.
        title: a sentence that says what is seen.
        key: what its colours mean: (colour of the palette, words).
        wide: whether a narrow screen scrolls it sideways; else it shrinks.
    """

    svg: str
    caption: str
    rows: Sequence[Mapping[str, Cell]] = ()
    title: str = ""
    key: Sequence[tuple[str, str]] = ()
    wide: bool = True


@dataclass(frozen=True)
class Rows:
    """A table; columns of numbers stand right. `folded`: what opens it, where it starts folded away."""

    rows: Sequence[Mapping[str, Cell]]
    caption: str = ""
    folded: str = ""


Part = Words | Figures | Standings | Picture | Rows


@dataclass(frozen=True)
class Section:
    """A heading, and the parts under it; `paper`: whether it is printed, too."""

    title: str
    parts: tuple[Part, ...]
    paper: bool = True


def page(title: str, about: str, sections: Sequence[Section]) -> str:
    """The page as text. Equal parts give equal bytes."""
    numbers = count(1)
    body = "\n".join(_section(section, numbers) for section in sections)
    links = "".join(f'<a href="#{_anchor(one.title)}">{escape(one.title)}</a>' for one in sections)
    first = _anchor(sections[0].title) if sections else ""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f'<style>\n{css()}</style>\n</head>\n<body>\n<a class="skip" href="#{first}">To the content</a>\n'
        f"<header><h1>{escape(title)}</h1><p>{_text(about)}</p>"
        '<button type="button" id="theme" aria-label="Change between light and dark">light / dark</button></header>\n'
        f'<nav aria-label="Sections">{links}</nav>\n'
        f"<main>\n{body}\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )


def themed(svg: str, prefix: str) -> str:
    """A drawing for the inside of a page: colours as variables, as wide as its place, ids of its own.

    >>> themed('<?xml ?><svg width="9pt" height="3pt" viewBox="0 0 9 3"><path id="p" style="fill: #22262b"/></svg>', "a")
    '<svg viewBox="0 0 9 3"><path id="a-p" style="fill: var(--ink)"/></svg>'
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r' (?:width|height)="[^"]*pt"', "", svg, count=2)
    for colour, variable in VARIABLES.items():
        svg = re.sub(re.escape(colour), f"var({variable})", svg, flags=re.IGNORECASE)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    return re.sub(r'(url\(#|href="#)', rf"\1{prefix}-", svg)


def _section(section: Section, numbers: count[int]) -> str:
    parts = "\n".join(_part(part, numbers) for part in section.parts)
    screen = _class("screen", not section.paper)
    return f'<section id="{_anchor(section.title)}"{screen}>\n<h2>{escape(section.title)}</h2>\n{parts}\n</section>'


def _part(part: Part, numbers: count[int]) -> str:
    if isinstance(part, Words):
        return f"<p{_class('lead', part.lead)}>{_text(part.text)}</p>"
    if isinstance(part, Figures):
        return f'<div class="cards">{"".join(_card(card) for card in part.cards)}</div>'
    if isinstance(part, Standings):
        return _standings(part)
    if isinstance(part, Rows):
        caption = f'<p class="caption">{_text(part.caption)}</p>' if part.caption else ""
        table = _table(part.rows, part.caption or part.folded)
        return _folded(part.folded, caption + table) if part.folded else caption + table
    return _figure(part, next(numbers))


def _figure(picture: Picture, number: int) -> str:
    said = escape(picture.title or picture.caption, quote=True)
    drawn = themed(picture.svg, f"f{number}").replace("<svg", f'<svg role="img" aria-label="{said}"', 1)
    heading = f"<h3>{_text(picture.title)}</h3>" if picture.title else ""
    key = "".join(
        f'<span><i style="background:var({VARIABLES[colour]})"></i>{escape(words)}</span>'
        for colour, words in picture.key
    )  # fmt: skip
    frame = f' class="drawn" tabindex="0" role="group" aria-label="{said}"' if picture.wide else ""
    return (
        f"<figure>{heading}<div{frame}>{drawn}</div>"
        + (f'<div class="key">{key}</div>' if key else "")
        + (f"<figcaption>{_text(picture.caption)}</figcaption>" if picture.caption else "")
        + (_folded(f"The numbers ({_rows(picture.rows)})", _table(picture.rows, said)) if picture.rows else "")
        + "</figure>"
    )


def _text(text: str) -> str:
    """Text for the page; a number is not parted from its per cent, nor a date at its hyphens."""
    return _DATE.sub(r'<span class="day">\g<0></span>', escape(text).replace(" %", "&nbsp;%"))


_DATE: Final = re.compile(r"\b\d{4}-\d\d-\d\d\b")


def _class(name: str, there: bool) -> str:
    return f' class="{name}"' if there else ""


def _rows(rows: Sequence[object]) -> str:
    return f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>"


def _standings(standings: Standings) -> str:
    lines = "".join(_standing(line, standings.top or 1.0) for line in standings.lines)
    caption = f'<p class="caption">{_text(standings.caption)}</p>' if standings.caption else ""
    return f'<ul class="standings">{lines}</ul>{caption}'


def _standing(line: Standing, top: float) -> str:
    def place(value: float) -> str:
        return f"{100 * min(max(value / top, 0.0), 1.0):.2f}"

    band = ""
    if line.low == line.low and line.high == line.high:  # no interval is NaN
        width = f"{100 * max(line.high - line.low, 0.0) / top:.2f}"
        band = f'<b style="left:{place(line.low)}%;width:{width}%"></b>'
    dot = "" if line.mark is None else f'<i class="dot" style="background:var(--d{line.mark + 2})"></i>'
    return (
        f'<li{_class("quiet", line.quiet)}><span class="who">{escape(line.name)}</span>'
        f'<span class="bar" aria-hidden="true"><u style="width:{place(line.value)}%"></u>{band}</span>'
        f'<span class="figures">{escape(line.text)}</span><span class="said">{dot}{escape(line.note)}</span></li>'
    )


def _card(card: Figure) -> str:
    return (
        f'<div class="card"><div class="label">{escape(card.label)}</div><div class="value">{escape(card.value)}</div>'
        f'<div class="note">{_text(card.note)}</div></div>'
    )


def _table(rows: Sequence[Mapping[str, Cell]], said: str = "") -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    right = {name for name in names if _of_numbers([row.get(name) for row in rows])}
    head = "".join(f'<th scope="col"{_side(name, right)}>{escape(name)}</th>' for name in names)
    lines = "".join(
        f"<tr>{''.join(f'<td{_side(name, right)}>{escape(_shown(row.get(name)))}</td>' for name in names)}</tr>"
        for row in rows
    )
    label = f' aria-label="{escape(said, quote=True)}"' if said else ""
    return (
        f'<div class="wide" tabindex="0" role="group"{label}><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _of_numbers(values: Sequence[Cell | None]) -> bool:
    """Whether a column holds numbers, or texts that begin with one (4.1%, 0.459 [0.432, 0.491])."""
    there = [value for value in values if value is not None and value != ""]
    return bool(there) and all(isinstance(value, int | float) or _NUMBER.match(value) for value in there)


_NUMBER: Final = re.compile(r"[+\u2212-]?\d[\d,.]*\s?(%|$|[(\[])")


def _side(name: str, right: set[str]) -> str:
    return ' class="right"' if name in right else ""


def _shown(value: Cell | None) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
