"""A new virtual environment from the lock and the wheel of a run, and a rerun inside it.

pip finds packages as it is configured on the machine (its configuration files, ``PIP_FIND_LINKS``,
``PIP_INDEX_URL``, ...). What runs afterwards sees nothing of the caller's Python: the interpreter
is isolated and its environment variables are cleared.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livertrack._files import hash_file
from livertrack.errors import MissingToolError, UsageError
from livertrack.pipeline.lock import read_lock

#: what pip may see of the caller's environment, beside its own settings (``PIP_...``)
_FOR_PIP = (
    "PATH", "HOME", "USERPROFILE", "APPDATA", "SYSTEMROOT", "TMPDIR", "TEMP", "XDG_CONFIG_HOME",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
#: what the rerun may see: where programs and temporary files are
_FOR_RUN = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP")
_INSTALLED = (
    "import json, platform; from importlib.metadata import distributions as d; "
    "from livertrack.pipeline.ledger import code_version; "
    "print(json.dumps({'python': platform.python_version(), 'code': code_version(), "
    "'packages': {x.metadata['Name']: x.version for x in d()}}))"
)


@dataclass(frozen=True)
class NewEnvironment:
    """A virtual environment made for one rerun.

    Attributes
    ----------
    folder : Path
    python : Path
        Its interpreter.
    facts : dict
        ``python`` (version), ``packages`` (how many the lock names), ``wheel`` (SHA-256),
        ``code`` (version of the package in it), ``seconds`` (to build it), ``differences`` (what
        is not as the run recorded it).
    """

    folder: Path
    python: Path
    facts: dict[str, Any]


def build_environment(folder: Path, out: Path, recorded: dict[str, Any]) -> NewEnvironment:
    """Make a virtual environment of what the run in ``out`` recorded.

    Parameters
    ----------
    folder : path
        Where; must be absent or empty.
    out : path
        Run folder with ``environment/``.
    recorded : dict
        Its manifest.

    Raises
    ------
    UsageError
        The run recorded no environment, its files were altered, or ``folder`` is not empty.
    MissingToolError
        pip could not install what the lock names.
    """
    place = recorded.get("environment")
    if not place:
        msg = "the run recorded no environment (an earlier version made it); run it again first"
        raise UsageError(msg)
    lock, wheel = out / place["lock"], out / place["wheel"]
    for path, name in ((lock, place["lock"]), (wheel, place["wheel"])):
        if not path.is_file() or hash_file(path) != recorded["outputs"].get(name):
            msg = f"{name} of the run is missing or altered; nothing is installed from it"
            raise UsageError(msg)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder} is not empty; name a new folder for the environment"
        raise UsageError(msg)
    start = time.monotonic()
    base = find_python(recorded["versions"]["python"])
    _call([base, "-I", "-m", "venv", str(folder)], _variables(_FOR_PIP), "venv")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip_install(python, ["--requirement", str(lock)])
    pip_install(python, ["--no-index", str(wheel)])
    seconds = round(time.monotonic() - start, 1)
    facts = {**_facts(python, lock, recorded), "wheel": hash_file(wheel), "seconds": seconds}
    return NewEnvironment(folder, python, facts)


def repeat(environment: NewEnvironment, manifest: Path, study: Path, to: Path) -> None:
    """Run the study again inside the environment, leaving the run folder ``to``.

    Raises
    ------
    MissingToolError
        The run failed there; its last words are in the message.
    """
    home = environment.folder / "home"
    home.mkdir(exist_ok=True)
    variables = _variables(_FOR_RUN) | {
        "HOME": str(home), "MPLCONFIGDIR": str(home / "matplotlib"), "LANG": "C.UTF-8",
    }  # fmt: skip
    # python -I: no PYTHON* variables, no user packages, no current folder on the path
    command = [environment.python, "-I", "-m", "livertrack.pipeline.repeat", manifest, study, to]
    _call([str(word) for word in command], variables, "the rerun")


def pip_install(python: Path, what: Sequence[str]) -> None:
    """Install exactly ``what`` with the pip of an environment; dependencies are in the lock."""
    variables = _variables(_FOR_PIP)
    variables |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    _call([str(python), "-I", "-m", "pip", "install", "--no-deps", *what], variables, "pip")


def find_python(version: str) -> str:
    """Interpreter of the recorded minor version: this one, or one on the search path."""
    wanted = version.split(".")[:2]
    if wanted == platform.python_version().split(".")[:2]:
        return getattr(sys, "_base_executable", sys.executable)
    found = shutil.which(f"python{'.'.join(wanted)}")
    if found is None:
        msg = f"the run was made with Python {version}; put python{'.'.join(wanted)} on the path"
        raise MissingToolError(msg)
    return found


def _facts(python: Path, lock: Path, recorded: dict[str, Any]) -> dict[str, Any]:
    """Compare what is installed with the lock and with the manifest."""
    found = json.loads(
        _call([str(python), "-I", "-c", _INSTALLED], _variables(_FOR_RUN), "python")
    )
    installed = {_plain(name): version for name, version in found["packages"].items()}
    expected = read_lock(lock)
    lines = [
        f"{p.name}: {p.version} recorded, {installed.get(_plain(p.name), 'absent')} installed"
        for p in expected
        if installed.get(_plain(p.name)) != p.version
    ]
    then = recorded["versions"]["python"]
    if found["python"] != then:
        lines.append(f"python: {then} recorded, {found['python']} here")
    code = found["code"]
    if code != recorded["versions"]["livertrack"]:
        lines.append(
            f"livertrack: {recorded['versions']['livertrack']} recorded, {code} installed"
        )
    return {
        "python": found["python"], "packages": len(expected), "code": code, "differences": lines,
    }  # fmt: skip


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _variables(names: Sequence[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _call(command: Sequence[str], variables: dict[str, str], what: str) -> str:
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        msg = f"new environment: {what} failed with exit code {done.returncode}:\n{tail}"
        raise MissingToolError(msg)
    return done.stdout
