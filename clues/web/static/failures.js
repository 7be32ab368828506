// Failures that Redis keeps: found, grouped, retried, removed.

import { Refused, get, post } from "./api.js";
import { ask, backtrace, empty, fill, h, jobLink, json, link, moment, num, number, table, to, toast } from "./dom.js";

export async function failures(main, context) {
  const query = { list: "failed", ...context.query };
  const write = context.state?.write;
  const field = (name, label, attributes) => h("input", { type: "search", name, placeholder: label, "aria-label": label, value: query[name] ?? "", ...attributes });
  const lists = h("select", { name: "list", "aria-label": "List" });
  const retried = h("select", { name: "retried", "aria-label": "Retried or not" }, [["", "retried or not"], ["no", "not retried"], ["yes", "retried"]].map(([value, text]) => h("option", { value, selected: value === (query.retried ?? "") }, text)));
  const form = h("form", { class: "filters", role: "search", "aria-label": "Find failures" }, field("text", "Text in the failure"), field("class", "Class"), field("exception", "Exception"), field("queue", "Queue"), retried, lists, h("button", {}, "Find"));
  const about = h("span", { class: "dim", role: "status" });
  const groups = h("div");
  const bulk = h("p", { class: "actions" });
  const place = h("div");
  const more = h("p", { class: "actions" });
  fill(main, h("div", { class: "head" }, h("h1", {}, "Failures"), about), form, groups, bulk, place, more);
  const filters = () => Object.fromEntries(["text", "class", "exception", "queue", "retried"].map((name) => [name, query[name] ?? ""]).filter(([, value]) => value));

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const [name, value] of new FormData(form)) query[name] = value;
    context.remember(query);
    context.attempt(find);
  });

  let rows, next, looked, asked = 0;
  async function find() { rows = []; next = null; looked = 0; await further(); }
  async function further() {
    const mine = ++asked, wanted = rows.length + 50;
    do {
      const page = await context.get("failures", { ...query, before: next ?? "" });
      if (mine !== asked) return;
      rows.push(...page.failures);
      next = page.next;
      looked = page.count - (next ?? 0);
      draw(page.count, next !== null && rows.length < wanted);
    } while (next !== null && rows.length < wanted);
  }

  function draw(count, looking) {
    const narrowed = Object.keys(filters()).length > 0;
    fill(about, count ? (narrowed ? `${number(rows.length)}${next === null ? "" : "+"} found, ${number(looked)} of ${number(count)} looked at${looking ? "…" : ""}` : `${number(count)} failures`) : "");
    fill(bulk, write && rows.length ? [
      h("button", { type: "button", onclick: () => all("retry") }, narrowed ? "Retry all that are like this" : "Retry all"),
      h("button", { type: "button", class: "danger", onclick: () => all("remove") }, narrowed ? "Remove all that are like this" : "Remove all")] : null);
    fill(place, rows.length ? h("section", { class: "card" }, table(["Class", "Exception", "Queue", "Failed", "Job", ""], rows.map(drawRow), { class: "failures" }))
      : looking ? h("p", { class: "dim" }, "Looking…") : empty(narrowed ? "No failure is like that" : "There are no failures", narrowed ? "Names of classes, exceptions and queues must be whole; text may be part." : "Jobs that fail are kept in Redis, and shown here."));
    fill(more, next !== null && !looking ? h("button", { type: "button", data: { key: "more" }, onclick: () => context.attempt(further) }, "Show more") : null);
  }

  function drawRow(row) {
    const where = { list: query.list, index: row.index, id: row.id };
    return h("tr", { class: row.retried_at ? "retried" : "" },
      h("td", { class: "main" }, link(to("failure", where), row.class ?? "?", { data: { key: "f" + row.id } })),
      h("td", { class: "text" }, h("span", { class: "bad" }, row.exception ?? "?"), " ", h("span", { class: "dim" }, row.error)),
      h("td", {}, row.queue ?? "?"), h("td", {}, moment(row.failed_at), row.retried_at ? h("span", { class: "chip finished", title: row.retried_at }, "retried") : null),
      h("td", {}, jobLink(row.hash)),
      h("td", { class: "num" }, write ? buttons(where, row.class, async () => { await find(); }, context) : null));
  }

  async function all(what) {
    const chosen = filters();
    const text = Object.entries(chosen).map(([name, value]) => `${name} ${value}`).join(", ") || "every one of them";
    if (!await ask(what === "retry" ? "Retry these failures?" : "Remove these failures?", `${text}, in the list ${query.list}.${what === "retry" && !chosen.retried ? " Those that were retried already are left out." : what === "remove" ? " They can't be brought back." : ""}`, what === "retry" ? "Retry" : "Remove")) return;
    await context.attempt(async () => { await watch(await post(`${what}-all`, { list: query.list, ...chosen })); await find(); await count(); });
  }

  async function watch(operation) {
    const said = h("span", { class: "dim", role: "status" });
    const stop = h("button", { type: "button", onclick: () => post("stop-operation", { id: operation.id }) }, "Stop");
    fill(bulk, said, stop);
    while (!operation.done) {
      said.textContent = Object.entries(operation.counts).map(([name, value]) => `${number(value)} ${name}`).join(", ") || "Beginning…";
      await new Promise((resolve) => setTimeout(resolve, 300));
      operation = await get("operation", { id: operation.id });
    }
    const told = Object.entries(operation.counts).map(([name, value]) => `${number(value)} ${name}`).join(", ") || "nothing to do";
    toast(operation.error || `${operation.stopped ? "Stopped: " : ""}${told}.`, operation.error ? "bad" : "");
  }

  async function count() {
    const found = await context.get("failure-groups", { list: query.list });
    const shown = found.groups.slice(0, 12);
    fill(groups, shown.length > 1 ? h("ul", { class: "groups", "aria-label": "By class and exception" }, shown.map((group) => h("li", {},
      h("button", { type: "button", data: { key: `g${group.class}|${group.exception}` }, "aria-pressed": String(query.class === group.class && query.exception === group.exception), onclick: () => choose(group) },
        h("strong", {}, group.class ?? "?"), h("span", { class: "bad" }, group.exception ?? "?"), h("span", { class: "count" }, number(group.count))))),
      found.groups.length > shown.length ? h("li", { class: "dim" }, `and ${number(found.groups.length - shown.length)} more kinds`) : null) : null);
  }

  function choose(group) {
    const off = query.class === group.class && query.exception === group.exception;
    query.class = off ? "" : group.class ?? "";
    query.exception = off ? "" : group.exception ?? "";
    for (const name of ["class", "exception"]) form.elements[name].value = query[name];
    context.remember(query);
    for (const button of groups.querySelectorAll("button")) button.setAttribute("aria-pressed", String(!off && button.dataset.key === `g${group.class}|${group.exception}`));
    context.attempt(find);
  }

  const found = await context.get("failure-lists");
  fill(lists, found.lists.map((one) => h("option", { value: one.name, selected: one.name === query.list }, `${one.name} (${number(one.count)})`)));
  lists.hidden = found.lists.length < 2;
  lists.addEventListener("change", () => { query.list = lists.value; context.remember(query); context.attempt(async () => { await find(); await count(); }); });
  await find();
  await count();
}

