"""Downloads: whole, resumed, refused, damaged and interrupted, against a server on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.loading import load_script

CONTENT = {name: bytes(range(256)) * 700 + name.encode() for name in ("images.gz", "labels.gz")}


fetch_datasets = load_script("fetch_datasets")


class Server(ThreadingHTTPServer):
    """Serves CONTENT and remembers every request as (file, Range header)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []
        self.files = dict(CONTENT)
        self.ranges = True
        self.shift = 0
        self.break_after: int | None = None
        self.status: int | None = None
        self.failures = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.removeprefix("/data/")
        asked = self.headers.get("Range")
        self.server.requests.append((name, asked))
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
            return
        if self.server.status or name not in self.server.files:
            self.send_error(self.server.status or 404)
            return
        body = self.server.files[name]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start:
            start -= self.server.shift
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        body = body[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.break_after is not None:
            body = body[: self.server.break_after]
        # A client that has seen enough hangs up; a traceback of this thread would pass for what the script said.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    files = {name: (len(body), hashlib.md5(body).hexdigest()) for name, body in CONTENT.items()}
    monkeypatch.setitem(fetch_datasets.SOURCES, "fake", fetch_datasets.Source(("http://127.0.0.1:9",), files))
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def run(server: Server, cache: Path, url: str | None = None) -> int:
    arguments = ["fake", "--cache", str(cache), "--base-url", url or server.url, "--quiet"]
    return int(fetch_datasets.main(arguments, pause=0))


def stored(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (cache / "fake").iterdir()}


def test_whole_files_are_stored_and_not_fetched_again(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(server, tmp_path) == 0
    assert stored(tmp_path) == CONTENT
    assert str(tmp_path / "fake") in capsys.readouterr().out
    assert [name for name, _ in server.requests] == list(CONTENT)
    assert run(server, tmp_path) == 0
    assert len(server.requests) == len(CONTENT)


def test_damaged_file_in_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    assert run(server, tmp_path) == 0
    content = bytearray(CONTENT["images.gz"])
    content[5] ^= 1
    (tmp_path / "fake" / "images.gz").write_bytes(content)
    assert run(server, tmp_path) == 0
    assert stored(tmp_path) == CONTENT


def test_partial_file_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "images.gz.part").write_bytes(CONTENT["images.gz"][:1000])
    assert run(server, tmp_path) == 0
    assert server.requests[0] == ("images.gz", "bytes=1000-")
    assert stored(tmp_path) == CONTENT


@pytest.mark.parametrize("attribute", ["ranges", "shift"])
def test_server_that_can_not_resume_starts_again(server: Server, tmp_path: Path, attribute: str) -> None:
    setattr(server, attribute, {"ranges": False, "shift": 10}[attribute])
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "images.gz.part").write_bytes(CONTENT["images.gz"][:1000])
    assert run(server, tmp_path) == 0
    assert stored(tmp_path) == CONTENT
    asked = [name for name, _ in server.requests].count("images.gz")
    assert asked == (1 if attribute == "ranges" else 2)  # a whole answer is taken as it is


def test_wrong_partial_file_is_thrown_away(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "images.gz.part").write_bytes(b"x" * 1000)
    assert run(server, tmp_path) == 2
    assert "MD5 differs" in capsys.readouterr().err
    assert run(server, tmp_path) == 0
    assert stored(tmp_path) == CONTENT


@pytest.mark.parametrize("change", ["byte", "longer"])
def test_corrupt_file_is_never_stored(
    server: Server, tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = CONTENT["images.gz"]
    server.files["images.gz"] = body[:-1] + b"!" if change == "byte" else body + bytes(10**6)
    assert run(server, tmp_path) == 2
    error = capsys.readouterr().err
    assert "MD5 differs" in error
    assert error.count("\n") == 1
    assert stored(tmp_path) == {}


def test_broken_connections_are_resumed(server: Server, tmp_path: Path) -> None:
    server.break_after = len(CONTENT["images.gz"]) // 2 + 1
    assert run(server, tmp_path) == 0
    assert stored(tmp_path) == CONTENT
    assert server.requests[1] == ("images.gz", f"bytes={server.break_after}-")


def test_what_came_before_giving_up_is_kept(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.break_after = 100
    assert run(server, tmp_path) == 2
    assert "broke off" in capsys.readouterr().err
    assert stored(tmp_path) == {"images.gz.part": CONTENT["images.gz"][: 100 * fetch_datasets.TRIES]}
    server.break_after = None
    assert run(server, tmp_path) == 0
    assert server.requests[-2] == ("images.gz", f"bytes={100 * fetch_datasets.TRIES}-")
    assert stored(tmp_path) == CONTENT


def test_interruption_keeps_the_part_and_is_no_traceback(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(fetch_datasets.tqdm):  # type: ignore[misc,name-defined]
        def update(self, n: float = 1) -> Any:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch_datasets, "tqdm", Interrupted)
        assert run(server, tmp_path) == 130
    assert "interrupted" in capsys.readouterr().err
    assert list(stored(tmp_path)) == ["images.gz.part"]
    assert run(server, tmp_path) == 0
    assert server.requests[1][1] is not None
    assert stored(tmp_path) == CONTENT


def test_missing_file_is_asked_for_once(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del server.files["images.gz"]
    assert run(server, tmp_path) == 2
    error = capsys.readouterr().err
    assert "404" in error
    assert error.count("\n") == 1
    assert "--base-url" in error
    assert len(server.requests) == 1


def test_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.failures = fetch_datasets.TRIES - 1
    assert run(server, tmp_path) == 0
    assert stored(tmp_path) == CONTENT


def test_server_that_refuses_a_range_is_asked_for_the_whole(server: Server, tmp_path: Path) -> None:
    server.status = 416
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "images.gz.part").write_bytes(CONTENT["images.gz"][:1000])
    assert run(server, tmp_path) == 2
    assert not (tmp_path / "fake" / "images.gz.part").exists()


def test_offline_is_one_line_and_exit_status_2(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert run(server, tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: images.gz can't be downloaded")
    assert error.count("\n") == 1
    assert "can't be reached" in error


def test_next_mirror_is_tried(server: Server, tmp_path: Path) -> None:
    body = CONTENT["images.gz"]
    urls = [f"{server.url}/absent.gz", f"{server.url}/images.gz"]
    md5 = hashlib.md5(body).hexdigest()
    fetch_datasets.fetch_file(urls, tmp_path / "x.gz", len(body), md5, pause=0, progress=False)
    assert (tmp_path / "x.gz").read_bytes() == body


def test_cache_that_can_not_be_written_is_named(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(server, tmp_path / "file") == 2
    assert "must be writable" in capsys.readouterr().err
    assert server.requests == []


def test_cache_follows_the_xdg_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetch_datasets.default_cache() == tmp_path / "nn-tuning"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch_datasets.default_cache() == tmp_path / ".cache" / "nn-tuning"


@pytest.mark.parametrize(
    "arguments",
    [["mnits"], ["mnist", "--base-url", "file:///etc"], ["mnist", "fashion_mnist", "--base-url", "http://x"]],
)
def test_bad_arguments_exit_with_2_before_any_work(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fetch_datasets.main(arguments)
    assert caught.value.code == 2
    assert "must" in capsys.readouterr().err
