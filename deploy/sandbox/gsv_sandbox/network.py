"""The sandbox's own network: a bridge that pods hang on, a route for Services, and a wall around both.

Nothing is masqueraded and nothing is forwarded between the bridge and any other device, so no packet of a pod, and no
packet to a Service or pod that does not exist, ever leaves the machine.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from gsv_sandbox.addresses import BRIDGE, NODE_IP, POD_RANGE, SERVICE_RANGE
from gsv_sandbox.machine import run, set_sysctl

TABLE = "gsv_sandbox"
PROXY_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")

RULES = f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{BRIDGE}" oifname != "{BRIDGE}" reject with icmpx admin-prohibited
    oifname "{BRIDGE}" iifname != "{BRIDGE}" drop
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    ip daddr {{ {POD_RANGE}, {SERVICE_RANGE} }} iifname != {{ "{BRIDGE}", "lo" }} drop
  }}
}}
"""


def up(owner: Path) -> None:
    """Make the bridge, the Services' route and the wall; also mends what is half there. `owner` is our state root."""
    if not exists():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
    prefix = ipaddress.ip_network(POD_RANGE).prefixlen
    run("ip", "address", "replace", f"{NODE_IP}/{prefix}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "alias", str(owner))
    run("ip", "link", "set", BRIDGE, "up")
    # kube-proxy turns a Service's address into a pod's before the packet is sent; one without endpoints must end here
    # and not follow the default route.
    run("ip", "route", "replace", SERVICE_RANGE, "dev", BRIDGE, "src", NODE_IP)
    run("nft", "-f", "-", stdin=RULES)
    set_sysctl("net/ipv4/ip_forward", "1")
    if not BRIDGE_FILTER.exists():
        run("modprobe", "br_netfilter", check=False)
    if BRIDGE_FILTER.exists():
        set_sysctl("net/bridge/bridge-nf-call-iptables", "1")


def replies_pass_the_host() -> bool:
    """Whether a pod's reply to another pod passes the host's connection tracking, as a Service's does need.

    Two pods on one bridge answer each other directly; without br_netfilter kube-proxy has to masquerade instead.
    """
    return BRIDGE_FILTER.exists() and BRIDGE_FILTER.read_text().strip() == "1"


def down() -> list[str]:
    """Remove the bridge with everything on it and our tables; what is still there."""
    ports = Path(f"/sys/class/net/{BRIDGE}/brif")
    if ports.is_dir():
        for port in ports.iterdir():
            run("ip", "link", "delete", port.name, check=False)
    if exists():
        run("ip", "link", "delete", BRIDGE, check=False)
    left = [f"network device {BRIDGE}"] if exists() else []
    present = tables()
    for family, name in (("inet", TABLE), *PROXY_TABLES):
        if (family, name) in present and run("nft", "delete", "table", family, name, check=False).code != 0:
            left.append(f"nftables table {family} {name}")
    return left


def owner() -> Path | None:
    """The state root of the sandbox whose bridge is on this machine, or None."""
    alias = Path(f"/sys/class/net/{BRIDGE}/ifalias")
    name = alias.read_text().strip() if alias.exists() else ""
    return Path(name) if name else None


def exists() -> bool:
    """Whether the bridge is on this machine."""
    return Path(f"/sys/class/net/{BRIDGE}").exists()


def tables() -> set[tuple[str, str]]:
    """(family, name) of every nftables table on the machine."""
    listed = json.loads(run("nft", "--json", "list", "tables").output)
    return {(entry["table"]["family"], entry["table"]["name"]) for entry in listed["nftables"] if "table" in entry}


def dropping_forward_chains() -> list[str]:
    """Chains of other firewalls that drop forwarded packets by policy (Docker makes one): pods could not talk."""
    listed = json.loads(run("nft", "--json", "list", "chains").output)
    return [
        f"{chain['family']} {chain['table']} {chain['name']}"
        for chain in (entry["chain"] for entry in listed["nftables"] if "chain" in entry)
        if chain.get("hook") == "forward" and chain.get("policy") == "drop" and chain["table"] != TABLE
    ]


def taken_ranges() -> list[str]:
    """Routes of other devices that overlap the sandbox's ranges, as `range via device`."""
    ours = [ipaddress.ip_network(POD_RANGE), ipaddress.ip_network(SERVICE_RANGE)]
    found = []
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all").output or "[]"):
        if route.get("dev") == BRIDGE or route["dst"] == "default" or route.get("type") in ("local", "broadcast"):
            continue
        if any(ipaddress.ip_network(route["dst"], strict=False).overlaps(range_) for range_ in ours):
            found.append(f"{route['dst']} on {route.get('dev', route.get('type', '?'))}")
    return found
