"""One reading in, one forecast out: a run fed line by line, at constant cost.

    {"time": .., "T": ..} --Clock--> row of the grid --fill, scale--> the window moves on by a row
                                                                         |-- actual values: intervals learn
                                                                         '-- line, networks --> answer

Each input line is answered by one output line: a forecast, what is missing for one, or an error, after which
nothing has changed. Forecasts equal those of `sunhwan predict --every 1` on the same history.

*Nothing is lost and nothing counted twice*: each accepted reading is appended to a journal before it is
answered, and from time to time the whole state is written and a new journal begins. A stream that was killed
reads the state, then the journal; a reading that is sent again is late, and is ignored.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np
import orjson

from sunhwan.baselines.names import NETWORK
from sunhwan.data.features.encoder import RowEncoder
from sunhwan.data.features.missing import Latest
from sunhwan.data.grid import seconds_of
from sunhwan.data.windows import EncodedRows, ForecastWindows
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.intervals import Calibration
from sunhwan.files import read_json, write_json
from sunhwan.forecast.clock import Clock
from sunhwan.forecast.model import ForecastModel
from sunhwan.units import duration

SNAPSHOT = 10_000
"""Readings after which the whole state is written and a new journal begins."""

TOLERANCE = 86_400
"""Seconds by which a reading may be ahead of this computer's clock, which may be of another time zone."""


@dataclass
class Track:
    """One series: its latest rows, what gaps are filled with, and its intervals.

    Attributes:
        time: of the latest row, in seconds since 1970.
        rows: (room, features) float32, of which the first `count` are in use.
        gaps: (room,) 1 where a row has a gap that is not filled.
        count: rows in use.
        latest: what gaps are filled with.
        calibrations: one for each target.
    """

    time: int
    rows: np.ndarray
    gaps: bytearray
    count: int
    latest: Latest
    calibrations: tuple[Calibration, ...]


