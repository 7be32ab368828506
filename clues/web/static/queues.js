// Queues: how deep, how old, paused or not; and what waits in one.

import { post } from "./api.js";
import { age, duration, empty, fill, h, jobLink, json, link, moment, num, number, table, to, toast } from "./dom.js";

export async function queues(main, context) {
  const place = h("div");
  const filter = h("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter queues by name", value: context.query.name ?? "" });
  const order = h("select", { "aria-label": "Order" }, ["depth", "age", "name"].map((name) => h("option", { selected: name === (context.query.by ?? "name") }, name)));
  const all = h("span");
  fill(main, h("div", { class: "head" }, h("h1", {}, "Queues"), filter, h("label", { class: "inline" }, "by ", order), all));
  main.append(place);
  let found = null;
  let drawn = "";

  function draw() {
    const wanted = filter.value.toLowerCase();
    const shown = found.queues.filter((one) => one.name.toLowerCase().includes(wanted)).sort(BY[order.value]);
    const now = JSON.stringify([shown, found.paused]);
    if (now === drawn) return;
    drawn = now;
    const deepest = Math.max(1, ...shown.map((one) => one.depth ?? 0));
    fill(all, found.paused.all ? h("span", { class: "chip retrying" }, "all workers are paused") : null, context.state?.write ? pauseButton(context, null, found.paused.all, look) : null);
    fill(place, shown.length ? h("section", { class: "card" }, table(["Queue", num("Jobs"), "", num("Oldest"), ""],
      shown.map((one) => row(one, deepest, found.paused, context, look)), { class: "queues" }),
      h("p", { class: "dim small sums" }, `${number(shown.length)} queues, ${number(shown.reduce((sum, one) => sum + (one.depth ?? 0), 0))} jobs`))
      : empty(found.queues.length ? "No queue has such a name" : "No queue is known", found.queues.length ? "" : "A queue is known once a job was put into it."));
  }
  async function look() { found = await context.get("queues"); draw(); }
  const change = () => { context.remember({ name: filter.value, by: order.value === "name" ? "" : order.value }); if (found) draw(); };
  filter.addEventListener("input", change);
  order.addEventListener("change", change);
  await context.every(2000, look);
}

const text = (one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0);
const BY = {
  name: text,
  depth: (one, other) => (other.depth ?? 0) - (one.depth ?? 0) || text(one, other),
  age: (one, other) => (other.oldest_age ?? -1) - (one.oldest_age ?? -1) || text(one, other),
};

function row(one, deepest, paused, context, look) {
  const bar = h("span", { class: "bar" });
  bar.style.width = `${Math.round(100 * (one.depth ?? 0) / deepest)}%`;
  return h("tr", {},
    h("td", { class: "main" }, link(to("queue", { name: one.name }), one.name, { data: { key: "q" + one.name } })),
    h("td", { class: "num" }, one.depth === null ? h("span", { class: "dim" }, "no list") : number(one.depth)),
    h("td", { class: "wide", "aria-hidden": "true" }, bar),
    h("td", { class: "num" + (one.oldest_age > 300 ? " warn" : "") }, one.oldest_age === null && one.depth ? "?" : age(one.oldest_age)),
    h("td", { class: "num" }, one.paused ? h("span", { class: "chip retrying" }, "paused") : null,
      context.state?.write ? pauseButton(context, one.name, one.paused, look) : null));
}

function pauseButton(context, queue, paused, look) {
  const what = queue === null ? "all workers" : queue;
  return h("button", { type: "button", class: "small", "aria-label": `${paused ? "Resume" : "Pause"} ${what}`, data: { key: "p" + what }, onclick: () => context.attempt(async () => {
    await post(paused ? "resume" : "pause", queue === null ? {} : { queue });
    toast(`${paused ? "Resumed" : "Paused"} ${what}.`);
    await look();
  }) }, paused ? "resume" : queue === null ? "pause all" : "pause");
}

export async function queue(main, context) {
  const name = context.query.name ?? "";
  let start = Number(context.query.start) || 0;
  const about = h("p", { class: "dim" });
  const place = h("div");
  fill(main, h("div", { class: "head" }, h("h1", {}, name), link(to("queues"), "All queues")), about, place);
  let drawn = "";
  await context.every(3000, async () => {
    const found = await context.get("queue", { name, start });
    const now = JSON.stringify(found);
    if (now === drawn) return;
    drawn = now;
    fill(about, `${number(found.depth)} jobs wait`, found.paused ? ", nobody takes them: it is paused" : "", found.depth ? `; ${number(start + 1)} to ${number(start + found.items.length)} are shown, the next one first` : "");
    const page = (by, label) => h("button", { type: "button", disabled: start + by < 0 || start + by >= found.depth, data: { key: label }, onclick: () => { start += by; context.remember({ name, start }); context.attempt(again); } }, label);
    const again = async () => { drawn = ""; const next = await context.get("queue", { name, start }); show(next); };
    const show = (given) => fill(place, given.items.length ? [h("section", { class: "card" }, table([num("#"), "Class", "Enqueued", num("Waits"), "Job", "Arguments"], given.items.map((item, index) => h("tr", {},
      h("td", { class: "num dim" }, number(given.start + index)), h("td", { class: "main" }, item.class ?? "?"), h("td", {}, moment(item.enqueued)),
      h("td", { class: "num" }, item.enqueued ? age(Math.max(Date.now() / 1000 - item.enqueued, 0)) : "?"), h("td", {}, jobLink(item.hash)),
      h("td", { class: "text" }, h("details", {}, h("summary", { class: "mono" }, item.args.replace(/\s+/g, " ").slice(0, 120)), json(item.args, "Arguments"))))))),
      h("p", { class: "actions" }, page(-25, "Nearer"), page(25, "Further"))] : empty("Nothing waits here", duration(null) === "–" ? "" : ""));
    show(found);
  });
}
