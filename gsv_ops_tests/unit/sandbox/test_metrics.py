"""metrics-server: the API server finds it under a name that its certificate is for, and it trusts the kubelet by our authority."""

import base64

from cryptography import x509
from gsv_sandbox import metrics, pki
from gsv_sandbox.addresses import BRIDGE_PORTS, METRICS_PORT, NODE_IP
from gsv_sandbox.api import Body
from gsv_sandbox.native import COMPONENTS, STOP_ORDER
from gsv_sandbox.state import Paths


def one(bodies: list[Body], kind: str) -> Body:
    (found,) = (body for body in bodies if body["kind"] == kind)
    return found


def test_the_api_server_asks_for_the_name_that_the_certificate_serves(paths: Paths) -> None:
    pki.make_all(paths)
    authority = (paths.pki / "ca.crt").read_bytes()
    service = one(metrics.manifest(authority), "APIService")["spec"]
    certificate = x509.load_pem_x509_certificate((paths.pki / "metrics-server.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert names == [f"{service['service']['name']}.{service['service']['namespace']}.svc"]
    assert base64.b64decode(service["caBundle"]) == authority
    assert "insecureSkipTLSVerify" not in service


def test_the_service_leads_to_where_it_listens(paths: Paths) -> None:
    bodies = metrics.manifest(b"")
    slice_ = one(bodies, "EndpointSlice")
    assert slice_["metadata"]["labels"]["kubernetes.io/service-name"] == one(bodies, "Service")["metadata"]["name"]
    assert (slice_["endpoints"][0]["addresses"], slice_["ports"][0]["port"]) == ([NODE_IP], METRICS_PORT)
    argv = metrics.service(paths, paths.cache).argv
    assert {f"--bind-address={NODE_IP}", f"--secure-port={METRICS_PORT}"} <= set(argv)
    assert f"--kubelet-certificate-authority={paths.pki / 'ca.crt'}" in argv
    assert not any("insecure" in flag for flag in argv)
    assert METRICS_PORT in BRIDGE_PORTS


def test_it_is_shown_and_stopped_with_the_others() -> None:
    assert metrics.NAME in COMPONENTS
    assert metrics.NAME in STOP_ORDER
