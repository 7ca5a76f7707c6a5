"""A port that cannot be served on is told in one sentence, before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards import live
from dataprep.ports import free_port
from dataprep.records import InputError
from grid.monitor import prometheus


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        yield s.getsockname()[1]


@pytest.mark.parametrize(
    ("command", "option"),
    [(prometheus, "--port"), (live, "--port"), (live, "--prometheus-port"), (live, "--grafana-port")],
)
def test_a_port_in_use_is_bad_input(command, option: str, taken: int, tmp_path: Path, capsys) -> None:
    assert command.main([str(tmp_path), option, str(taken)]) == 2
    said = capsys.readouterr()
    assert said.err == f"error: {option}: port {taken} of 127.0.0.1 is in use by another program: choose another\n"
    assert not said.out
    assert not list(tmp_path.iterdir())


def test_a_number_that_is_no_port() -> None:
    with pytest.raises(InputError, match="--port: found 70000, expected a port from 0 to 65535"):
        free_port(70000)


def test_zero_is_a_port_that_is_free() -> None:
    port = free_port(0)
    assert port > 0
    with socket.create_server(("127.0.0.1", port)):
        assert free_port(0) != port
