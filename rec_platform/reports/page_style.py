"""How a page looks: the colours of drawings as variables, light and dark, and the rules of its parts."""

from __future__ import annotations

from typing import Final

from rec_platform.reports import style

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


def css() -> str:
    """The style sheet: light, dark where a screen asks for it, narrow, and paper, which is always light."""
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
.day{white-space:nowrap}
@media print{
:root{--card:white;--paper:white}
#theme,nav,.skip,.screen,summary{display:none}body{background:none;font-size:12px}main,header{max-width:none;padding:0}
section{border:0;padding:0;margin:0 0 12px}h2,h3{break-after:avoid;break-inside:avoid}
figure,.card,.standings li,tr{break-inside:avoid}figure svg{max-height:72vh}p,figcaption{orphans:3;widows:3}
.wide,details .wide{overflow:visible;max-height:none}@page{margin:14mm}
}
"""
SCRIPT: Final = """\
const root = document.documentElement;
document.getElementById("theme").onclick = () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
};
"""
