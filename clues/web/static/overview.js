// How it goes: figures, charts, and what each class did.

import { Trio } from "./charts.js";
import { age, duration, empty, fill, h, link, moment, num, number, table, to } from "./dom.js";

const SPANS = { "15 min": 900, "1 h": 3600, "6 h": 21600, "24 h": 86400, "7 d": 604800, "30 d": 2592000 };

export async function overview(main, context) {
  const tiles = h("div", { class: "tiles" });
  const rest = h("div");
  const noHistory = h("div");
  const ending = h("span", { class: "dim" });
  const trio = new Trio();
  let seconds = Number(context.query.seconds) || 3600;
  const onlyClass = context.query.class ?? "";

  const spans = h("div", { class: "switch", role: "group", "aria-label": "Time" }, Object.entries(SPANS).map(([name, value]) =>
    h("button", { type: "button", "aria-pressed": String(value === seconds), onclick: (event) => {
      seconds = value;
      for (const button of spans.children) button.setAttribute("aria-pressed", String(button === event.target));
      context.remember({ ...context.query, seconds });
      context.attempt(past);
    } }, name)));
  fill(main, h("div", { class: "head" }, h("h1", {}, onlyClass ? onlyClass : "Overview"), spans,
    onlyClass ? [link(to("jobs", { q: quoted("class", onlyClass) }), "Its jobs"), link(to(""), "All classes")] : null, ending), onlyClass ? null : tiles, noHistory, trio.element, rest);
  context.signal.addEventListener("abort", () => trio.end());

  async function past() {
    const query = { seconds };
    const [series, known] = await Promise.all([context.get("charts", { ...query, class: onlyClass }), onlyClass ? null : context.get("classes", query)]);
    const anything = series.enqueued.some(Boolean) || series.finished.some(Boolean) || series.failed.some(Boolean);
    trio.element.hidden = !anything;
    fill(noHistory, anything ? null : quiet(context.state));
    if (anything) trio.show(series);
    fill(ending, Date.now() / 1000 - series.end > 60 ? ["until the last event, ", moment(series.end)] : null);
    if (known) fill(rest, known.classes.length ? classes(known.classes) : null);
  }

  if (!onlyClass) context.every(2000, async () => { fill(tiles, figures(await context.get("glance"))); });
  await context.every(10000, past);
}

function quiet(state) {
  if (state && !state.history.files.length) {
    return empty("There is no history", "Name an event log: ", h("code", {}, "clues web /var/log/clues.log"), ". Charts, jobs and live events come from it.");
  }
  if (state?.history.loading) return empty("Reading the log…", "Charts and jobs appear as it is read.");
  return empty("Nothing happened in this time", "Choose a longer one above, or enqueue a job.");
}

function figures(found) {
  const tile = (name, value, hint, href, kind = "") => h("a", { class: "tile " + kind, href, data: { key: name } },
    h("span", { class: "name" }, name), h("span", { class: "value" }, value), h("span", { class: "dim small" }, hint));
  return [
    tile("Waiting", number(found.depth), `in ${number(found.queues)} queues${found.paused.all ? ", all paused" : ""}`, to("queues"), found.paused.all ? "warn" : ""),
    tile("Oldest", age(found.oldest_age), "job that waits", to("queues")),
    tile("Running", number(found.busy), `of ${number(found.alive)} workers`, to("running")),
    tile("Workers", number(found.alive), found.dead ? `${number(found.dead)} dead` : "alive", to("workers"), found.dead ? "warn" : ""),
    tile("Failures", number(found.failures), "kept in Redis", to("failures"), found.failures ? "bad" : ""),
    tile("Processed", number(found.processed), `${number(found.failed)} failed`, to("")),
  ];
}

export const quoted = (name, value) => (/[\s"]/.test(value) ? `"${name}:${value.replaceAll('"', "")}"` : `${name}:${value}`);

function classes(rows) {
  const ratio = (row) => (row.failed ? (100 * row.failed / row.count).toFixed(row.failed / row.count < 0.01 ? 2 : 1) + "%" : "");
  return h("section", { class: "card" }, h("h2", {}, "By class"), table(
    ["Class", num("Attempts"), num("Failed"), num("Ratio"), num("Run p50"), num("p95"), num("p99"), num("Queue p50"), num("p95")],
    rows.map((row) => h("tr", {},
      h("td", { class: "main" }, link(to("", { class: row.class }), row.class ?? "?", { data: { key: "c" + row.class } })),
      h("td", { class: "num" }, number(row.count)),
      h("td", { class: "num" }, row.failed ? link(to("jobs", { q: quoted("class", row.class ?? "") + " state:failed" }), number(row.failed), { class: "bad" }) : h("span", { class: "dim" }, "0")),
      h("td", { class: "num" }, ratio(row)),
      [row.run_time?.p50, row.run_time?.p95, row.run_time?.p99, row.queue_time?.p50, row.queue_time?.p95].map((value) => h("td", { class: "num" }, duration(value)))))));
}
