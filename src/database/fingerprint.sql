-- One line (a JSON array) for each part of the schema. Names instead of object numbers, so that a copy gives the
-- same lines. What belongs to an extension is left out: the extension's version stands for it.
-- 16384 is the first number that is given to objects of users.
with owned as (
    select classid, objid from pg_depend where deptype = 'e'
), spaces as (
    select oid, nspname, nspowner, nspacl from pg_namespace
    where (oid >= 16384 or nspname = 'public') and nspname !~ '^pg_(toast_)?temp_'
), relations as (
    select c.*, s.nspname from pg_class c join spaces s on s.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c')
      and not exists (select from owned where classid = 'pg_class'::regclass and objid = c.oid)
), others as (
    select 'pg_cast'::regclass as class, oid from pg_cast
    union all select 'pg_collation'::regclass, oid from pg_collation
    union all select 'pg_conversion'::regclass, oid from pg_conversion
    union all select 'pg_default_acl'::regclass, oid from pg_default_acl
    union all select 'pg_foreign_data_wrapper'::regclass, oid from pg_foreign_data_wrapper
    union all select 'pg_foreign_server'::regclass, oid from pg_foreign_server
    union all select 'pg_language'::regclass, oid from pg_language
    union all select 'pg_opclass'::regclass, oid from pg_opclass
    union all select 'pg_operator'::regclass, oid from pg_operator
    union all select 'pg_opfamily'::regclass, oid from pg_opfamily
    union all select 'pg_publication_rel'::regclass, oid from pg_publication_rel
    union all select 'pg_ts_config'::regclass, oid from pg_ts_config
    union all select 'pg_ts_dict'::regclass, oid from pg_ts_dict
)
select jsonb_build_array('schema', nspname, pg_get_userbyid(nspowner),
    (select array_agg(a::text order by a::text) from unnest(nspacl) a))::text
from spaces
union all
select jsonb_build_array('extension', e.extname, e.extversion, n.nspname)::text
from pg_extension e join pg_namespace n on n.oid = e.extnamespace
union all
select jsonb_build_array('relation', nspname, relname, relkind, relpersistence, pg_get_userbyid(relowner), reloptions,
    relrowsecurity, relforcerowsecurity, relreplident, pg_get_expr(relpartbound, oid),
    case when relkind = 'p' then pg_get_partkeydef(oid) end,
    case when relkind in ('v', 'm') then pg_get_viewdef(oid) end,
    (select array_agg(i.inhparent::regclass::text order by i.inhseqno) from pg_inherits i where i.inhrelid = relations.oid),
    (select array_agg(a::text order by a::text) from unnest(relacl) a))::text
from relations
union all
select jsonb_build_array('column', r.nspname, r.relname,
    row_number() over (partition by a.attrelid order by a.attnum), a.attname, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation::text,
    a.attstorage, a.attcompression, a.attstattarget, a.attoptions,
    (select array_agg(x::text order by x::text) from unnest(a.attacl) x))::text
from pg_attribute a join relations r on r.oid = a.attrelid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped and r.relkind <> 'S'
union all
select jsonb_build_array('constraint', r.nspname, r.relname, c.conname, c.contype, pg_get_constraintdef(c.oid),
    c.convalidated, c.conislocal)::text
from pg_constraint c join relations r on r.oid = c.conrelid
union all
select jsonb_build_array('index', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready, i.indislive,
    i.indisclustered, i.indisreplident, x.reloptions)::text
from pg_index i join relations r on r.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
union all
select jsonb_build_array('trigger', r.nspname, r.relname, pg_get_triggerdef(t.oid), t.tgenabled)::text
from pg_trigger t join relations r on r.oid = t.tgrelid where not t.tgisinternal
union all
select jsonb_build_array('rule', r.nspname, r.relname, pg_get_ruledef(w.oid), w.ev_enabled)::text
from pg_rewrite w join relations r on r.oid = w.ev_class where w.rulename <> '_RETURN'
union all
select jsonb_build_array('policy', r.nspname, r.relname, p.polname, p.polcmd, p.polpermissive,
    (select array_agg(x::regrole::text order by x::regrole::text) from unnest(p.polroles) x),
    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
from pg_policy p join relations r on r.oid = p.polrelid
union all
select jsonb_build_array('statistics', pg_get_statisticsobjdef(s.oid))::text
from pg_statistic_ext s join relations r on r.oid = s.stxrelid
union all
select jsonb_build_array('sequence', r.nspname, r.relname, s.seqtypid::regtype::text, s.seqstart, s.seqincrement,
    s.seqmax, s.seqmin, s.seqcache, s.seqcycle)::text
from pg_sequence s join relations r on r.oid = s.seqrelid
union all
select jsonb_build_array('type', s.nspname, t.typname, t.typtype, pg_get_userbyid(t.typowner),
    case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end, t.typnotnull, t.typdefault,
    (select array_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
    (select array_agg(c.conname || ' ' || pg_get_constraintdef(c.oid) order by c.conname)
     from pg_constraint c where c.contypid = t.oid),
    (select format_type(g.rngsubtype, null) from pg_range g where g.rngtypid = t.oid))::text
from pg_type t join spaces s on s.oid = t.typnamespace
where t.typtype in ('e', 'd', 'r')
  and not exists (select from owned where classid = 'pg_type'::regclass and objid = t.oid)
union all
select jsonb_build_array('function', p.oid::regprocedure::text, pg_get_userbyid(p.proowner),
    case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end,
    (select jsonb_build_array(a.aggtransfn::text, a.aggfinalfn::text, a.aggcombinefn::text, a.agginitval,
        format_type(a.aggtranstype, null)) from pg_aggregate a where a.aggfnoid = p.oid),
    (select array_agg(x::text order by x::text) from unnest(p.proacl) x))::text
from pg_proc p join spaces s on s.oid = p.pronamespace
where not exists (select from owned where classid = 'pg_proc'::regclass and objid = p.oid)
union all
select jsonb_build_array('event trigger', evtname, evtevent, evtfoid::regproc::text, evtenabled, evttags)::text
from pg_event_trigger
union all
select jsonb_build_array('publication', pubname, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate)::text
from pg_publication
union all
select jsonb_build_array('object', i.type, i.identity)::text
from others o, pg_identify_object(o.class, o.oid, 0) i
where o.oid >= 16384 and not exists (select from owned where classid = o.class and objid = o.oid)
union all
select jsonb_build_array('comment', i.type, i.identity, d.description)::text
from pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
where d.objoid >= 16384
  and not exists (select from owned where classid = d.classoid and objid = d.objoid)
