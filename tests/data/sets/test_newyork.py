"""The shipped weather of New York: units, wind, gaps and time, against rows converted by hand."""

import lzma
from importlib.resources import files

import numpy as np
import pytest

from sunhwan.data import table
from sunhwan.data.sets import newyork


@pytest.fixture(scope="module")
def weather():
    return newyork.load()


def row(weather, airport, time):
    """The one row of an airport at a time, by column."""
    at = (weather.series == weather.series_names.index(airport)) & (weather.time == np.datetime64(time))
    (index,) = np.flatnonzero(at)
    return dict(zip(weather.columns.columns, weather.columns.row(int(index)), strict=True))


def test_a_row_in_si_units(weather):
    """EWR,2013,1,1,1: 39.02 F, 26.06 F, 59.37 %, from 270 degrees at 10.36 mph, 0 in, 1012 hPa, 10 miles."""
    found = row(weather, "EWR", "2013-01-01T01:00")
    assert found == pytest.approx(
        {
            "temp (degC)": 3.9,
            "dewp (degC)": -3.3,
            "humid (%)": 59.37,
            "wind_east (m/s)": 4.63,  # from the west is towards the east
            "wind_north (m/s)": 0.0,
            "wind_speed (m/s)": 4.63,
            "precip (mm)": 0.0,
            "pressure (hPa)": 1012.0,
            "visib (km)": 16.093,
        },
        abs=0.001,
    )


def test_the_wind_s_direction(weather):
    """EWR,2013,1,1,2 is from 250 degrees (west-southwest) at 8.05546 mph: to the east, a little north."""
    found = row(weather, "EWR", "2013-01-01T02:00")
    assert found["wind_east (m/s)"] == pytest.approx(3.6011 * np.sin(np.radians(70)), abs=0.001)
    assert found["wind_north (m/s)"] == pytest.approx(3.6011 * np.cos(np.radians(70)), abs=0.001)
    speed = np.hypot(weather.column("wind_east (m/s)"), weather.column("wind_north (m/s)"))
    known = ~np.isnan(speed)
    np.testing.assert_allclose(speed[known], weather.column("wind_speed (m/s)")[known], atol=1e-9)


def test_a_calm_has_no_direction_and_is_no_gap(weather):
    east, speed = weather.column("wind_east (m/s)"), weather.column("wind_speed (m/s)")
    calm = speed == 0
    assert calm.sum() > 1000
    assert (east[calm] == 0).all()
    assert (np.isnan(east) & (speed > 0)).sum() > 300, "a variable wind has a speed and no direction"


def test_gaps_are_rows_and_counted(weather):
    assert len(weather) == 26_190
    assert np.bincount(weather.series).tolist() == [8_730, 8_730, 8_730]
    assert weather.series_names == ("EWR", "JFK", "LGA")
    assert weather.notes == (
        "75 time steps of 1 h are not in the file and count as missing",
        "wind_speed (m/s): 1 reading above 60 m/s counts as missing",
    )
    assert np.nanmax(weather.column("wind_speed (m/s)")) < 25
    assert (np.diff(weather.time)[np.diff(weather.series) == 0] == np.timedelta64(1, "h")).all()


def test_times_are_standard_time_in_summer_too(weather):
    assert weather.time[0] == np.datetime64("2013-01-01T01:00")
    # Noon by the sun is the same hour in July as in January: it is warmest about three hours later.
    temperature, hour = weather.column("temp (degC)"), weather.time.astype("datetime64[h]").astype(int) % 24
    month = weather.time.astype("datetime64[M]").astype(int) % 12
    for code in (0, 6):
        by_hour = [np.nanmean(temperature[(month == code) & (hour == h)]) for h in range(24)]
        assert 13 <= int(np.argmax(by_hour)) <= 16


@pytest.mark.real
def test_what_is_shipped_is_the_source_byte_for_byte(real_file, weather):
    source = real_file("newyork_hourly_2013.csv")
    assert lzma.decompress((files("sunhwan.data.sets") / newyork.FILE).read_bytes()) == source.read_bytes()
    assert weather.fingerprint == table.read(source).fingerprint


@pytest.mark.real
def test_every_reading_of_the_source_is_there(real_file, weather):
    records = table.read(real_file("newyork_hourly_2013.csv"))
    fahrenheit = records.frame["temp"].cast(float).drop_nulls().to_numpy()
    celsius = weather.column("temp (degC)")
    np.testing.assert_allclose(celsius[~np.isnan(celsius)] * 1.8 + 32, fahrenheit)
