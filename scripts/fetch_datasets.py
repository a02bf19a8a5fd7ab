"""Download MNIST and Fashion-MNIST into a cache folder, where nn.load_dataset can read them.

    python scripts/fetch_datasets.py mnist fashion_mnist

A file that is already there with the right checksum is not downloaded again, and one that was interrupted
goes on where it stopped. Exit status 2, with one line that says why, when a file can't be had.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

CHUNK = 1 << 16
TRIES = 3
TIMEOUT = 30.0

_NETWORK = (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError)


@dataclass(frozen=True)
class Source:
    """The mirrors of a data set, and the size in bytes and MD5 of each of its files."""

    mirrors: tuple[str, ...]
    files: Mapping[str, tuple[int, str]]


SOURCES = {
    # MD5 as published by torchvision (MNIST) and by the authors (Fashion-MNIST).
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
        {
            "train-images-idx3-ubyte.gz": (9912422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            "train-labels-idx1-ubyte.gz": (28881, "d53e105ee54ea40749a09fcbcd1e9432"),
            "t10k-images-idx3-ubyte.gz": (1648877, "9fb629c4189551a2d022fa330f9573f3"),
            "t10k-labels-idx1-ubyte.gz": (4542, "ec29112dd5afa0611ce80d1b7f02629c"),
        },
    ),
    "fashion_mnist": Source(
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        ),
        {
            "train-images-idx3-ubyte.gz": (26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            "train-labels-idx1-ubyte.gz": (29515, "25c81989df183df01b3e8a0aad5dffbe"),
            "t10k-images-idx3-ubyte.gz": (4422102, "bef4ecab320f06d8554ea6380940ec79"),
            "t10k-labels-idx1-ubyte.gz": (5148, "bb300cfdad3c16e7a12a480ee83cd310"),
        },
    ),
}


class FetchError(Exception):
    """A file can't be had; the message is one line for the user."""


class _Refused(Exception):
    """This mirror will not give the file, however often it is asked."""


def fetch(name: str, cache: Path, base_url: str | None = None, *, pause: float = 0.5, progress: bool = True) -> Path:
    """Download the files of data set `name` that are not in `cache`/`name` yet; return that folder.

    `base_url` stands in for the known mirrors; `pause` is the wait in seconds before the second try, doubled
    for each further one. Raises FetchError when a file can't be downloaded or stored.
    """
    source = SOURCES[name]
    mirrors = source.mirrors if base_url is None else (base_url,)
    folder = cache / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, (size, md5) in source.files.items():
            urls = [f"{mirror.rstrip('/')}/{file}" for mirror in mirrors]
            fetch_file(urls, folder / file, size, md5, pause=pause, progress=progress)
    except OSError as error:
        raise FetchError(f"{folder} must be writable, but is not: {error.strerror or error}") from error
    return folder


def fetch_file(urls: list[str], path: Path, size: int, md5: str, *, pause: float = 0.5, progress: bool = True) -> None:
    """Download one file of known size and MD5 from the first of `urls` that has it; nothing if it is there.

    What has come so far stands in `path`.part; `path` itself appears whole and checked, or not at all.
    """
    if path.is_file() and path.stat().st_size == size and _md5(path) == md5:
        return
    part = path.with_name(path.name + ".part")
    reasons: list[str] = []
    for url in urls:
        for attempt in range(TRIES):
            if attempt:
                time.sleep(pause * 2 ** (attempt - 1))
            try:
                if not part.is_file() or part.stat().st_size < size:
                    _download(url, part, size, progress)
                if part.stat().st_size == size and _md5(part) == md5:
                    os.replace(part, path)
                    return
                if part.stat().st_size >= size:
                    part.unlink()
                    reasons.append(f"{url} has other contents than were published (MD5 differs)")
                    break
                reasons.append(f"{url} broke off")
            except _Refused as error:
                reasons.append(f"{url} {error}")
                break
            except _NETWORK as error:
                reasons.append(f"{url} can't be reached ({getattr(error, 'reason', None) or error})")
    raise FetchError(f"{path.name} can't be downloaded: {reasons[-1]}; check the network, or pass --base-url")


def _download(url: str, part: Path, size: int, progress: bool) -> None:
    """Append to `part` what is missing of it, or start again where the server can't go on from there."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink(missing_ok=True)
            raise ConnectionError("it can't go on where the last download stopped") from error
        if error.code < 500 and error.code not in (408, 429):
            raise _Refused(f"says {error.code} {error.reason}") from error
        raise
    with response:
        resumed = have > 0 and response.status == 206
        if resumed and not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise ConnectionError("it went on at another place than where the last download stopped")
        have = have if resumed else 0
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(desc=part.stem, total=size, initial=have, unit="B", unit_scale=True, disable=not progress) as bar,
        ):
            # One byte more than the file should have is enough to see that it is another one.
            while chunk := response.read(min(CHUNK, size + 1 - have)):
                file.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def default_cache() -> Path:
    """Return the cache folder of this user: $XDG_CACHE_HOME/nn-tuning, or ~/.cache/nn-tuning."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nn-tuning"


def main(arguments: list[str] | None = None, *, pause: float = 0.5) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description="Download MNIST and Fashion-MNIST into a cache folder.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{' or '.join(SOURCES)} (default: both)")
    parser.add_argument("--cache", type=Path, help=f"where to store them (default: {default_cache()})")
    parser.add_argument("--base-url", help="the folder of the files on another server; for one NAME")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    names = options.names or list(SOURCES)
    for name in names:
        if name not in SOURCES:
            parser.error(f"NAME must be one of {', '.join(SOURCES)}, but got {name!r}")
    if options.base_url is not None:
        if not options.base_url.startswith(("http://", "https://")):
            parser.error(f"--base-url must start with http:// or https://, but got {options.base_url!r}")
        if len(names) > 1:
            parser.error(f"--base-url must go with one NAME, but got {len(names)}")
    cache = options.cache or default_cache()
    for name in names:
        try:
            folder = fetch(name, cache, options.base_url, pause=pause, progress=not options.quiet)
        except FetchError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("interrupted: run the command again to go on from here", file=sys.stderr)
            return 130
        print(f"{name}: load_dataset({str(folder)!r})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