function buttons(where, name, then, context) {
  const act = (what, done) => context.attempt(async () => {
    try {
      const { done: worked } = await post(what, where);
      toast(worked ? `${done} ${name ?? "the failure"}.` : "It was gone already.");
    } catch (error) {
      if (!(error instanceof Refused) || error.redis || !error.status) throw error;
      toast(error.message, "bad");
    }
    await then(what);
  });
  return [
    h("button", { type: "button", class: "small", data: { key: "r" + where.id }, "aria-label": `Retry ${name}`, onclick: () => act("retry", "Retried") }, "retry"),
    h("button", { type: "button", class: "small danger", data: { key: "x" + where.id }, "aria-label": `Remove ${name}`, onclick: async () => { if (await ask("Remove this failure?", `${name ?? "It"} can't be brought back.`, "Remove")) act("remove", "Removed"); } }, "remove"),
  ];
}

export async function failure(main, context) {
  const { list = "failed", index, id } = context.query;
  async function draw() {
    const found = await context.get("failure", { list, index, id });
    const back = async (what) => { if (what === "remove") location.hash = to("failures", { list }); else await draw(); };
    fill(main, h("div", { class: "head" }, h("h1", {}, found.class ?? "Failure"), found.retried_at ? h("span", { class: "chip finished" }, `retried ${found.retried_at}`) : null,
      context.state?.write ? buttons({ list, index: found.index, id }, found.class, back, context) : null, link(to("failures", { list }), "All failures")),
    h("section", { class: "card" }, h("h2", { class: "bad" }, found.exception ?? "?"), h("p", { class: "message" }, found.error.slice(0, 5000)), backtrace(found.backtrace)),
    h("section", { class: "card" }, h("h2", {}, "Where"), h("dl", { class: "facts" },
      [["Queue", found.queue ?? "?"], ["Failed", moment(found.failed_at)], ["Worker", h("span", { class: "mono" }, found.worker || "?")], ["Job", jobLink(found.hash, found.hash)], ["Id", h("span", { class: "mono" }, `${id} · ${list} ${found.index}`)]].map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
    h("section", { class: "card" }, h("h2", {}, "Payload"), json(found.payload, "Payload")));
  }
  await draw();
}
