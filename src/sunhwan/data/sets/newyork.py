"""Hourly weather at New York's three airports in 2013, installed with the package.

Source: NOAA's Integrated Surface Database (public domain), from the table `weather` of the R package
nycflights13 (CC0). The file has it unchanged, in US units; `load` converts it to SI.
"""

from __future__ import annotations

import lzma
from dataclasses import replace
from importlib.resources import files

import polars as pl

from sunhwan.data import table
from sunhwan.data.files.records import parse_csv

FILE = "newyork_hourly_2013.csv.xz"
FASTEST_WIND = 60.0
"""m/s; no hourly mean above this has been measured at an airport of New York."""


def load() -> table.Table:
    """The weather of Newark (EWR), Kennedy (JFK) and La Guardia (LGA), hourly, in 2013.

    Times are local standard time (UTC - 5 h) all year, so that an hour of day means the same sun in July. The
    wind is its components towards east and north, since 359 and 1 degree are neighbours; a calm has no
    direction, and both components are 0. Gusts are left out, since four of five hours have none.

    Returns:
        A `Table` of 26,190 rows, 8,730 for each airport, in degC, %, m/s, mm, hPa and km.

    Example:
        >>> weather = load()
        >>> weather.series_names, len(weather), weather.columns.columns[0]
        (('EWR', 'JFK', 'LGA'), 26190, 'temp (degC)')
    """
    records = parse_csv(
        lzma.decompress((files("sunhwan.data.sets") / FILE).read_bytes()), "New York airports 2013"
    )
    us = records.frame.with_columns(pl.exclude("origin", "time_hour").cast(pl.Float64))
    towards = (pl.col("wind_dir") + 180).radians()
    # One hour at Newark reports 1,048 miles an hour, an error of the source.
    speed = pl.col("wind_speed") * 0.44704
    speed = pl.when(speed < FASTEST_WIND).then(speed)
    si = us.select(
        "origin",
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ").dt.offset_by("-5h").alias("time"),
        ((pl.col("temp") - 32) / 1.8).alias("temp (degC)"),
        ((pl.col("dewp") - 32) / 1.8).alias("dewp (degC)"),
        pl.col("humid").alias("humid (%)"),
        pl.when(speed == 0).then(0.0).otherwise(speed * towards.sin()).alias("wind_east (m/s)"),
        pl.when(speed == 0).then(0.0).otherwise(speed * towards.cos()).alias("wind_north (m/s)"),
        speed.alias("wind_speed (m/s)"),
        (pl.col("precip") * 25.4).alias("precip (mm)"),
        pl.col("pressure").alias("pressure (hPa)"),
        (pl.col("visib") * 1.609344).alias("visib (km)"),
    )
    too_fast = us["wind_speed"].count() - si["wind_speed (m/s)"].count()
    return table.assemble(replace(records, frame=si), time=["time"], series="origin").note(
        f"wind_speed (m/s): {too_fast} reading above {FASTEST_WIND:g} m/s counts as missing"
    )
