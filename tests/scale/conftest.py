"""A Ray cluster of two nodes on this computer for all tests here; it starts in 20 s and ends with them."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_cluster import ray_processes, wait_until

HERE = "127.0.0.1"
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 200 * 1024 * 1024, "node_ip_address": HERE}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("ray") is None:
        for item in items:
            if item.get_closest_marker("ray"):
                item.add_marker(pytest.mark.skip(reason="needs the ray extra (ray not installed)"))


@pytest.fixture(scope="session")
def machines() -> Iterator[Any]:
    """A cluster of two nodes with one processor each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before = set(ray_processes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray._private import services
        from ray.cluster_utils import Cluster

        patch = pytest.MonkeyPatch()
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # what a test sends is found there by the workers
        # Ray would take the address that others see this computer by, which tests must not reach.
        patch.setattr(services, "node_ip_address_from_perspective", lambda *_, **__: HERE)
        made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        made.add_node(**NODE)
        made.wait_for_nodes()
    yield made
    import ray

    ray.shutdown()
    made.shutdown()
    patch.undo()
    wait_until(lambda: not set(ray_processes()) - before)


@pytest.fixture(scope="session")
def cluster(machines: Any) -> str:
    """The address of the cluster."""
    return str(machines.address)


@pytest.fixture
def third(machines: Any) -> Iterator[Callable[[], None]]:
    """One more node with two processors; call it to have the machine die."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = machines.add_node(**{**NODE, "num_cpus": 2})
    there = [node]
    yield lambda: machines.remove_node(there.pop(), allow_graceful=False)
    for left in there:
        machines.remove_node(left)
