"""The sandbox's addresses and ports. Nothing listens anywhere but on the bridge and on one loopback address of its own."""

from __future__ import annotations

BRIDGE = "gsv0"
NODE_NAME = "sandbox"
NODE_IP = "10.88.0.1"
POD_RANGE = "10.88.0.0/24"
FIRST_POD_IP = "10.88.0.10"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
CLUSTER_DOMAIN = "cluster.local"

# All of 127.0.0.0/8 is this machine; an address of our own cannot collide with what others run on 127.0.0.1.
LOOPBACK = "127.88.0.1"

API_PORT = 6443
KUBELET_PORT = 10250
DNS_PORT = 53
S3_PORT = 9300
METRICS_PORT = 10251
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259
KUBELET_HEALTH_PORT = 10248
PROXY_HEALTH_PORT = 10256
PROXY_METRICS_PORT = 10249

API_URL = f"https://{NODE_IP}:{API_PORT}"
S3_URL = f"http://{NODE_IP}:{S3_PORT}"

BRIDGE_PORTS = (API_PORT, KUBELET_PORT, DNS_PORT, S3_PORT, METRICS_PORT)
LOOPBACK_PORTS = (
    ETCD_PORT,
    ETCD_PEER_PORT,
    CONTROLLER_MANAGER_PORT,
    SCHEDULER_PORT,
    KUBELET_HEALTH_PORT,
    PROXY_HEALTH_PORT,
    PROXY_METRICS_PORT,
)
