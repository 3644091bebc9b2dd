"""A throwaway PostgreSQL server for the tests: a folder, a socket, nobody else's."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

OLDEST = 15
# Gone with the tests, so nothing has to outlive a power cut.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "jit": "off",
}


def programs() -> Path | None:
    """Return the folder of the newest server's programs; None where none is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    on_path = shutil.which("postgres")
    if on_path:
        found.append(Path(on_path).parent)
    versions = {_version(folder): folder for folder in found}
    newest = max(versions, default=0)
    return versions[newest] if newest >= OLDEST else None


def _version(folder: Path) -> int:
    said = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return int(said.split()[2].partition(".")[0])


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Start a server, and give the environment with which the target `postgres` finds it."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    pytest.importorskip("dbt.adapters.postgres", reason="the extra `postgres` is not installed")
    folder = programs()
    if folder is None:
        pytest.skip(f"no programs of a PostgreSQL server, {OLDEST} or later, are installed")
    # The server refuses to run as root, and a folder of pytest's own is closed to others.
    user = _other_user() if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="holdfast-pg-"))
    if user is not None:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)

    def run(*command: object) -> None:
        done = subprocess.run(
            [str(word) for word in command],
            user=user,
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout

    data = home / "data"
    options = " ".join(f"-c {name}={value}" for name, value in OPTIONS.items())
    try:
        run(
            folder / "initdb", "--pgdata", data, "--username", "holdfast", "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip
        run(
            folder / "pg_ctl", "--pgdata", data, "--wait", "--log", home / "log",
            "--options", f"{options} -c unix_socket_directories={home}", "start",
        )  # fmt: skip
        with _stopped_at_the_end(folder / "pg_ctl", data, home, user):
            yield {"HOLDFAST_PG_HOST": str(home), "HOLDFAST_PG_USER": "holdfast"}
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _stopped_at_the_end(pg_ctl: Path, data: Path, home: Path, user: str | None) -> Iterator[None]:
    """Have the server stopped by a process that waits for our end, even where we are killed."""
    stop = 'cat > /dev/null; "$0" --pgdata "$1" --wait --mode immediate stop; rm -rf "$2"'
    # It reads from a pipe that only we hold open, and hears of no signal to our group.
    waiting = subprocess.Popen(
        ["sh", "-c", stop, str(pg_ctl), str(data), str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=user,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield
    finally:
        assert waiting.stdin is not None
        waiting.stdin.close()
        waiting.wait(timeout=60)


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)
