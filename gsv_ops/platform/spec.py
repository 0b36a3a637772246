"""What the platform is: frozen values read from platform.yaml, with one environment's overrides laid over them.

The package has a platform.yaml; GSV_PLATFORM_FILE names another that stands in its place, whole. Loading opens no connection. A file that
says something unknown, twice, or out of range is refused with the path of the value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

PLATFORM_FILE = Path(__file__).with_name("platform.yaml")
FILE_VARIABLE = "GSV_PLATFORM_FILE"
FROM_ENVIRONMENT = "from_environment"

_SIZE = re.compile(r"^(\d+)(Ki|Mi|Gi|Ti)?B?$")
_FACTOR = {None: 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class InvalidSpec(ValueError):
    """platform.yaml cannot be used; the message names the value and what was expected."""


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _SIZE.match(value)
    if match is None:
        raise ValueError(f"{value!r} is no size; expected whole bytes, or such as 20MiB or 50Gi")
    return int(match[1]) * _FACTOR[match[2]]


def _address(value: str) -> str:
    if value != FROM_ENVIRONMENT and not re.match(r"^https?://[^/\s]", value):
        # not quoted: the URL of a webhook is often a secret itself
        raise ValueError(f"this is no address; expected http(s)://host, {FROM_ENVIRONMENT}, or null")
    return value


HttpUrl = Annotated[str, AfterValidator(_address)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
Seconds = Annotated[int, Field(ge=1)]
Percent = Annotated[int, Field(ge=0, le=100)]


DatabaseName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""It becomes part of names of assets and jobs."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Component(_Model):
    """One component of the operator guide's chapter 2."""

    name: str
    layer: Literal["infrastructure", "platform", "data", "observability"]
    namespace: str
    purpose: str


class BackupLimits(_Model):
    """When a backup is given up, and what is too small to be one."""

    start_seconds: Seconds
    run_seconds: Seconds
    archive_seconds: Seconds
    floor_bytes: Bytes
    shrink_percent: Percent


class FingerprintLimits(_Model):
    """What a fingerprint may cost the primary before it is given up as inconclusive."""

    slot_seconds: Seconds
    total_seconds: Seconds
    budget_bytes: Bytes
    connections: Annotated[int, Field(ge=1, le=16)]


class ProofLimits(_Model):
    """What a proof may take, and how long what it made may live."""

    recovery_seconds: Seconds
    failed_attempts: Annotated[int, Field(ge=1, le=6)]
    release_seconds: Seconds
    lifetime_seconds: Seconds
    storage_margin_percent: Percent


class RestoreLimits(_Model):
    """What a restore for use may take: until the restored primary serves, and then until every instance streams.

    Past either nothing is taken down: what recovers goes on recovering.
    """

    recovery_seconds: Seconds = 43200
    whole_seconds: Seconds = 3600
    failed_attempts: Annotated[int, Field(ge=1, le=6)] = 1
    login_seconds: Seconds = 60


class Watch(_Model):
    """When a database's page turns yellow (warn) and red (error), in seconds.

    tick_seconds: a ScheduledBackup may be so late. failover_told_seconds: for so long a failover stands on the page.
    """

    backup_warn_seconds: Seconds
    backup_error_seconds: Seconds
    proof_warn_seconds: Seconds
    proof_error_seconds: Seconds
    wal_seconds: Seconds
    tick_seconds: Seconds = 900
    failover_told_seconds: Seconds = 86400


class Heartbeat(_Model):
    """The rows that the database writes of itself, a minute apart, and when their absence turns its page yellow and red.

    archived_*: for the newest row that is in the object store: so much would be lost with the whole cluster.
    """

    database: str
    warn_seconds: Seconds
    error_seconds: Seconds
    archived_warn_seconds: Seconds
    archived_error_seconds: Seconds


class PromotionLimits(_Model):
    """What a replica must not be behind to be promoted, and when a promotion is given up waiting for.

    switch_seconds: until the replica is primary and is written to. rejoin_seconds: until the former primary follows it.
    """

    behind_bytes: Bytes = 16 * 2**20
    behind_seconds: Seconds = 10
    switch_seconds: Seconds = 300
    rejoin_seconds: Seconds = 300


