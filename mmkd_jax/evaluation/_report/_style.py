"""How a report looks: one column, one colour, much space; light, dark, on a phone, on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --ink: #16191d; --muted: #5d6671; --line: #e3e6ea;
  --accent: #1a66cc; --before: #8f99a5; --raised: #f6f7f9; --wrong: #b3261e;
  --other-1: #d9730d; --other-2: #2a9163; --other-3: #8f5bd1;
  --other-4: #c9406f; --other-5: #0f8f9c;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #111417; --ink: #e9ebee; --muted: #9aa4af; --line: #2a2f36;
    --accent: #62a0f0; --before: #5c6672; --raised: #191d22; --wrong: #ff8f85;
    --other-1: #f0a050; --other-2: #5cc596; --other-3: #b795f5; --other-4: #f083a6;
    --other-5: #55c6d2;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Helvetica, Arial,
    sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 768px; margin: 0 auto; padding: 72px 24px 96px; }
section { margin-top: 88px; }
h1 { font-size: 20px; font-weight: 600; margin: 4px 0 0; overflow-wrap: anywhere; }
h2 { font-size: 24px; font-weight: 650; letter-spacing: -0.015em; margin: 0 0 8px; }
p { margin: 0 0 12px; max-width: 62ch; text-wrap: pretty; }
section > p { color: var(--muted); }
section > div + p { margin-top: 36px; }
section > p strong { color: var(--ink); font-weight: 600; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.86em; }

.kind { color: var(--muted); font-size: 14px; margin: 0; }
.reached { margin: 56px 0 0; }
.figure {
  font-size: clamp(40px, 12vw, 84px); line-height: 1.05; letter-spacing: -0.035em; margin: 0 0 12px;
  max-width: none;
}
.figure strong { color: var(--accent); font-weight: 650; white-space: nowrap; }
.figure .from { color: var(--muted); font-weight: 300; white-space: nowrap; }
.reached p:last-child { font-size: 18px; color: var(--muted); }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 28px 24px;
  margin: 56px 0 0; padding: 28px 0 0; border-top: 1px solid var(--line);
}
dt { font-size: 14px; color: var(--muted); }
dd { margin: 2px 0 0; font-size: 18px; font-weight: 550; }
.trouble, .seeds {
  margin: 32px 0 0; padding: 2px 0 2px 14px; border-left: 3px solid var(--accent);
}

.picture { margin: 28px 0 0; }
svg { display: block; width: 100%; height: auto; font-family: inherit; overflow: visible; }
svg * { stroke-linejoin: round; }
.narrow, .on-dark { display: none; }
.narrow svg { max-width: 480px; }
.legend {
  display: flex; flex-wrap: wrap; gap: 6px 24px; font-size: 14px; margin: 20px 0 0; max-width: none;
}
.legend span, .named { display: flex; align-items: center; gap: 8px; overflow-wrap: break-word; }
.swatch { flex: none; width: 18px; height: 10px; background: var(--accent); }
.swatch.before, .swatch.lost { background: var(--before); }
.swatch.lost { height: 3px; }
.swatch.other-1 { background: var(--other-1); }
.swatch.other-2 { background: var(--other-2); }
.swatch.other-3 { background: var(--other-3); }
.swatch.other-4 { background: var(--other-4); }
.swatch.other-5 { background: var(--other-5); }

.scroll { overflow-x: auto; margin-top: 20px; }
table { width: 100%; border-collapse: collapse; font-size: 15px; }
th { text-align: left; font-weight: 400; font-size: 14px; color: var(--muted); }
th, td { padding: 6px 24px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; }
.number code { white-space: normal; }
.dense td { padding-top: 5px; padding-bottom: 5px; font-size: 14px; }
.dense td { min-width: 6.5em; }
.dense code { font-size: 13px; }
.value { overflow-wrap: anywhere; }
table code { color: inherit; }
.share { min-width: 72px; padding-top: 7px; }
.share i { display: block; height: 10px; min-width: 1px; background: var(--before); }

details { margin-top: 24px; }
summary { cursor: pointer; color: var(--accent); font-size: 15px; width: fit-content; }
summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 4px; }
pre {
  margin: 16px 0 0; padding: 20px; background: var(--raised); overflow-x: auto; line-height: 1.5;
}
.sentences { padding-left: 2.2em; font-size: 15px; color: var(--muted); }
.sentences li { padding: 4px 0; }
.sentences span { display: block; color: var(--ink); text-align: left; }
.sentences .translation { color: var(--muted); }
.sentences small { color: var(--muted); }
.confused { margin-top: 28px; padding-left: 14px; border-left: 3px solid var(--line); }
.said { margin: 2px 0 8px; font-size: 17px; text-align: left; overflow-wrap: anywhere; }
.confused dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 0; }
.confused dt, .confused dd { font-size: 15px; font-weight: 400; margin: 0; }
.confused dd { overflow-wrap: anywhere; }
.cosine { color: var(--muted); white-space: nowrap; }
.hard { margin-top: 28px; }
.paths { margin-top: 6px; }
.paths table { width: auto; font-size: 14px; }
.paths th, .paths td { padding: 4px 14px 4px 0; white-space: nowrap; }
.paths thead th { color: var(--ink); font-size: 15px; font-weight: 550; }
.paths th:first-child {
  position: sticky; left: 0; background: var(--ground); text-align: right; color: var(--muted);
}
.paths td { color: var(--muted); }
mark { background: none; color: var(--wrong); font-weight: 600; }
.paths:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
footer { margin-top: 96px; font-size: 14px; color: var(--muted); }

@media (max-width: 620px) {
  main { padding: 40px 20px 64px; }
  section { margin-top: 64px; }
  .wide { display: none; }
  .narrow { display: block; }
  .facts { grid-template-columns: 1fr 1fr; margin-top: 40px; gap: 20px; }
  .reached { margin-top: 40px; }
  th, td { padding-right: 14px; }
}
@media screen and (prefers-color-scheme: dark) {
  .on-dark { display: block; }
  .on-light { display: none; }
}
@media print {
  @page { margin: 18mm; }
  body { font-size: 11pt; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  section { margin-top: 40px; }
  h2, .legend, section > p { break-after: avoid; }
  p, .picture, tr { break-inside: avoid; }
  summary { color: var(--ink); }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 0; }
}
"""
