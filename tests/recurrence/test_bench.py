"""The bench measures what it says: on tiny cases, that the figures are consistent and both modes ran."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from sunhwan import native
from sunhwan.cli import group
from sunhwan.errors import SunhwanError
from sunhwan.recurrence import bench, cases
from sunhwan.recurrence.cases import Case, Layer
from sunhwan.recurrence.keras import accelerate


@pytest.fixture(autouse=True)
def short_samples(monkeypatch):
    monkeypatch.setattr(bench, "SAMPLE_SECONDS", 0.01)


TINY = Case("tiny_gru", 4, 5, 3, (Layer("gru", 6),))


@pytest.mark.parametrize(
    ("count", "rank"),
    [(6, 0), (9, 1), (15, 3), (25, 7)],  # the tables of the sign test, 95 % and two-sided
)
def test_the_lower_bound_is_the_sign_tests_order_statistic(count, rank):
    samples = [float(value) for value in range(count)]
    assert bench.lower_bound(reversed(samples)) == samples[rank]


def test_so_few_samples_that_there_is_no_bound():
    with pytest.raises(ValueError, match="5 samples have no bound with 95% confidence; take more"):
        bench.lower_bound([1.0] * 5)
    result = CliRunner().invoke(group, ["bench", "--pairs", "5"])
    assert result.exit_code == 2
    assert "5 is not in the range x>=6" in result.stderr


def test_where_switching_forgets_all_programs_nothing_is_timed(monkeypatch):
    import jax

    monkeypatch.delattr(jax, "make_user_context", raising=False)
    monkeypatch.setattr(accelerate, "_jax_context", None)
    with pytest.raises(SunhwanError, match=r"every program again .* only compilation could be timed"):
        next(bench.compare(TINY, pairs=6))


def test_memory_is_that_of_processes_which_train():
    memory = bench.compare_memory(TINY)
    assert memory.case == "tiny_gru"
    assert 0 < memory.stock < 1e9
    assert 0 < memory.accelerated < 1e9
    with pytest.raises(RuntimeError, match=r"training tiny_gru \(stock\) failed: Traceback"):
        bench.compare_memory(replace(TINY, batch=0))


def test_a_comparison_runs_stock_and_fused():
    fit, predict = bench.compare(TINY, pairs=6, torch=False)
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
    threads, isa = native.num_threads(), native.isa()
    with bench.using_threads(3), bench.using_isa("portable"):
        assert (native.num_threads(), native.isa()) == (3, "portable")
    assert (native.num_threads(), native.isa()) == (threads, isa)


def test_the_command_prints_a_line_a_result_and_ends_in_json(monkeypatch, tmp_path):
    monkeypatch.setattr(cases, "WORKLOADS", {"tiny_gru": TINY})
    monkeypatch.setattr(cases, "KERNELS", {"gru_32": TINY})
    result = CliRunner().invoke(
        group,
        ["bench", "workloads", "kernels", "--pairs", "6", "--json", "--plots", str(tmp_path)],
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
