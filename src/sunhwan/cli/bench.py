"""`sunhwan bench`: the speed-up on this machine, measured."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sunhwan.cli import need_backend
from sunhwan.recurrence import bench


@click.command(
    epilog="\b\nSections:\n"
    + "\n".join(f"  {name:10} {what}" for name, what in bench.SECTIONS.items())
    + """

\b
Examples:
  sunhwan bench
  sunhwan bench workloads kernels --plots speed
  KERAS_BACKEND=tensorflow sunhwan bench workloads
  sunhwan bench breadth --pairs 9 --json"""
)
@click.argument("sections", nargs=-1, type=click.Choice(list(bench.SECTIONS)))
@click.option("--pairs", default=7, show_default=True, type=click.IntRange(6), help="Pairs of samples.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed for drawing shapes.")
@click.option(
    "--plots", type=click.Path(path_type=Path, file_okay=False), help="Write figures to this folder."
)
@click.option("--json", "as_json", is_flag=True, help="Finish with one line of JSON.")
def command(sections: tuple[str, ...], pairs: int, seed: int, plots: Path | None, as_json: bool) -> None:
    """Measure accelerated against stock Keras, and the kernels against the processor's peak.

    Both sides take turns in one process; medians and ranges are printed. Run nothing else meanwhile.
    """
    need_backend()
    click.echo(f"seed {seed}, {pairs} pairs of samples; stock and accelerated take turns", err=True)
    heading = None

    def say(section, item):
        nonlocal heading
        if section != heading:
            heading = section
            click.echo(f"\n{section.replace('_', ' over ')}\n{_head(item)}")
        click.echo(_line(item))

    result = bench.report(sections or bench.DEFAULT, pairs=pairs, seed=seed, say=say)
    if plots:
        from sunhwan.report.pictures import speed

        for path in speed.draw(result, plots):
            click.echo(path, err=True)
    if as_json:
        click.echo(json.dumps(result))


def _head(item):
    if hasattr(item, "ratio"):
        return (
            f"{'case':44} {'what':13} {'stock ms':>9} {'accelerated ms':>21} {'faster':>7} {'at least':>8} "
            f"{'torch ms':>9}"
        )
    if isinstance(item, bench.Memory):
        return f"{'case':44} {'stock MB':>9} {'accelerated MB':>15}"
    return (
        f"{'case':22} {'masks':5} {'isa':8} {'threads':>7} {'forward ms':>11} {'forward + backward ms':>24} "
        f"{'GFLOP/s':>8} {'of peak':>8}"
    )


def _line(item):
    def milliseconds(times):
        return f"{times.median * 1e3:.2f} ({times.least * 1e3:.2f}-{times.most * 1e3:.2f})"

    if hasattr(item, "ratio"):
        torch = f"{item.torch.median * 1e3:9.2f}" if item.torch else " " * 9
        why = "" if item.fused else "  " + "; ".join(item.reasons)
        return (
            f"{item.case:44} {item.what:13} {item.stock.median * 1e3:9.2f} "
            f"{milliseconds(item.accelerated):>21} {item.ratio:6.1f}x {item.ratio_low:7.1f}x {torch}{why}"
        )
    if isinstance(item, bench.Memory):
        return f"{item.case:44} {item.stock / 1e6:9.0f} {item.accelerated / 1e6:15.0f}"
    return (
        f"{item.case:22} {'yes' if item.masks else 'no':5} {item.isa:8} {item.threads:7} "
        f"{item.forward.median * 1e3:11.2f} {milliseconds(item.forward_backward):>24} {item.gflops:8.0f} "
        f"{item.share:8.0%}"
    )
