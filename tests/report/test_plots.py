from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nearfield.report import axes, plots, run_plots
from nearfield.report.axes import Plot
from nearfield.report.facts import QueryChange, RunFacts, Step, read_run

graphs = pytest.importorskip("plotly.graph_objects")


@pytest.fixture(scope="module")
def facts(run_folder: Path) -> RunFacts:
    return read_run(run_folder)


@pytest.fixture(scope="module")
def drawn(facts: RunFacts) -> dict[str, Plot]:
    assert facts.comparison
    assert facts.storage
    found = {
        "forest": plots.forest(facts.comparison),
        "sizes": plots.sizes(facts.storage),
        "loss": run_plots.loss(facts.training),
        "dev": run_plots.dev(facts.training),
        "merge_dev": run_plots.merge_dev(facts.merge),
        "merge_guards": run_plots.merge_guards(facts.merge, 0.01),
        "changes": run_plots.changes(facts.queries, "nDCG@10"),
    }
    assert all(found.values())
    return {name: plot for name, plot in found.items() if plot}


def painted(value: Any, key: str = "") -> Any:
    """The figure with black for each colour of the palette, as the page does it."""
    if isinstance(value, dict):
        return {name: painted(item, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [painted(item, key) for item in value]
    return (
        "#000000"
        if key.endswith("color") and isinstance(value, str) and value.startswith("$")
        else value
    )


def test_plotly_knows_every_attribute(drawn: dict[str, Plot]) -> None:
    for plot in drawn.values():
        figure = graphs.Figure(data=painted(plot.data), layout=painted(plot.layout))
        assert re.findall(r'"\$[a-z-]+"', json.dumps(figure.to_plotly_json(), default=list)) == []


def test_each_colour_is_in_the_style_sheet(drawn: dict[str, Plot]) -> None:
    style = Path(plots.__file__).with_name("page.css").read_text()
    light, dark = style.split("@media screen", 1)
    used = set(
        re.findall(
            r'"\$([a-z-]+)"',
            json.dumps(
                [plot.data for plot in drawn.values()] + [plot.layout for plot in drawn.values()]
            ),
        )
    )
    assert {name for name in used if f"--{name}:" not in light or f"--{name}:" not in dark} == set()


def test_the_forest_has_each_row_with_its_interval(facts: RunFacts, drawn: dict[str, Plot]) -> None:
    assert facts.comparison
    *bars, means = drawn["forest"].data
    rows = facts.comparison.rows
    assert [bar["x"] for bar in bars] == [[row.estimate.low, row.estimate.high] for row in rows]
    assert means["x"] == [row.estimate.mean for row in rows]
    assert means["y"] == sorted(means["y"], reverse=True)
    assert means["marker"]["color"] == ["$accent", "$muted", "$muted", "$muted"]
    low, high = drawn["forest"].layout["xaxis"]["range"]
    assert (
        low < min(row.estimate.low for row in rows) < max(row.estimate.high for row in rows) < high
    )
    assert all(row.name in drawn["forest"].summary for row in rows)


def test_size_lines_hold_every_row_once(facts: RunFacts, drawn: dict[str, Plot]) -> None:
    assert facts.storage
    lines = [trace for trace in drawn["sizes"].data if "customdata" in trace]
    names = [point[0] for trace in lines for point in trace["customdata"]]
    assert sorted(names) == sorted(row.name for row in facts.storage.rows)
    by_name = {row.name: row.estimate for row in facts.storage.rows}
    for trace in lines:
        ends = zip(
            trace["customdata"],
            trace["y"],
            trace["error_y"]["array"],
            trace["error_y"]["arrayminus"],
            strict=True,
        )
        for (name, *_), mean, above, below in ends:
            assert (mean - below, mean, mean + above) == pytest.approx(
                (by_name[name].low, by_name[name].mean, by_name[name].high)
            )


def test_changes_are_sorted_and_counted(facts: RunFacts, drawn: dict[str, Plot]) -> None:
    gains, losses, hover = drawn["changes"].data
    assert hover["y"] == sorted((query.difference for query in facts.queries), reverse=True)
    gained, same, lost = run_plots.tally(facts.queries)
    assert (len(gains["y"]), len(losses["y"])) == (gained, lost)
    assert gained + same + lost == len(facts.queries)
    assert min(gains["y"]) > 0 > max(losses["y"])


def test_many_queries_are_thinned_evenly() -> None:
    queries = [QueryChange(str(n), "t", 0.0, n / 9999) for n in range(9999)]
    hover = run_plots.changes(queries, "nDCG@10").data[-1]
    assert 1900 < len(hover["x"]) <= run_plots.MOST_POINTS
    assert len({b - a for a, b in zip(hover["x"], hover["x"][1:], strict=False)}) == 1


def test_text_from_data_cannot_be_markup() -> None:
    query = QueryChange("q", "<script>alert(1)</script> <b>%{x}</b> & " + "x" * 500, 0.0, 1.0)
    text = run_plots.changes([query], "nDCG@10").data[-1]["customdata"][0][0]
    assert "<" not in text.replace("<br>", "")
    assert (
        max(
            map(
                len,
                text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").split("<br>"),
            )
        )
        <= 44
    )
    assert axes.safe("<a href='javascript:1'>") == "&lt;a href='javascript:1'&gt;"


def test_the_least_allowed_line_is_the_bases_guard_less_the_margin(facts: RunFacts) -> None:
    plot = run_plots.merge_guards(facts.merge, 0.01)
    assert plot
    assert [shape["y0"] for shape in plot.layout["shapes"] if shape["y0"] == shape["y1"]] == [
        pytest.approx(0.8031)
    ]
    without = run_plots.merge_guards(facts.merge, None)
    assert without
    assert [shape for shape in without.layout["shapes"] if shape["y0"] == shape["y1"]] == []
    unguarded = [replace(choice, guards={}) for choice in facts.merge]
    assert run_plots.merge_guards(unguarded, 0.01) is None
    two = [replace(choice, guards={"a": 0.5, "b": 0.6}) for choice in facts.merge]
    both = run_plots.merge_guards(two, 0.01)
    assert both
    assert [trace["showlegend"] for trace in both.data] == [True, True]


def test_training_without_numbers_is_no_plot() -> None:
    assert run_plots.loss([]) is None
    assert run_plots.dev([Step(1, loss=float("nan"))]) is None
    assert run_plots.loss([Step(1, loss=float("nan")), Step(2, loss=0.5)]) is not None


@pytest.mark.parametrize(
    "values", [[0.641], [0.5, 0.5], [0.0, 1.0], [-1.0, 1.0], [0.6411, 0.6413], [1e-9, 2e-9]]
)
def test_ticks_are_few_in_range_and_all_different(values: list[float]) -> None:
    axis = axes.score_axis(values)
    low, high = axis["range"]
    assert low < min(values) <= max(values) < high
    assert all(low <= tick <= high for tick in axis["tickvals"])
    assert 1 <= len(axis["tickvals"]) <= 7
    if max(values) - min(values) > 0.01:
        assert len(set(axis["ticktext"])) == len(axis["ticktext"])


def test_no_tick_lies_past_what_a_measure_can_be() -> None:
    assert max(axes.score_axis([0.93, 1.0])["tickvals"]) == pytest.approx(1.0)
    assert min(axes.score_axis([0.0, 0.04])["tickvals"]) == 0
    assert min(axes.score_axis([-1.0, 0.2], sign=True)["tickvals"]) == pytest.approx(-1.0)


def test_a_single_step_is_seen() -> None:
    alone, several = (
        run_plots.loss([Step(1, loss=0.5)]),
        run_plots.loss([Step(1, loss=0.5), Step(2, loss=0.4)]),
    )
    assert alone is not None
    assert several is not None
    assert (alone.data[0]["marker"]["opacity"], several.data[0]["marker"]["opacity"]) == (1, 0)
    assert alone.layout["xaxis"]["tickvals"] == [1]
    assert (
        "tickvals"
        not in run_plots.loss([Step(step, loss=0.5) for step in (1, 2, 3)]).layout["xaxis"]
    )  # type: ignore[union-attr]


def test_a_single_query_that_changed_is_seen() -> None:
    gained, lost = (
        QueryChange("a", "a query", 0.2, 0.7),
        [QueryChange(str(n), "one", 0.5, 0.1 * n) for n in range(3)],
    )
    areas = run_plots.changes([gained, *lost], "nDCG@10").data
    assert [area["mode"] for area in areas[:2]] == ["lines+markers", "lines"]
