//! The style sheet: for wide and narrow screens, light and dark mode, and print.

/// The style of everything except figures.
pub(super) const PAGE: &str = "\
:root{--ink:#1f2328;--muted:#59636e;--paper:#fff;--box:#f6f8fa;--line:#d8dee4;--link:#0969da;
--warn:#9a4b00}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6edf3;--muted:#9aa4af;--paper:#0d1117;
--box:#161b22;--line:#30363d;--link:#58a6ff;--warn:#ffb26b}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);line-height:1.5;
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
header,main{max-width:1120px;margin:0 auto;padding:0 16px}
h1{font-size:1.75rem;line-height:1.25;margin:1.5rem 0 .5rem}
h2{font-size:1.4rem;line-height:1.3;margin:2.5rem 0 .75rem;padding-top:1rem;
border-top:1px solid var(--line)}
h3{font-size:1.1rem;margin:2rem 0 .5rem}
h4{font-size:1rem;margin:1.25rem 0 .25rem}
p,ul{max-width:46rem}
a{color:var(--link)}
nav ul{list-style:none;padding:0;margin:0;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;
max-width:none}
small,figcaption,.muted{color:var(--muted);font-size:.85em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.5rem 0}
dt{color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px;margin:1rem 0}
.card{background:var(--box);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
.card b{display:block;font-size:1.6rem;line-height:1.2;font-weight:650}
.card span{display:block;font-size:.85rem}
.card small{display:block}
.scroll{overflow-x:auto;margin:.75rem 0;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;
vertical-align:baseline}
th:first-child{text-align:left;font-weight:500}
thead th{font-weight:600;color:var(--muted)}
tr.few th,tr.few td{color:var(--muted);font-style:italic}
tr.worst th,tr.worst td{color:var(--warn);font-weight:600}
td small{display:block;line-height:1.2}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));
gap:16px 24px;align-items:start;margin:.75rem 0}
.figures.small{grid-template-columns:repeat(auto-fill,minmax(120px,1fr));gap:8px 12px}
figure{margin:0}
figure svg{display:block;width:100%;height:auto;overflow:visible}
figcaption{margin-top:.25rem;max-width:480px}
pre{background:var(--box);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;
overflow-x:auto;font-size:.85rem}
details{margin:.75rem 0}
summary{cursor:pointer;color:var(--link)}
@media (max-width:600px){th,td{padding:.25rem .45rem}.card b{font-size:1.35rem}
.cards{grid-template-columns:repeat(auto-fill,minmax(132px,1fr))}}
@media print{body{font-size:11pt}nav{display:none}h2,h3{break-after:avoid}
figure,tr,.card{break-inside:avoid}.scroll{overflow:visible}a{color:inherit}
th,td{white-space:normal}}
";
