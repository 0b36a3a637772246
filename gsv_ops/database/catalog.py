"""What a database is made of, apart from its rows: one digest per part of its schema, so that a difference names the part.

Each part is a query that gives one line of text per object. The lines hold names and definitions and never an OID, and are sorted before
they are hashed, so that equal schemas have equal digests however they came to be. Names are written with their schema (the session's
search_path is pg_catalog). Roles are read from pg_roles: pg_authid would show their passwords.
"""

from __future__ import annotations

import hashlib

from gsv_ops.database.digest import FIRST_OF_USERS
from gsv_ops.database.session import Connection, DatabaseError, import_snapshot, meaning

# %U: the first OID of a user's objects. %N: not a session's temporary object, nor the TOAST half of a table (its name is an OID).
_PARTS = {
    "database": """
        select (to_jsonb(d) - array['oid', 'datdba', 'datfrozenxid', 'datminmxid', 'dattablespace', 'datlastsysoid'])::text
               || row(pg_get_userbyid(datdba), spcname)::text
          from pg_database d join pg_tablespace t on t.oid = dattablespace where datname = current_database()""",
    "settings": """
        select row(coalesce(datname, ''), coalesce(rolname, ''), array(select unnest(setconfig) order by 1))::text
          from pg_db_role_setting left join pg_database d on d.oid = setdatabase left join pg_roles r on r.oid = setrole
         where setdatabase = 0 or datname = current_database()""",
    "roles": """
        select row(rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
                   rolconnlimit, rolvaliduntil)::text from pg_roles where oid >= %U or oid = 10""",
    "memberships": """
        select row(pg_get_userbyid(roleid), pg_get_userbyid(member), admin_option)::text from pg_auth_members""",
    "tablespaces": "select row(spcname, pg_get_userbyid(spcowner), spcacl, spcoptions)::text from pg_tablespace",
    "schemas": """
        select row(nspname, pg_get_userbyid(nspowner), nspacl)::text from pg_namespace n where %N""",
    "extensions": """
        select row(extname, extversion, nspname, pg_get_userbyid(extowner), extrelocatable)::text
          from pg_extension join pg_namespace n on n.oid = extnamespace""",
    "relations": """
        select row(nspname, relname, relkind, relpersistence, pg_get_userbyid(relowner), relacl, reloptions, amname, relispopulated,
                   relrowsecurity, relforcerowsecurity, relreplident, relispartition, pg_get_expr(relpartbound, c.oid),
                   pg_get_partkeydef(c.oid), coalesce(spcname, ''), case when reloftype <> 0 then format_type(reloftype, null) end,
                   array(select inhparent::regclass::text from pg_inherits where inhrelid = c.oid order by inhseqno))::text
          from pg_class c join pg_namespace n on n.oid = relnamespace left join pg_am a on a.oid = relam
          left join pg_tablespace s on s.oid = reltablespace
         where c.oid >= %U and relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and relpersistence <> 't' and %N""",
    "columns": """
        select row(nspname, relname, row_number() over (partition by attrelid order by attnum), attname,
                   format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, pg_get_expr(adbin, adrelid), attndims,
                   l.collname, attstorage, attcompression, attstattarget, attislocal, attinhcount, attacl, attoptions, attfdwoptions)::text
          from pg_attribute a join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
          left join pg_attrdef on adrelid = attrelid and adnum = attnum left join pg_collation l on l.oid = attcollation
         where c.oid >= %U and attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v', 'm', 'f', 'c')
           and relpersistence <> 't' and %N""",
    # An array type comes with its element type, under a name that depends on what else was there.
    "types": """
        select row(nspname, typname, typtype, typcategory, pg_get_userbyid(typowner), typacl, typnotnull, typlen, typbyval,
                   typalign, typinput::regproc, typoutput::regproc, case when typbasetype <> 0 then format_type(typbasetype, typtypmod) end,
                   typdefault, l.collname, array(select enumlabel from pg_enum where enumtypid = t.oid order by enumsortorder),
                   (select row(format_type(rngsubtype, null), opcname, rngcanonical::regproc, rngsubdiff::regproc)::text
                      from pg_range join pg_opclass o on o.oid = rngsubopc where rngtypid = t.oid))::text
          from pg_type t join pg_namespace n on n.oid = typnamespace left join pg_collation l on l.oid = typcollation
         where t.oid >= %U and typrelid = 0 and typcategory <> 'A' and %N""",
    "constraints": """
        select row(n.nspname, conname, contype, nullif(conrelid, 0)::regclass, case when contypid <> 0 then format_type(contypid, null) end,
                   pg_get_constraintdef(o.oid), convalidated, condeferrable, condeferred, conislocal, coninhcount)::text
          from pg_constraint o join pg_namespace n on n.oid = connamespace where o.oid >= %U and %N""",
    "indexes": """
        select row(pg_get_indexdef(indexrelid), indisvalid, indisready, indisreplident, indisclustered, indimmediate, spcname,
                   array(select inhparent::regclass::text from pg_inherits where inhrelid = indexrelid))::text
          from pg_index join pg_class c on c.oid = indexrelid join pg_namespace n on n.oid = relnamespace
          left join pg_tablespace s on s.oid = reltablespace
         where indrelid >= %U and relpersistence <> 't' and relkind in ('i', 'I') and %N""",
    "views": """
        select row(nspname, relname, pg_get_viewdef(c.oid))::text from pg_class c join pg_namespace n on n.oid = relnamespace
         where relkind in ('v', 'm') and c.oid >= %U and %N""",
    "rules": """
        select row(pg_get_ruledef(r.oid), ev_enabled)::text from pg_rewrite r where r.oid >= %U and rulename <> '_RETURN'""",
    "functions": """
        select row(nspname, proname, pg_get_function_identity_arguments(p.oid), prokind, pg_get_userbyid(proowner), proacl,
                   case when prokind = 'a' then (to_jsonb(a) - array['aggfnoid', 'aggtranstype', 'aggmtranstype', 'aggsortop'])::text
                        || row(format_type(aggtranstype, null), format_type(aggmtranstype, null), aggsortop::regoperator)::text
                        else pg_get_functiondef(p.oid) end)::text
          from pg_proc p join pg_namespace n on n.oid = pronamespace left join pg_aggregate a on a.aggfnoid = p.oid
         where p.oid >= %U and %N""",
    "triggers": """
        select row(tgrelid::regclass, pg_get_triggerdef(oid), tgenabled, tgparentid <> 0)::text from pg_trigger where not tgisinternal
        union all
        select row(tgrelid::regclass, conname, tgtype, tgenabled)::text
          from pg_trigger t join pg_constraint o on o.oid = tgconstraint where tgisinternal
        union all
        select row(evtname, evtevent, evtfoid::regproc, evtenabled, evttags, pg_get_userbyid(evtowner))::text from pg_event_trigger""",
    "policies": """
        select row(polrelid::regclass, polname, polpermissive, polcmd,
                   array(select case r when 0 then 'public' else pg_get_userbyid(r)::text end from unnest(polroles) r order by 1),
                   pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))::text from pg_policy""",
    "sequences": """
        select row(seqrelid::regclass, format_type(seqtypid, null), seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle)::text
          from pg_sequence join pg_class c on c.oid = seqrelid where relpersistence <> 't'""",
    "extended statistics": "select row(pg_get_statisticsobjdef(oid), pg_get_userbyid(stxowner))::text from pg_statistic_ext",
    "default privileges": """
        select row(pg_get_userbyid(defaclrole), nspname, defaclobjtype, defaclacl)::text
          from pg_default_acl left join pg_namespace n on n.oid = defaclnamespace""",
    # What a managed database hands out at bootstrap, as on pg_switch_wal.
    "grants on system objects": """
        select row('function', oid::regprocedure, proacl)::text from pg_proc where oid < %U and proacl is not null
        union all
        select row('relation', oid::regclass, relacl)::text from pg_class where oid < %U and relacl is not null""",
    # Without subconninfo, which holds passwords and may be read by superusers only.
    "publications and subscriptions": """
        select row('publication', (to_jsonb(p) - array['oid', 'pubowner']), pg_get_userbyid(pubowner))::text from pg_publication p
        union all select row('published table', to_jsonb(t))::text from pg_publication_tables t
        union all
        select row('subscription', subname, pg_get_userbyid(subowner), subenabled, subslotname, subsynccommit, subpublications)::text
          from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())""",
    # Without the options of user mappings, which hold passwords.
    "foreign servers": """
        select row('server', srvname, pg_get_userbyid(srvowner), srvtype, srvversion, fdwname, srvacl, srvoptions)::text
          from pg_foreign_server join pg_foreign_data_wrapper w on w.oid = srvfdw
        union all
        select row('wrapper', fdwname, pg_get_userbyid(fdwowner), fdwhandler::regproc, fdwvalidator::regproc, fdwacl, fdwoptions)::text
          from pg_foreign_data_wrapper
        union all select row('user mapping', srvname, usename)::text from pg_user_mappings
        union all
        select row('foreign table', ftrelid::regclass, srvname, ftoptions)::text
          from pg_foreign_table join pg_foreign_server s on s.oid = ftserver""",
    "other objects": " union all ".join(
        f"select (pg_identify_object('{catalog}'::regclass, oid, 0))::text from {catalog} where oid >= %U"  # noqa: S608
        for catalog in (
            "pg_am", "pg_cast", "pg_collation", "pg_conversion", "pg_language", "pg_opclass", "pg_operator", "pg_opfamily",
            "pg_amop", "pg_amproc", "pg_transform", "pg_ts_config", "pg_ts_dict", "pg_ts_parser", "pg_ts_template",
        )
    ),
    "comments": """
        select row(pg_identify_object(classoid, objoid, objsubid), description)::text from pg_description where objoid >= %U
        union all select row('security label', objtype, objname, provider, label)::text from pg_seclabels""",
}  # fmt: skip
_NO_TEMPORARY = "n.nspname !~ '^pg_(temp_|toast)'"
PARTS = {part: query.replace("%U", str(FIRST_OF_USERS)).replace("%N", _NO_TEMPORARY) for part, query in _PARTS.items()}


def read_parts(connection: Connection, snapshot: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """The digest of each part (64 hexadecimal digits), and the parts that could not be read with the reason.

    snapshot: an exported one to see the catalog by, or None for this moment.
    """
    digests: dict[str, str] = {}
    unread: dict[str, str] = {}
    for part, query in PARTS.items():
        try:
            with meaning("reading", "membership of pg_read_all_data"), connection.transaction():
                if snapshot is not None:
                    import_snapshot(connection, snapshot)
                lines = sorted(str(line) for (line,) in connection.execute(query.encode()))
        except DatabaseError as error:
            unread[part] = str(error)
            continue
        text = "".join(f"{len(line)}:{line}\n" for line in lines)
        digests[part] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return digests, unread
