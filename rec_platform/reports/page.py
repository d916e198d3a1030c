"""One self-contained HTML page: sections of words, figures, pictures and tables; opens from disk, asks no network.

Pictures are the SVG text that `plots` and `comparison` draw. On a page their colours become variables of its style, so
that one drawing reads on light and on dark: the reader's system chooses, a button in the corner changes it.
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
    "--c5": "#F0824A", "--d0": "#B35806", "--d1": "#7F5A2E", "--d2": "#30363D", "--d3": "#3B5773", "--d4": "#2F7FBF",
}  # fmt: skip
_LIGHT: Final = {variable: colour for colour, variable in VARIABLES.items()} | {"--paper": "#F3F4F6"}


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


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
class Picture:
    """A drawing with what it shows; `rows` stand under it, folded away."""

    svg: str
    caption: str
    rows: Sequence[Mapping[str, Cell]] = ()


@dataclass(frozen=True)
class Rows:
    """A table; columns of numbers stand right."""

    rows: Sequence[Mapping[str, Cell]]
    caption: str = ""


Part = Words | Figures | Picture | Rows


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
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_css()}</style>\n</head>\n<body>\n<header><h1>{escape(title)}</h1><p>{escape(about)}</p>"
        f'<nav>{links}</nav><button type="button" id="theme">light / dark</button></header>\n'
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
        return f"<p>{escape(part.text)}</p>"
    if isinstance(part, Figures):
        return f'<div class="cards">{"".join(_card(card) for card in part.cards)}</div>'
    if isinstance(part, Rows):
        caption = f"<p class='caption'>{escape(part.caption)}</p>" if part.caption else ""
        return f"{caption}{_table(part.rows)}"
    drawn = themed(part.svg, f"f{next(numbers)}")
    folded = f"<details><summary>numbers</summary>{_table(part.rows)}</details>" if part.rows else ""
    return f"<figure>{drawn}<figcaption>{escape(part.caption)}</figcaption>{folded}</figure>"


def _card(card: Figure) -> str:
    return (
        f'<div class="card"><div class="label">{escape(card.label)}</div><div class="value">{escape(card.value)}</div>'
        f'<div class="note">{escape(card.note)}</div></div>'
    )


def _table(rows: Sequence[Mapping[str, Cell]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    right = {name for name in names if _of_numbers([row.get(name) for row in rows])}
    head = "".join(f"<th{_side(name, right)}>{escape(name)}</th>" for name in names)
    lines = "".join(
        f"<tr>{''.join(f'<td{_side(name, right)}>{escape(_shown(row.get(name)))}</td>' for name in names)}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _of_numbers(values: Sequence[Cell | None]) -> bool:
    there = [value for value in values if value is not None and value != ""]
    return bool(there) and all(isinstance(value, int | float) for value in there)


def _side(name: str, right: set[str]) -> str:
    return ' class="right"' if name in right else ""


def _shown(value: Cell | None) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _css() -> str:
    light, dark = (
        "".join(f"{name}:{value};" for name, value in sorted(values.items())) for values in (_LIGHT, _LIGHT | _DARK)
    )
    return (
        f":root{{{light}color-scheme:light}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}color-scheme:dark}}}}\n"
        f":root[data-theme=dark]{{{dark}color-scheme:dark}}\n{_RULES}"
    )


_RULES: Final = """\
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}
header{padding:28px 32px 12px;max-width:1120px;margin:0 auto;position:relative}
h1{margin:0;font-size:26px}header p{margin:4px 0 14px;color:var(--faint)}
nav{display:flex;flex-wrap:wrap;gap:6px 16px}nav a{color:var(--c0);text-decoration:none}
nav a:hover{text-decoration:underline}
#theme{position:absolute;top:30px;right:32px;background:var(--card);color:var(--faint);border:1px solid var(--grid);
border-radius:6px;padding:4px 10px;cursor:pointer}
main{max-width:1120px;margin:0 auto;padding:0 32px 60px}
section{background:var(--card);border:1px solid var(--grid);border-radius:10px;padding:8px 24px 20px;margin:18px 0}
h2{font-size:18px;margin:12px 0 6px}p{max-width:80ch}.caption{color:var(--faint);margin:12px 0 4px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:12px 0}
.card{border:1px solid var(--grid);border-radius:8px;padding:10px 14px}
.label{color:var(--faint);font-size:13px}.value{font-size:24px;font-weight:600;font-variant-numeric:tabular-nums}
.note{color:var(--faint);font-size:12px}
figure{margin:14px 0}figure svg{width:100%;height:auto;display:block}
figcaption{color:var(--faint);font-size:13px;max-width:100ch}
details{margin-top:4px}summary{color:var(--faint);font-size:13px;cursor:pointer}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;margin:6px 0}
th,td{padding:4px 12px 4px 0;text-align:left;border-bottom:1px solid var(--grid);white-space:nowrap}
th{color:var(--faint);font-weight:500}.right{text-align:right}
@media print{#theme,nav{display:none}section{break-inside:avoid}}
"""
_SCRIPT: Final = """\
const root = document.documentElement;
document.getElementById("theme").onclick = () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
};
"""
