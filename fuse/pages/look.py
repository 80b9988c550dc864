"""How a page looks and what its few lines of JavaScript do; colours are Okabe and Ito's, readable for every eye."""

STYLE = """
:root { color-scheme: light;
  --paper: #fcfcfa; --ink: #1d2126; --soft: #575e68; --rule: #e3e3dd; --shade: #f3f3ee; --link: #005d92;
  --c1: #0072b2; --c2: #d55e00; --c3: #009e73; --c4: #cc79a7; --c5: #56b4e9; --c6: #e69f00; --c7: #33373d;
  --floor: #a3a8ae; --band: #0072b21f; --heat: 0, 114, 178; --most: .75; --warn: #fff4dc; --warn-edge: #e69f00 }
:root[data-theme=dark] { color-scheme: dark;
  --paper: #15181c; --ink: #e4e6e8; --soft: #a3abb5; --rule: #31363d; --shade: #1d2126; --link: #7cc5f0;
  --c1: #56b4e9; --c2: #ee8040; --c3: #2dbd92; --c4: #dd94bb; --c5: #3d8fc9; --c6: #e9b23c; --c7: #d6d9dc;
  --floor: #767e88; --band: #56b4e92b; --heat: 86, 180, 233; --most: .5; --warn: #2b2515; --warn-edge: #b98514 }
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) { color-scheme: dark;
  --paper: #15181c; --ink: #e4e6e8; --soft: #a3abb5; --rule: #31363d; --shade: #1d2126; --link: #7cc5f0;
  --c1: #56b4e9; --c2: #ee8040; --c3: #2dbd92; --c4: #dd94bb; --c5: #3d8fc9; --c6: #e9b23c; --c7: #d6d9dc;
  --floor: #767e88; --band: #56b4e92b; --heat: 86, 180, 233; --most: .5; --warn: #2b2515; --warn-edge: #b98514 } }
* { box-sizing: border-box }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100% }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums }
.skip { position: absolute; left: -999em } .skip:focus { left: 1rem; top: 1rem; background: var(--paper) }
header, main, footer { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem }
header { padding-top: 3rem } footer { padding-bottom: 4rem; color: var(--soft) }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.015em; margin: 0 0 .75rem; text-wrap: balance }
h2 { font-size: 1.35rem; line-height: 1.3; letter-spacing: -.01em; margin: 0 0 .75rem; padding-top: 2rem }
h3 { font-size: 1.02rem; margin: 1.75rem 0 .5rem } h2, h3 { text-wrap: balance }
section + section { margin-top: 1.5rem; border-top: 1px solid var(--rule) }
p, ul, dl { margin: 0 0 1rem; max-width: 44rem } p.lead { font-size: 1.1rem }
p.soft, figcaption, caption, .soft { color: var(--soft) } p.soft { font-size: .92rem }
a { color: var(--link); text-underline-offset: .15em } :focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px }
code, pre { font: .88em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace }
pre { background: var(--shade); border-radius: 6px; padding: .75rem 1rem; overflow-x: auto }
.note { background: var(--warn); border-left: 4px solid var(--warn-edge); border-radius: 0 6px 6px 0;
  padding: .6rem 1rem; margin: 0 0 .75rem; max-width: none }
.theme { float: right; margin: 0 0 0 1rem } .theme[hidden] { display: none }
button, input { font: inherit; color: inherit; background: var(--shade); border: 1px solid var(--rule);
  border-radius: 6px; padding: .2rem .7rem } button { cursor: pointer } input { width: 100%; max-width: 22rem }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; max-width: none }
nav a { text-decoration: none } nav a:hover { text-decoration: underline }
@media (min-width: 84rem) {
  nav { position: fixed; top: 3rem; left: calc(50vw - 41.5rem); width: 10rem; font-size: .92rem }
  nav ul { display: block } nav li { margin-bottom: .35rem } nav a { color: var(--soft) } }
.wide { overflow-x: auto; margin: 0 0 1.25rem }
table { border-collapse: collapse; font-size: .87rem; line-height: 1.4 }
caption { text-align: left; padding: 0 0 .4rem; caption-side: top }
th, td { padding: .28rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule) }
th:first-child, td:first-child { padding-left: .2rem } thead th { vertical-align: bottom; font-weight: 600 }
.wide tbody th { position: sticky; left: 0; background: var(--paper) }
.word { text-align: left } tbody th { font-weight: 400 } td.again { color: transparent; border-color: transparent }
tr.group > * { border-top: 1px solid var(--soft) } tr.strong > * { font-weight: 650 }
tr.strong > th:last-of-type { color: var(--link) }
.long { white-space: normal; min-width: 16rem; overflow-wrap: anywhere }
thead button { border: 0; background: none; padding: 0; font-weight: 600; border-radius: 3px }
thead button::after { content: " \\2195"; color: var(--soft); font-weight: 400 }
[aria-sort=ascending] button::after { content: " \\2191" } [aria-sort=descending] button::after { content: " \\2193" }
.pair { display: grid; gap: 1.5rem 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr));
  align-items: start; margin: 0 0 1rem }
figure { margin: 0; min-width: 0 } figcaption { font-size: .92rem; margin-bottom: .4rem }
figcaption b { color: var(--ink); font-weight: 600 }
svg.plot { display: block; width: 100%; height: auto; max-width: 34rem; overflow: visible }
svg text { fill: var(--soft); font-size: 12px } svg .axis { stroke: var(--soft) } svg .grid { stroke: var(--rule) }
.bars { width: 100% } .bars th, .bars td { border: 0; padding: .16rem .35rem }
.bars .kind th { color: var(--soft); font-size: .8rem; padding-top: .65rem; text-align: left }
.bars tbody th { text-align: left; width: 1%; padding-left: 0; max-width: 11rem; overflow: hidden;
  text-overflow: ellipsis }
.bars td:last-child { width: 1%; padding-right: 0 } .bars .model th, .bars .model td { font-weight: 650 }
.bars .track { padding: 0 .35rem; height: 1.7rem; vertical-align: middle; min-width: 5rem }
.track svg { display: block; width: 100%; height: 1.7rem; overflow: visible }
.ends div { display: flex; justify-content: space-between; color: var(--soft); font-size: .78rem }
.fill-floor { fill: var(--floor) } .fill-model { fill: var(--c1) } .fill-part { fill: var(--c6) }
.fill-ablation { fill: var(--c2) } .fill-beside { fill: var(--c3) }
.band { fill: var(--band) } .whisker { stroke: var(--ink); stroke-width: 1.5 }
.s1 { --c: var(--c1) } .s2 { --c: var(--c2) } .s3 { --c: var(--c3) } .s4 { --c: var(--c4) } .s5 { --c: var(--c5) }
.s6 { --c: var(--c6) } .s7 { --c: var(--c7) }
polyline { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round }
.ring { fill: var(--paper); stroke: var(--c); stroke-width: 1.8 } .dot { fill: var(--c); fill-opacity: .75 }
.bin { fill: var(--c); fill-opacity: .85 } .ideal { stroke: var(--soft); stroke-dasharray: 4 4; fill: none }
.mean { stroke: var(--ink); stroke-width: 2 } .faint { fill: var(--floor); fill-opacity: .6 }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1rem; padding: 0; margin: .3rem 0 0;
  font-size: .88rem }
.legend i { display: inline-block; width: .9em; height: .9em; border-radius: 3px; background: var(--c);
  margin-right: .4em; vertical-align: -.08em }
.legend svg { width: .95em; height: .95em; margin-right: .35em; vertical-align: -.12em }
.frame { fill: none; stroke: var(--rule) }
.heat { line-height: 1.2 } .heat th, .heat td { border: 0 }
.heat td { min-width: 3.6rem; text-align: center; padding: .35rem; border: 2px solid var(--paper); border-radius: 6px;
  background: rgba(var(--heat), calc(var(--s) * var(--most))) }
.heat td small { display: block; font-size: .76rem } .heat td.none { color: var(--soft) }
.heat tbody th, .heat thead th:first-child { text-align: left }
.heat thead th { font-weight: 400; text-align: center; white-space: normal; max-width: 6rem }
.paper td small { display: block; font-size: .76rem; color: var(--soft) } .paper b { color: var(--link) }
.paper tbody th { white-space: normal; min-width: 7.5rem; max-width: 16rem } .paper td { vertical-align: top }
.paper thead th { white-space: normal; min-width: 5.5rem }
.up { color: var(--c3) } .down { color: var(--c2) }
details { margin: 0 0 1rem } summary { cursor: pointer;
  color: var(--link) } details[open] summary { margin-bottom: .6rem }
.filter { display: flex; flex-wrap: wrap; gap: .4rem .8rem; align-items: center; margin: 0 0 .8rem }
.filter[hidden], tr[hidden] { display: none }
@media (max-width: 30rem) { header { padding-top: 1.5rem } h1 { font-size: 1.55rem }
  .bars tbody th { max-width: 8rem; white-space: normal; line-height: 1.2 } }
.line { margin: 0 0 .6rem } .line text { font-size: 11px } .clip { margin: 0 0 2rem }
.clip:target h2 { color: var(--link) } .clip h2 { padding-top: 1.2rem; font-size: 1.05rem; overflow-wrap: anywhere }
.trail { font-size: .92rem; margin: 0 0 .5rem }
@media print { .theme, .filter, .skip, nav { display: none } body { font-size: 10pt } .wide { overflow: visible }
  section { break-inside: avoid-page } }
"""

