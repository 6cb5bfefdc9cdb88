"""`sunhwan stream`: JSON lines in, forecasts out."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from sunhwan.errors import SunhwanError


@click.command(
    epilog="""\b
Examples:
  sunhwan stream RUN < readings.jsonl
  tail -f readings.jsonl | sunhwan stream RUN
  echo '{"Date Time": "2024-06-09 11:40:00", "T (degC)": 21.5}' | sunhwan stream RUN

\b
A line is one reading, with the columns of the file that the run was trained on, and with
the future values of known columns: "ahead": {"holiday": [a value for each step]}.
Each is answered by one line: a forecast, what is missing for one, or an error."""
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="File that saves the state across restarts.  [default: RUN/stream.json]",
)
def command(run: Path, state: Path | None) -> None:
    """Answer each reading on stdin with a forecast on stdout, from the model in the directory RUN.

    The state is saved: a stream that is stopped or killed continues where it was. Late, duplicate and
    malformed lines are answered with an error and otherwise ignored.
    """
    from sunhwan import rundir
    from sunhwan.forecast.clock import Clock
    from sunhwan.forecast.predict import load
    from sunhwan.forecast.stream import DurableStream, Stream, text_of

    rundir.kind_of(run)
    model, source = load(run)
    stream = Stream(model, Clock(source.time, source.times), source.series)
    durable = DurableStream(stream, state or run / "stream.json", rundir.checksum(run / "model.json"))
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        for number, text in enumerate(sys.stdin, start=1):
            if not text.strip():
                continue
            try:
                # A byte order mark may stand before the first line.
                answer = durable.line(text.removeprefix("\ufeff"))
            except SunhwanError as error:
                answer = {"error": str(error), "line": number}
            sys.stdout.write(text_of(answer) + "\n")
            sys.stdout.flush()
    finally:
        durable.close()
