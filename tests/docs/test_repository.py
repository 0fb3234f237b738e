"""The repository is small, licensed, citable, and says what it depends on."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

import bench

ROOT = Path(bench.__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
DEPENDENCIES = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
LISTED = dict(re.findall(r"^\| `([\w-]+)` \| ([^|]+?) \|", DEPENDENCIES, re.MULTILINE))
LARGEST = {".html": 1_000_000, ".png": 100_000}  # bytes
LARGEST_OTHER = 300_000
VENDORED = {"bench/page/vendor/d3.min.js", "bench/page/vendor/plot.umd.min.js"}


def committed() -> list[Path]:
    """The files that git tracks, or would."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in found.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    return committed()


def test_no_committed_file_is_large(files):
    large = {
        str(path.relative_to(ROOT)): path.stat().st_size
        for path in files
        if path.stat().st_size > LARGEST.get(path.suffix, LARGEST_OTHER)
    }
    assert not large


def test_the_reference_results_hold_a_dozen_pictures_and_stay_small(files):
    kept = [path for path in files if path.is_relative_to(ROOT / "results" / "reference")]
    pictures = [path for path in kept if path.suffix == ".png"]
    assert len(pictures) <= 15
    assert sum(path.stat().st_size for path in kept) < 2_000_000
    for path in pictures:
        with Image.open(path) as image:
            image.verify()


def test_no_picture_of_hmt_s_tiles_is_committed(files):
    assert not [path for path in files if re.match(r"hmt.*gallery", path.name)]


def requirements() -> set[str]:
    """Names of all packages that pyproject.toml asks for, the project's own extras left out."""
    section = PROJECT.split("[project]")[1].split("[project.scripts]")[0]
    asked = re.findall(r'"([A-Za-z][\w-]*)(?:\[[\w,]+\])?(?:[<>=][^"]*)?"', section.split("\ndependencies = [")[1])
    return set(asked) - {"attribution-bench"}


def test_the_list_of_dependencies_is_that_of_pyproject():
    assert set(LISTED) == requirements()


@pytest.mark.parametrize("name", sorted(LISTED))
def test_the_listed_licence_is_the_one_in_the_package(name):
    """By its SPDX expression, or by the words of its licence field, its classifiers or its licence file."""
    try:
        package = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    texts = [file.read_text() for file in package.files or [] if re.search(r"dist-info/.*(LICEN|COPYING)", str(file))]
    stated = [package.metadata.get(field) or "" for field in ("License-Expression", "License")]
    said = " ".join([*stated, *(package.metadata.get_all("Classifier") or []), *texts])
    first = re.split(r",| and | \(", LISTED[name])[0]
    words = {
        "BSD-3-Clause": r"BSD-3-Clause|BSD 3-Clause|BSD License|Redistribution and use in source and binary forms",
        "BSD-2-Clause": r"BSD-2-Clause|Redistribution and use in source and binary forms",
        "Apache-2.0": r"Apache-2\.0|Apache License|Apache Software License",
        "MIT": r"\bMIT\b|Permission is hereby granted, free of charge",
        "MIT-CMU": r"MIT-CMU",
        "MPL-2.0": r"MPL-2\.0",
        "LGPL-3.0-or-later": r"LESSER GENERAL PUBLIC LICENSE VERSION 3 OR\s+LATER",
        "Matplotlib licence": r"matplotlib",
    }
    assert re.search(words[first], said)


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[0] for name in names}


def test_the_package_imports_what_it_depends_on_and_depends_on_what_it_imports():
    """Two packages are not imported: timm builds networks of users' models, jinja2 is pandas' way to LaTeX."""
    packages = {
        "sklearn": "scikit-learn",
        "skimage": "scikit-image",
        "PIL": "pillow",
        "scikit_posthocs": "scikit-posthocs",
    }
    sources = [*ROOT.glob("bench/**/*.py"), *ROOT.glob("methods/*.py"), *ROOT.glob("tasks/*.py")]
    found = set().union(*map(imported, sources)) - set(sys.stdlib_module_names) - {"bench"}
    needed = set(re.findall(r"^\| `([\w-]+)`", DEPENDENCIES.split("## Needed to test")[0], re.MULTILINE))
    assert {packages.get(name, name) for name in found} | {"timm", "jinja2"} == needed


def test_the_licence_is_bsd_and_pyproject_says_so():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("BSD 3-Clause License\n\nCopyright (c) 2026, The attribution-bench authors\n")
    assert 'license = "BSD-3-Clause"' in PROJECT
    assert re.search(r'license-files = \["LICENSE"', PROJECT)


def test_the_citation_file_is_valid_and_of_this_version():
    """The fields that the Citation File Format 1.2.0 requires, and the version of the package."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"]
    assert citation["title"] == "attribution-bench"
    assert citation["authors"] == [{"name": "The attribution-bench authors"}]
    assert str(citation["version"]) == bench.__version__
    assert citation["license"] == "BSD-3-Clause"
