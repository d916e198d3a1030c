"""The page: everything inside one file, the words escaped, the drawings themed and apart from each other."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from rec_platform.reports import plots, style
from rec_platform.reports.page import VARIABLES, Figure, Figures, Picture, Rows, Section, Words, page, themed
from tests.reports.test_plots import counts

SVG = plots.facts_plot(counts(3, "plays", "engaged"))


def whole() -> str:
    parts = (
        Words("a < b & c"), Figures((Figure("NMRR", "0.31", "[0.30, 0.32]"),)), Picture(SVG, "Plays.", [{"n": 12_345}]),
        Picture(SVG, "Again."), Rows([{"model": "<script>alert(1)</script>", "value": 0.25}, {"value": None}]),
    )  # fmt: skip
    return page("Title <b>", "About", [Section("All of it", parts)])


def test_equal_parts_give_equal_bytes() -> None:
    assert whole() == whole()


def test_nothing_is_fetched() -> None:
    text = whole()
    links = re.findall(r'(?:src|href|url\()\s*=?\s*["\']?([^"\')\s>]+)', text)
    assert all(link.startswith("#") for link in links)
    assert "@import" not in text


def test_words_are_escaped() -> None:
    text = whole()
    assert "a &lt; b &amp; c" in text
    assert "<script>alert" not in text
    assert "Title &lt;b&gt;" in text


def test_drawings_do_not_share_ids() -> None:
    ids = re.findall(r'\bid="([^"]+)"', whole())
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"url\(#([^)]+)\)", whole())) | set(re.findall(r'xlink:href="#([^"]+)"', whole()))
    assert used <= set(ids)


def test_every_colour_of_the_palette_is_a_variable_with_a_dark_twin() -> None:
    text = whole()
    drawn = themed(SVG, "p")
    for colour in VARIABLES:
        assert colour.lower() not in drawn.lower()
    for variable in VARIABLES.values():
        assert text.count(f"{variable}:#") == 3  # light, dark by the system, dark by the button
    assert style.CARD in text


class _Tags(HTMLParser):
    """Checks that elements close in the order they opened."""

    VOID = frozenset({"meta", "path", "use", "rect", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_elements_close() -> None:
    tags = _Tags()
    tags.feed(whole())
    assert tags.open == []


def test_numbers_stand_right() -> None:
    assert '<td class="right">12,345</td>' in whole()
    assert '<td class="right">0.25</td>' in whole()
