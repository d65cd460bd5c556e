"""infra/launcher through Ray's own validator, and AWS's part through boto's request shapes."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.validate import ParamValidator
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

LAUNCHER = Path(__file__).parents[2] / "infra" / "launcher"


def config(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((LAUNCHER / f"{name}.yaml").read_text())
    return loaded


def aws_faults(node: dict[str, Any]) -> str:
    """What the RunInstances request says of a node's settings."""
    service = boto3.client("ec2", region_name="us-east-1").meta.service_model
    shape = service.operation_model("RunInstances").input_shape
    request = {**node, "MinCount": 1, "MaxCount": 1}
    return str(ParamValidator().validate(request, shape).generate_report())


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_ray_takes_it(name: str) -> None:
    validate_config(prepare_config(config(name)))


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_a_misspelt_key_is_refused(name: str) -> None:
    misspelt = {**config(name), "idle_timeout_minute": 1}
    with pytest.raises(ValidationError, match="idle_timeout_minute"):
        validate_config(prepare_config(misspelt))


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_the_head_works_for_drivers_alone_and_opens_nothing(name: str) -> None:
    read = config(name)
    assert read["available_node_types"][read["head_node_type"]]["resources"] == {"CPU": 0}
    (start,) = read["head_start_ray_commands"]
    assert "--dashboard-host=127.0.0.1" in start
    assert not read["provider"]["cache_stopped_nodes"]


def test_amazon_takes_the_nodes_settings() -> None:
    types = config("aws")["available_node_types"]
    assert [aws_faults(kind["node_config"]) for kind in types.values()] == [""] * len(types)
    spot = deepcopy(types["gpu-spot"]["node_config"])
    spot["InstanceTyp"] = spot.pop("InstanceType")
    assert "InstanceTyp" in aws_faults(spot), "else this shows nothing"
