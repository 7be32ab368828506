"""``draw.py FILE FOLDER [ENDING …]``: draw the figures of a JSON file into a folder; has an environment of its own."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text: small files, the reader's fonts
        "svg.hashsalt": "clues",  # the same figures make the same file
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
    }
)

import matplotlib.pyplot as plt  # noqa: E402 - after its settings
from matplotlib.ticker import FuncFormatter  # noqa: E402

# Okabe and Ito's colours, which colour-blind people tell apart; lightness differs too.
FIRST, SECOND, OTHER, LINE = "#D55E00", "#F0B27A", "#5B9BC8", "#0072B2"
RATES = {FIRST: "clues, every event in the log", SECOND: "clues, unconfigured", OTHER: "others"}
COSTS = {FIRST: "clues, from the hook's call to its return", SECOND: "clues, publish alone", OTHER: "others"}
CPU = ": CPU of a job"
SCALES = (
    ("processes", "process", "worker processes", lambda name: int(name.split()[0])),
    ("jobs waiting", "jobs waiting", "jobs waiting", lambda name: int(name.split()[0].replace(",", ""))),
    ("queues", "queue", "queues", lambda name: int(name.split()[0])),
    ("size", "of arguments", "bytes of arguments", lambda name: int(name.split()[0]) * SIZES[name.split()[1]]),
)
SIZES = {"KB": 1_000, "MB": 1_000_000}


def main():
    groups = json.loads(Path(sys.argv[1]).read_text())["groups"]
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in {
        "drain": rates,
        "enqueue": rates,
        "scaling": scaling,
        "publishing": costs,
        "core": costs,
    }.items():
        figures = [one for one in groups.get(name, {}).get("figures", ()) if CPU not in one["name"]]
        if figures:
            picture = draw(name, figures)
            for ending in sys.argv[3:] or ["svg"]:
                picture.savefig(folder / f"{name}.{ending}", metadata={"Date": None} if ending == "svg" else None)
            plt.close(picture)


def rates(name, figures):
    title = {"drain": "Draining, jobs a second: two processes, no-op jobs", "enqueue": "Enqueueing, jobs a second"}[
        name
    ]
    figures = sorted(figures, key=lambda one: one["median"])
    picture, axes = bars(figures, lambda value: f"{value:,.0f}", [kind_of_rate(one["name"]) for one in figures])
    axes.set_xscale("log")
    axes.set_xlim(figures[0]["median"] / 2, max(one["high"] for one in figures) * 4)
    named(axes, title, "jobs a second, logarithmic", RATES, "lower right")
    return picture


def costs(_name, figures):
    figures = [one for one in figures if one["unit"] == "s" and ", p9" not in one["name"]]
    each = [one | {key: one[key] * 1e6 for key in ("median", "low", "high")} for one in figures]
    each.sort(key=lambda one: one["median"], reverse=True)
    picture, axes = bars(each, lambda value: f"{value:.1f}", [kind_of_cost(one["name"]) for one in each])
    axes.set_xlim(0, max(one["high"] for one in each) * 1.12)
    named(axes, "An event in its caller, microseconds", "microseconds", COSTS, "upper right")
    return picture


def bars(figures, spell, colours):
    """Medians as bars, the last on top, with lines from the smallest to the largest round."""
    medians = [one["median"] for one in figures]
    below = [one["median"] - one["low"] for one in figures]
    above = [one["high"] - one["median"] for one in figures]
    picture, axes = plt.subplots(figsize=(9, 1.1 + 0.3 * len(figures)), layout="constrained")
    places = range(len(figures))
    line = {"lw": 1, "ecolor": "#333333"}
    axes.barh(places, medians, xerr=[below, above], color=colours, height=0.72, error_kw=line)
    axes.set_yticks(places, [one["name"] for one in figures])
    axes.tick_params(axis="y", length=0)
    axes.margins(y=0.01)
    for place, one in zip(places, figures):
        axes.annotate(
            spell(one["median"]), (one["high"], place), (5, 0), textcoords="offset points", va="center", fontsize=9
        )
    return picture, axes


def named(axes, title, label, kinds, corner):
    axes.xaxis.set_major_formatter(FuncFormatter(plainly))
    axes.set_xlabel(label)
    axes.set_title(title)
    axes.grid(axis="x", color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in kinds]
    axes.legend(handles, kinds.values(), loc=corner, frameon=False, fontsize=9)


def kind_of_rate(name):
    if not name.startswith("clues"):
        return OTHER
    return SECOND if "unconfigured" in name else FIRST


def kind_of_cost(name):
    return FIRST if "whole event" in name else SECOND if ", publish" in name else OTHER


def scaling(_name, figures):
    """Rates over what grows, a panel each."""
    picture, panels = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for axes, (title, word, label, value_of) in zip(panels.flat, SCALES):
        found = sorted((value_of(one["name"]), one) for one in figures if word in one["name"])
        if not found:
            axes.set_visible(False)
            continue
        across = [value for value, _ in found]
        axes.plot(across, [one["median"] for _, one in found], "o-", color=LINE, ms=4)
        axes.fill_between(
            across, [one["low"] for _, one in found], [one["high"] for _, one in found], color=LINE, alpha=0.2, lw=0
        )
        axes.set_xscale("log", base=2 if word == "process" else 10)
        axes.set_xticks(across, [short(value) for value in across])
        axes.minorticks_off()
        if word == "of arguments":
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.15 * max(one["high"] for _, one in found))
        axes.yaxis.set_major_formatter(FuncFormatter(plainly))
        axes.set_title(f"Jobs a second, by {title}", fontsize=10)
        axes.set_xlabel(label)
        axes.grid(color="#DDDDDD", lw=0.6)
    return picture


def plainly(value, _place):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def short(value):
    for size, mark in ((1_000_000, " M"), (1_000, " k")):
        if value >= size:
            return f"{value // size}{mark}"
    return str(value)


main()
