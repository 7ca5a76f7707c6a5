"""Mirroring through real servers: killed in the middle, many writers at once, PostgreSQL, names and passwords."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from grid import launch
from grid.tracking import sync
from tests.benchmarks.mirror import make_folder
from tests.mlflow_servers import answers, content, differences, free_port, server, wait_for
from tests.processes import hears_interrupts

pytestmark = pytest.mark.slow
TOOLS = {name: shutil.which(name) for name in ("initdb", "pg_ctl")}
ADMIN = {"MLFLOW_TRACKING_USERNAME": "keeper", "MLFLOW_TRACKING_PASSWORD": "a-long-password-1"}


@pytest.mark.long
def test_a_server_killed_while_it_is_written_to_and_many_writers_after_it_is_back(tmp_path: Path) -> None:
    straight, database, port = tmp_path / "straight.db", tmp_path / "served.db", free_port()
    folders = [tmp_path / f"w{i}" for i in range(4)]
    for folder in folders:
        make_folder(folder, name=folder.name, epochs=150 if folder.name == "w0" else 20, folds=1, scenarios=("all87",))
        sync.sync(folder, f"sqlite:///{straight}", models=False)
    wanted = content(straight)
    failed: list[Exception] = []

    def write(uri: str) -> None:
        try:
            sync.sync(folders[0], uri, models=False)
        except MlflowException as error:
            failed.append(error)

    with server(f"sqlite:///{database}", port=port, kill=True) as uri:
        writer = Thread(target=write, args=(uri,))
        writer.start()
        while not (half := content(database)["points"].total()) and writer.is_alive():
            time.sleep(0.01)
    assert half
    with server(f"sqlite:///{database}", port=port) as uri:  # back while the writer tries again, or after it gave up
        writer.join()
        sync.sync(folders[0], uri, models=False)
        with ThreadPoolExecutor(3) as pool:
            done = list(pool.map(lambda folder: sync.sync(folder, uri, models=False), folders[1:]))
        assert all(count["updated"] == 0 for count in done)
        assert differences(wanted, content(database)) == (0, 0)
        again = [sync.sync(folder, uri, models=False) for folder in folders[:2]]
        assert all(count["made"] == count["updated"] == 0 for count in again)
        assert differences(wanted, content(database)) == (0, 0)


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_the_ui_takes_its_server_with_it(tiny_grid: Path, tmp_path: Path, ended_by: signal.Signals) -> None:
    out, port = Path(shutil.copytree(tiny_grid, tmp_path / "out")), free_port()
    command = [sys.executable, "-m", "grid.tracking", "ui", str(out), "--port", str(port)]
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "preexec_fn": hears_interrupts}
    process = subprocess.Popen(command, **how)  # type: ignore[call-overload]
    try:
        wait_for(port, process)
        process.send_signal(ended_by)
        assert process.wait(timeout=60) == 0
        assert not answers(port)
    finally:
        process.kill()


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of our own on loopback, with a password; its address."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'pain-grid[postgresql]'")
    if None in TOOLS.values():
        pytest.skip("initdb and pg_ctl are not on the PATH")
    folder = Path("/tmp") / f"grid-postgresql-{os.getpid()}"  # reachable for another user, as pytest's folders are not
    folder.mkdir()
    user: list[str] = []
    if os.geteuid() == 0:  # which PostgreSQL refuses
        if shutil.which("setpriv") is None:
            pytest.skip("PostgreSQL does not run as root, and setpriv is not on the PATH")
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--"]
    (folder / "password").write_text("s3cret\n")
    port = free_port()
    data, tools = folder / "data", {name: str(path) for name, path in TOOLS.items()}
    where = {"cwd": folder, "check": True, "capture_output": True, "env": {**os.environ, "LC_ALL": "C"}}
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
    try:
        secret = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--username=grid", "--encoding=UTF8"]
        subprocess.run([*user, tools["initdb"], "-D", str(data), *secret], **where)
        control = [*user, tools["pg_ctl"], "-D", str(data), "-w"]
        subprocess.run([*control, "-l", str(folder / "log"), "-o", options, "start"], **{**where, "capture_output": False})
        try:
            yield f"postgresql://grid:s3cret@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **where)
    finally:
        shutil.rmtree(folder)


def rows(uri: str, query: str) -> list[tuple]:
    import psycopg

    with psycopg.connect(uri) as connection:
        return connection.execute(query).fetchall()


def test_postgresql_and_a_server_that_asks_who_is_there(
    postgresql: str, tiny_grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(tiny_grid, out, ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts"))
    assert sync.main(["sync", str(out), "--tracking-uri", postgresql.replace("s3cret", "wrong")]) == 1
    said = capsys.readouterr().err
    assert "password authentication failed" in said
    assert "wrong" not in said

    assert sync.main(["sync", str(out), "--tracking-uri", postgresql]) == 0
    assert "85 runs made" in capsys.readouterr().out
    count = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM params), (SELECT count(*) FROM metrics)"
    before = rows(postgresql, count)
    assert before[0][0] == 85

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN["MLFLOW_TRACKING_USERNAME"])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not-it")
    config = tmp_path / "auth.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{tmp_path / 'users.db'}\nadmin_username = keeper\n"
        f"admin_password = {ADMIN['MLFLOW_TRACKING_PASSWORD']}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    secret = {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "only for this test"}
    artefacts = ("--artifacts-destination", str(tmp_path / "artefacts"))
    with server(postgresql, more=("--app-name", "basic-auth", *artefacts), **secret) as uri:
        assert sync.main(["sync", str(out), "--tracking-uri", uri]) == 1
        assert "refused the name or password" in capsys.readouterr().err
        assert rows(postgresql, count) == before

        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN["MLFLOW_TRACKING_PASSWORD"])
        again = ["--all", "--data", "D", "--experiment", "E", "--out", str(out), "--in-process", "--tracking-uri", uri]
        again[2], again[4] = _inputs(out)
        assert launch.main(again) == 0
        assert "1 updated, 84 unchanged" in capsys.readouterr().out  # the run `report`: a server gets no report
        assert rows(postgresql, count) == before
        MlflowClient(uri).delete_run(rows(postgresql, "SELECT run_uuid FROM tags WHERE value = 'fold'")[0][0])
        assert sync.sync(out, uri)["made"] == 1


def _inputs(out: Path) -> tuple[str, str]:
    """The data and the experiment that a result folder was made from."""
    import json
    import shlex

    words = shlex.split(json.loads((out / "run.json").read_text())["command"])
    return words[words.index("--data") + 1], words[words.index("--experiment") + 1]
