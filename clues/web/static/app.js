// The frame: which view is shown, what is asked again and again, keys, the theme.

import { Refused, get } from "./api.js";
import { fill, h, link, number, to } from "./dom.js";
import { overview } from "./overview.js";
import { queue, queues } from "./queues.js";
import { workers } from "./workers.js";
import { running } from "./running.js";
import { failure, failures } from "./failures.js";
import { events } from "./events.js";
import { jobs } from "./jobs.js";
import { job } from "./job.js";

const VIEWS = {
  "": { show: overview, name: "Overview", key: "o", nav: true },
  queues: { show: queues, name: "Queues", key: "q", nav: true },
  workers: { show: workers, name: "Workers", key: "w", nav: true },
  running: { show: running, name: "Running now", key: "r", nav: true },
  failures: { show: failures, name: "Failures", key: "f", nav: true },
  events: { show: events, name: "Live events", key: "e", nav: true },
  jobs: { show: jobs, name: "Jobs", key: "j", nav: true },
  job: { show: job, name: "Job", under: "jobs" },
  queue: { show: queue, name: "Queue", under: "queues" },
  failure: { show: failure, name: "Failure", under: "failures" },
};

const main = document.getElementById("main");
const banner = document.getElementById("banner");
const search = document.getElementById("q");
let current = null;
let page = null;

// What a view works with; all of it ends with the view.
class Context {
  constructor(view, query) {
    this.view = view;
    this.query = query;
    this.ending = new AbortController();
    this.signal = this.ending.signal;
    this.state = page;
    this.timers = new Set();
  }

  get(name, query) { return get(name, query, this.signal); }

  // Calls something now, and again some time after it has ended, the longer it took the later; what is wrong is told
  // above the view.
  every(milliseconds, step) {
    const again = async () => {
      if (this.signal.aborted) return;
      const begun = Date.now();
      if (!document.hidden) await this.attempt(step);
      const pause = Math.max(milliseconds, 8 * (Date.now() - begun));
      if (!this.signal.aborted) this.timers.add(setTimeout(again, pause));
    };
    return again();
  }

  async attempt(step) {
    try {
      await step();
      if (!this.signal.aborted) tell("");
    } catch (error) {
      if (this.signal.aborted || error.name === "AbortError") return;
      if (!(error instanceof Refused)) console.error(error);
      tell(error.redis ? `${error.message}. What is shown is what was last seen; trying again.` : error.message);
    }
  }

  // Changes the query in the address, without showing the view anew.
  remember(query) {
    this.query = query;
    history.replaceState(null, "", to(this.view, query));
  }

  end() {
    this.ending.abort();
    for (const timer of this.timers) clearTimeout(timer);
  }
}

function tell(text) {
  banner.hidden = !text;
  if (banner.textContent !== text) banner.textContent = text;
}

function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return [Object.hasOwn(VIEWS, path) ? path : "", Object.fromEntries(new URLSearchParams(query))];
}

async function show() {
  if (location.hash === "#main") return; // the skip link
  const [name, query] = place();
  current?.end();
  const context = current = new Context(name, query);
  const view = VIEWS[name];
  document.title = `${view.name} – clues`;
  for (const item of document.querySelectorAll("#nav a")) {
    const own = item.dataset.view === (view.under ?? name);
    own ? item.setAttribute("aria-current", "page") : item.removeAttribute("aria-current");
    if (own) item.scrollIntoView({ block: "nearest", inline: "center" });
  }
  main.replaceChildren();
  window.scrollTo(0, 0);
  if (document.activeElement !== search) search.value = name === "jobs" ? query.q ?? "" : "";  // who types goes on
  await context.attempt(() => view.show(main, context));
}

function drawNav() {
  fill(document.getElementById("nav"), Object.entries(VIEWS).filter(([, view]) => view.nav).map(([name, view]) =>
    link(to(name), [h("span", {}, view.name), h("span", { class: "count", data: { count: name } })],
      { data: { view: name }, title: `${view.name} (g ${view.key})` })));
}