class Stream:
    """A forecaster that is fed one reading after another.

    Args:
        forecast: the model.
        clock: reads a reading's time.
        series: the key of a reading's series, or None if there is only one.

    Example: see `sunhwan stream --help`.
    """

    def __init__(self, forecast: ForecastModel, clock: Clock, series: str | None = None):
        self.forecast, self.clock, self.series = forecast, clock, series
        plan = self.plan = forecast.plan
        self.interval = seconds_of(plan.interval)
        self.span = plan.grid.span + 1
        self.past = plan.past
        self.filled = duration(plan.encoder.fill * self.interval)
        self.room = 4 * self.past
        self.tracks: dict[str, Track] = {}
        self.encoder, scale = RowEncoder(plan.encoder), plan.encoder.scale
        self.targets = [
            (int(i), self.encoder.order.tolist()[i], float(scale.std[i]), float(scale.mean[i]))
            for i in plan.target_features
        ]
        self.exact = forecast.exact
        self.simple = set(forecast.weights) <= {NETWORK, "ridge"}

    def line(self, text: str) -> dict:
        """The answer to one line; after an error nothing has changed.

        Returns:
            `{"made_at", "series", "forecast": {target: {"median", "lower", "upper"}}}` with one number a
            step, (steps,) float64; or `{.., "waiting": why}` where no forecast can be made yet.

        Raises:
            SunhwanError: the line is not a reading, or it is late, or between the times of the grid.
        """
        try:
            reading = orjson.loads(text)
        except ValueError:
            try:
                reading = json.loads(text)  # which also knows the NaN that Python and others write
            except (ValueError, RecursionError) as error:
                raise SunhwanError(
                    f"the line is not JSON ({error}); expected an object such as {self.example()}"
                ) from None
        if not isinstance(reading, dict):
            raise SunhwanError(f"the line is JSON but not an object; expected one such as {self.example()}")
        return self.reading(reading)

    def reading(self, reading: dict) -> dict:
        """The same for a reading that is parsed already."""
        now = self.clock.seconds(reading)
        self.refuse_future(now)
        name = ""
        if self.series is not None:
            if reading.get(self.series) is None:
                raise SunhwanError(f"the reading has no {self.series!r}, which names its series")
            name = str(reading[self.series]).strip()
        values = self.encoder.read(reading)
        ahead = self.ahead(reading)
        track = self.tracks.get(name)
        steps = 1
        if track is not None:
            steps, rest = divmod(now - track.time, self.interval)
            if rest:
                raise SunhwanError(
                    f"the reading of {when(now)} is not a multiple of {duration(self.interval)} after the "
                    f"previous one, of {when(track.time)}; it is ignored"
                )
            if steps < 1:
                late = f"is late: it follows {when(track.time)}"
                what = "repeats the previous time" if steps == 0 else late
                raise SunhwanError(f"the reading of {when(now)} {what}; it is ignored")
        # From here on nothing fails: the state changes as a whole or not at all.
        if track is None:
            track = self.tracks[name] = Track(
                now - self.interval,
                np.empty((self.room, len(self.plan.names)), np.float32),
                bytearray(self.room),
                0,
                Latest.of(self.encoder.numbers),
                self.forecast.calibrations.of(name),
            )
        # A gap as long as all that is remembered leaves nothing of what was before.
        missing = min(steps - 1, self.past + self.plan.steps + self.plan.encoder.fill)
        track.time = now - missing * self.interval
        for _ in range(missing):
            self.advance(track, self.encoder.nothing())
            track.time += self.interval
        truth = self.advance(track, values)
        return self.answer(track, name, ahead, truth)

    def refuse_future(self, now: int) -> None:
        """Refuse a reading of a future year, which would make others late, unless the run has such years."""
        today = time.time()
        if now > today + TOLERANCE >= self.clock.latest:
            raise SunhwanError(
                f"the reading of {when(now)} is in the future: this computer's clock says "
                f"{when(int(today))}; it is ignored"
            )

    def ahead(self, reading: dict) -> np.ndarray:
        """(1, steps, known) float32, scaled, of the reading's `ahead`: a list for each such column."""
        plan, encoder = self.plan, self.plan.encoder
        places = plan.known_features
        if not len(places):
            return np.empty((1, plan.steps, 0), np.float32)
        future = reading.get("ahead")
        columns = []
        for item in encoder.features:
            if item.source != "reading" or item.column not in plan.known:
                continue
            values = future.get(item.column) if isinstance(future, dict) else None
            if not isinstance(values, list) or len(values) != plan.steps:
                raise SunhwanError(
                    f'the reading needs "ahead": {{{item.column!r}: [..]}} with the {plan.steps} values of '
                    "the steps to come, which are known in advance"
                )
            columns.append([item.row({item.column: value}) for value in values])
        scaled = (np.concatenate(columns, axis=1) - encoder.scale.mean[places]) / encoder.scale.std[places]
        return scaled[None].astype(np.float32)

    def advance(self, track: Track, values: list[float]) -> list[float]:
        """Move on by one row, from which intervals learn; return the targets' actual values (units)."""
        if track.count == self.room:
            track.rows[: self.past] = track.rows[self.room - self.past :]
            track.gaps[: self.past] = track.gaps[self.room - self.past :]
            track.count = self.past
        row = track.rows[track.count]
        gap = self.encoder.encode(values, track.latest, track.time, row)
        track.gaps[track.count] = gap
        track.count += 1
        # As they come back from the network's numbers, which is how files are read.
        truth = [
            row.item(i) * std + mean if values[place] == values[place] else math.nan
            for i, place, std, mean in self.targets
        ]
        for calibration, true in zip(track.calibrations, truth, strict=True):
            calibration.update(true)
        return truth

    def answer(self, track: Track, name: str, ahead: np.ndarray, truth: list[float]) -> dict:
        """The answer to a row."""
        plan, grid = self.plan, self.plan.grid
        answer: dict = {"made_at": when(track.time)}
        if self.series is not None:
            answer["series"] = name
        if track.count < self.span:
            return {**answer, "waiting": self.until(self.span - track.count)}
        if not [true for true in truth if true == true]:
            return {**answer, "waiting": f"no value of {plan.targets[0]!r} in this reading"}
        seen = slice(track.count - self.span, track.count, grid.step)
        window = track.rows[seen]
        if 1 in track.gaps[seen] or (ahead.size and not np.isfinite(ahead).all()):
            gap = np.isnan(window).any(axis=0)
            what = plan.names[int(np.argmax(gap))] if gap.any() else "ahead"
            why = f"the input window has a gap in {what!r} longer than {self.filled}"
            if 1 in track.gaps[seen]:
                # Until the latest gap has left the window.
                first = track.count - self.span
                why += f"; {self.until(track.gaps.rindex(1, first, track.count) - first + 1)}"
            return {**answer, "waiting": why}
        quantiles = self.quantiles(window, ahead, track)
        forecasts = {}
        for i, (target, calibration) in enumerate(zip(plan.targets, track.calibrations, strict=True)):
            median, lower, upper = quantiles[:, i].T
            lower, upper = calibration.issue(lower, upper)
            median = np.minimum(np.maximum(median, lower), upper)
            forecasts[target] = {"median": median, "lower": lower, "upper": upper}
        return {**answer, "forecast": forecasts}

    def until(self, rows: int) -> str:
        """How many rows the next forecast needs."""
        window = f"{self.span:,} rows, {duration(self.span * self.interval)}"
        return f"the next forecast needs {rows:,} more rows (window: {window})"

    def quantiles(self, window: np.ndarray, ahead: np.ndarray, track: Track) -> np.ndarray:
        """(steps, targets, 3) in the targets' units, uncalibrated."""
        forecast, plan = self.forecast, self.plan
        if self.simple:
            return forecast.mixed(self.exact.members(window[None], ahead))[0]
        have = min(track.count, self.past)
        values = np.full((self.past + plan.steps, len(plan.names)), np.nan, np.float32)
        values[self.past - have : self.past] = track.rows[track.count - have : track.count]
        values[self.past :, plan.known_features] = ahead[0]
        zeros = np.zeros(len(values), np.int64)
        rows = EncodedRows(plan, values, values[:, plan.target_features], zeros, zeros, ("",))
        return forecast.quantiles(ForecastWindows(rows, np.array([self.past - 1])))[0]

    def example(self) -> str:
        """A line as it is expected."""
        keys = [*self.clock.time, *filter(None, [self.series]), *self.plan.encoder.columns]
        return json.dumps(dict.fromkeys(keys[:4], "..."), ensure_ascii=False)

    def state(self) -> dict:
        """Everything that the next line depends on, for JSON."""
        return {
            name: {
                "time": track.time,
                "rows": plain(track.rows[max(track.count - self.past, 0) : track.count]),
                "known": plain(np.array(track.latest.known)),
                "age": track.latest.age,
                "calibrations": [one.to_dict() for one in track.calibrations],
            }
            for name, track in self.tracks.items()
        }

    def restore(self, state: dict) -> None:
        """Continue from what `state` returned.

        Raises:
            SunhwanError: it is not a state, or one of another run.
        """
        tracks = {}
        try:
            for name, saved in state.items():
                rows = (
                    np.array(saved["rows"], np.float64).reshape(-1, len(self.plan.names)).astype(np.float32)
                )
                room = np.empty((self.room, len(self.plan.names)), np.float32)
                room[: len(rows)] = rows
                gaps = bytearray(self.room)
                gaps[: len(rows)] = np.isnan(rows).any(axis=1).tobytes()
                latest = Latest(
                    [math.nan if value is None else float(value) for value in saved["known"]],
                    list(saved["age"]),
                )
                calibrations = tuple(map(Calibration.from_dict, saved["calibrations"]))
                if len(latest.known) != self.encoder.numbers or len(calibrations) != len(self.plan.targets):
                    raise ValueError("it has other columns")
                tracks[name] = Track(int(saved["time"]), room, gaps, len(rows), latest, calibrations)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SunhwanError(
                f"the stream's state cannot be read ({type(error).__name__}: {error}); remove it to "
                "start again"
            ) from None
        self.tracks = tracks