class ServerLimits(_Model):
    """When the pages of a cluster's replication and connections turn yellow (warn) and red (error).

    dead_from_rows: a table with fewer dead rows is not looked at.
    """

    lag_warn_seconds: Seconds = 10
    lag_error_seconds: Seconds = 120
    slot_warn_bytes: Bytes = 2 * 2**30
    slot_error_bytes: Bytes = 6 * 2**30
    connections_warn_percent: Percent = 75
    connections_error_percent: Percent = 90
    transaction_warn_seconds: Seconds = 1800
    transaction_error_seconds: Seconds = 14400
    wraparound_warn_ids: Annotated[int, Field(ge=1, lt=2**31)] = 500_000_000
    wraparound_error_ids: Annotated[int, Field(ge=1, lt=2**31)] = 1_200_000_000
    dead_warn_percent: Percent = 25
    dead_error_percent: Percent = 60
    dead_from_rows: Annotated[int, Field(ge=1)] = 50_000


class Timetable(_Model):
    """When the desk acts on a database by itself: five-field cron expressions in one time zone, and what may be skipped.

    backup_not_within_seconds: the nightly backup is skipped while a completed one is younger.
    prove_after_seconds, prove_attempts: a backup unproven for that long is proven by the desk, at most so often.
    """

    time_zone: str
    backup: str
    proof: str
    checks: str
    sweep: str
    backup_not_within_seconds: Seconds
    prove_after_seconds: Seconds
    prove_attempts: Annotated[int, Field(ge=1, le=10)]


class Database(_Model):
    """One PostgreSQL cluster that gsv_ops backs up and proves."""

    namespace: str
    cluster: str
    database: str
    login_secret: str
    operator_namespace: str
    backup: BackupLimits
    fingerprint: FingerprintLimits
    proof: ProofLimits
    restore: RestoreLimits = RestoreLimits()
    watch: Watch
    timetable: Timetable
    heartbeat: Heartbeat | None = None
    promotion: PromotionLimits = PromotionLimits()
    servers: ServerLimits = ServerLimits()


class Environment(_Model):
    """One place the platform runs, bound to one cluster by the UID of its kube-system namespace."""

    cluster_identity: str | None
    automation: bool = False
    overrides: Mapping[str, Any] = Field(default_factory=dict)


class SecretKey(_Model):
    """One value in a Secret, read at the moment it is needed."""

    namespace: str
    secret: str
    key: str


class AlertSettings(_Model):
    """Whom the desk tells, and for how long. An address is a URL, `from_environment`, or null for none."""

    desk_url: HttpUrl | None
    alertmanager_url: HttpUrl | None
    webhook_url: HttpUrl | None
    webhook_token: Literal["from_environment"] | SecretKey | None
    post_seconds: Annotated[int, Field(ge=1, le=3)]
    keep_seconds: Annotated[int, Field(ge=180)]
    run_failure_seconds: Seconds
    own_run_failure_seconds: Seconds = 3_024_000
    heartbeat: str


class RecordLimits(_Model):
    """For how many days the desk keeps what it writes down, and how much of it goes at once."""

    evidence_days: Annotated[int, Field(ge=1)] = 400
    journal_days: Annotated[int, Field(ge=1)] = 90
    step_days: Annotated[int, Field(ge=1)] = 30
    plan_days: Annotated[int, Field(ge=1)] = 7
    most: Annotated[int, Field(ge=1)] = 5000
    tidy: str = "40 3 * * *"


class DeskLimits(_Model):
    """How gsv_ops itself behaves."""

    plan_lifetime_seconds: Seconds
    plan_fresh_seconds: Seconds = 120
    lease_namespace: Annotated[str, Field(min_length=1)]
    lease_seconds: Annotated[int, Field(ge=30, le=3600)]
    freeze_longest_minutes: Annotated[int, Field(ge=1)]
    undo_days: Annotated[int, Field(ge=1)] = 30
    records: RecordLimits = RecordLimits()
    alerts: AlertSettings


