"""`typing.get_type_hints`, which dependency injection, documentation and checks at run time are built on."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing

import pytest

import spark_cluster

MODULES = [module.name for module in pkgutil.iter_modules(spark_cluster.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_what_annotations_name_is_there_at_run_time(name: str) -> None:
    module = importlib.import_module(f"spark_cluster.{name}")
    own = [found for found in vars(module).values() if getattr(found, "__module__", None) == module.__name__]
    classes = [found for found in own if inspect.isclass(found)]
    methods = [found for cls in classes for found in vars(cls).values() if inspect.isfunction(found)]
    getters = [found.fget for cls in classes for found in vars(cls).values() if isinstance(found, property)]
    functions = [found for found in own if inspect.isfunction(found)]
    for annotated in [*classes, *methods, *getters, *functions]:
        typing.get_type_hints(annotated)


def test_hints_of_the_cluster_are_the_classes_of_the_package() -> None:
    hints = typing.get_type_hints(spark_cluster.SparkCluster.__init__)
    assert hints["master"] is spark_cluster.Master
    assert hints["workers"] is spark_cluster.Workers
