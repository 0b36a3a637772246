"""The certificates: signed by our authority, for the names they serve, renewed in time, and kept otherwise."""

import base64
from datetime import UTC, datetime, timedelta

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from gsv_sandbox import pki
from gsv_sandbox.state import Paths


def load(paths: Paths, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((paths.pki / f"{name}.crt").read_bytes())


def test_every_certificate_is_signed_by_the_authority_and_fits_its_key(paths: Paths) -> None:
    assert pki.make_all(paths)
    authority = load(paths, "ca")
    for identity in pki.IDENTITIES:
        certificate = load(paths, identity.name)
        certificate.verify_directly_issued_by(authority)
        key = load_pem_private_key((paths.pki / f"{identity.name}.key").read_bytes(), password=None)
        assert certificate.public_key() == key.public_key()
        assert (paths.pki / f"{identity.name}.key").stat().st_mode & 0o777 == 0o600


def test_the_api_server_serves_the_bridge_and_the_services_names(paths: Paths) -> None:
    pki.make_all(paths)
    names = load(paths, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {"10.88.0.1", "10.96.0.1"}
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)


def test_a_second_time_nothing_changes(paths: Paths) -> None:
    pki.make_all(paths)
    before = {file: file.read_bytes() for file in paths.pki.iterdir()}
    assert not pki.make_all(paths)
    assert {file: file.read_bytes() for file in paths.pki.iterdir()} == before


def test_certificates_are_renewed_two_weeks_before_they_end(paths: Paths) -> None:
    now = datetime.now(UTC)
    pki.make_all(paths, now)
    serial = load(paths, "admin").serial_number
    pki.make_all(paths, now + timedelta(days=340))
    assert load(paths, "admin").serial_number == serial
    pki.make_all(paths, now + timedelta(days=360))
    assert load(paths, "admin").serial_number != serial


def test_the_operator_is_no_administrator(paths: Paths) -> None:
    pki.make_all(paths)
    for name, groups in (("operator", []), ("readonly", []), ("admin", ["system:masters"])):
        said = yaml.safe_load(paths.kubeconfig(name).read_text())
        certificate = x509.load_pem_x509_certificate(base64.b64decode(said["users"][0]["user"]["client-certificate-data"]))
        organisations = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
        assert [attribute.value for attribute in organisations] == groups
        assert said["clusters"][0]["cluster"]["server"] == "https://10.88.0.1:6443"


def test_a_self_signed_pair_names_its_holder() -> None:
    certificate, key = pki.self_signed("barman-cloud", ExtendedKeyUsageOID.SERVER_AUTH)
    found = x509.load_pem_x509_certificate(certificate.encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["barman-cloud"]
    assert load_pem_private_key(key.encode(), password=None).public_key() == found.public_key()
