"""A thin REST client for what `up` needs of the API: get, list, server-side apply, delete, by the objects' own kinds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from gsv_sandbox.addresses import API_URL
from gsv_sandbox.errors import SandboxError

FIELD_MANAGER = "gsv-sandbox"
REQUEST_SECONDS = 30.0
APPLY_ATTEMPTS = 40
APPLY_WAIT_SECONDS = 0.5

# The API is there, and what was asked is not known or not served yet: seen while a CRD or a webhook comes up.
TRANSIENT = (404, 429, 500, 502, 503, 504)

Body = dict[str, Any]


class Api:
    """One identity's view of the cluster. SandboxError when the kubeconfig cannot be read."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration: Any = client.Configuration()
        try:
            config.load_kube_config(str(kubeconfig), client_configuration=configuration, persist_config=False)
        except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
            # Its own words may quote the file, and the file holds keys.
            raise SandboxError(
                f"{kubeconfig} is no kubeconfig that can be read ({type(error).__name__})",
                "point GSV_KUBECONFIG at one, or unset it to get a sandbox on this machine",
            ) from None
        # Waiting is done by our own deadlines, and a retry inside the library would log every refused connection.
        configuration.retries = urllib3.Retry(0)
        if configuration.host == API_URL:
            # The library takes a proxy from the environment; ours is on this machine.
            configuration.proxy = None
        self._client: Any = client.ApiClient(configuration)
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}

    def request(self, method: str, path: str, body: object = None, *, content_type: str = "application/json", query: str = "") -> Body:
        """One request, decoded. Raises ApiException, or urllib3's HTTPError when nobody answers."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        response = self._client.call_api(
            path + (f"?{query}" if query else ""),
            method,
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=False,
            _request_timeout=REQUEST_SECONDS,
        )
        decoded = json.loads(response.data or b"{}")
        return decoded if isinstance(decoded, dict) else {}

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            response = self._client.call_api("/readyz", "GET", _return_http_data_only=True, _preload_content=False, _request_timeout=5.0)
        except (ApiException, urllib3.exceptions.HTTPError):
            return False
        return bool(response.data == b"ok")

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Body | None:
        """The object, or None when it (or its kind) is not there."""
        try:
            return self.request("GET", self.path(api_version, kind, name, namespace))
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def list(self, api_version: str, kind: str, namespace: str | None = None, query: str = "") -> list[Body]:
        """Every object of a kind, of one namespace or of all."""
        items = self.request("GET", self.path(api_version, kind, None, namespace), query=query).get("items", [])
        return list(items)

    def apply(self, body: Mapping[str, Any]) -> Body:
        """Server-side apply, ours by force. Tries again, for a bounded time, while a CRD or webhook comes up."""
        metadata = body["metadata"]
        for attempt in range(APPLY_ATTEMPTS):
            try:
                path = self.path(body["apiVersion"], body["kind"], metadata["name"], metadata.get("namespace"))
                return self.request(
                    "PATCH",
                    path,
                    dict(body),
                    content_type="application/apply-patch+yaml",
                    query=f"fieldManager={FIELD_MANAGER}&force=true",
                )
            except ApiException as error:
                if error.status not in TRANSIENT or attempt == APPLY_ATTEMPTS - 1:
                    raise SandboxError(
                        f"the API refused {body['kind']} {metadata.get('namespace', '')}/{metadata['name']}: "
                        f"{error.status} {_message(error)}",
                        "mend the manifest it comes from",
                    ) from None
                # A kind that was just defined is found only by asking again.
                self._resources.pop(body["apiVersion"], None)
            time.sleep(APPLY_WAIT_SECONDS)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def log(self, namespace: str, pod: str, lines: int) -> str:
        """The last lines of a pod's only container's log."""
        response = self._client.call_api(
            f"/api/v1/namespaces/{namespace}/pods/{pod}/log?tailLines={lines}",
            "GET",
            _return_http_data_only=True,
            _preload_content=False,
            _request_timeout=REQUEST_SECONDS,
        )
        return str(response.data.decode(errors="replace"))

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
        """Delete the object; absent is fine."""
        try:
            self.request("DELETE", self.path(api_version, kind, name, namespace))
        except ApiException as error:
            if error.status != 404:
                raise

    def path(self, api_version: str, kind: str, name: str | None, namespace: str | None) -> str:
        """The URL path of an object or a list. Raises ApiException(404) for a kind the API does not serve."""
        root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        if api_version not in self._resources or kind not in self._resources[api_version]:
            served = self.request("GET", root).get("resources", [])
            self._resources[api_version] = {
                entry["kind"]: (entry["name"], entry["namespaced"]) for entry in served if "/" not in entry["name"]
            }
        if kind not in self._resources[api_version]:
            raise ApiException(status=404, reason=f"{api_version} {kind} is not served")
        plural, namespaced = self._resources[api_version][kind]
        scope = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")


def wait_until(what: str, ready: Callable[[], bool], deadline: float, explain: Callable[[], str]) -> None:
    """Wait for `ready()`; SandboxError with `explain()` after `deadline` seconds. Refused requests count as not ready."""
    end = time.monotonic() + deadline
    while True:
        try:
            if ready():
                return
        except (ApiException, urllib3.exceptions.HTTPError):
            pass
        if time.monotonic() > end:
            raise SandboxError(
                f"{what}: not within {deadline:.0f} s. {_explained(explain)}",
                "see `gsv-sandbox status` and `gsv-sandbox logs kubelet`; `up` again goes on from here",
            )
        time.sleep(0.3)


def condition(body: Body | None, kind: str) -> bool:
    """Whether the object's status has this condition with status True."""
    found = (body or {}).get("status", {}).get("conditions", [])
    return any(entry["type"] == kind and entry["status"] == "True" for entry in found)


def _explained(explain: Callable[[], str]) -> str:
    try:
        return explain()
    except (ApiException, urllib3.exceptions.HTTPError):
        return "The API does not answer any more."


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
