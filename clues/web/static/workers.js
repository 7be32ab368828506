// The trees of workers: who lives, what each thread runs, when it was last heard of.

import { age, bytes, empty, fill, h, num, number, table } from "./dom.js";

const MOST = 200; // threads of a tree that are shown at once

export async function workers(main, context) {
  const about = h("span", { class: "dim" });
  const place = h("div", { class: "trees" });
  const opened = new Set();
  fill(main, h("div", { class: "head" }, h("h1", {}, "Workers"), about), place);
  await context.every(2000, async () => {
    const found = await context.get("workers");
    const all = found.trees.flatMap((tree) => tree.workers);
    const busy = all.filter((worker) => worker.running).length;
    const dead = all.filter((worker) => !worker.alive).length;
    fill(about, all.length ? `${number(found.trees.length)} trees, ${number(all.length)} workers, ${number(busy)} busy${dead ? `, ${number(dead)} dead` : ""}` : "");
    fill(place, found.trees.length ? found.trees.map((tree) => drawTree(tree, found.paused, opened))
      : empty("Nobody works", "Start a worker: ", h("code", {}, "clues work --queues '*'")));
  });
}

function drawTree(tree, paused, opened) {
  const busy = tree.workers.filter((worker) => worker.running).length;
  const utilisation = h("span", { class: "bar" });
  utilisation.style.width = `${Math.round(100 * busy / tree.workers.length)}%`;
  const shown = opened.has(tree.name) ? tree.workers : tree.workers.slice(0, MOST);
  const sum = (name) => number(tree.workers.reduce((total, worker) => total + worker[name], 0));
  const pausedNow = paused.all || tree.workers[0].paused;
  return h("section", { class: "card tree" },
    h("div", { class: "treehead" },
      h("h2", { class: "mono" }, tree.name, tree.ours ? null : h("span", { class: "chip" }, "Ruby"), pausedNow ? h("span", { class: "chip retrying" }, "paused") : null),
      h("span", { class: "dim" }, tree.queues),
      h("span", { class: "meter", title: `${busy} of ${tree.workers.length} busy` }, utilisation),
      h("span", { class: "dim small" }, `${busy} of ${tree.workers.length} busy · ${tree.slots} ${tree.slots === 1 ? "process" : "processes"} · ${sum("processed")} done, ${sum("failed")} failed ${tree.pss ? "· " + bytes(tree.pss) : ""}`)),
    table(["Slot", num("Process"), "Runs", num("For"), num("Heartbeat"), num("Done"), num("Failed"), num("Memory")], shown.map(drawWorker)),
    shown.length < tree.workers.length ? h("button", { type: "button", data: { key: "all" + tree.name }, onclick: (event) => { opened.add(tree.name); event.target.textContent = "Shown at the next look"; } }, `Show all ${number(tree.workers.length)}`) : null);
}

function drawWorker(worker) {
  const stale = worker.heartbeat_age > 60;
  const runs = worker.running
    ? [h("strong", {}, worker.running.worker_class ?? "?"), " ", h("span", { class: "dim" }, worker.running.queue), worker.running.further ? ` +${worker.running.further}` : ""]
    : worker.alive ? h("span", { class: "dim" }, "idle") : null;
  return h("tr", { class: worker.alive ? "" : "dead" },
    h("td", { class: "mono" }, `${worker.slot}.${worker.thread}`), h("td", { class: "num mono dim" }, worker.process ?? ""),
    h("td", { class: "main" }, worker.alive ? null : h("span", { class: "chip failed" }, "dead"), " ", runs),
    h("td", { class: "num" }, worker.running ? age(worker.running.seconds) : ""),
    h("td", { class: "num" + (stale ? " warn" : "") }, worker.heartbeat_age === null ? "?" : age(worker.heartbeat_age)),
    h("td", { class: "num" }, number(worker.processed)), h("td", { class: "num" + (worker.failed ? "" : " dim") }, number(worker.failed)),
    h("td", { class: "num dim" }, worker.thread === 0 ? bytes(worker.pss) : ""));
}
