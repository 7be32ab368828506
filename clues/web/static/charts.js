// Charts, by uPlot.

import { duration, h, number } from "./dom.js";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const HEIGHT = 190;

export class Chart {
  // series: [{ label, color: "--name", value(index) -> shown, bars, fill, width }]
  constructor(title, series, format) {
    this.series = series;
    this.format = format;
    this.place = h("div", { class: "plot" });
    this.element = h("section", { class: "card chart", "aria-label": title }, this.title = h("h2", {}, title), this.place);
    this.data = null;
    this.redraw = () => this.draw();
    window.addEventListener("themechange", this.redraw);
    this.watcher = new ResizeObserver(() => this.plot?.setSize({ width: this.place.clientWidth, height: HEIGHT }));
    this.watcher.observe(this.place);
  }

  show(data) {
    this.data = data;
    if (this.plot && this.plot.data.length === data.length) this.plot.setData(data);
    else this.draw();
  }

  draw() {
    if (!this.data) return;
    this.plot?.destroy();
    const grid = { stroke: color("--line"), width: 1 };
    const axis = { stroke: color("--dim"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    this.plot = new uPlot({
      width: this.place.clientWidth || 400, height: HEIGHT, padding: [10, 18, 0, 0],
      cursor: { points: { size: 6 }, y: false }, legend: { markers: { width: 0, fill: (_plot, index) => (index ? color(this.series[index - 1].color) : null) } },
      scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : 1] } },
      axes: [{ ...axis, size: 28, space: 70, values: times },
        { ...axis, size: 52, values: (_plot, splits) => splits.map((value) => this.format(value)) }],
      series: [{ value: (_plot, at) => (at === null ? "–" : new Date(at * 1000).toLocaleString("sv-SE").slice(5)) }, ...this.series.map((one) => ({
        label: one.label, stroke: color(one.color), width: one.bars ? 0 : one.width ?? 2, dash: one.dash,
        fill: one.bars ? color(one.color) : one.fill ? color(one.color) + "22" : undefined,
        paths: one.bars ? uPlot.paths.bars({ size: [0.8, 40], align: 1 }) : undefined,
        points: { show: one.bars ? false : undefined, size: 4 }, spanGaps: false,
        value: (_plot, value, _series, index) => (value === null || value === undefined ? "–" : this.format(one.own && index !== null ? one.own(index) : value)),
      }))],
    }, this.data, this.place);
  }

  end() {
    window.removeEventListener("themechange", this.redraw);
    this.watcher.disconnect();
    this.plot?.destroy();
  }
}

function times(_plot, splits, _axis, _space, step) {
  const two = (value) => String(value).padStart(2, "0");
  return splits.map((at) => {
    const date = new Date(at * 1000);
    if (step >= 86400) return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    return `${two(date.getHours())}:${two(date.getMinutes())}` + (step < 60 ? `:${two(date.getSeconds())}` : "");
  });
}

const short = (value) => (value >= 10000 ? number(Math.round(value / 1000)) + "k" : number(Math.round(value * 100) / 100));

const INTERVALS = { 1: "a second", 60: "a minute", 3600: "an hour", 86400: "a day" };

// Throughput, run times and times in queue, side by side.
export class Trio {
  constructor() {
    let told = null;
    this.tell = (data) => { told = data; };
    this.throughput = new Chart("Jobs", [
      { label: "failed", color: "--failed-bar", bars: true, own: (index) => told.failed[index] },
      { label: "retrying", color: "--retrying-bar", bars: true, own: (index) => told.retrying[index] },
      { label: "finished", color: "--finished-bar", bars: true },
      { label: "enqueued", color: "--dim", width: 1, dash: [4, 3] },
    ], short);
    const percentiles = (name) => new Chart(name, [
      { label: "p99", color: "--p99", width: 1.5 }, { label: "p95", color: "--p95" }, { label: "p50", color: "--p50", fill: true },
    ], duration);
    this.runTime = percentiles("Run time");
    this.queueTime = percentiles("Time in queue");
    this.element = h("div", { class: "charts" }, this.throughput.element, this.runTime.element, this.queueTime.element);
  }

  show(data) {
    this.tell(data);
    this.throughput.title.textContent = `Jobs ${INTERVALS[data.width] ?? "every " + duration(data.width)}`;
    const retried = data.finished.map((value, index) => value + data.retrying[index]);
    const ended = retried.map((value, index) => value + data.failed[index]);
    this.throughput.show([data.times, ended, retried, data.finished, data.enqueued]);
    for (const [chart, name] of [[this.runTime, "run_time"], [this.queueTime, "queue_time"]]) {
      chart.show([data.times, data[name].p99, data[name].p95, data[name].p50]);
    }
  }

  end() {
    for (const chart of [this.throughput, this.runTime, this.queueTime]) chart.end();
  }
}
