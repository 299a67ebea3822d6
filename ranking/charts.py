"""Two charts: whether the confidence can be believed, and how methods compare.

Does: draw what `ranking.evaluation` gives into a PNG or an SVG, by the file's ending, in colours that the colour-blind can
tell apart (Okabe and Ito 2008).
Does not: compute, show windows, or change matplotlib's global settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UsageError
from ranking.evaluation import Bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY, _INK = "#0072B2", "#E69F00", "#9A9A9A", "#222222"
#: Method by method, ours last: neighbours differ in lightness as well as in hue.
_COLOURS = ("#C8C8C8", "#8F8F8F", "#56B4E9", "#E69F00", "#CC79A7", "#0072B2")
_ENDINGS = (".png", ".svg")

#: A metric's value with its interval.
Measured = tuple[float, float, float]


def check_chart_path(path: Path) -> Path:
    """The path, if a chart can be written to it.

    Raises:
        UsageError: its ending names no format we draw.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise UsageError(
            f"cannot draw a chart into '{path}'",
            why="its ending says neither PNG nor SVG",
            way_out=f"name it '{path.stem or 'chart'}.png' or '{path.stem or 'chart'}.svg'",
        )
    return path


def draw_reliability(path: Path, bins: Sequence[Bin], *, title: str, ece: float | None) -> None:
    """The reliability diagram: how sure the ranker was, against how often it was right, and how many incidents each
    bar holds.

    Args:
        bins: of `Evaluation.bins`; empty ones leave a gap.
        ece: told in the title when known.

    Raises:
        UsageError: as `check_chart_path`.
    """
    figure = _figure(6.4, 6.4)
    top, bottom = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3.2, 1), "hspace": 0.08})
    held = [b for b in bins if b.count]
    top.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1.2, label="as sure as it is right")
    middles = [(b.low + b.high) / 2 for b in held]
    right = [b.right for b in held]
    doubt = ([max(0.0, b.right - b.interval[0]) for b in held], [max(0.0, b.interval[1] - b.right) for b in held])
    top.bar(middles, right, width=0.094, color=_BLUE, alpha=0.85, label="share that was right, 95 % interval")
    top.errorbar(middles, right, yerr=doubt, fmt="none", ecolor=_INK, elinewidth=0.9, capsize=2.5)
    top.plot(
        [b.confidence for b in held],
        [b.confidence for b in held],
        "D",
        color=_ORANGE,
        markersize=6,
        markeredgecolor=_INK,
        markeredgewidth=0.6,
        label="mean confidence",
    )
    top.set(ylim=(0, 1.02), xlim=(0, 1), ylabel="share that was right")
    top.legend(loc="upper left", frameon=False, fontsize=9)
    said = f"   calibration error {ece:.3f}" if ece is not None else ""
    top.set_title(f"{title}{said}", loc="left", fontsize=11, color=_INK)
    bottom.bar(middles, [b.count for b in held], width=0.094, color=_GREY)
    for middle, b in zip(middles, held, strict=True):
        bottom.annotate(
            str(b.count),
            (middle, b.count),
            ha="center",
            va="bottom",
            fontsize=8,
            xytext=(0, 1),
            textcoords="offset points",
        )
    bottom.set(
        xlabel="confidence in the first commit",
        ylabel="incidents",
        ylim=(0, max((b.count for b in held), default=1) * 1.28),
    )
    bottom.set_xticks([place / 10 for place in range(11)])
    _write(figure, (top, bottom), path)


def draw_methods(path: Path, methods: Mapping[str, Mapping[str, Measured]], *, title: str) -> None:
    """Bars of methods side by side, a group for each metric, with their 95 % intervals.

    Args:
        methods: method -> metric -> (value, low, high); all methods have the same metrics. The last is drawn as ours.

    Raises:
        UsageError: as `check_chart_path`.
    """
    figure = _figure(9.0, 4.6)
    axes = figure.subplots()
    metrics = list(next(iter(methods.values())))
    width = 0.84 / len(methods)
    colours = _COLOURS[-len(methods) :] if len(methods) <= len(_COLOURS) else (*_COLOURS, *_COLOURS)[-len(methods) :]
    for number, (name, found) in enumerate(methods.items()):
        places = [group + (number - (len(methods) - 1) / 2) * width for group in range(len(metrics))]
        values = [found[metric][0] for metric in metrics]
        below = [max(0.0, found[metric][0] - found[metric][1]) for metric in metrics]
        above = [max(0.0, found[metric][2] - found[metric][0]) for metric in metrics]
        axes.bar(
            places,
            values,
            width=width * 0.92,
            color=colours[number],
            label=name,
            yerr=(below, above),
            error_kw={"ecolor": _INK, "elinewidth": 0.9, "capsize": 2},
        )
        for place, value, up in zip(places, values, above, strict=True):
            axes.annotate(
                f"{value:.2f}".lstrip("0"),
                (place, value + up),
                ha="center",
                va="bottom",
                fontsize=7,
                xytext=(0, 2),
                textcoords="offset points",
            )
    axes.set_xticks(range(len(metrics)), metrics)
    axes.set(ylim=(0, 1), ylabel="share of incidents (MRR: mean of 1 / place)")
    axes.set_title(title, loc="left", fontsize=11, color=_INK, pad=26)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=len(methods),
        frameon=False,
        fontsize=8.5,
        handlelength=1.1,
        columnspacing=1.2,
        borderaxespad=0.2,
    )
    _write(figure, (axes,), path)


def _figure(width: float, height: float) -> Figure:
    """A figure of its own, without pyplot's registry of windows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _write(figure: Figure, panels: Sequence[Axes], path: Path) -> None:
    check_chart_path(path)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
        axes.set_axisbelow(True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
