/* The page: its table of contents follows, tables sort, filter and choose columns, texts are copied,
   the theme changes. Without scripts all of it can be read. */
"use strict";
(() => {
/* Contents. */
const nav = document.querySelector("nav.contents");
const links = new Map([...nav.querySelectorAll("a")].map(a => [a.hash.slice(1), a]));
const sections = [...document.querySelectorAll("main > section")];
let here = null;
function follow() {
  const line = innerHeight / 3;
  const end = scrollY + innerHeight >= document.documentElement.scrollHeight - 4;
  const now = (end ? sections.at(-1) : sections.findLast(section => section.getBoundingClientRect().top <= line)) ?? sections[0];
  if (!now || now.id === here) return;
  links.get(here)?.removeAttribute("aria-current");
  here = now.id;
  const link = links.get(here);
  link.setAttribute("aria-current", "true");
  nav.scrollTo({left: link.offsetLeft - nav.clientWidth / 3, top: link.offsetTop - nav.clientHeight / 2});
}
addEventListener("scroll", () => requestAnimationFrame(follow), {passive: true});
addEventListener("resize", follow);
follow();

/* Light and dark. */
const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const dark = () => root.style.colorScheme ? root.style.colorScheme === "dark" : system.matches;
const theme = button("", () => {
  root.style.colorScheme = dark() ? "light" : "dark";
  named();
  dispatchEvent(new Event("themechange"));
}, {className: "theme"});
function named() {
  theme.textContent = dark() ? "☀ Light" : "☾ Dark";
}
system.addEventListener("change", named);
named();
nav.append(theme);

/* Copies. */
async function copied(made, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", {value: text});
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    made.focus();
  }
  const before = made.textContent;
  made.textContent = "Copied";
  setTimeout(() => { made.textContent = before; }, 1500);
}
for (const pre of document.querySelectorAll("pre")) {
  const box = element("div", {className: "copy"});
  pre.before(box);
  const copy = button("Copy", () => copied(copy, pre.textContent.trim()));
  copy.setAttribute("aria-label", `Copy: ${pre.textContent.trim().slice(0, 80)}`);
  box.append(pre, copy);
}

/* Tables. */
const UNITS = {h: 3600, min: 60, s: 1, k: 1e3, M: 1e6};
const TIME = /^(?:\d+(?:\.\d+)? (?:h|min|s)\b ?)+/;
function number(text) {
  const plain = text.trim().replaceAll("−", "-").replaceAll(/(\d),(?=\d{3})/g, "$1").replace(/^\+/, "");
  const time = plain.match(TIME);
  if (time) return [...time[0].matchAll(/([\d.]+) (h|min|s)/g)].reduce((sum, [, n, unit]) => sum + n * UNITS[unit], 0);
  const match = plain.match(/^(-?\d+(?:\.\d+)?(?:e-?\d+)?)(?: (k|M)(?![\w]))?/);
  return match ? match[1] * (UNITS[match[2]] ?? 1) : NaN;
}
window.tcsm = {number};
const empty = text => ["", "–"].includes(text.trim());
const collator = new Intl.Collator("en", {numeric: true});

function sortable(table, told) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const original = [...body.rows];
  let sorted = null, direction = 0;
  const text = (row, at) => row.cells[at]?.textContent ?? "";
  function sort(at) {
    direction = sorted === at ? (direction === 1 ? -1 : 0) : 1;
    sorted = direction ? at : null;
    const cells = original.map(row => text(row, at)).filter(cell => !empty(cell));
    const numeric = at > 0 && cells.filter(cell => !Number.isNaN(number(cell))).length > cells.length / 2;
    const order = (a, b) => {
      const [one, two] = [text(a, at), text(b, at)];
      const missing = cell => empty(cell) || (numeric && Number.isNaN(number(cell)));
      if (missing(one) || missing(two)) return missing(one) - missing(two);
      return direction * (numeric ? number(one) - number(two) : collator.compare(one, two));
    };
    body.append(...(direction ? [...original].sort(order) : original));
    heads.forEach((head, place) => {
      if (place === sorted) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    told(direction ? `sorted by ${heads[at].textContent.trim()}, ${direction > 0 ? "ascending" : "descending"}` : "in the original order");
  }
  heads.forEach((head, at) => {
    const name = head.textContent;
    head.textContent = "";
    head.append(button(name, () => sort(at), {className: "sort"}));
  });
}

function filterable(table, told) {
  const rows = [...table.tBodies[0].rows];
  const field = element("input", {type: "search", placeholder: "Filter rows"});
  field.setAttribute("aria-label", "Filter rows");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = [...row.cells].map(cell => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
    }
    const left = rows.filter(row => !row.hidden).length;
    told(words.length ? `${left} of ${rows.length} rows` : "");
  });
  return field;
}

function pickable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const picker = element("details", {className: "picker"}, element("summary", {textContent: "Columns"}));
  const list = element("div", {className: "choices"});
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", "Columns");
  const boxes = heads.map((head, at) => {
    const box = element("input", {type: "checkbox", checked: !head.classList.contains("more"), disabled: at === 0});
    const show = () => {
      for (const row of table.rows) if (row.cells[at]) row.cells[at].hidden = !box.checked;
    };
    box.addEventListener("change", show);
    show();
    for (const row of table.rows) row.cells[at]?.classList.remove("more");
    if (at) list.append(element("label", {}, box, head.textContent));
    return [box, show];
  });
  const all = button("All columns", () => boxes.forEach(([box, show]) => { box.checked = true; show(); }));
  list.append(all);
  picker.append(list);
  picker.addEventListener("keydown", event => {
    if (event.key !== "Escape") return;
    picker.open = false;
    picker.querySelector("summary").focus();
  });
  document.addEventListener("click", event => { if (!picker.contains(event.target)) picker.open = false; });
  return picker;
}

for (const figure of document.querySelectorAll("figure.table")) {
  const table = figure.querySelector("table");
  const status = element("span", {className: "status"});
  status.setAttribute("role", "status");
  const told = text => { status.textContent = text; };
  const bar = element("div", {className: "tools"}, status);
  figure.querySelector(".columns")?.remove();
  const claims = table.classList.contains("claims"); // is read whole, first of all
  if (!claims && table.tBodies[0].rows.length > 5) bar.append(filterable(table, told));
  if (!claims && table.tHead.rows[0].cells.length > 3) bar.append(pickable(table));
  sortable(table, told);
  figure.prepend(bar);
}
})();
