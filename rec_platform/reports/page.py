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

from rec_platform.reports import style
from rec_platform.reports.tables import Cell

#: Colour of a drawing -> the page's variable. What is not named here stays as drawn.
VARIABLES: Final = {
    style.INK: "--ink", style.FAINT: "--faint", style.GRID: "--grid", style.CARD: "--card", style.BLANK: "--blank",
    **{colour: f"--c{place}" for place, colour in enumerate(style.PALETTE)},
    **{colour: f"--d{place}" for place, colour in enumerate(style.DIVERGING)},
}  # fmt: skip
#: The same variables on a dark page: lighter where ink stood on paper, as far apart for every kind of colour vision.
_DARK: Final = {
    "--ink": "#E8EAED", "--faint": "#9AA3AF", "--grid": "#30363D", "--card": "#161B22", "--blank": "#21262D",
    "--paper": "#0D1117", "--c0": "#4AA3DF", "--c1": "#F0B041", "--c2": "#2BBF92", "--c3": "#DE9BC2", "--c4": "#8ECBF0",
    "--c5": "#F0824A", "--link": "#6CB6F0", "--line": "#4A525C", "--d0": "#A34F05",
    "--d1": "#7F5A2E", "--d2": "#30363D", "--d3": "#3B5773", "--d4": "#246BAB",
}  # fmt: skip
_LIGHT: Final = {variable: colour for colour, variable in VARIABLES.items()} | {
    "--paper": "#F3F4F6",
    "--link": "#00598C",
    "--line": "#B4BBC4",
}


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
    """A heading, and the parts under it."""

    title: str
    parts: tuple[Part, ...]


def page(title: str, about: str, sections: Sequence[Section]) -> str:
    """The page as text. Equal parts give equal bytes."""
    numbers = count(1)
    body = "\n".join(_section(section, numbers) for section in sections)
    links = "".join(f'<a href="#{_anchor(one.title)}">{escape(one.title)}</a>' for one in sections)
    first = _anchor(sections[0].title) if sections else ""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f'<style>\n{_css()}</style>\n</head>\n<body>\n<a class="skip" href="#{first}">To the content</a>\n'
        f"<header><h1>{escape(title)}</h1><p>{escape(about)}</p>"
        '<button type="button" id="theme" aria-label="Change between light and dark">light / dark</button></header>\n'
        f'<nav aria-label="Sections">{links}</nav>\n'
        f"<main>\n{body}\n</main>\n<script>\n{_SCRIPT}</script>\n</body>\n</html>\n"
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
    return f'<section id="{_anchor(section.title)}">\n<h2>{escape(section.title)}</h2>\n{parts}\n</section>'


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
    """Text for the page; a number is not parted from its per cent."""
    return escape(text).replace(" %", "&nbsp;%")


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
        f'<div class="note">{escape(card.note)}</div></div>'
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


def _css() -> str:
    light, dark = (
        "".join(f"{name}:{value};" for name, value in sorted(values.items())) for values in (_LIGHT, _LIGHT | _DARK)
    )
    return (
        f":root{{{light}color-scheme:light}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}color-scheme:dark}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}color-scheme:dark}}}}\n{_RULES}"
    )


