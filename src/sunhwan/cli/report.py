"""`sunhwan report`: a run, or a comparison of several, as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from sunhwan.errors import SunhwanError


@click.command(
    epilog="""\b
Examples:
  sunhwan report runs/forecast-20260101-120000 --open
  sunhwan report runs/newyork_temperature-20260101-120000
  sunhwan report runs/gru runs/lstm --out comparison.html"""
)
@click.argument("run", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The page.  [default: report.html in the run's directory; for several, comparison.html beside them]",
)
@click.option("--open", "opened", is_flag=True, help="Open it in the browser.")
def command(run: tuple[Path, ...], out: Path | None, opened: bool) -> None:
    """Write an HTML page of the run in the directory RUN: verdict, scores, charts, how to reproduce it.

    RUN is a run of `forecast`, `classify` or `study run`. The page is one file with its charts and needs no
    network. Several runs of `forecast`, or several of `classify`, are compared on one page.
    """
    if out is None:
        out = run[0] / "report.html" if len(run) == 1 else run[0].parent / "comparison.html"
    if out.suffix not in (".html", ".htm"):
        raise SunhwanError(f"--out is {str(out)!r}; expected a name that ends with .html")
    from sunhwan.files import write_text
    from sunhwan.report.pages import pages

    page = pages.of(run)
    write_text(out, page.html())
    click.echo(page.answer)
    click.echo(f"the page is {out}")
    if opened:
        show(out)


def show(page: Path) -> None:
    """Open a page in the browser, or say that none was found."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser was found; open the page by hand", err=True)
