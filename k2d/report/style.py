"""The style sheet of the page: light and dark, for print and for phones."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --faint: #5b6672; --rule: #d5dae0; --ground: #ffffff;
  --panel: #f5f7f9; --accent: #0b62a8; --warn: #8a4b00; --warn-ground: #fff4e2; --mark: #ffdfd6; --mark-ink: #7d1d00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --faint: #a0abb7; --rule: #3b444e; --ground: #14181c;
  --panel: #1c2127; --accent: #7cbcf5; --warn: #ffc978; --warn-ground: #33270f;
  --mark: #55251a; --mark-ink: #ffc9b8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, "Noto Sans", "Noto Sans CJK TC", "PingFang TC", "Microsoft JhengHei", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--rule); }
h3 { font-size: .95rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .4rem 0 .8rem; max-width: 48rem; }
a { color: var(--accent); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; list-style: none; margin: 0; padding: 0;
  font-size: .9rem; }
.note, figcaption { color: var(--faint); font-size: .875rem; }
.warning { color: var(--warn); background: var(--warn-ground); border-left: 4px solid currentColor;
  padding: .5rem .9rem; max-width: 48rem; }
ul.warning { padding-left: 2rem; }
.scroll { overflow-x: auto; margin: 1rem 0 .5rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0 0 .4rem; }
th, td { padding: .3rem .75rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--ink); font-weight: 600; }
tbody th { font-weight: 400; white-space: nowrap; }
tbody th.long { white-space: normal; overflow-wrap: anywhere; min-width: 16rem; }
.n { text-align: right; white-space: nowrap; }
thead .n { white-space: normal; min-width: 5.5rem; }
tbody tr.new > * { border-top: 2px solid var(--rule); }
tbody tr:hover { background: var(--panel); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 1.25rem;
  margin: 1rem 0; align-items: start; }
figure { margin: 0; padding: .75rem; background: var(--panel); border-radius: 6px; }
figure svg { width: 100%; height: auto; display: block; color: var(--ink); }
figcaption { margin-top: .4rem; }
.pair { background: var(--panel); border-radius: 6px; padding: .75rem 1rem; margin: 0 0 1rem; break-inside: avoid; }
.pair dl { display: grid; grid-template-columns: 5.5rem 1fr; gap: .3rem .75rem; margin: .4rem 0 .6rem; }
.pair dt { color: var(--faint); font-size: .875rem; }
.pair dd { margin: 0; overflow-wrap: anywhere; }
mark { background: var(--mark); color: var(--mark-ink); text-decoration: underline; text-decoration-thickness: 2px;
  text-underline-offset: 3px; border-radius: 3px; padding: 0 .15em; }
audio { width: 100%; max-width: 30rem; height: 2.5rem; }
@media (max-width: 36rem) { body { padding: 1rem .8rem 3rem; } th, td { padding: .3rem .5rem; }
  .pair dl { grid-template-columns: 1fr; gap: 0; } }
@media print { :root { --ink: #000; --faint: #333; --rule: #999; --ground: #fff; --panel: #fff; --warn: #000;
  --warn-ground: #fff; --mark: #fff; --mark-ink: #000; } body { max-width: none; font-size: 10pt; }
  nav, audio { display: none; } .scroll { overflow: visible; } figure, tr { break-inside: avoid; } }
"""
