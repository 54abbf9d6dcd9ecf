"""Fetch one file over HTTP: resumed where it was cut, checked, and whole or absent."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from rich import get_console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from zoo.fetch.files import FetchError, accept

TRIES = 3
"""Connections made for one file before giving up, each going on where the last was cut."""

TIMEOUT = 30.0
"""Seconds without an answer after which a server counts as gone."""

CHUNK = 1 << 18


def fetch(url: str, target: Path, *, expected: str | None, size: int, progress: bool) -> None:
    """Download `url` to `target`.

    What has arrived is kept in `NAME.part` beside it, and the next call goes on from there; but only where the hash
    is known, since two halves of different files would otherwise not be noticed.

    Args:
        url: what to download.
        target: the file to write; its folder exists.
        expected: hash of the content (see `File.digest`), or None.
        size: expected bytes, for the bar only; 0 is what the server says.
        progress: show a bar, in a terminal.

    Raises:
        FetchError: no connection, the server refuses, or the content is another; nothing is left behind then.
    """
    part = target.with_name(target.name + ".part")
    if expected is None:
        part.unlink(missing_ok=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = get_console()
    with Progress(*columns, console=console, transient=True, disable=not (progress and console.is_terminal)) as bar:
        task = bar.add_task(target.name, total=size or None)
        for attempt in range(1, TRIES + 1):
            before = _size(part)
            try:
                _receive(url, part, lambda done, total: bar.update(task, completed=done, total=size or total))
                break
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError) or _size(part) == before or attempt == TRIES:
                    if expected is None:
                        part.unlink(missing_ok=True)
                    raise FetchError(_reason(url, error)) from None
    accept(part, target, expected, origin=url)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive(url: str, part: Path, report: Callable[[int, int | None], None]) -> None:
    have = _size(part)
    request = urllib.request.Request(
        url, headers={"User-Agent": "edgezoo"} | ({"Range": f"bytes={have}-"} if have else {})
    )
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        error.close()
        return  # all of it is here already; the hash decides
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        with part.open("ab" if resumed else "wb") as stream:
            while chunk := response.read(CHUNK):
                stream.write(chunk)
                report(stream.tell(), int(length) + have if length else None)
            got = stream.tell() - have
    if length is not None and got < int(length):
        raise http.client.IncompleteRead(b"", int(length) - got)


def _reason(url: str, error: Exception) -> str:
    host = urlsplit(url).hostname
    if isinstance(error, urllib.error.HTTPError):
        return f"{host} answered {error.code} {error.reason} for {url}"
    if isinstance(error, http.client.HTTPException):
        return f"the connection to {host} was cut ({error})"
    return f"{host} cannot be reached ({getattr(error, 'reason', error)}); this machine seems to be offline"
