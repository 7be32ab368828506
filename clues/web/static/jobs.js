// Jobs out of the history: found by hash, class, time, outcome and the application's own fields.

import { chip, duration, empty, fill, h, jobLink, link, moment, num, table, to } from "./dom.js";

const EXAMPLES = ["state:failed since:1h", "slower:10s", "waited:5m", "state:running", "customer_id:42", "error:Timeout"];

export async function jobs(main, context) {
  const q = context.query.q ?? "";
  const about = h("span", { class: "dim", role: "status" });
  const states = h("div", { class: "switch", role: "group", "aria-label": "State" }, ["", "failed", "retrying", "running", "waiting", "finished", "destroyed"].map((state) => {
    const rest = q.replace(/(^|\s)state:\S+/g, "").trim();
    const own = (q.match(/(?:^|\s)state:(\S+)/) ?? [])[1] ?? "";
    return link(to("jobs", { q: [rest, state ? `state:${state}` : ""].filter(Boolean).join(" ") }), state || "all", { "aria-current": own === state ? "true" : null });
  }));
  const problems = h("p", { class: "warn" });
  const place = h("div");
  const more = h("p", { class: "actions" });
  fill(main, h("div", { class: "head" }, h("h1", {}, "Jobs"), states, about),
    h("p", { class: "dim small hint" }, "Search above, with ", EXAMPLES.map((example) => [link(to("jobs", { q: example }), example, { class: "mono" }), " "]), " or any word."), problems, place, more);
  let rows = [], next = "", drawn = "";

  async function look(after) {
    const page = await context.get("jobs", { q, after });
    rows = after ? [...rows, ...page.jobs] : page.jobs;
    next = page.next;
    problems.textContent = page.problems.join("; ");
    draw();
  }
  function draw() {
    const now = JSON.stringify(rows);
    if (now === drawn && rows.length) return;
    drawn = now;
    about.textContent = rows.length ? `the latest ${rows.length}${next ? "" : ", all there are"}` : "";
    fill(place, rows.length ? h("section", { class: "card" }, table(["Job", "State", "Class", "Queue", "Last heard of", num("Queued"), num("Ran"), "Details"], rows.map(drawRow)))
      : empty(context.state?.history.files.length ? (q ? "No job is like that" : "No event has been read yet") : "There is no history", q ? "Only the newest events are searched; clues trace and clues query look through all." : "Jobs come from the event log."));
    fill(more, next ? h("button", { type: "button", data: { key: "more" }, onclick: () => context.attempt(() => look(next)) }, "Show more") : null);
  }
  await look("");
  // As long as only the first page is shown, it keeps up with what happens.
  context.every(5000, async () => { if (rows.length <= 50) await look(""); });
}

function drawRow(row) {
  const fields = row.fields ? row.fields.slice(1, -1) : "";
  return h("tr", {},
    h("td", {}, jobLink(row.hash), row.attempt > 1 ? h("span", { class: "dim small", title: `attempt ${row.attempt}` }, ` ×${row.attempt}`) : null),
    h("td", {}, chip(row.state)), h("td", { class: "main" }, h("strong", {}, row.class ?? "?")), h("td", {}, row.queue ?? ""), h("td", {}, moment(row.last)),
    h("td", { class: "num" }, duration(row.queue_time)), h("td", { class: "num" }, duration(row.run_time)),
    h("td", { class: "text" }, row.exception ? [h("span", { class: "bad" }, row.exception), " ", h("span", { class: "dim" }, row.message ?? "")] : h("span", { class: "dim mono small" }, fields)));
}
