"""The cluster's own certificate authority, the certificates it signs, and kubeconfigs made from them."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gsv_sandbox.addresses import API_SERVICE_IP, API_URL, CLUSTER_DOMAIN, LOOPBACK, NODE_IP, NODE_NAME
from gsv_sandbox.state import Paths, write_private

LIFETIME = timedelta(days=365)
# A sandbox that is brought up again gets new certificates when the old ones end this soon.
RENEW_BEFORE = timedelta(days=14)
CLOCK_SKEW = timedelta(minutes=5)

OPERATOR_USER = "gsv-ops"
READONLY_USER = "gsv-readonly"
METRICS_USER = "system:metrics-server"
METRICS_HOST = "metrics-server.kube-system.svc"


@dataclass(frozen=True)
class Identity:
    """One certificate: file name, who it speaks for, and the names it serves."""

    name: str
    user: str
    group: str = ""
    serves: tuple[str, ...] = ()
    kubeconfig: bool = True


IDENTITIES = (
    Identity("etcd", "etcd", serves=(LOOPBACK, "localhost"), kubeconfig=False),
    Identity(
        "apiserver",
        "kube-apiserver",
        serves=(
            NODE_IP,
            API_SERVICE_IP,
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{CLUSTER_DOMAIN}",
        ),
        kubeconfig=False,
    ),
    Identity("apiserver-etcd-client", "kube-apiserver-etcd-client", kubeconfig=False),
    Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters", kubeconfig=False),
    Identity("front-proxy-client", "front-proxy-client", kubeconfig=False),
    Identity("kubelet", f"system:node:{NODE_NAME}", "system:nodes", serves=(NODE_IP, NODE_NAME)),
    Identity("controller-manager", "system:kube-controller-manager"),
    Identity("scheduler", "system:kube-scheduler"),
    Identity("kube-proxy", "system:kube-proxy"),
    Identity("coredns", "system:coredns"),
    Identity("local-path-provisioner", "system:local-path-provisioner", "system:masters"),
    Identity("metrics-server", METRICS_USER, serves=(METRICS_HOST,)),
    Identity("admin", "gsv-sandbox-admin", "system:masters"),
    Identity("operator", OPERATOR_USER),
    Identity("readonly", READONLY_USER),
)


def make_all(paths: Paths, now: datetime | None = None) -> bool:
    """Make or renew the authority, every certificate and every kubeconfig; True when the authority is new."""
    now = now or datetime.now(UTC)
    authority = _pair(paths.pki, "ca")
    fresh = not all(file.exists() for file in authority) or _ends_soon(authority[0], now)
    if fresh:
        _make_authority(authority, now)
    service_account = paths.pki / "service-account.key"
    if not service_account.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        write_private(service_account, _pem(key))
        public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        write_private(paths.pki / "service-account.pub", public.decode())
    for identity in IDENTITIES:
        certificate, key_file = _pair(paths.pki, identity.name)
        if fresh or not certificate.exists() or not key_file.exists() or _ends_soon(certificate, now):
            _sign(identity, (certificate, key_file), authority, now)
        if identity.kubeconfig:
            write_private(paths.kubeconfig(identity.name), kubeconfig(identity, paths.pki))
    return fresh


def kubeconfig(identity: Identity, pki: Path) -> str:
    """A kubeconfig that carries the identity's certificate and key in itself."""

    def inline(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    certificate, key = _pair(pki, identity.name)
    cluster = {"server": API_URL, "certificate-authority-data": inline(pki / "ca.crt")}
    user = {"client-certificate-data": inline(certificate), "client-key-data": inline(key)}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "gsv-sandbox", "cluster": cluster}],
            "users": [{"name": identity.name, "user": user}],
            "contexts": [{"name": "gsv-sandbox", "context": {"cluster": "gsv-sandbox", "user": identity.name}}],
            "current-context": "gsv-sandbox",
        },
        sort_keys=False,
    )


def self_signed(common_name: str, usage: x509.ObjectIdentifier) -> tuple[str, str]:
    """(certificate, key) in PEM, signed by itself: what a workload gets where cert-manager would have served it."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(common_name, "", key.public_key(), _name(common_name, ""), now)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), _pem(key)


def _make_authority(pair: tuple[Path, Path], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("gsv-sandbox-ca", "")
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate = (
        _builder("gsv-sandbox-ca", "", key.public_key(), name, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(pair[1], _pem(key))
    write_private(pair[0], certificate.public_bytes(serialization.Encoding.PEM).decode())


def _sign(identity: Identity, pair: tuple[Path, Path], authority: tuple[Path, Path], now: datetime) -> None:
    issuer = x509.load_pem_x509_certificate(authority[0].read_bytes())
    issuer_key = serialization.load_pem_private_key(authority[1].read_bytes(), password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(identity.user, identity.group, key.public_key(), issuer.subject, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(True, False, True, False, False, False, False, False, False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if identity.serves:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(identity.serves)), critical=False)
    write_private(pair[1], _pem(key))
    write_private(pair[0], builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode())


def _builder(user: str, group: str, key: ec.EllipticCurvePublicKey, issuer: x509.Name, now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(user, group))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _name(user: str, group: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _names(serves: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for name in serves:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            names.append(x509.DNSName(name))
    return names


def _ends_soon(certificate: Path, now: datetime) -> bool:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc - RENEW_BEFORE < now


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


def _pair(pki: Path, name: str) -> tuple[Path, Path]:
    return pki / f"{name}.crt", pki / f"{name}.key"
