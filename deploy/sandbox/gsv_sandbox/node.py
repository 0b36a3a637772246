"""The one node: containerd and runc from Debian, kubelet, kube-proxy with nftables, CoreDNS on the bridge's address."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import yaml

from gsv_sandbox import addresses as at
from gsv_sandbox import cgroups, network
from gsv_sandbox.api import Api, condition
from gsv_sandbox.binaries import Build
from gsv_sandbox.containers import Containers
from gsv_sandbox.debian import CNI_PLUGINS
from gsv_sandbox.processes import Processes, Service
from gsv_sandbox.state import Paths, write_private
from gsv_sandbox.strays import NETWORK_NAME

START_SECONDS = 60.0
NODE_SECONDS = 90.0
PAUSE_IMAGE = "localhost/pause:3.10"


def containerd_up(paths: Paths, processes: Processes) -> Containers:
    """Start containerd; the handle for its images and containers."""
    (paths.config / "cni").mkdir(exist_ok=True)
    write_private(paths.config / "containerd.toml", containerd_config(paths))
    write_private(paths.config / "cni" / "10-gsv.conflist", cni_config(paths))
    processes.start(
        Service(
            "containerd",
            ("containerd", "--config", str(paths.config / "containerd.toml")),
            configuration=containerd_config(paths),
        )
    )
    containers = Containers(paths.containerd / "containerd.sock", paths.run / "images.json")
    processes.wait_for("containerd", "containerd", containers.answers, START_SECONDS)
    return containers


def up(paths: Paths, build: Build, processes: Processes, api: Api) -> None:
    """Start kubelet, kube-proxy and CoreDNS and wait until the node is Ready. containerd holds the pause image."""
    files = {
        "resolv.conf": "",
        "kubelet.yaml": yaml.safe_dump(kubelet_config(paths), sort_keys=False),
        "kube-proxy.yaml": yaml.safe_dump(proxy_config(paths), sort_keys=False),
        "Corefile": corefile(paths),
    }
    for name, text in files.items():
        write_private(paths.config / name, text)
    for body in DNS_RIGHTS:
        api.apply(body)
    binaries = build.require("kubelet")
    begun = datetime.now(UTC)
    fresh = processes.start(
        Service(
            "kubelet",
            (
                str(binaries / "kubelet"),
                f"--config={paths.config / 'kubelet.yaml'}",
                f"--kubeconfig={paths.kubeconfig('kubelet')}",
                f"--root-dir={paths.kubelet}",
                f"--cert-dir={paths.pki}",
                f"--node-ip={at.NODE_IP}",
                f"--hostname-override={at.NODE_NAME}",
                "--v=2",
            ),
            configuration=files["kubelet.yaml"],
        )
    )
    binaries = build.require("kube-proxy")
    proxy = (str(binaries / "kube-proxy"), f"--config={paths.config / 'kube-proxy.yaml'}")
    processes.start(Service("kube-proxy", proxy, configuration=files["kube-proxy.yaml"]))
    binaries = build.require("coredns")
    dns = (str(binaries / "coredns"), "-conf", str(paths.config / "Corefile"))
    processes.start(Service("coredns", dns, configuration=files["Corefile"]))
    processes.wait_for(
        "kubelet",
        "the node",
        lambda: is_ready(api, begun if fresh else None),
        NODE_SECONDS,
    )


def is_ready(api: Api, since: datetime | None = None) -> bool:
    """Whether the node is Ready, and its kubelet has renewed its lease after `since`: a dead one's last word stays True."""
    if not condition(api.get("v1", "Node", at.NODE_NAME), "Ready"):
        return False
    if since is None:
        return True
    lease = api.get("coordination.k8s.io/v1", "Lease", at.NODE_NAME, "kube-node-lease")
    renewed = (lease or {}).get("spec", {}).get("renewTime")
    return renewed is not None and datetime.fromisoformat(renewed) >= since


def containerd_config(paths: Paths) -> str:
    return f"""\
version = 2
root = "{paths.containerd}/root"
state = "{paths.containerd}/state"
[grpc]
  address = "{paths.containerd}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Lowering oom_score_adj needs a capability that not every root has: clamp it instead of failing.
  restrict_oom_score_adj = true
  # Network namespaces are mounted below our state, where `down` finds them.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{paths.config}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def cni_config(paths: Paths) -> str:
    """No masquerading: a pod's packet to anywhere but the bridge is refused, see network.py."""
    bridge = {
        "type": "bridge",
        "bridge": at.BRIDGE,
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(paths.data / "ipam"),
            "ranges": [[{"subnet": at.POD_RANGE, "rangeStart": at.FIRST_POD_IP, "gateway": at.NODE_IP}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return json.dumps({"cniVersion": "0.4.0", "name": NETWORK_NAME, "plugins": [bridge]}, indent=1)


def kubelet_config(paths: Paths) -> dict[str, object]:
    ca = str(paths.pki / "ca.crt")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": at.NODE_IP,
        "port": at.KUBELET_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": ca},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(paths.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(paths.pki / "kubelet.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroups.NAME}",
        # Refused by default since 1.35; the machine is what it is.
        "failCgroupV1": False,
        "containerRuntimeEndpoint": f"unix://{paths.containerd}/containerd.sock",
        "clusterDomain": at.CLUSTER_DOMAIN,
        "clusterDNS": [at.NODE_IP],
        # Empty: pods ask the cluster's DNS and nobody else.
        "resolvConf": str(paths.config / "resolv.conf"),
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "serializeImagePulls": False,
        "healthzBindAddress": at.LOOPBACK,
        "healthzPort": at.KUBELET_HEALTH_PORT,
        "syncFrequency": "10s",
        "fileCheckFrequency": "10s",
        # Its hint for other firewalls would be a chain that stays behind.
        "makeIPTablesUtilChains": False,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "2%", "imagefs.available": "2%"},
        # Nothing could be fetched again that is collected as garbage.
        "imageGCHighThresholdPercent": 99,
        "imageGCLowThresholdPercent": 98,
        "podLogsDir": str(paths.root / "pod-logs"),
        "volumePluginDir": str(paths.root / "volume-plugins"),
    }


def proxy_config(paths: Paths) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": at.POD_RANGE,
        "hostnameOverride": at.NODE_NAME,
        "nodePortAddresses": [f"{at.NODE_IP}/32"],
        "nftables": {"masqueradeAll": not network.replies_pass_the_host()},
        "clientConnection": {"kubeconfig": str(paths.kubeconfig("kube-proxy"))},
        # The machine's connection tracking limits are not ours to change.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "healthzBindAddress": f"{at.LOOPBACK}:{at.PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"{at.LOOPBACK}:{at.PROXY_METRICS_PORT}",
        "oomScoreAdj": 0,
    }


def corefile(paths: Paths) -> str:
    """The cluster's names and nothing else: every other question is answered with NXDOMAIN, here."""
    return f"""\
{at.CLUSTER_DOMAIN}:{at.DNS_PORT} in-addr.arpa:{at.DNS_PORT} {{
  bind {at.NODE_IP}
  errors
  kubernetes {at.CLUSTER_DOMAIN} in-addr.arpa {{
    kubeconfig {paths.kubeconfig("coredns")} gsv-sandbox
    pods insecure
    ttl 5
  }}
}}
.:{at.DNS_PORT} {{
  bind {at.NODE_IP}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


DNS_RIGHTS = (
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "coredns"},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["endpoints", "services", "pods", "namespaces"],
                "verbs": ["list", "watch"],
            },
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "coredns"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "system:coredns"}],
    },
)
