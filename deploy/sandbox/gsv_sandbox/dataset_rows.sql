-- The rows of agent_registry: pure arithmetic over row numbers, so that every run makes the same rows, and their counts are known.
-- A parameter is the number of rows of the table of that name; dataset.py gives them.

set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local synchronous_commit = off;

insert into registry.organisations (slug, name, plan, domains, credit, balance, address, office_network, founded, created_at)
select 'org-' || i, 'Organisation ' || i, (enum_range(null::registry.plan_tier))[1 + mod(i, 3)],
       case when mod(i, 4) = 0 then '{}' else array['org-' || i || '.example', null, 'org "' || i || '", inc.example'] end,
       i * 12.34, case when mod(i, 5) > 0 then row(i * 1.5, 'EUR')::registry.amount end,
       case when mod(i, 7) > 0 then jsonb_build_object('city', 'City ' || mod(i, 40), 'zip', lpad(i::text, 5, '0'), 'geo', null) end,
       ('10.' || mod(i, 200) || '.0.0/16')::cidr, date '1990-01-01' + i * 17, timestamptz '2025-01-01 00:00+00' + i * interval '7 h'
from generate_series(1, %(organisations)s) i;

insert into registry.users
select md5('user ' || i)::uuid, 1 + mod(i, %(organisations)s), 'User.' || i || '@Example.org',
       case mod(i, 3) when 0 then array['admin', 'reader'] when 1 then array['reader'] else '{}' end,
       digest('user ' || i, 'sha256'), case when mod(i, 3) > 0 then ('192.168.' || mod(i, 256) || '.7')::inet else ('2001:db8::' || to_hex(i))::inet end,
       case when mod(i, 6) > 0 then timestamptz '2026-03-01 00:00+00' + i * interval '13 minutes' end,
       jsonb_build_object('theme', case mod(i, 2) when 0 then 'dark' else 'light' end, 'page', i)
from generate_series(1, %(users)s) i;

insert into registry.capabilities
select 'cap.' || i, case when i > 10 then 'cap.' || (1 + mod(i, 10)) end, 'Capability ' || i || ' – ünïcode ' || chr(19968 + mod(i, 500)),
       jsonb_build_object('limit', i, 'unit', 'calls', 'nested', jsonb_build_array(i, i / 3.0, null, 'x'))
from generate_series(1, %(capabilities)s) i;

insert into registry.agents (id, organisation_id, owner_id, name, description, tags, budget, settings, retired_at, created_at)
select md5('agent ' || i)::uuid, 1 + mod(i, %(organisations)s), case when mod(i, 9) > 0 then md5('user ' || (1 + mod(i, %(users)s)))::uuid end,
       'agent-' || i, case when mod(i, 4) > 0 then 'Answers questions of kind ' || mod(i, 60) || E'\nin "quotes" and \\ backslashes' end,
       array['kind-' || mod(i, 60), 'tier-' || mod(i, 3)], mod(i, 1000) / 7.0,
       jsonb_build_object('model', 'model-' || mod(i, 12), 'temperature', mod(i, 100) / 100.0, 'tools', jsonb_build_array('search', mod(i, 5))),
       case when mod(i, 11) = 0 then timestamptz '2026-04-01 00:00+00' + i * interval '1 minute' end,
       timestamptz '2025-06-01 00:00+00' + i * interval '31 minutes'
from generate_series(1, %(agents)s) i;

insert into registry.agent_versions (agent_id, number, image_digest, manifest, weights, rollout, released_at)
select md5('agent ' || (1 + (i - 1) / 4))::uuid, 1 + mod(i - 1, 4), digest('version ' || i, 'sha256'),
       jsonb_build_object('entry', 'main.py', 'env', jsonb_build_object('LEVEL', mod(i, 4)), 'sizes', jsonb_build_array(i, i * 2)),
       array[i / 3.0, sqrt(i), -i / 7.0], case mod(i, 3) when 0 then int4range(0, mod(i, 100)) when 1 then 'empty' end,
       case when mod(i, 8) > 0 then timestamptz '2025-07-01 00:00+00' + i * interval '9 minutes' end
