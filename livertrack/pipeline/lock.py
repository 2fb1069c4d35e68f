"""What a run was made with, so that another machine can build it again: exact versions and code.

``OUT/environment/requirements.lock`` names every installed package that livertrack needs, directly
or through others, with its exact version and who needs it; the wheel beside it is the very code of
the run.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import livertrack
from livertrack._files import whole_file, write_text
from livertrack._resources import resource_dir
from livertrack.pipeline.ledger import code_version

FOLDER = "environment"
LOCK = f"{FOLDER}/requirements.lock"
_ROOT = "livertrack"
#: extras of the package that no run needs
_DEVELOPMENT = frozenset({"dev"})
_NO_METADATA = f"Metadata-Version: 2.1\nName: {_ROOT}\nVersion: {livertrack.__version__}\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: livertrack\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_ENTRY = "[console_scripts]\nlivertrack = livertrack.cli:main\n"


@dataclass(frozen=True)
class Locked:
    """One package: its name, exact version, and the packages that need it."""

    name: str
    version: str
    needed_by: tuple[str, ...]


@functools.cache
def locked_packages(also: tuple[str, ...] = ()) -> tuple[Locked, ...]:
    """Installed packages that livertrack needs, by name; itself left out.

    Parameters
    ----------
    also : tuple of str
        Packages taken where they are installed, whatever the metadata of livertrack say.
    """
    needed: dict[str, set[str]] = {}
    wanted = [(_ROOT, frozenset(_extras(_ROOT)), "")]
    wanted += [(canonicalize_name(name), frozenset[str](), _ROOT) for name in also]
    done: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        name, extras, by = wanted.pop()
        if name != _ROOT and not _installed(name):
            continue  # an extra that is not installed
        if by:
            needed.setdefault(name, set()).add(by)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        wanted += [
            (canonicalize_name(found.name), frozenset(found.extras), name)
            for found in _requirements(name, extras)
        ]
    return tuple(
        Locked(name, metadata.version(name), tuple(sorted(by)))
        for name, by in sorted(needed.items())
        if name != _ROOT
    )


def write_environment(out: Path, also: tuple[str, ...] = ()) -> dict[str, Any]:
    """Write the lock and the wheel of the running code under ``out``; returns their places."""
    lines = [f"{p.name}=={p.version}  # needed by {', '.join(p.needed_by)}"
             for p in locked_packages(also)]  # fmt: skip
    write_text(out / LOCK, "\n".join(lines) + "\n")
    wheel = f"{FOLDER}/{_ROOT}-{livertrack.__version__}-py3-none-any.whl"
    for stale in (out / FOLDER).glob("*.whl"):
        if stale.name != Path(wheel).name:
            stale.unlink()
    write_wheel(out / wheel)
    return {"lock": LOCK, "wheel": wheel, "code": code_version(), "packages": len(lines)}


def read_lock(path: Path) -> list[Locked]:
    """Packages of a written lock."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        pinned, _, by = line.partition("  # needed by ")
        name, _, version = pinned.strip().partition("==")
        if version:
            found.append(Locked(name, version, tuple(part for part in by.split(", ") if part)))
    return found


def write_wheel(path: Path) -> None:
    """Write the running package as a wheel; the same sources give the same bytes."""
    with whole_file(path) as temporary:
        temporary.write_bytes(_wheel())


@functools.cache
def _wheel() -> bytes:
    info = f"{_ROOT}-{livertrack.__version__}.dist-info"
    files = dict(_sources())
    files[f"{info}/METADATA"] = _metadata().encode()
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    files[f"{info}/entry_points.txt"] = _ENTRY.encode()
    record = "".join(
        f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items()
    )
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as made:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            made.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def _sources() -> Iterator[tuple[str, bytes]]:
    """Files of the package, and the dictionary and reports where a wheel has them."""
    package = Path(livertrack.__file__).resolve().parent
    folders = [(package, _ROOT)]
    folders += [
        (resource_dir(name), f"{_ROOT}/_shipped/{name}") for name in ("data-dictionary", "reports")
    ]
    for folder, place in folders:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if not path.is_file() or {"__pycache__", "_shipped"} & set(inside.parts):
                continue
            yield f"{place}/{inside.as_posix()}", path.read_bytes()


def _metadata() -> str:
    try:
        return metadata.distribution(_ROOT).read_text("METADATA") or _NO_METADATA
    except metadata.PackageNotFoundError:
        return _NO_METADATA


def _extras(name: str) -> set[str]:
    try:
        found = metadata.metadata(name).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return set()
    return set(found) - _DEVELOPMENT


def _requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        found = Requirement(line)
        marker = found.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in (*sorted(extras), "")):
            yield found


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
