"""An error response of the API server, turned into the error of `kube/errors.py` that says what it means and how to mend it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from gsv_ops.kube import errors
from gsv_ops.kube.protocol import Resource

# The wording of k8s.io/apiserver's authorization failure; the API group and the scope are its, so the rule is exact.
RBAC_DENIAL = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)?'
)
MANAGER = re.compile(r'conflicts? with "([^"]+)"')
MESSAGE_LIMIT = 2_000
ABOUT_NO_BODY = ("Forbidden", "Unauthorized", "NotFound", "AlreadyExists", "Conflict")
# An apply whose body has the wrong shape is answered as an internal error of the server, which it is not.
WRONG_SHAPE = ("failed to create typed patch object", "failed to convert new object")
SHAPE_PROBLEM = re.compile(r": (\.\S+): (expected \w+|field not declared in schema)")
STREAMING = ("exec", "logs", "open_port")
STREAM_RESOURCES = {"exec": "pods/exec", "open_port": "pods/portforward"}

E = TypeVar("E", bound=errors.KubeError)


@dataclass(frozen=True)
class Request:
    """Which verb was at work on what: the part of a request that may be repeated in a message."""

    verb: str
    resource: Resource | None = None
    namespace: str | None = None
    name: str = ""
    host: str = ""

    @property
    def subject(self) -> str:
        return errors.subject(self.resource, self.namespace, self.name)

    def error(self, kind: type[E], message: str, *, status: int = 0, reason: str = "") -> E:
        """An error of that kind about this request."""
        return kind(
            message,
            verb=self.verb,
            resource=self.resource,
            namespace=self.namespace,
            name=self.name,
            status=status,
            reason=reason,
        )


def error_of(request: Request, status: int, body: bytes) -> errors.KubeError:
    """The error that an HTTP status and the API server's Status object stand for. Holds nothing of the body but its message."""
    answer = _status_object(body)
    text = _message(request, answer)
    match status, answer.get("reason"):
        case 401, _:
            return request.error(errors.Unauthorized, _unauthorized(request), status=status)
        case 403, _:
            return _forbidden(request, text)
        case 404, _:
            return _not_found(request, answer)
        case 409, "AlreadyExists":
            message = (
                f"create {request.subject}: an object of that name exists and is not the one asked for; "
                "look at it, then choose another name, or apply or delete it"
            )
            return request.error(errors.AlreadyExists, message, status=status)
        case 409, _:
            return _conflict(request, answer, text)
        case 410, _:
            message = f"{request.verb} {request.subject}: the version asked for is no longer kept; list again"
            return request.error(errors.UnexpectedResponse, message, status=status, reason="Expired")
        case 400, _ if request.verb in STREAMING:
            return request.error(errors.StreamFailed, f"{request.verb} {request.subject}: {text}", status=status)
        case ((400 | 405 | 406 | 413 | 415 | 422), _):
            return _invalid(request, status, answer, text)
        case 500, _ if str(answer.get("message", "")).startswith(WRONG_SHAPE):
            return _wrong_shape(request, str(answer["message"]), text)
        case 429, _:
            message = f"{request.verb} {request.subject}: {request.host} asks to slow down and did so to the last retry; run it again later"
            return request.error(errors.TooManyRequests, message, status=status)
        case _ if status >= 500:
            message = (
                f"{request.verb} {request.subject}: {request.host} answered {status}: {text}. "
                "If it lasts, look at the API server's log and at `kubectl get --raw /readyz?verbose`"
            )
            return request.error(errors.Unavailable, message, status=status)
    message = f"{request.verb} {request.subject}: {request.host} answered {status}: {text}"
    return request.error(errors.UnexpectedResponse, message, status=status)


