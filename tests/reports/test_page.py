"""The page: everything inside one file, the words escaped, the drawings themed and apart from each other."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from rec_platform.reports import plots, style
from rec_platform.reports.page import (
    VARIABLES,
    Figure,
    Figures,
    Picture,
    Rows,
    Section,
    Standing,
    Standings,
    Words,
    page,
    themed,
)
from tests.reports.test_plots import counts

NAN = float("nan")
SVG = plots.facts_plot(counts(3, "plays", "engaged"))


def whole() -> str:
    parts = (
        Words("a < b & c"), Figures((Figure("NMRR", "0.31", "[0.30, 0.32]"),)), Picture(SVG, "Plays.", [{"n": 12_345}]),
        Picture(SVG, "Again.", title="Plays fell by < half.", key=((style.PALETTE[0], "plays"),)),
        Rows([{"model": "<script>alert(1)</script>", "value": 0.25}, {"value": None}]),
        Rows([{"model": "a", "value": "0.459 [0.432, 0.491]", "far": 1_234_567.8}], folded="More <numbers>"),
        Standings([
            Standing("one", 0.25, 0.2, 0.3, "0.250 [0.200, 0.300]", "surely better", mark=1),
            Standing("two", 0.6, NAN, NAN, "0.600", quiet=True),
        ], 0.5, "How far."),
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


def test_a_picture_is_read_out_as_the_sentence_above_it() -> None:
    text = whole()
    assert "<h3>Plays fell by &lt; half.</h3>" in text
    assert text.count('role="img" aria-label="Plays fell by &lt; half."') == 1
    assert text.count('role="img" aria-label="Plays."') == 1
    assert text.count("<svg role=") == text.count("<svg") == 2
    assert '<i style="background:var(--c0)"></i>plays' in text


def test_standings_are_bars_of_their_share_of_the_top() -> None:
    text = whole()
    assert '<u style="width:50.00%"></u><b style="left:40.00%;width:20.00%"></b>' in text
    assert '<u style="width:100.00%"></u></span>' in text, "past the top a bar is full, and no interval is drawn"
    assert '<i class="dot" style="background:var(--d3)"></i>surely better' in text


def test_what_scrolls_can_be_reached_by_keyboard() -> None:
    text = whole()
    for scrolls in ('class="wide"', 'class="drawn"'):
        assert text.count(f"<div {scrolls}") == text.count(f'<div {scrolls} tabindex="0" role="group"') > 0
    assert "<summary>More &lt;numbers&gt;</summary>" in text
    assert '<a class="skip" href="#all-of-it">' in text


def test_paper_is_light_and_screens_are_narrow() -> None:
    text = whole()
    assert text.count("@media screen") == 2, "both dark rules are for screens only"
    assert "@media print" in text
    assert "@media (max-width:720px)" in text


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return sum(
        weight * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
        for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True)
    )


def test_text_reads_on_every_card_and_cell() -> None:
    """WCAG 2.2, AA: a contrast of 4.5 for text, light and dark."""
    for block in re.findall(r":root[^{]*\{([^}]*color-scheme:[a-z]+)\}", whole()):
        colours = dict(re.findall(r"(--[a-z0-9]+):(#[0-9A-Fa-f]{6})", block))
        pairs = [(text, back) for text in ("--ink", "--faint", "--link") for back in ("--card", "--paper")]
        for text, back in [*pairs, ("--faint", "--blank"), *(("--ink", f"--d{place}") for place in range(5))]:
            light, dark = sorted((luminance(colours[text]), luminance(colours[back])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, back, block[-4:])


def test_numbers_stand_right() -> None:
    assert '<td class="right">0.459 [0.432, 0.491]</td><td class="right">1,234,568</td>' in whole()
    assert '<td class="right">12,345</td>' in whole()
    assert '<td class="right">0.25</td>' in whole()


def test_paper_is_white_and_has_no_section_that_is_for_screens() -> None:
    text = page("Title", "2025-01-02 to 2025-01-03", [Section("Seen", (Words("x"),)), Section("Dug", (), paper=False)])
    _, _, print_rules = text.partition("@media print{")
    assert ":root{--card:white;--paper:white}" in print_rules
    assert re.search(r"[,}]\.screen,[^{]*\{display:none\}", print_rules)
    assert [re.search(f'<section id="{name}"( class="screen")?>', text)[1] for name in ("seen", "dug")] == [  # type: ignore[index]
        None, ' class="screen"'
    ]  # fmt: skip
    assert "figure svg{max-height:" in print_rules, "a picture taller than a page would be cut"


def test_dates_are_not_parted_at_their_hyphens() -> None:
    text = page("Title", "2025-01-02 to 2025-01-03, 12025-01-031", [])
    assert re.findall(r'<span class="day">([^<]*)</span>', text) == ["2025-01-02", "2025-01-03"]
    assert ".day{white-space:nowrap}" in text
