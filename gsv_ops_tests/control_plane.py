"""A bare Kubernetes control plane for one test run: etcd and kube-apiserver on loopback, RBAC on, nothing that runs pods.

    with control_plane() as kubeconfig:
        kube = connect(kubeconfig)

`kubeconfig` is the administrator's, by client certificate; beside it lies `restricted.kubeconfig`, of a user (`RESTRICTED_USER`, by
token) who may do nothing until a test binds a role to it. When the test run is killed, both servers end too.
"""

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from ssl import create_default_context
from typing import IO

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"  # only a setting: there is no service network here
RESTRICTED_USER = "restricted"
PROGRAMS = ("etcd", "kube-apiserver")
START_SECONDS = 90.0
STOP_SECONDS = 20.0
LOG_LINES = 30

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class ControlPlaneError(RuntimeError):
    """The control plane did not come up; the message carries the end of its log."""


def binaries() -> Path | None:
    """The directory that holds etcd and kube-apiserver: GSV_SANDBOX_BIN, else the newest that the sandbox has built; None without one."""
    named = os.environ.get("GSV_SANDBOX_BIN")
    if named:
        return Path(named) if _complete(Path(named)) else None
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gsv-sandbox"
    found = [path.parent for path in caches.glob("**/kube-apiserver") if _complete(path.parent)]
    return max(found, key=lambda directory: (directory / "kube-apiserver").stat().st_mtime, default=None)


@contextmanager
def control_plane() -> Iterator[Path]:
    """The administrator's kubeconfig of a control plane that lives as long as the context. Raises ControlPlaneError."""
    programs = binaries()
    if programs is None:
        raise ControlPlaneError(
            f"no directory holds {' and '.join(PROGRAMS)}; build them with `gsv-sandbox up`, or name one in GSV_SANDBOX_BIN"
        )
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gsv-control-plane-")))
        client_port, peer_port, api_port = _free_ports(3)
        token = secrets.token_urlsafe(24)
        _write_credentials(home, f"https://{LOOPBACK}:{api_port}", token)
        etcd = _etcd(programs, home, client_port, peer_port)
        stack.enter_context(_running(etcd, home / "etcd.log"))
        server = _api_server(programs, home, client_port, api_port)
        process = stack.enter_context(_running(server, home / "kube-apiserver.log"))
        _wait_until_ready(process, home, f"https://{LOOPBACK}:{api_port}/readyz", token)
        yield home / "admin.kubeconfig"


def _complete(directory: Path) -> bool:
    return all(os.access(directory / program, os.X_OK) for program in PROGRAMS)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [s.getsockname()[1] for s in sockets]


def _etcd(programs: Path, home: Path, client_port: int, peer_port: int) -> list[str]:
    client, peer = f"http://{LOOPBACK}:{client_port}", f"http://{LOOPBACK}:{peer_port}"
    return [
        str(programs / "etcd"),
        *("--name", "test", "--data-dir", str(home / "etcd"), "--unsafe-no-fsync", "--log-level", "warn"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"test={peer}"),
    ]


def _api_server(programs: Path, home: Path, etcd_port: int, port: int) -> list[str]:
    return [
        str(programs / "kube-apiserver"),
        f"--etcd-servers=http://{LOOPBACK}:{etcd_port}",
        *(f"--bind-address={LOOPBACK}", f"--advertise-address={LOOPBACK}", f"--secure-port={port}"),
        *(f"--tls-cert-file={home / 'server.crt'}", f"--tls-private-key-file={home / 'server.key'}"),
        *(f"--client-ca-file={home / 'ca.crt'}", f"--token-auth-file={home / 'tokens.csv'}"),
        "--service-account-issuer=https://kubernetes.default.svc",
        *(f"--service-account-key-file={home / 'sa.key'}", f"--service-account-signing-key-file={home / 'sa.key'}"),
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=RBAC",
        # No controller manager makes ServiceAccounts here, and pods are only written about.
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",
    ]


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process, stopped by its own pid at the end."""
    tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    with log.open("wb") as output:
        process = subprocess.Popen([*tied, *command], stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], home: Path, url: str, token: str) -> None:
    trust = create_default_context(cafile=home / "ca.crt")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  (https, our own)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with opener.open(request, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    logs = "\n".join(
        f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]) for log in sorted(home.glob("*.log"))
    )
    raise ControlPlaneError(f"kube-apiserver was not ready within {START_SECONDS:g} s (exit code {process.poll()})\n{logs}")


def _write_credentials(home: Path, url: str, restricted_token: str) -> None:
    """The certificates, the token file and both kubeconfigs, for their owner only."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(authority_key, "gsv-test-ca", "", authority_key, "gsv-test-ca", is_authority=True)
    server_key = ec.generate_private_key(ec.SECP256R1())
    admin_key = ec.generate_private_key(ec.SECP256R1())
    admin = _certificate(admin_key, "test-admin", "system:masters", authority_key, "gsv-test-ca")
    _write(home / "ca.crt", authority)
    _write(home / "server.crt", _certificate(server_key, "kube-apiserver", "", authority_key, "gsv-test-ca"))
    _write(home / "server.key", _pem(server_key))
    _write(home / "sa.key", _pem(rsa.generate_private_key(65537, 2048)))
    _write(home / "tokens.csv", f"{restricted_token},{RESTRICTED_USER},{RESTRICTED_USER}\n".encode())
    by_certificate = {"client-certificate-data": _base64(admin), "client-key-data": _base64(_pem(admin_key))}
    _write(home / "admin.kubeconfig", _kubeconfig(url, authority, by_certificate))
    _write(home / "restricted.kubeconfig", _kubeconfig(url, authority, {"token": restricted_token}))


def _kubeconfig(url: str, authority: bytes, user: dict[str, str]) -> bytes:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": _base64(authority)}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    return json.dumps(document, indent=1).encode()  # JSON is YAML


def _certificate(
    key: Key, user: str, group: str, issuer_key: ec.EllipticCurvePrivateKey, issuer: str, *, is_authority: bool = False
) -> bytes:
    now = datetime.now(UTC)
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    names = [x509.DNSName("localhost"), x509.DNSName("kubernetes.default.svc"), x509.IPAddress(ip_address(LOOPBACK))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, user)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem(key: Key) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    output: IO[bytes]
    with os.fdopen(descriptor, "wb") as output:
        output.write(data)