def refine_not_found(error: errors.NotFound, *, namespaces: list[str] | None, names: list[str] | None) -> errors.NotFound:
    """The same error, naming what does exist: `namespaces` and the `names` of the kind (None: could not be asked)."""
    request = Request(error.verb, error.resource, error.namespace, error.name)
    if error.namespace and namespaces is not None and error.namespace not in namespaces:
        message = f'{error.verb} {request.subject}: namespace "{error.namespace}" does not exist'
        near = _near(error.namespace, namespaces)
        message += _did_you_mean(near, "the namespace's name and the kubeconfig's context")
        refined: errors.NotFound = request.error(errors.NamespaceNotFound, message, status=404)
    else:
        message = f"{error.verb} {request.subject}: it does not exist"
        near = _near(error.name, names or [])
        if names == []:
            place = f'in namespace "{error.namespace}"' if error.namespace else "in this cluster"
            message += f"; there are none of its kind {place}. Check the namespace and the kubeconfig's context"
        else:
            message += _did_you_mean(near, "its name and namespace")
        refined = request.error(errors.NotFound, message, status=404)
    refined.near = near
    return refined


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _causes(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return (answer.get("details") or {}).get("causes") or []


def _is_secret(request: Request) -> bool:
    return request.resource is not None and request.resource.kind == "Secret"


def _message(request: Request, answer: Mapping[str, Any]) -> str:
    """The server's own words. What it says of a Secret's body can quote all of it: then only the reason is kept."""
    if _is_secret(request) and answer.get("reason") not in ABOUT_NO_BODY:
        return f"{answer.get('reason') or 'no reason given'}; the server's words are withheld, for they can quote the Secret's values"
    return str(answer.get("message") or answer.get("reason") or "no reason given")[:MESSAGE_LIMIT]


def _unauthorized(request: Request) -> str:
    return (
        f"{request.verb} {request.subject}: {request.host} does not accept our credentials; expected a valid token or client certificate. "
        "Renew the kubeconfig's credentials (or run its login plugin); in a pod, check that the ServiceAccount's token is mounted"
    )


def _forbidden(request: Request, text: str) -> errors.Forbidden:
    denial = RBAC_DENIAL.search(text)
    if denial is None and request.verb in STREAM_RESOURCES and text.rstrip().endswith("forbidden:"):
        return _stream_forbidden(request)
    if denial is None:
        message = f"{request.verb} {request.subject} is refused: {text}"
        return request.error(errors.Forbidden, message, status=403)
    kind = "Role" if denial["namespace"] else "ClusterRole"
    rule = f'{{apiGroups: ["{denial["group"]}"], resources: ["{denial["resource"]}"], verbs: ["{denial["verb"]}"]}}'
    place = f' in namespace "{denial["namespace"]}"' if denial["namespace"] else ""
    message = (
        f'{request.verb} {request.subject}: user "{denial["user"]}" may not {denial["verb"]} {denial["resource"]}{place}. '
        f"A {kind}{place}, bound to that user by a {kind}Binding, would grant it with the rule {rule}"
    )
    error = request.error(errors.Forbidden, message, status=403)
    error.user, error.rule = denial["user"], rule
    return error


def _stream_forbidden(request: Request) -> errors.Forbidden:
    """Since 1.35 the API server asks a second right of a stream, and names neither it nor the user when it is lacking."""
    resource = STREAM_RESOURCES[request.verb]
    rule = f'{{apiGroups: [""], resources: ["{resource}"], verbs: ["get", "create"]}}'
    message = f"{request.verb} {request.subject}: we may get {resource} and not create it; a stream needs both. "
    message += f'A Role in namespace "{request.namespace}", bound to our user by a RoleBinding, would grant it with the rule {rule}'
    error = request.error(errors.Forbidden, message, status=403)
    error.rule = rule
    return error


def _not_found(request: Request, answer: Mapping[str, Any]) -> errors.NotFound:
    details = answer.get("details") or {}
    if not details.get("name") and request.resource is not None:
        resource = request.resource
        message = (
            f"{request.verb} {request.subject}: {request.host} does not serve {resource.api_version} {resource.plural}; "
            f"install the component that brings {resource.kind} (check with `kubectl api-resources --api-group={resource.group}`)"
        )
        return request.error(errors.NotServed, message, status=404)
    missing = f'namespace "{details.get("name")}"' if details.get("kind") == "namespaces" else "it"
    kind = errors.NamespaceNotFound if missing != "it" and request.namespace else errors.NotFound
    message = f"{request.verb} {request.subject}: {missing} does not exist. Check the name, the namespace and the kubeconfig's context"
    return request.error(kind, message, status=404)


def _conflict(request: Request, answer: Mapping[str, Any], text: str) -> errors.Conflict:
    causes = _causes(answer)
    managers = tuple(dict.fromkeys(m for cause in causes for m in MANAGER.findall(str(cause.get("message", "")))))
    if managers:
        # An apply also meets what the same manager wrote by create or patch.
        fields = ", ".join(sorted({str(cause.get("field", "?")) for cause in causes}))
        message = (
            f"{request.verb} {request.subject}: {', '.join(managers)} manages {fields}. "
            "Leave these fields out, or force the apply if they are ours to decide"
        )
    else:
        message = f"{request.verb} {request.subject}: it is no longer the object the change relied on ({text}). Read it again and plan anew"
    error = request.error(errors.Conflict, message, status=409)
    error.managers = managers
    return error


def _invalid(request: Request, status: int, answer: Mapping[str, Any], text: str) -> errors.KubeError:
    if any(cause.get("field") == "metadata.uid" for cause in _causes(answer)):
        # A patch that names the uid it is meant for met another object of that name.
        return _conflict(request, {}, "its uid is another")
    said = "reason" if _is_secret(request) else "message"
    fields = tuple(_field_problem(str(cause.get("field") or "body"), str(cause.get(said))) for cause in _causes(answer))
    why = "; ".join(fields) or text
    message = f"{request.verb} {request.subject}: the API server refuses the body ({status}): {why}. Mend it and send it again"
    error = request.error(errors.Invalid, message, status=status, reason=str(answer.get("reason") or "Invalid"))
    error.fields = fields
    return error


def _field_problem(field: str, message: str) -> str:
    if field == "patch":
        # The whole object is quoted before what is wrong with it.
        message = message.rpartition('": ')[2]
    return f"{field}: {message}"[:MESSAGE_LIMIT]


def _wrong_shape(request: Request, message: str, text: str) -> errors.Invalid:
    problem = SHAPE_PROBLEM.search(message)
    fields = (f"{problem[1]}: {problem[2]}",) if problem else ()
    why = fields[0] if fields else text
    error = request.error(
        errors.Invalid, f"{request.verb} {request.subject}: the body has the wrong shape: {why}. Mend it and send it again", status=500
    )
    error.fields = fields
    return error


def _near(name: str, names: list[str]) -> tuple[str, ...]:
    return tuple(get_close_matches(name, names, n=3, cutoff=0.6))


def _did_you_mean(near: tuple[str, ...], check: str) -> str:
    return f"; did you mean {' or '.join(near)}?" if near else f". Check {check}"
