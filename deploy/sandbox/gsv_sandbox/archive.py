"""A container image as a docker-archive tar, made from directories; no engine and no registry.

`write` puts layers and a configuration together; `tags` and `extract_layer` read such a tar back. Every file appears under its
own name only when it is whole: written beside it, flushed to the disk, then renamed.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gsv_sandbox.errors import SandboxError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LAYER_SECONDS = 600


class ImageError(SandboxError):
    """An image could not be made; the message says which step failed, and how to mend it where that is known."""


@dataclass(frozen=True)
class Image:
    """What a container runtime is told about an image. user is "uid" or "uid:gid", empty for root."""

    references: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    environment: tuple[str, ...] = (f"PATH={PATH}",)


def architecture() -> str:
    """This machine's architecture as image configurations name it (amd64, arm64)."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise ImageError(f"images can be made on {' or '.join(ARCHITECTURES)}, and this machine is {machine}")
    return ARCHITECTURES[machine]


def layer(root: Path, to: Path, members: Sequence[str] = (".",)) -> Path:
    """Packs members (paths below root, each taken without what lies under it unless it is ".") into the layer `to`.

    Owners are kept as numbers, and so are modification times: Python's compiled files are only valid beside sources of the
    very time they were compiled from.
    """
    recursion = () if tuple(members) == (".",) else ("--no-recursion",)
    with whole(to) as part:
        packed = subprocess.run(
            ["tar", "--numeric-owner", "-C", root, "-cf", part, *recursion, "--null", "--verbatim-files-from", "-T", "-"],
            input="\0".join(members).encode("utf-8", "surrogateescape"),
            capture_output=True, timeout=LAYER_SECONDS, check=False,
        )  # fmt: skip
        if packed.returncode != 0:
            raise ImageError(f"tar could not pack {root}: {packed.stderr.decode(errors='replace').strip()[-500:]}")
    return to


def write(image: Image, layers: Sequence[Path], to: Path) -> Path:
    """Writes the docker-archive `to`: manifest, configuration, then the layers, lowest first."""
    digests = [digest(path) for path in layers]
    settings: dict[str, object] = {"Env": list(image.environment), "WorkingDir": "/", "User": image.user}
    if image.entrypoint:
        settings["Entrypoint"] = list(image.entrypoint)
    if image.command:
        settings["Cmd"] = list(image.command)
    configuration = json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in digests]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "gsv_sandbox"} for _ in digests],
        }
    ).encode()
    name = hashlib.sha256(configuration).hexdigest() + ".json"
    stored = [f"{one}/layer.tar" for one in digests]
    manifest = json.dumps([{"Config": name, "RepoTags": list(image.references), "Layers": stored}]).encode()
    with whole(to) as part, tarfile.open(part, "w") as archive:
        for member, content in (("manifest.json", manifest), (name, configuration)):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for path, member in zip(layers, stored, strict=True):
            archive.add(path, arcname=member)
    return to


def tags(path: Path) -> tuple[str, ...]:
    """The references that the docker-archive at path carries."""
    with tarfile.open(path) as archive:
        return tuple(str(tag) for tag in _manifest(archive)["RepoTags"])


def extract_layer(path: Path, number: int, to: Path) -> Path:
    """Copies one layer (0 is the lowest) out of the docker-archive at path."""
    with tarfile.open(path) as archive, whole(to) as part:
        content = archive.extractfile(_manifest(archive)["Layers"][number])
        assert content is not None, "a layer is a regular file"
        with content, part.open("wb") as target:
            shutil.copyfileobj(content, target, 1 << 20)
    return to


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to; what was written there becomes `path` only if the block ends well."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _manifest(archive: tarfile.TarFile) -> dict[str, list[str]]:
    content = archive.extractfile("manifest.json")
    assert content is not None, "the manifest is a regular file"
    manifest: dict[str, list[str]] = json.load(content)[0]
    return manifest
