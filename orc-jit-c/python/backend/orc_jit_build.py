"""Makes the wheel: the package and the library, which Cargo compiles. (PEP 517, without anything to install.)

`ORC_JIT_LIBRARY` is a library that was compiled before.
"""

import base64
import hashlib
import os
import platform
import re
import subprocess
import zipfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The same in every wheel of the same files.
WHEN = (1980, 1, 1, 0, 0, 0)


def _project():
    with open(os.path.join(HERE, "pyproject.toml"), encoding="utf-8") as file:
        text = file.read()
    return {key: value for key, value in re.findall(r'^([\w-]+) = "(.*)"$', text, re.M)}


def _library():
    """The library's path, compiled if need be."""
    if os.environ.get("ORC_JIT_LIBRARY"):
        return os.environ["ORC_JIT_LIBRARY"]
    workspace = os.path.dirname(os.path.dirname(HERE))
    target = os.path.abspath(
        os.environ.get("CARGO_TARGET_DIR", os.path.join(workspace, "target"))
    )
    subprocess.run(
        ["cargo", "build", "--release", "-p", "orc-jit-c", "--target-dir", target],
        cwd=workspace,
        check=True,
    )
    return os.path.join(target, "release", "liborcjit.so")


def get_requires_for_build_wheel(config_settings=None):
    return []


def get_requires_for_build_sdist(config_settings=None):
    return []


def build_sdist(sdist_directory, config_settings=None):
    raise RuntimeError("the library's sources are a Cargo workspace: build a wheel from a checkout")


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    project = _project()
    version = project["version"]
    tag = f"py3-none-linux_{platform.machine()}"
    info = f"orc_jit-{version}.dist-info"
    name = f"orc_jit-{version}-{tag}.whl"
    with open(os.path.join(HERE, "orc_jit", "__init__.py"), "rb") as file:
        package = file.read()
    with open(_library(), "rb") as file:
        library = file.read()
    metadata = (
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
        f"Summary: {project['description']}\nRequires-Python: {project['requires-python']}\n"
        "License: MIT OR Apache-2.0\n"
    )
    wheel = f"Wheel-Version: 1.0\nGenerator: orc_jit_build\nRoot-Is-Purelib: false\nTag: {tag}\n"
    files = {
        "orc_jit/__init__.py": package,
        "orc_jit/liborcjit.so": library,
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": wheel.encode(),
    }
    record = "".join(
        "%s,sha256=%s,%d\n"
        % (
            path,
            base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode(),
            len(content),
        )
        for path, content in files.items()
    )
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if path.endswith(".so") else 0o644) << 16
            archive.writestr(entry, content)
    return name