SCRIPT = """
"use strict";
const root = document.documentElement, theme = document.querySelector(".theme");
const dark = () => getComputedStyle(root).colorScheme === "dark";
const keep = (value) => { try { return value ? localStorage.setItem("theme", value) : localStorage.getItem("theme"); }
  catch { return null; } };
const label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
if (["light", "dark"].includes(keep())) root.dataset.theme = keep();
theme.hidden = false; label();
theme.onclick = () => { root.dataset.theme = dark() ? "light" : "dark"; keep(root.dataset.theme); label(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);

const value = (row, column) => {
  const said = row.cells[column].textContent.trim(), number = parseFloat(said.replaceAll(",", ""));
  return Number.isNaN(number) ? said : number; };
const order = (a, b) => typeof a === typeof b && typeof a === "number" ? a - b : String(a).localeCompare(String(b));
for (const table of document.querySelectorAll("table.sortable"))
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button"; button.append(...head.childNodes); head.append(button);
    button.onclick = () => {
      const up = head.getAttribute("aria-sort") !== "ascending", rows = [...table.tBodies[0].rows];
      for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      rows.sort((a, b) => (up ? 1 : -1) * order(value(a, column), value(b, column)));
      table.tBodies[0].append(...rows); }; });

for (const input of document.querySelectorAll(".filter input[data-of]")) {
  const field = input.closest(".filter"), told = field.querySelector("output");
  const rows = [...document.getElementById(input.dataset.of).tBodies[0].rows];
  field.hidden = false;
  input.oninput = () => {
    const words = input.value.toLowerCase().split(/\\s+/);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    told.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`; };
  input.oninput(); }
"""