class DurableStream:
    """A stream whose state outlives its process.

    Args:
        stream: the stream.
        path: where its state is saved; the journal lies beside it.
        model: identifies the model; a state of another one is refused.
    """

    def __init__(self, stream: Stream, path: Path, model: str):
        self.stream, self.path, self.model = stream, path, model
        self.journal = path.with_name(path.name + ".journal")
        self.since = 0
        if path.exists():
            saved = read_json(path)
            if saved.get("model") != model:
                raise SunhwanError(
                    f"{str(path)!r} is the state of a stream of another run; name another file with --state, "
                    "or remove it to start again"
                )
            stream.restore(saved.get("series", {}))
        if self.journal.exists():
            self.replay()
        self.file: IO[str] = open(self.journal, "a", encoding="utf-8")  # noqa: SIM115 - open as long as we are

    def replay(self) -> None:
        """Read again what was accepted after the state was last written."""
        for text in self.journal.read_text(encoding="utf-8").split("\n"):
            try:
                self.stream.line(text)
            except SunhwanError:
                # From a process that was killed while it wrote, or before a new journal began.
                continue

    def line(self, text: str) -> dict:
        """`Stream.line`, with the reading saved before it is answered."""
        answer = self.stream.line(text)
        self.file.write(text.strip() + "\n")
        self.file.flush()
        self.since += 1
        if self.since >= SNAPSHOT:
            self.save()
        return answer

    def save(self) -> None:
        """Write the whole state, and begin a new journal."""
        write_json(self.path, {"model": self.model, "series": self.stream.state()})
        self.file.close()
        self.file = open(self.journal, "w", encoding="utf-8")  # noqa: SIM115
        self.since = 0

    def close(self) -> None:
        """Write the state; nothing is left to replay."""
        self.save()
        self.file.close()
        self.journal.unlink(missing_ok=True)


def text_of(answer: dict) -> str:
    """An answer as a line of JSON; forecasts to seven digits, which is more than their precision."""
    if "forecast" in answer:
        forecasts = {
            target: {name: values.astype(np.float32) for name, values in bounds.items()}
            for target, bounds in answer["forecast"].items()
        }
        answer = {**answer, "forecast": forecasts}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def plain(array: np.ndarray) -> list:
    """An array as nested lists for JSON: null for NaN."""
    if array.ndim > 1:
        return [plain(part) for part in array]
    return [None if value != value else value for value in array.tolist()]


def when(seconds: int) -> str:
    """A time for people and machines, as `units.human` has it.

    Example:
        >>> when(86_400 * 365 + 3_600), when(-7)
        ('1971-01-01 01:00', '1969-12-31 23:59:53')
    """
    day, rest = divmod(seconds, 86_400)
    text = f"{date(day)} {rest // 3600:02}:{rest % 3600 // 60:02}"
    return f"{text}:{rest % 60:02}" if rest % 60 else text


@lru_cache(4)
def date(day: int) -> str:
    """The date of a day since 1970; consecutive readings ask for the same one again and again."""
    return str(np.datetime64(day, "D"))