from generate_series(1, %(agent_versions)s) i;

insert into registry.agent_capabilities
select md5('agent ' || (1 + (i - 1) / 3))::uuid, 'cap.' || (1 + mod((i - 1) / 3 + 17 * mod(i - 1, 3), %(capabilities)s)),
       tstzrange(timestamptz '2026-01-01 00:00+00' + i * interval '1 s', case when mod(i, 2) = 0 then timestamptz '2027-01-01 00:00+00' + i * interval '1 s' end),
       case mod(i, 4) when 0 then null when 1 then 'NaN' else i * 0.000001 end
from generate_series(1, %(agent_capabilities)s) i;

insert into registry.deployments (agent_id, version, environment, replicas, endpoint, keep_for, options, updated_at)
select md5('agent ' || (1 + mod(i, %(agents)s)))::uuid, 1 + mod(i, 4), (enum_range(null::registry.environment))[1 + mod(i, 3)],
       mod(i, 20), ('10.88.' || mod(i, 250) || '.' || mod(i, 199))::inet, mod(i, 400) * interval '1 day 1 hour 0.25 s',
       case when mod(i, 5) > 0 then array[array['a', i::text], array['b', null]] end, timestamptz '2026-02-01 00:00+00' + i * interval '3 minutes'
from generate_series(1, %(deployments)s) i;

-- one fifth in each month from January on, one fifth before them
insert into registry.invocations (started_at, deployment_id, duration, latency_ms, score, cost, request, error)
select timestamptz '2025-12-01 00:00+00' + mod(i, 5) * interval '1 month' + mod(i, 2400000) * interval '1 s',
       1 + mod(i, %(deployments)s), mod(i, 90000) * interval '1 ms',
       case when mod(i, 997) = 0 then 'NaN' when mod(i, 991) = 0 then 'Infinity' else i / 7.0 end,
       case when mod(i, 13) > 0 then (i / 3.0)::real end, mod(i, 100000) * 0.000000123,
       case when mod(i, 4) = 0 then jsonb_build_object('prompt', 'question ' || mod(i, 5000), 'tokens', mod(i, 4096)) end,
       case when mod(i, 50) = 0 then 'timeout after ' || mod(i, 60) || ' s' end
from generate_series(1, %(invocations)s) i;

insert into registry.audit_log (at, actor, action, subject, before, after, signature)
select timestamptz '2026-01-01 00:00+00' + i * interval '5 s', 'user-' || mod(i, 2000), (array['create', 'update', 'delete', 'login'])[1 + mod(i, 4)],
       case when mod(i, 4) > 0 then 'agent-' || (1 + mod(i, %(agents)s)) end, case when mod(i, 3) = 0 then jsonb_build_object('replicas', mod(i, 9)) end,
       jsonb_build_object('replicas', mod(i, 10)), case when mod(i, 5) = 0 then digest('audit ' || i, 'md5') end
from generate_series(1, %(audit_log)s) i;

insert into "Billing Data"."Invoice ""Lines""" ("organisation", "Net Amount", "VAT %%", "Größe", "select")
select 1 + mod(i, %(organisations)s), i * 1.0001, (array[0, 7, 19])[1 + mod(i, 3)], case mod(i, 3) when 0 then 'groß' when 1 then '' end, mod(i, 3) = 0
from generate_series(1, %(invoice_lines)s) i;

insert into registry.artifacts
select i, (select string_agg(digest(i || ' ' || j, 'sha512'), '' order by j) from generate_series(1, 50 + mod(i, 200)) j), repeat('note ' || i || ' ', 400)
from generate_series(1, %(artifacts)s) i;