class CleanupTimetable(_Model):
    """When the desk cleans up by itself: five-field cron expressions in one time zone, or when about so many objects may go.

    keep: how many old ReplicaSets of each Deployment stay then; -1 is its own revisionHistoryLimit. A threshold of 0 is never passed.
    """

    time_zone: str = "Europe/Berlin"
    replicasets: str = "10 4 * * *"
    jobs: str = "20 4 * * *"
    pods: str = "30 4 * * *"
    images: str = "40 4 * * 1"
    keep: Annotated[int, Field(ge=-1)] = 3
    count_every_seconds: Annotated[int, Field(ge=60)] = 600
    again_after_seconds: Seconds = 21600
    replicasets_threshold: Annotated[int, Field(ge=0)] = 300
    jobs_threshold: Annotated[int, Field(ge=0)] = 200
    pods_threshold: Annotated[int, Field(ge=0)] = 100


class NodeRuntime(_Model):
    """How a node's container runtime is asked for its images: by a short Job on the node, which reaches the runtime's socket and no more.

    image: has a CRI client; null: runtimes are not asked. list, remove: its commands, the first answering as `crictl images -o json` does,
    the second taking ids. The socket is told by CONTAINER_RUNTIME_ENDPOINT. The Job is in desk.lease_namespace, made as service_account,
    which may make Jobs there; its pod runs as pod_service_account, which has no right.
    """

    image: Annotated[str, Field(min_length=1)] | None = None
    socket: Annotated[str, Field(pattern="^/")] = "/run/containerd/containerd.sock"
    list: tuple[str, ...] = ("crictl", "images", "-o", "json")
    remove: tuple[str, ...] = ("crictl", "rmi")
    service_account: Annotated[str, Field(min_length=1)] = "gsv-ops-images"
    pod_service_account: Annotated[str, Field(min_length=1)] = "gsv-ops-images-node"
    seconds: Annotated[int, Field(ge=10, le=420)] = 60


class ImageSettings(_Model):
    """Which images are needed though nothing names them (patterns over names in full, such as `*/pause:*`), and when others may go.

    prune: whether prune_images may be used here. It acts on a node whose images' disk is fuller than above_percent, until it would be down
    to down_to_percent.
    """

    keep: tuple[str, ...] = ("*/pause:*", "*/pause@*")
    prune: bool = False
    above_percent: Percent = 80
    down_to_percent: Percent = 70
    at_once: Annotated[int, Field(ge=1, le=100)] = 10
    runtime: NodeRuntime = NodeRuntime()


class CleanupLimits(_Model):
    """How much one cleanup may delete, and whether one may do so without a plan that was read.

    A plan with more than most_objects deletions, or with more than most_percent of at least percent_from objects seen, is refused whole.
    """

    scheduled_deletions: bool = False
    most_objects: Annotated[int, Field(ge=1)] = 500
    most_percent: Percent = 90
    percent_from: Annotated[int, Field(ge=1)] = 20
    timetable: CleanupTimetable = CleanupTimetable()
    images: ImageSettings = ImageSettings()


class RolloutLimits(_Model):
    """How long a rollout is watched, and what is told of pods that do not become ready."""

    watch_seconds: Seconds = 900
    tell_seconds: Annotated[int, Field(ge=5)] = 30
    back_seconds: Seconds = 300
    metrics_seconds: Seconds = 90
    log_lines: Annotated[int, Field(ge=1, le=50)] = 5


class StatusReport(_Model):
    """What platform_status shows of pods that are not well.

    settle_seconds: a pod may take so long to become ready, or to end, before it counts as not well.
    """

    schedule: str = "*/15 * * * *"
    log_lines: Annotated[int, Field(ge=0, le=50)] = 5
    most_logs: Annotated[int, Field(ge=0, le=100)] = 20
    settle_seconds: Seconds = 300


