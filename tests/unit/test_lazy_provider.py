from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from spark_cluster import lazy_provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = lazy_provider.PACKAGE


def drop_provider() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]
    return {name: sys.modules.pop(name) for name in names}


def imported_modules() -> set[str]:
    return {name.removeprefix(f"{PACKAGE}.") for name in sys.modules if name.startswith(f"{PACKAGE}.")}


@pytest.fixture(autouse=True)
def package_like_the_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package generated as the provider's is, with three of its modules, where the provider would be."""
    root = tmp_path / PACKAGE
    for module, text in {
        ".": "from ._jsii import *\nfrom . import instance\nfrom . import s3_bucket\nfrom . import vpc\n",
        "_jsii": "",
        "instance": "from .._jsii import *\nclass Instance: ...\n",
        "s3_bucket": "from .._jsii import *\nclass S3Bucket: ...\n",
        "vpc": "from .._jsii import *\nclass Vpc: ...\n",
    }.items():
        (root / module).mkdir(parents=True, exist_ok=True)
        (root / module / "__init__.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(lazy_provider.OPT_OUT, raising=False)
    real = drop_provider()
    yield
    drop_provider()
    sys.modules.update(real)


@pytest.fixture(autouse=True)
def modules_of_types(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The map that jsii has, without the Node that importing jsii starts."""
    return set_jsii(monkeypatch, _submodule_fqn_map={})


def set_jsii(monkeypatch: pytest.MonkeyPatch, **reference_map: object) -> dict[str, str]:
    jsii = ModuleType("jsii")
    jsii.__dict__["_reference_map"] = SimpleNamespace(**reference_map)
    monkeypatch.setitem(sys.modules, "jsii", jsii)
    found = reference_map.get("_submodule_fqn_map")
    return found if isinstance(found, dict) else {}


def test_imports_a_module_when_it_is_used_and_no_other() -> None:
    assert lazy_provider.import_lazily()

    package = importlib.import_module(PACKAGE)
    assert imported_modules() == set()

    assert package.vpc.Vpc
    assert imported_modules() == {"_jsii", "vpc"}


def test_every_way_of_importing_gives_the_same_class() -> None:
    lazy_provider.import_lazily()
    seen: dict[str, Any] = {}
    exec(  # noqa: S102 - each form of the statement, not of a function that imports
        f"import {PACKAGE} as by_alias, {PACKAGE}.vpc\n"
        f"from {PACKAGE} import vpc\n"
        f"from {PACKAGE}.vpc import Vpc\n"
        f"by_path = {PACKAGE}.vpc.Vpc\n",
        seen,
    )

    assert seen["Vpc"] is seen["vpc"].Vpc is seen["by_alias"].vpc.Vpc is seen["by_path"]
    assert isinstance(seen["Vpc"](), seen["by_alias"].vpc.Vpc)
    assert sys.modules[f"{PACKAGE}.vpc"] is seen["vpc"]


def test_imports_all_that_a_star_asks_for() -> None:
    lazy_provider.import_lazily()
    seen: dict[str, Any] = {}
    exec(f"from {PACKAGE} import *", seen)  # noqa: S102 - a star is allowed at module level only

    assert {"instance", "s3_bucket", "vpc"} <= seen.keys()


def test_lists_what_can_be_imported() -> None:
    lazy_provider.import_lazily()
    package = importlib.import_module(PACKAGE)

    assert {"instance", "s3_bucket", "vpc", "__name__", "__path__"} <= set(dir(package))
    assert imported_modules() == set()


def test_looks_like_the_package_it_stands_for(tmp_path: Path) -> None:
    lazy_provider.import_lazily()
    package = importlib.import_module(PACKAGE)

    assert inspect.ismodule(package)
    assert package.__name__ == PACKAGE
    assert package.__spec__ is not None
    assert inspect.getsourcefile(package) == str(tmp_path / PACKAGE / "__init__.py")


def test_fails_on_a_module_the_provider_does_not_have() -> None:
    lazy_provider.import_lazily()
    package = importlib.import_module(PACKAGE)

    with pytest.raises(AttributeError, match=f"module '{PACKAGE}' has no attribute 'vpcs'"):
        _ = package.vpcs
    with pytest.raises(ModuleNotFoundError, match=r"vpcs"):
        importlib.import_module(f"{PACKAGE}.vpcs")


def test_tells_jsii_in_which_module_a_type_is(modules_of_types: dict[str, str]) -> None:
    lazy_provider.import_lazily()

    assert modules_of_types == {
        "@cdktf/provider-aws.instance": f"{PACKAGE}.instance",
        "@cdktf/provider-aws.s3Bucket": f"{PACKAGE}.s3_bucket",
        "@cdktf/provider-aws.vpc": f"{PACKAGE}.vpc",
    }


def test_may_be_called_again() -> None:
    lazy_provider.import_lazily()
    package = importlib.import_module(PACKAGE)
    vpc = package.vpc

    assert lazy_provider.import_lazily()
    assert importlib.import_module(PACKAGE) is package
    assert package.vpc is vpc
    assert imported_modules() == {"_jsii", "vpc"}


def test_leaves_a_provider_alone_that_is_already_imported(modules_of_types: dict[str, str]) -> None:
    package = importlib.import_module(PACKAGE)

    assert not lazy_provider.import_lazily()
    assert importlib.import_module(PACKAGE) is package
    assert type(package) is ModuleType
    assert imported_modules() == {"_jsii", "instance", "s3_bucket", "vpc"}
    assert modules_of_types == {}


def test_leaves_import_as_it_is_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_CLUSTER_EAGER_PROVIDER", "1")

    assert not lazy_provider.import_lazily()
    assert PACKAGE not in sys.modules
    importlib.import_module(f"{PACKAGE}.vpc")
    assert imported_modules() == {"_jsii", "instance", "s3_bucket", "vpc"}


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_CLUSTER_EAGER_PROVIDER", "")

    assert lazy_provider.import_lazily()


@pytest.mark.parametrize("reference_map", [{}, {"_submodule_fqn_map": ["of", "another", "form"]}])
def test_leaves_import_as_it_is_where_jsii_has_no_such_map(
    monkeypatch: pytest.MonkeyPatch, reference_map: dict[str, object]
) -> None:
    set_jsii(monkeypatch, **reference_map)

    assert not lazy_provider.import_lazily()
    assert PACKAGE not in sys.modules


def test_leaves_import_as_it_is_where_jsii_has_no_reference_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsii", ModuleType("jsii"))
    monkeypatch.delitem(sys.modules, "jsii._reference_map", raising=False)

    assert not lazy_provider.import_lazily()
    assert PACKAGE not in sys.modules


def test_leaves_the_error_to_the_import_where_there_is_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    importlib.invalidate_caches()

    assert not lazy_provider.import_lazily()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{PACKAGE}.vpc")


def test_importing_the_library_changes_nothing_in_its_host() -> None:
    program = "import sys, spark_cluster, spark_cluster.lazy_provider; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "spark_cluster" in loaded
    assert loaded.isdisjoint({"cdktf", "constructs", "jsii", PACKAGE})