insert into registry.model_cards
select i, lo_from_bytea(870000 + i, (select string_agg(digest('card ' || i || ' ' || j, 'sha512'), '' order by j) from generate_series(1, i * 400) j))
from generate_series(1, %(model_cards)s) i;

insert into registry.heartbeats select 'node-' || mod(i, 10), case mod(i, 4) when 0 then null else mod(i, 4) = 1 end from generate_series(1, %(heartbeats)s) i;

insert into registry.sessions
select md5('session ' || i)::uuid, md5('user ' || (1 + mod(i, %(users)s)))::uuid, timestamptz '2027-01-01 00:00+00' + i * interval '1 s'
from generate_series(1, %(sessions)s) i;

insert into registry.tenant_keys select i, 1 + mod(i, %(organisations)s), digest('key ' || i, 'sha256') from generate_series(1, %(tenant_keys)s) i;
alter table registry.tenant_keys enable row level security, force row level security;
create policy own_tenant on registry.tenant_keys
    using (organisation_id = nullif(current_setting('registry.tenant', true), '')::integer);

insert into registry.tickets (title) select 'Ticket ' || i from generate_series(1, %(tickets)s) i;

-- one row of edges, one of NULLs, then ordinary ones
insert into registry."Every Type" values (
    1, -32768, -9223372036854775808, 'NaN', '-0', '-Infinity', 'a', '', E'tab\tnewline\nquote''s "double" \\ backslash 🐘 \u200b', 'name', true, B'10000001', B'',
    '4713-01-01 BC', '24:00:00', '23:59:59.999999-12:30', '-infinity', 'infinity', '-178000000 years', '::1/128', '::/0', '08:00:2b:01:02:03',
    '00000000-0000-0000-0000-000000000000', '\x00ff00', 'FFFFFFFF/FFFFFFFF', '{"b": 1, "a": 2, "a": 3}', '{"a": null, "n": 1.10, "s": "\u00e9"}',
    '[0:1][5:6]={{1,2},{3,NULL}}', '{"",NULL,"NULL","a,b","{}"}', array[row(1.10, 'EUR'), null, row(null, null)]::registry.amount[],
    '(,5)', 'empty', '[-infinity,infinity]', '[2026-01-01,2026-01-01]', '{[1,3),[5,9)}', '(1e300,-0)', '((1,1),(0,0))', '[(0,0),(1,1)]', '<(0,0),1>',
    'fat:1A cat:2', 'fat & !cat', 'MiXeD');
insert into registry."Every Type" (id) values (2);
insert into registry."Every Type" (id, small, big, exact, single, double, fixed, short, words, flag, day, instant, span, address, key, raw, binary_document, matrix, texts, whole, insensitive)
select i, mod(i, 30000), i::bigint * 4294967296, i / 3.0, (i / 3.0)::real, sqrt(i), lpad(i::text, 4), i::text, repeat('x', mod(i, 300)), mod(i, 2) = 0,
       date '2026-01-01' + mod(i, 3000), timestamptz '2026-01-01 00:00+00' + i * interval '1.000001 s', i * interval '1 month 2 days 3.5 s',
       ('10.0.' || mod(i, 256) || '.1/24')::inet, md5('type ' || i)::uuid, decode(md5(i::text), 'hex'), to_jsonb(i / 8.0), array[array[i, i + 1]],
       array['a' || i, null], int4range(i, i + 10), 'Text-' || i
from generate_series(3, %(every_type)s) i;

-- from here on updates move updated_at
create trigger touch before update on registry.deployments for each row execute function registry.touch();

create materialized view registry.usage_by_month as
    select date_trunc('month', started_at at time zone 'UTC') as month, count(*) as invocations, sum(cost) as cost
    from registry.invocations group by 1;
create materialized view registry.usage_by_day as
    select date_trunc('day', started_at at time zone 'UTC') as day, count(*) as invocations from registry.invocations group by 1
    with no data;