class LogReport(_Model):
    """Whether and how log_report may read the nodes' kubelets, and what is too much.

    service_account: in desk.lease_namespace; it may get nodes/proxy, which is nearly root, so the report is off unless it is enabled here.
    rotation_in_git: where the kubelets' configuration is kept, as people find it; null: this file does not know.
    """

    enabled: bool = False
    service_account: Annotated[str, Field(min_length=1)] = "gsv-ops-logs"
    rotation_in_git: str | None = None
    schedule: str = "40 6 * * *"
    most_percent_of_disk: Percent = 10
    most_containers_entered: Annotated[int, Field(ge=1, le=200)] = 30


class LeftoversReport(_Model):
    """When find_leftovers looks, and how young what it finds may be before it counts."""

    schedule: str = "50 6 * * 1"
    settle_seconds: Seconds = 3600


class Reports(_Model):
    """The reports that the desk makes by itself, at times in one zone."""

    time_zone: str = "Europe/Berlin"
    status: StatusReport = StatusReport()
    logs: LogReport = LogReport()
    leftovers: LeftoversReport = LeftoversReport()


class PlatformSpec(_Model):
    """The whole platform as one environment sees it."""

    components: tuple[Component, ...]
    databases: Mapping[DatabaseName, Database]
    cleanup: CleanupLimits = CleanupLimits()
    rollouts: RolloutLimits = RolloutLimits()
    reports: Reports = Reports()
    desk: DeskLimits

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where the platform is: the namespaces of its components and databases, sorted."""
        return tuple(sorted({c.namespace for c in self.components} | {d.namespace for d in self.databases.values()}))


def platform_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The file that is the platform here: the one GSV_PLATFORM_FILE names, else the package's own."""
    return Path(environ.get(FILE_VARIABLE) or PLATFORM_FILE)


def read(path: Path | None = None) -> dict[str, Any]:
    """The file (by default `platform_file()`) as a dictionary.

    Raises InvalidSpec for a file that cannot be read or is no mapping, and for a key that stands twice.
    """
    path = path or platform_file()
    try:
        raw = yaml.load(path.read_text(), Loader=_UniqueKeyLoader)  # noqa: S506  a SafeLoader
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it is not text"
        raise InvalidSpec(f"{path} cannot be read ({why}); correct {FILE_VARIABLE}, or unset it to use the package's own") from None
    except yaml.YAMLError as problem:
        raise InvalidSpec(f"{path.name} is not valid YAML: {problem}") from None
    if not isinstance(raw, dict):
        raise InvalidSpec(f"{path.name} holds {type(raw).__name__}, expected a mapping")
    return raw


def environments(raw: Mapping[str, Any]) -> dict[str, Environment]:
    """Every environment by its name. Raises InvalidSpec where there are none."""
    named = raw.get("environments")
    if not isinstance(named, Mapping) or not named:
        raise InvalidSpec("platform.yaml names no environment; expected a mapping `environments`")
    return {name: _validated(Environment, body, f"environments.{name}") for name, body in named.items()}


def spec_for(raw: Mapping[str, Any], environment: Environment | None) -> PlatformSpec:
    """The platform with the environment's overrides laid over it (without any, where no environment is chosen)."""
    base = {key: value for key, value in raw.items() if key != "environments"}
    merged = _merge(base, environment.overrides) if environment else base
    return _validated(PlatformSpec, merged, "platform.yaml")


def load(environment: str | None = None) -> PlatformSpec:
    """The platform as `environment` sees it, read once. Raises InvalidSpec for an environment that platform.yaml does not name."""
    return _load(platform_file(), environment)


@cache
def _load(path: Path, environment: str | None) -> PlatformSpec:
    raw = read(path)
    known = environments(raw)
    if environment is not None and environment not in known:
        raise InvalidSpec(f"environment {environment!r} is not in platform.yaml; it names {', '.join(sorted(known))}")
    return spec_for(raw, known[environment] if environment else None)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader that refuses a key written twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if not isinstance(key, Hashable):
                continue  # the safe loader refuses it
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


_M = TypeVar("_M", bound=BaseModel)


def _validated(model: type[_M], body: object, where: str) -> _M:
    try:
        return model.model_validate(body)
    except ValidationError as problem:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problem.errors(include_url=False))
        raise InvalidSpec(f"{where}: {lines}") from None
