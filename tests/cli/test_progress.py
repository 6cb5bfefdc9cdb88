"""Bars that lose no Ctrl-C."""

import io
import signal
import sys

import pytest
from rich.console import Console

from sunhwan.cli import progress
from sunhwan.cli.progress import Bars

ROW = {"epoch": 1, "loss": 0.5, "val_loss": float("nan")}


def watched(bars):
    """Tell of a small training."""
    with bars:
        bars.prepared(["a note"])
        bars.begin("gru-seed0", 1, 2)
        bars.batch(1, 1)
        bars.epoch(ROW)


def test_a_pipe_gets_notes_on_stdout_and_nothing_on_stderr(capsys):
    watched(Bars())
    assert capsys.readouterr() == ("- a note\n", "")


def test_a_terminal_gets_bars(monkeypatch):
    page = io.StringIO()
    monkeypatch.setattr(progress, "stderr", Console(file=page, force_terminal=True, width=100))
    watched(Bars())
    said = page.getvalue()
    assert "reading the data, fitting the baselines" in said
    assert "gru-seed0" in said
    assert "epoch 1: loss 0.5000, validation nan" in said


@pytest.mark.parametrize(
    "tell",
    [
        lambda bars: bars.prepared([]),
        lambda bars: bars.begin("gru-seed0", 1, 2),
        lambda bars: bars.batch(1, 1),
        lambda bars: bars.epoch(ROW),
    ],
)
def test_a_ctrl_c_that_was_swallowed_is_raised_again(tell):
    with pytest.raises(KeyboardInterrupt), Bars() as bars:
        bars.show("gru-seed0", 2)
        # As Keras does while it waits for a loss.
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        tell(bars)


def test_a_ctrl_c_that_python_drops_is_not_printed_and_is_raised_again(capsys):
    class Cleaned:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), Bars() as bars:
        Cleaned()
        bars.heed()
    assert capsys.readouterr().err == ""


def test_other_errors_that_python_drops_are_printed_as_ever(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: seen.append(type(dropped.exc_value)))

    class Broken:
        def __del__(self):
            raise ValueError

    with Bars():
        Broken()
    assert seen == [ValueError]


def test_handlers_are_as_they_were_afterwards():
    before = (signal.getsignal(signal.SIGINT), sys.unraisablehook)
    with pytest.raises(ZeroDivisionError), Bars():
        raise ZeroDivisionError
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before


def test_where_sigint_is_ignored_it_stays_so():
    """A shell starts jobs in the background so."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Bars():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
