"""`sunhwan data`: what there is, and what is fetched into the cache from a server on this machine."""

import http.server
import socket
import threading

import polars as pl
import pytest

from sunhwan.data.sets import download, imdb, jena, newyork
from sunhwan.data.sets.catalog import DATASETS


@pytest.fixture
def server():
    """Serves the bytes `content` at any path; `paths` are those of the requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.content)))
            self.end_headers()
            self.wfile.write(self.server.content)

        def log_message(self, *arguments):
            """Say nothing on stderr."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.content, serving.paths = b"the file" * 1000, []
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def test_list_names_every_dataset_that_a_study_may_use(sunhwan, tmp_path):
    ended = sunhwan("data", "list")
    assert (ended.status, ended.err) == (0, "")
    for name, dataset in DATASETS.items():
        assert f"{name} " in ended.out and dataset.about in ended.out
    assert "(in the cache)" not in ended.out
    assert f"cache: {tmp_path / 'cache'}" in ended.out
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("name", "module", "file"), [("jena", jena, jena.FILE), ("imdb", imdb, imdb.FILE)])
def test_fetch_brings_a_file_once(name, module, file, server, sunhwan, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "URL", f"http://127.0.0.1:{server.server_port}/{file}")
    for _ in range(2):
        ended = sunhwan("data", "fetch", name)
        assert (ended.status, ended.err) == (0, "")
        assert ended.out == f"{tmp_path / 'cache' / file}\n"
    assert (tmp_path / "cache" / file).read_bytes() == server.content
    assert server.paths == [f"/{file}"]
    line = next(line for line in sunhwan("data", "list").out.splitlines() if line.startswith(name))
    assert line.endswith("(in the cache)")


@pytest.mark.parametrize("name", ["newyork", "table", "adding"])
def test_a_dataset_without_a_download(name, sunhwan, tmp_path):
    ended = sunhwan("data", "fetch", name)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(f"{name}: nothing to download")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_dataset(refuses):
    assert "there is no dataset 'weather'; choose one of newyork, jena, imdb, table, adding" in refuses(
        "data", "fetch", "weather"
    )


def test_the_weather_is_exported_as_files_to_forecast(sunhwan, tmp_path):
    ended = sunhwan("data", "export", "newyork", "weather")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "".join(f"8,730 readings in weather/{name}.csv\n" for name in ("EWR", "JFK", "LGA"))
    weather = newyork.load()
    first = pl.read_csv(tmp_path / "weather" / "JFK.csv", try_parse_dates=True).row(0, named=True)
    assert first["time"] == weather.time[8730].astype(object)
    assert first["temp (degC)"] == round(weather.columns["temp (degC)"][8730], 3)


def test_what_cannot_be_exported(refuses):
    assert "'jena' cannot be exported; only newyork and imdb can" in refuses("data", "export", "jena", "x")
    assert "--data is for imdb" in refuses("data", "export", "newyork", "x", "--data", "y")


@pytest.mark.parametrize(
    "command",
    [["data", "fetch", "jena"], ["study", "run", "jena_temperature"], ["study", "run", "imdb_sentiment"]],
)
def test_without_a_network(command, sunhwan, tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(download, "WAITS", (0.0,))
    for module in (jena, imdb):
        monkeypatch.setattr(module, "URL", f"http://127.0.0.1:{port}/file")
    ended = sunhwan(*command)
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert ended.err.startswith(f"sunhwan: cannot download http://127.0.0.1:{port}/file: Connection refused")
    assert "download it elsewhere and pass --data PATH" in ended.err
    # No file, no part of one, no run directory; the lock of the download stays.
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert all(name.endswith(".lock") for name in left)
    assert not (tmp_path / "runs").exists()
