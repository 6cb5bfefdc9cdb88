"""The Jena station's files: the tutorial's, as CSV and ZIP, with its clock's slips; and the station's own."""

import hashlib
import io
import zipfile

import numpy as np
import pytest

from sunhwan.data.sets import jena
from sunhwan.errors import SunhwanError

HEADER = '"Date Time","p (mbar)","T (degC)","wv (m/s)"'
LINES = [
    "01.01.2009 00:10:00,996.52,-8.02,1.03",
    "01.01.2009 00:20:00,996.57,-8.41,-9999.00",
    "01.01.2009 00:30:00,996.53,-8.51,0.19",
    "01.01.2009 00:30:00,996.53,99.99,0.19",  # stands already
    "01.01.2009 01:10:00,996.50,-8.31,0.34",  # after a gap of 30 minutes
    "01.01.2009 01:20:00,996.50,-8.27,0.32",
    "01.01.2009 00:50:00,996.51,-8.05,0.21",  # backwards, into the gap
    "01.01.2009 01:25:17,996.51,77.77,0.21",  # not at a multiple of ten minutes
    "01.01.2009 01:30:00,996.51,-7.62,0.18",
]
TEXT = "\n".join([HEADER, *LINES]) + "\n"


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def check(readings):
    assert readings.time[0] == np.datetime64("2009-01-01T00:10")
    assert readings.interval == np.timedelta64(600, "s")
    np.testing.assert_array_equal(
        readings.column("T (degC)"), [-8.02, -8.41, -8.51, np.nan, -8.05, np.nan, -8.31, -8.27, -7.62]
    )
    np.testing.assert_array_equal(readings.column("wv (m/s)")[:3], [1.03, np.nan, 0.19])
    assert readings.columns.columns == ["p (mbar)", "T (degC)", "wv (m/s)"]
    assert readings.name == "Jena weather station"
    assert set(readings.notes) == {
        "wv (m/s): -9999 or the like stands for a missing reading 1 times",
        "2 time steps of 10 min are not in the file and count as missing",
        "1 rows not at a multiple of 10 min were dropped",
        "1 rows with the time of an earlier row were dropped",
        "the time went back at 1 rows, so the rows were sorted by time",
    }
    assert readings.fingerprint == hashlib.sha256(TEXT.encode()).hexdigest()


def test_the_tutorial_s_file_as_csv(tmp_path):
    (tmp_path / "jena_climate_2009_2016.csv").write_text(TEXT)
    check(jena.load(tmp_path / "jena_climate_2009_2016.csv"))


@pytest.mark.parametrize("name", ["jena_climate_2009_2016.csv.zip", "JENA.ZIP", "without_an_ending"])
def test_the_tutorial_s_file_as_zip(tmp_path, name):
    check(
        jena.load(write_zip(tmp_path / name, {"jena_climate_2009_2016.csv": TEXT, "readme.txt": "weather"}))
    )


def test_a_line_is_the_file_s_line_after_rows_were_put_in_order(tmp_path):
    (tmp_path / "j.csv").write_text(TEXT.replace("-8.05", "cold"))
    with pytest.raises(
        SunhwanError, match=r"^line 8 of j\.csv has the text 'cold' in the number column 'T \(degC\)'"
    ):
        jena.load(tmp_path / "j.csv")


@pytest.mark.parametrize("kept", [4, 60, 200, -30])
def test_a_truncated_zip(tmp_path, kept):
    path = write_zip(tmp_path / "j.csv.zip", {"j.csv": "\n".join([HEADER, *LINES * 50])})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        SunhwanError, match=r"^j\.csv\.zip cannot be read as a ZIP archive .* may be truncated"
    ):
        jena.load(path)


def test_a_zip_with_a_flipped_byte(tmp_path):
    path = write_zip(tmp_path / "j.csv.zip", {"j.csv": TEXT})
    raw = bytearray(path.read_bytes())
    raw[80] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(SunhwanError, match="cannot be read as a ZIP archive"):
        jena.load(path)


def test_a_zip_that_is_none(tmp_path):
    (tmp_path / "j.zip").write_text(TEXT)
    with pytest.raises(SunhwanError, match="cannot be read as a ZIP archive"):
        jena.load(tmp_path / "j.zip")


def test_a_zip_with_a_password(tmp_path):
    path = write_zip(tmp_path / "j.zip", {"j.csv": TEXT})
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1  # the bit that says "encrypted"
    path.write_bytes(raw)
    with pytest.raises(SunhwanError, match=r"cannot be read as a ZIP archive .*password"):
        jena.load(path)


@pytest.mark.parametrize(
    ("members", "count"), [({}, 0), ({"a.txt": ""}, 0), ({"a.csv": TEXT, "b.csv": TEXT}, 2)]
)
def test_a_zip_of_other_than_one_csv(tmp_path, members, count):
    with pytest.raises(SunhwanError, match=f"contains {count} CSV files, but one was expected"):
        jena.load(write_zip(tmp_path / "j.zip", members))


def test_nothing_is_written_where_an_archive_says(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    check(jena.load(write_zip(folder / "j.zip", {"../escaped.csv": TEXT})))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inner", "j.zip"]


def test_a_file_that_is_not_the_station_s(tmp_path):
    (tmp_path / "other.csv").write_text("time,T\n2024-01-01,1\n2024-01-02,2\n")
    with pytest.raises(
        SunhwanError, match=r"other\.csv has no column 'Date Time', so it is not a file of the Jena"
    ):
        jena.load(tmp_path / "other.csv")


@pytest.mark.parametrize("name", ["no.csv", "no.zip"])
def test_a_file_that_is_not_there(tmp_path, name):
    with pytest.raises(SunhwanError, match=r"^there is no file '.*no\."):
        jena.load(tmp_path / name)


@pytest.mark.real
def test_the_station_s_own_file(real_file):
    readings = jena.load(real_file("jena_roof_2024_summer.csv"))
    assert len(readings) == 19_132
    assert readings.time[0] == np.datetime64("2024-06-09T11:40")
    assert len(readings.columns.columns) == 21
    assert {"SWDR (W/m²)", "PAR (µmol/m²/s)", "T (degC)"} <= set(readings.columns.columns)
    assert readings.column("T (degC)")[0] == 18.76
    assert readings.notes == (
        "jena_roof_2024_summer.csv is not UTF-8 and is read as Latin-1 (ISO 8859-1)",
        "max. PAR (µmol/m²/s): -9999 or the like stands for a missing reading 18 times",
    )
    assert -20 < np.nanmin(readings.column("T (degC)")) < np.nanmax(readings.column("T (degC)")) < 45


def test_unzipped_needs_no_file_ending():
    buffer = io.BytesIO()
    write_zip(buffer, {"deep/in/a/FOLDER.CSV": TEXT})
    assert jena.unzipped(buffer.getvalue(), "j") == TEXT.encode()
