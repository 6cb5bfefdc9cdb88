"""The bench measures what it says: on tiny cases, that the figures are consistent and both modes ran."""

import json

import pytest
from click.testing import CliRunner

from sunhwan.cli import group
from sunhwan.recurrence import bench, cases
from sunhwan.recurrence.cases import Case, Layer
from sunhwan.recurrence.ops import library

TINY = Case("tiny_gru", 4, 5, 3, (Layer("gru", 6),))


@pytest.mark.parametrize(
    ("count", "rank"),
    [(3, 0), (6, 0), (9, 1), (15, 3), (25, 7)],  # the tables of the sign test, 95 % and two-sided
)
def test_the_lower_bound_is_the_sign_tests_order_statistic(count, rank):
    samples = [float(value) for value in range(count)]
    assert bench.lower_bound(reversed(samples)) == samples[rank]


def test_a_comparison_runs_stock_and_fused():
    fit, predict = bench.compare(TINY, pairs=3, torch=False)
    assert (fit.what, predict.what) == ("fit step", "predict batch")
    for row in (fit, predict):
        assert row.fused, row.reasons
        assert row.stock.least <= row.stock.median <= row.stock.most
        assert 0 < row.ratio_low <= row.ratio


@pytest.mark.parametrize("masks", [False, True])
def test_a_kernel_is_timed_beside_the_peak(masks):
    timed = bench.time_kernel(TINY, masks=masks, threads=1, repeats=3)
    assert 0 < timed.forward.median < timed.forward_backward.median
    assert 0 < timed.share < 1
    assert timed.gflops == pytest.approx(TINY.flops() / timed.forward_backward.median / 1e9)


def test_threads_and_isa_are_given_back():
    threads, isa = library.num_threads(), library.isa()
    with bench.using_threads(3), bench.using_isa("portable"):
        assert (library.num_threads(), library.isa()) == (3, "portable")
    assert (library.num_threads(), library.isa()) == (threads, isa)


def test_the_command_prints_a_line_a_result_and_ends_in_json(monkeypatch, tmp_path):
    monkeypatch.setattr(cases, "WORKLOADS", {"tiny_gru": TINY})
    monkeypatch.setattr(cases, "KERNELS", {"gru_32": TINY})
    result = CliRunner().invoke(
        group,
        ["bench", "workloads", "kernels", "--pairs", "3", "--json", "--plots", str(tmp_path)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    figures = json.loads(lines[-1])
    assert {row["what"] for row in figures["workloads"]} == {"fit step", "predict batch"}
    assert all(row["case"] == "tiny_gru" for row in figures["kernels"])
    shown = sum(line.startswith("tiny_gru") for line in lines)
    assert shown == len(figures["workloads"] + figures["kernels"])
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {"faster.png", "faster.svg", "share.png", "share.svg"}


def test_an_unknown_section_is_refused_with_those_there_are():
    result = CliRunner().invoke(group, ["bench", "everything"])
    assert result.exit_code == 2
    assert "breadth" in result.stderr