function count(name, value, alarming = false) {
  const shown = document.querySelector(`[data-count="${name}"]`);
  shown.textContent = value ? number(value) : "";
  shown.classList.toggle("alarm", alarming && value > 0);
}

async function glance() {
  try {
    const found = await get("glance");
    count("queues", found.depth);
    count("workers", found.alive);
    count("running", found.busy);
    count("failures", found.failures, true);
  } catch { /* the view tells */ }
}

async function learn() {
  page = await get("state");
  document.documentElement.dataset.write = page.write;
  const files = page.history.files;
  fill(document.getElementById("about"),
    `clues ${page.version}`, h("br"), page.redis, h("br"),
    page.write ? "may change things" : "read-only", h("br"),
    files.length ? `${number(page.history.events)} events${page.history.loading ? ", reading…" : ""}` : "no event log",
    page.history.bad ? `, ${number(page.history.bad)} bad lines` : "",
    page.history.trouble ? [h("br"), h("span", { class: "bad" }, page.history.trouble)] : null);
  if (current) current.state = page;
}

// themes: as the system says, light, dark

const THEMES = { "": "Auto theme", light: "Light", dark: "Dark" };
const themeButton = document.getElementById("theme");
function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  try { localStorage.setItem("clues-theme", theme); } catch { /* for this page only, then */ }
  themeButton.textContent = THEMES[theme];
  window.dispatchEvent(new Event("themechange"));
}
themeButton.addEventListener("click", () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => window.dispatchEvent(new Event("themechange")));

// keys

let waitingForView = 0;
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && typing) return typing.blur();
  if (typing) return;
  if (Date.now() - waitingForView < 1500) {
    waitingForView = 0;
    const found = Object.entries(VIEWS).find(([, view]) => view.key === event.key);
    if (found) { event.preventDefault(); location.hash = to(found[0]); }
    return;
  }
  const action = { "/": () => search.focus(), "?": help, g: () => { waitingForView = Date.now(); }, j: () => step(1), k: () => step(-1), t: () => themeButton.click() }[event.key];
  if (action) { event.preventDefault(); action(); }
}

function step(by) {
  const rows = [...main.querySelectorAll("tbody a, .rows a")].filter((row, place, all) => all.findIndex((other) => other.closest("tr, li") === row.closest("tr, li")) === place);
  if (!rows.length) return;
  const here = rows.findIndex((row) => row.closest("tr, li") === document.activeElement.closest("tr, li"));
  rows[Math.min(Math.max(here + by, 0), rows.length - 1)].focus();
}

function help() {
  const keys = [["/", "search"], ["j, k", "next and previous row"], ["Enter", "open it"], ["t", "theme"], ["Esc", "leave a field, close this"],
    ...Object.values(VIEWS).filter((view) => view.key).map((view) => [`g ${view.key}`, view.name])];
  const dialog = h("dialog", { "aria-label": "Keys", onclose: () => dialog.remove() },
    h("h2", {}, "Keys"), h("dl", { class: "keys" }, keys.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
    h("form", { method: "dialog" }, h("button", { autofocus: true }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("keydown", onKey);
document.getElementById("help").addEventListener("click", help);
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = search.value.trim();
  const wanted = /^[0-9a-f]{32}$/i.test(text) ? to("job", { hash: text.toLowerCase() }) : to("jobs", { q: text });
  if (location.hash === wanted) show(); else location.hash = wanted;
  main.focus();
});
window.addEventListener("hashchange", show);

async function again(milliseconds, step) {
  try { await step(); } catch (error) { if (!page) tell(error.message); }
  setTimeout(() => again(milliseconds, step), milliseconds);
}

drawNav();
setTheme(document.documentElement.dataset.theme ?? "");
await learn().catch((error) => tell(error.message));
again(5000, learn);
again(3000, glance);
show();
