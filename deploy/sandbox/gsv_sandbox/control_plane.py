"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with certificates of our own and RBAC on."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

from gsv_sandbox import addresses as at
from gsv_sandbox.api import Api
from gsv_sandbox.binaries import Build
from gsv_sandbox.processes import Processes, Service
from gsv_sandbox.state import Paths

START_SECONDS = 60.0


def up(paths: Paths, build: Build, processes: Processes) -> Api:
    """Start what does not run and wait until the API is ready; the API as its administrator."""
    processes.start(etcd(paths, build.require("etcd")))
    processes.start(apiserver(paths, build.require("kube-apiserver")))
    api = Api(paths.kubeconfig("admin"))
    processes.wait_for("kube-apiserver", "the API server", api.ready, START_SECONDS)
    processes.start(controller_manager(paths, build.require("kube-controller-manager")))
    processes.start(scheduler(paths, build.require("kube-scheduler")))
    for name, port in (
        ("kube-controller-manager", at.CONTROLLER_MANAGER_PORT),
        ("kube-scheduler", at.SCHEDULER_PORT),
    ):
        url = f"https://{at.LOOPBACK}:{port}/healthz"
        processes.wait_for(name, f"the {name}", lambda url=url: healthy(url), START_SECONDS)  # type: ignore[misc]
    processes.wait_for(
        "kube-controller-manager",
        "the default service account",
        lambda: api.get("v1", "ServiceAccount", "default", "default") is not None,
        START_SECONDS,
    )
    return api


def etcd(paths: Paths, binaries: Path) -> Service:
    url = f"https://{at.LOOPBACK}:{at.ETCD_PORT}"
    peer = f"https://{at.LOOPBACK}:{at.ETCD_PEER_PORT}"
    pki = paths.pki
    return Service(
        "etcd",
        _flags(
            binaries / "etcd",
            name="sandbox",
            data_dir=paths.data / "etcd",
            # A sandbox survives its processes, not the machine's power: one fsync per write would cost seconds.
            unsafe_no_fsync=True,
            listen_client_urls=url,
            advertise_client_urls=url,
            listen_peer_urls=peer,
            initial_advertise_peer_urls=peer,
            initial_cluster=f"sandbox={peer}",
            client_cert_auth=True,
            trusted_ca_file=pki / "ca.crt",
            cert_file=pki / "etcd.crt",
            key_file=pki / "etcd.key",
            peer_client_cert_auth=True,
            peer_trusted_ca_file=pki / "ca.crt",
            peer_cert_file=pki / "etcd.crt",
            peer_key_file=pki / "etcd.key",
            log_level="warn",
        ),
    )


def apiserver(paths: Paths, binaries: Path) -> Service:
    pki = paths.pki
    return Service(
        "kube-apiserver",
        _flags(
            binaries / "kube-apiserver",
            etcd_servers=f"https://{at.LOOPBACK}:{at.ETCD_PORT}",
            etcd_cafile=pki / "ca.crt",
            etcd_certfile=pki / "apiserver-etcd-client.crt",
            etcd_keyfile=pki / "apiserver-etcd-client.key",
            # The bridge's address: one on loopback is refused as an endpoint of the Service `kubernetes`.
            bind_address=at.NODE_IP,
            advertise_address=at.NODE_IP,
            secure_port=at.API_PORT,
            tls_cert_file=pki / "apiserver.crt",
            tls_private_key_file=pki / "apiserver.key",
            client_ca_file=pki / "ca.crt",
            kubelet_client_certificate=pki / "apiserver-kubelet-client.crt",
            kubelet_client_key=pki / "apiserver-kubelet-client.key",
            kubelet_certificate_authority=pki / "ca.crt",
            kubelet_preferred_address_types="InternalIP",
            proxy_client_cert_file=pki / "front-proxy-client.crt",
            proxy_client_key_file=pki / "front-proxy-client.key",
            requestheader_client_ca_file=pki / "ca.crt",
            requestheader_allowed_names="front-proxy-client",
            requestheader_username_headers="X-Remote-User",
            requestheader_group_headers="X-Remote-Group",
            requestheader_extra_headers_prefix="X-Remote-Extra-",
            service_account_key_file=pki / "service-account.pub",
            service_account_signing_key_file=pki / "service-account.key",
            service_account_issuer=f"https://kubernetes.default.svc.{at.CLUSTER_DOMAIN}",
            service_cluster_ip_range=at.SERVICE_RANGE,
            authorization_mode="Node,RBAC",
            enable_admission_plugins="NodeRestriction",
            allow_privileged=True,
        ),
    )


def controller_manager(paths: Paths, binaries: Path) -> Service:
    pki, kubeconfig = paths.pki, paths.kubeconfig("controller-manager")
    return Service(
        "kube-controller-manager",
        _flags(
            binaries / "kube-controller-manager",
            kubeconfig=kubeconfig,
            authentication_kubeconfig=kubeconfig,
            authorization_kubeconfig=kubeconfig,
            bind_address=at.LOOPBACK,
            secure_port=at.CONTROLLER_MANAGER_PORT,
            cert_dir=paths.run / "kube-controller-manager",
            use_service_account_credentials=True,
            service_account_private_key_file=pki / "service-account.key",
            root_ca_file=pki / "ca.crt",
            cluster_signing_cert_file=pki / "ca.crt",
            cluster_signing_key_file=pki / "ca.key",
            allocate_node_cidrs=True,
            cluster_cidr=at.POD_RANGE,
            node_cidr_mask_size=24,
            service_cluster_ip_range=at.SERVICE_RANGE,
            leader_elect=False,
            flex_volume_plugin_dir=paths.root / "volume-plugins",
        ),
    )


def scheduler(paths: Paths, binaries: Path) -> Service:
    kubeconfig = paths.kubeconfig("scheduler")
    return Service(
        "kube-scheduler",
        _flags(
            binaries / "kube-scheduler",
            kubeconfig=kubeconfig,
            authentication_kubeconfig=kubeconfig,
            authorization_kubeconfig=kubeconfig,
            bind_address=at.LOOPBACK,
            secure_port=at.SCHEDULER_PORT,
            cert_dir=paths.run / "kube-scheduler",
            leader_elect=False,
        ),
    )


def healthy(url: str) -> bool:
    """Whether a component answers 200 at its health address. Its certificate is its own, made at start."""
    context = ssl._create_unverified_context()  # noqa: S323 - a yes or no on our own loopback address, no secret
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _flags(program: Path, **values: object) -> tuple[str, ...]:
    """`data_dir="/x"` becomes `--data-dir=/x`, booleans are written as Go reads them."""
    flags = [str(program)]
    for name, value in values.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        flags.append(f"--{name.replace('_', '-')}={text}")
    return tuple(flags)
