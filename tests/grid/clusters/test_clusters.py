"""The cluster files: valid for the pinned Ray by Ray's own check, and as closed as the documentation says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILES = [ROOT / "cluster.yaml", *sorted((ROOT / "grid/clusters").glob("*.yaml"))]
RAY_UP = [f for f in FILES if "kuberay" not in f.name]


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def check_by_ray(config: dict[str, Any]) -> dict[str, Any]:
    """What `ray up` does before it calls anybody. It may sys.exit."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(config)
    validate_config(prepared)
    return prepared


@pytest.mark.parametrize("path", RAY_UP, ids=lambda p: p.name)
def test_ray_takes_it(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray's local provider keeps state in the home folder
    config = read(path)
    prepared = check_by_ray(config)
    kinds = prepared["available_node_types"].values()
    assert sum(t["max_workers"] for t in kinds) == config["max_workers"]


def test_ray_s_check_can_fail() -> None:
    config = read(ROOT / "cluster.yaml")
    for wrong in ({"max_workrs": 3}, {"head_node_type": "hed"}, {"max_workers": "many"}):
        with pytest.raises((Exception, SystemExit), match=r"max_workrs|head_node_type|many"):
            check_by_ray({**config, **wrong})


@pytest.mark.parametrize("path", RAY_UP, ids=lambda p: p.name)
def test_doors_are_locked(path: Path) -> None:
    config = read(path)
    assert any(target.endswith("/.ray/auth_token") for target in config["file_mounts"])
    setup = "\n".join(config["setup_commands"])
    assert "chmod 600 ~/.ray/auth_token" in setup
    assert "RAY_AUTH_MODE=token" in setup
    starts = [c for c in config["head_start_ray_commands"] + config["worker_start_ray_commands"] if "ray start" in c]
    assert len(starts) == 2
    for command in starts:
        assert ". ~/.profile;" in command, "the token mode is set there"
    (head,) = (c for c in starts if "--head" in c)
    assert "--dashboard-host=127.0.0.1" in head
    assert "0.0.0.0" not in path.read_text()


def test_on_aws_the_security_group_and_the_disks_are_one_s_own() -> None:
    """Ray's own group would open SSH to everyone; a stopped node would keep faces on its disk."""
    config = read(ROOT / "cluster.yaml")
    assert config["provider"]["cache_stopped_nodes"] is False
    assert "security_group" not in config["provider"]
    for node in config["available_node_types"].values():
        aws = node["node_config"]
        assert aws["SecurityGroupIds"]
        assert aws["MetadataOptions"]["HttpTokens"] == "required"
        assert all(d["Ebs"]["Encrypted"] and d["Ebs"]["DeleteOnTermination"] for d in aws["BlockDeviceMappings"])
    assert config["available_node_types"]["head"]["resources"] == {"CPU": 0}
    assert config["available_node_types"]["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert config["idle_timeout_minutes"] > 0


def test_kubernetes_runs_the_same_command_with_a_token() -> None:
    job = read(ROOT / "grid/clusters/kuberay-rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert cluster["headGroupSpec"]["rayStartParams"]["dashboard-host"] == "127.0.0.1"
    from grid.launch import parser

    words = job["spec"]["entrypoint"].split()
    assert words[:3] == ["python", "-m", "grid.launch"]
    assert parser().parse_args(words[3:]).address == "auto"
    (group,) = cluster["workerGroupSpecs"]
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_the_version_of_ray_is_the_pinned_one(path: Path) -> None:
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    named = re.findall(r"rayproject/ray:([\d.]+)|rayVersion: \"([\d.]+)\"", path.read_text())
    assert {a or b for a, b in named} <= {pinned[1]}
    assert named or "onprem" in path.name