_RULES: Final = """\
*{box-sizing:border-box}html{scroll-padding-top:52px}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}
.skip{position:absolute;left:-999px}.skip:focus{left:12px;top:8px;background:var(--card);padding:4px 10px;z-index:3}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
header{padding:28px 32px 10px;max-width:1184px;margin:0 auto;position:relative}
h1{margin:0;font-size:26px;line-height:1.25;padding-right:110px}header p{margin:4px 0 0;color:var(--faint)}
nav{position:sticky;top:0;z-index:2;background:var(--paper);border-bottom:1px solid var(--grid);display:flex;gap:6px 18px;
padding:9px max(32px,calc((100% - 1120px)/2));overflow-x:auto;white-space:nowrap}
nav a{color:var(--link);text-decoration:none}nav a:hover{text-decoration:underline}
#theme{position:absolute;top:30px;right:32px;background:var(--card);color:var(--faint);border:1px solid var(--line);
border-radius:6px;padding:4px 10px;cursor:pointer;font:inherit;font-size:13px}
main{max-width:1184px;margin:0 auto;padding:0 32px 60px}
section{background:var(--card);border:1px solid var(--grid);border-radius:10px;padding:8px 24px 20px;margin:18px 0}
h2{font-size:20px;margin:12px 0 6px}h3{font-size:15.5px;margin:26px 0 4px;max-width:90ch;line-height:1.4}
p{max-width:90ch}.lead{font-size:18.5px;line-height:1.45;max-width:72ch;margin:8px 0 14px}
.caption{color:var(--faint);font-size:13px;margin:10px 0 4px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:16px 0 8px}
.card{border:1px solid var(--grid);border-radius:8px;padding:8px 14px}
.label{color:var(--faint);font-size:13px}.value{font-size:21px;font-weight:600;font-variant-numeric:tabular-nums}
.note{color:var(--faint);font-size:12.5px}
.standings{list-style:none;padding:0;margin:12px 0 4px;font-variant-numeric:tabular-nums}
.standings li{display:grid;grid-template-columns:130px minmax(120px,2fr) 165px minmax(0,3fr);
gap:2px 16px;align-items:center;padding:6px 0;
border-bottom:1px solid var(--grid)}
.who{font-weight:600;overflow-wrap:anywhere}.quiet .who,.quiet .figures{font-weight:400;color:var(--faint)}
.bar{position:relative;height:16px;background:var(--blank);border-radius:3px;overflow:hidden}
.bar,.dot,.key i{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.bar u{position:absolute;inset:0 auto 0 0;background:var(--c0)}.quiet .bar u{background:var(--line)}
.bar b{position:absolute;top:5px;height:6px;background:var(--ink);opacity:.6;border-radius:3px;min-width:2px}
.said{color:var(--faint);font-size:13.5px}
.dot,.key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:7px;border:1px solid var(--line)}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px;color:var(--faint);margin:2px 0 4px}
.key span{white-space:nowrap}
figure{margin:14px 0 22px}figure svg{width:100%;height:auto;display:block}
figcaption{color:var(--faint);font-size:13px;max-width:100ch}
details{margin-top:6px}summary{color:var(--link);font-size:13px;cursor:pointer;width:max-content;max-width:100%}
.wide{overflow:auto}details .wide{max-height:75vh}
table{border-collapse:collapse;font-size:12.5px;font-variant-numeric:tabular-nums;margin:6px 0}
th,td{padding:4px 12px 4px 0;text-align:left;border-bottom:1px solid var(--grid);white-space:nowrap;vertical-align:top}
th{color:var(--faint);font-weight:500;position:sticky;top:0;background:var(--card);z-index:1}
td:first-child,th:first-child{position:sticky;left:0;background:var(--card)}th:first-child{z-index:2}
td:last-child{white-space:normal;min-width:16ch}td.right:last-child{white-space:nowrap}
.right{text-align:right}
@media (max-width:720px){
header{padding:18px 16px 8px}h1{font-size:21px;padding-right:96px}#theme{top:18px;right:16px}
nav{padding:9px 16px}main{padding:0 8px 40px}section{padding:4px 14px 14px;border-radius:8px;margin:12px 0}
.lead{font-size:17px}.cards{grid-template-columns:repeat(2,1fr)}.value{font-size:18px}
.standings li{grid-template-columns:1fr max-content}.bar{order:3}.said{order:4}.bar,.said{grid-column:1/-1}
td:first-child:not(.right){white-space:normal;min-width:11ch}
.drawn{overflow-x:auto}.drawn svg{width:760px}.key span{white-space:normal}
}
@media print{
#theme,nav,.skip,summary{display:none}body{background:none;font-size:12px}main,header{max-width:none;padding:0}
section{border:0;padding:0;margin:0 0 12px}h2,h3{break-after:avoid}figure,.card,.standings li{break-inside:avoid}
.wide,details .wide{overflow:visible;max-height:none}@page{margin:14mm}
}
"""
_SCRIPT: Final = """\
const root = document.documentElement;
document.getElementById("theme").onclick = () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
};
"""
