"""Where the API server is and who we are to it: a kubeconfig, or the ServiceAccount of the pod we run in."""

from __future__ import annotations

import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gsv_ops.kube.errors import NotConfigured

SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
MEMORY_FILES = Path("/dev/shm")  # noqa: S108  (a private directory is made in it)

# The client library keeps a table of the files it wrote, shared by the whole process.
_loading = threading.Lock()


@dataclass(frozen=True)
class Endpoint:
    """An API server and what is needed to speak to it. `authorization` gives the header's value, renewed when it expires.

    `bare_tls` trusts whom `tls` trusts and carries no certificate of ours, which would count before any token.
    """

    url: str
    tls: ssl.SSLContext | None = field(repr=False)
    tls_server_name: str | None = None
    bare_tls: ssl.SSLContext | None = field(repr=False, default=None)
    authorization: Callable[[], str | None] = field(repr=False, default=lambda: None)
    proxy: str | None = field(repr=False, default=None)
    proxy_headers: Mapping[str, str] | None = field(repr=False, default=None)

    @property
    def host(self) -> str:
        """`10.0.0.1:6443`: the address as messages may show it, without credentials that a URL can hold."""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return f"{parts.hostname}:{port}"


def load(kubeconfig: Path | None, context: str | None) -> Endpoint:
    """The endpoint of a kubeconfig's context (None: its current one), or of the pod's ServiceAccount where `kubeconfig` is None.

    Raises NotConfigured. Keys given inline are in a file only while they are read, and that file is in memory where there is such a place.
    """
    if kubeconfig is None and not SERVICE_ACCOUNT_TOKEN.is_file():
        raise NotConfigured(
            "no cluster is configured: there is no kubeconfig and no ServiceAccount token is mounted; "
            "name a kubeconfig in GSV_KUBECONFIG, or run in a pod with a ServiceAccount"
        )
    if kubeconfig is not None:
        _require(kubeconfig)
    # Half a second, so at the first call and not at import.
    from kubernetes.client.configuration import Configuration
    from kubernetes.config import load_incluster_config, load_kube_config
    from kubernetes.config.config_exception import ConfigException
    from yaml import YAMLError

    settings: Any = Configuration()
    load_file: Any = load_kube_config  # its stubs lack temp_file_path
    source = str(kubeconfig) if kubeconfig else "the pod's ServiceAccount"
    parent = str(MEMORY_FILES) if MEMORY_FILES.is_dir() else None
    with _loading, tempfile.TemporaryDirectory(prefix="gsv-ops-", dir=parent, ignore_cleanup_errors=True) as keys:
        try:
            if kubeconfig is None:
                load_incluster_config(client_configuration=settings)
            else:
                load_file(
                    config_file=str(kubeconfig),
                    context=context,
                    client_configuration=settings,
                    persist_config=False,
                    temp_file_path=keys,
                )
            tls, bare = _tls(settings), _tls(settings, ours=False)
        except ConfigException as error:
            # It can quote the user's entry, and the token in it, after what it says.
            what = str(error).partition("{")[0].rstrip(" /.")
            raise NotConfigured(f"{source} cannot be used: {what}. Check it with `kubectl config view --minify`") from None
        except ssl.SSLError as error:
            reason = error.reason or "not PEM"
            raise NotConfigured(
                f"{source}: its certificates or key cannot be used ({reason}); expected PEM, key and certificate of one pair"
            ) from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, YAMLError) as error:
            # The library's own message may quote the file's content.
            raise NotConfigured(
                f"{source} cannot be read ({type(error).__name__}); expected a kubeconfig: `kubectl config view` must accept it"
            ) from None
    return Endpoint(
        url=settings.host.rstrip("/"),
        tls=tls,
        tls_server_name=settings.tls_server_name,
        bare_tls=bare,
        authorization=lambda: _authorization(settings),
        proxy=settings.proxy,
        proxy_headers=settings.proxy_headers,
    )


def _require(kubeconfig: Path) -> None:
    """KUBECONFIG may name several files, as kubectl's does; one of them has to be there."""
    paths = [Path(part).expanduser() for part in str(kubeconfig).split(":") if part]
    if not any(path.is_file() for path in paths):
        raise NotConfigured(
            f"kubeconfig {kubeconfig} does not exist; correct GSV_KUBECONFIG (or KUBECONFIG), or unset it to use the pod's ServiceAccount"
        )


def _authorization(settings: Any) -> str | None:
    """The bearer token; the library's hook behind it reads the token file or runs the login plugin again when it has expired."""
    return (settings.auth_settings().get("BearerToken") or {}).get("value")


def _tls(settings: Any, *, ours: bool = True) -> ssl.SSLContext | None:
    if not settings.host.startswith("https"):
        return None
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    elif settings.ssl_ca_cert:
        tls.load_verify_locations(cafile=settings.ssl_ca_cert)
    else:
        tls.load_default_certs()
    if ours and settings.cert_file:
        tls.load_cert_chain(settings.cert_file, settings.key_file)
    return tls
