"""The SQL that the writer runs: its own schema, the changes it makes to agent_registry in turn, and how it keeps them bounded.

%(number)s is the transaction's number. Partitions, sequences, generated columns, triggers and the unlogged table are all hit.
"""

SCHEMA = """
create schema if not exists gsv_writer;
create table if not exists gsv_writer.commits (number bigint primary key, at timestamptz not null default clock_timestamp());
create table if not exists gsv_writer.trimmed (sole boolean primary key default true check (sole), up_to bigint not null);
insert into gsv_writer.trimmed (up_to) values (0) on conflict do nothing;
"""

# What transactions do, in turn. Their rows are known by a negative id, the actor, the title or the node.
CHANGES: tuple[tuple[str, ...], ...] = (
    (
        """insert into registry.invocations (id, started_at, deployment_id, duration, latency_ms, cost, request, error)
           select -%(number)s, now(), id, interval '80 ms', 80.5, 0.000123, '{"prompt": "written"}', null
           from registry.deployments order by id offset mod(%(number)s, 100) limit 1""",
        """insert into registry.audit_log (actor, action, subject, after)
           values ('gsv_writer', 'invoke', %(number)s::text, jsonb_build_object('number', %(number)s))""",
    ),
    (
        """update registry.deployments set replicas = mod(%(number)s, 20)
           where id = (select id from registry.deployments order by id offset mod(%(number)s, 100) limit 1)""",
        "insert into registry.audit_log (actor, action, subject) values ('gsv_writer', 'scale', %(number)s::text)",
    ),
    ("insert into registry.tickets (title) values ('Written ' || %(number)s)",),
    (
        """update registry.users set last_seen_at = now(), preferences = preferences || jsonb_build_object('page', %(number)s)
           where email = ('user.' || (1 + mod(%(number)s, 500)) || '@example.org')::citext""",
    ),
    (
        "insert into registry.heartbeats values ('gsv_writer', mod(%(number)s, 2) = 0)",
        """insert into registry.sessions
           values (gen_random_uuid(), md5('user 1')::uuid, now() + interval '1 hour')""",
        "delete from registry.sessions where expires_at < now() + interval '55 minutes' and user_id = md5('user 1')::uuid",
    ),
    (
        """update registry.artifacts set content = digest(%(number)s::text, 'sha512') || substr(content, 65)
           where id = 1 + mod(%(number)s, 50)""",
        '''update "Billing Data"."Invoice ""Lines""" set "Net Amount" = "Net Amount" + 0.0001
           where "Line No" = 1 + mod(%(number)s, 300)''',
    ),
)
# Takes the oldest of the writer's own rows away: %(kept)s stay in each table, %(commits_kept)s in commits.
TRIM: tuple[str, ...] = (
    "delete from registry.invocations where id < 0 and id > -(%(number)s - %(kept)s)",
    """delete from registry.audit_log where id in (
           select id from registry.audit_log where actor = 'gsv_writer' order by at desc offset %(kept)s)""",
    """delete from registry.tickets where number in (
           select number from registry.tickets where title like 'Written %%' order by number desc offset %(kept)s)""",
    """delete from registry.heartbeats where ctid = any (array(
           select ctid from registry.heartbeats where node = 'gsv_writer' order by ctid desc offset %(kept)s))""",
    "delete from gsv_writer.commits where number <= %(number)s - %(commits_kept)s",
    "update gsv_writer.trimmed set up_to = greatest(up_to, %(number)s - %(commits_kept)s)",
)
