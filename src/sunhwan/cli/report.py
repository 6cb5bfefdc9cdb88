"""`sunhwan report`: a run, or several beside each other, as one page to look at."""

from __future__ import annotations

from pathlib import Path

import click

from sunhwan.errors import SunhwanError


@click.command(
    epilog="""\b
Examples:
  sunhwan report runs/forecast-20260101-120000 --open
  sunhwan report runs/gru runs/lstm --out comparison.html"""
)
@click.argument("run", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The page.  [default: report.html in the run's directory; of several, comparison.html beside them]",
)
@click.option("--open", "opened", is_flag=True, help="Show it in the browser.")
def command(run: tuple[Path, ...], out: Path | None, opened: bool) -> None:
    """Make a page of the runs in the directories RUN: the answer, what it rests on, and how to repeat it.

    The page is one HTML file that holds its charts and needs no network. Several runs of one task are set
    beside each other.
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
    """Opens a page in the browser, or says that there is none."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser was found here; open the page by hand", err=True)
