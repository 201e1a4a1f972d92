"""PostgreSQL's function that gives a whole service: one question, one answer, and one undo for both.

There are two of it: one refuses by an error, which costs the transaction that it is called in; the other one calls it
and leaves that as it was. They are constants so that a migration executes exactly these.
"""

from __future__ import annotations

# Whatever is out of the ordinary is answered by NULL or an error: ``ipam.allocation.giving`` then asks and takes in
# steps, which finds out why, comes again where that helps, and says so. Nothing is waited for here but the
# outcome of the same request, made by somebody else just now, and that before anything is locked.
#
# - What serves the place is worked out anew when the network has changed since (``serving_tables``), and for who comes
#   back, whose former pools go first. The version is read before what is worked out: what changes meanwhile makes the
#   row one of a former version, never a wrong one of this. ``bound`` has all bindings of each kind, of the most
#   specific place first and then in the order to try; ``ipam.allocation.chains`` says the same in Python.
# - Who changes where a premise or a node belongs, or what a plan needs, locks the premise or the plan, and a service's
#   row refers to both: it waits for that, and what was read before is held against what is true by then.
# - Whoever changes the network in this very transaction may go on to; so what it works out is kept by another.
# - A lock is taken on a key that never changes, and what LIMIT 1 FOR UPDATE returns is the row's newest version: so a
#   range's next unit is read from the locked row. ORDER BY names the whole key, or a kept plan may walk every pool's.
# - Where to start among the free ranges is drawn by lot: writers spread, and no single row is rewritten all day long
#   while somebody's old snapshot keeps its dead versions. From which number on there are none is a hint that may be out
#   of date: when there is no range from the drawn one on that nobody holds, any other one is looked for. So where the
#   hint is far off they start at the same one, pass it over while another holds it, and lose nothing but time.
# - Several plain statements cost less than one that does the same: to get a plan ready is most of what one costs.
# - Where never used units are drawn from all pools, one statement picks and writes for all: a whole service takes a
#   tenth less than pool by pool. It writes nothing unless it has picked one of each; else the pools are gone through
#   one by one, as they are where used units come first. A pool of which no unit is left that was never used is noted,
#   and from then on that statement isn't tried there. Which unit is of which pool is told by their order: one of each
#   that comes in another order than it was drawn in has been written all the same, so it is undone and left to the
#   steps.
# - A premise comes before the plan and the pools, for whoever changes both: a foreign key that would lock one of those
#   first is preceded by a lock of the premise.
# - What is told of place, plan and pools is a line of its own, as it is kept: most of the answer, and the same for all
#   whom they serve, so that it is read once.
# - "Nothing unlocked" isn't "empty": the next pool of a chain is tried only when this one shows nothing at all.
# - Plans are kept: planning costs far more than what a better one could save, for each look-up is by a whole key. And
#   each goes by its index: a plan that is kept was made when a table was small, or nobody had counted its rows, and to
#   read all that rests in a pool and sort it seems as good then. So who is owed a unit is asked by ``state``, and which
#   one has rested longest by ``available_at`` alone: each of the two has an index that the other can't use.
_GIVE = """
CREATE OR REPLACE FUNCTION ipam_give_or_refuse(
    of_tenant text, for_customer bigint, at_place text, on_plan text, by_request text, at_realm text, now_at timestamptz
) RETURNS text LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET bytea_output = hex
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off
SET jit = off AS $$
DECLARE
    here integer;
    here_node integer;
    here_port integer;
    here_onu integer;
    here_name text;
    this_subject text;
    came_back boolean;
    network_version bigint;
    asked record;
    bound record;
    front record;
    facts text;
    of_plan integer;
    wanted integer;
    kinds text[];
    standings integer[];
    pools integer[];
    reuses boolean[];
    last_seqs integer[];
    known boolean[];
    svlans integer[];
    firsts integer[];
    drawn integer[];
    hints integer[];
    taken integer[];
    is_plain boolean;
    number integer;
    login text;
    best integer;
    served text := '';
    this_pool integer;
    this_seq integer;
    this_row bigint;
    this_unit bigint;
    chosen integer[] := '{}';
    units bigint[] := '{}';
    reused bigint[] := '{}';
BEGIN
    SELECT l.id, l.name, l.node_id, l.port_id, l.onu, for_customer || '@' || l.id,
        EXISTS (SELECT FROM ipam_allocation AS u
            WHERE u.subject = for_customer || '@' || l.id AND u.state = 'quarantine'),
        n.version, s.plan_id, s.wanted, s.kinds, s.standings, s.pools, s.reuses, s.last_seqs, s.svlans,
        s.firsts, s.drawn, s.hints, s.facts
    INTO here, here_name, here_node, here_port, here_onu, this_subject, came_back,
        network_version, of_plan, wanted, kinds, standings, pools, reuses, last_seqs, svlans,
        firsts, drawn, hints, facts
    FROM ipam_location_alias AS a JOIN ipam_location AS l ON l.id = a.location_id
        LEFT JOIN ipam_network_version AS n ON n.tenant_id = of_tenant
        LEFT JOIN ipam_serving AS s ON s.tenant_id = of_tenant AND s.node_id = l.node_id
            AND s.port_id = coalesce(l.port_id, 0) AND s.plan = on_plan AND s.version = n.version
    WHERE a.tenant_id = of_tenant AND a.alias = at_place;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF facts IS NULL OR came_back THEN
        SELECT l.id AS location_id, l.name AS location, l.node_id, l.port_id, n.site_id, n.bng_id,
            n.name AS access_node, n.kind AS access_node_kind, n.vlan_model, n.cpe_vlan_id, n.management_vlan,
            o.name AS port, l.onu, s.name AS site, b.name AS bng,
            p.id AS plan_id, p.name, p.access, p.addressing, p.ipv4, p.ipv6_wan, p.ipv6_pd, p.cvlan,
            array_remove(ARRAY[
                CASE WHEN p.ipv4 THEN CASE p.addressing WHEN 'framed_pool' THEN 'framed_pool' ELSE 'ipv4' END END,
                CASE WHEN p.ipv6_wan THEN 'ipv6_wan' END,
                CASE WHEN p.ipv6_pd THEN 'ipv6_pd' END,
                CASE WHEN p.cvlan = 'always' OR p.cvlan = 'by_node' AND n.vlan_model = 'one_to_one'
                    THEN 'cvlan' ELSE 'svlan' END], NULL) AS kinds
        INTO asked
        FROM ipam_location AS l
            JOIN ipam_access_node AS n ON n.id = l.node_id JOIN ipam_site AS s ON s.id = n.site_id
            JOIN ipam_bng AS b ON b.id = n.bng_id LEFT JOIN ipam_access_port AS o ON o.id = l.port_id
            JOIN ipam_address_plan AS p ON p.tenant_id = of_tenant AND p.name = on_plan
        WHERE l.id = here AND l.node_id = here_node AND l.port_id IS NOT DISTINCT FROM here_port;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        SELECT array_agg(kind) AS kinds, array_agg(standing) AS standings, array_agg(pool_id) AS pools,
            array_agg(reuse_first) AS reuses, array_agg(last_seq) AS last_seqs, array_agg(is_known) AS known,
            array_agg(svlan_id) AS svlans, array_agg(first_address) AS bases, array_agg(unit_length) AS unit_lengths,
            array_agg(length) AS lengths, array_agg(gateway) AS gateways, array_agg(vid) AS vids,
            array_agg(framed_pool) AS framed, array_agg(is_odd) AS odd, bool_or(is_odd) AS has_odd
        INTO bound
        FROM (
            SELECT CASE WHEN p.id IS NULL THEN 'svlan' WHEN p.framed_pool IS NULL THEN p.kind ELSE 'framed_pool' END
                    AS kind,
                CASE WHEN d.plan_id IS NULL THEN 0 ELSE 4 END
                    + CASE WHEN d.port_id IS NOT NULL THEN 3 WHEN d.node_id IS NOT NULL THEN 2
                        WHEN d.site_id IS NOT NULL THEN 1 ELSE 0 END AS standing,
                p.id AS pool_id, p.policy = 'reuse_first' AS reuse_first,
                coalesce((SELECT max(e.seq) FROM ipam_free_range AS e WHERE e.pool_id = p.id), 0) AS last_seq,
                v.id AS svlan_id, x.first_address,
                p.unit_length, x.length, x.gateway, v.vid, p.framed_pool,
                p.kind = 'cvlan' AND v.cvlan_formula IS NOT NULL
                    OR asked.access = 'ipoe' AND p.kind = 'ipv4' AND p.framed_pool IS NULL AND x.gateway IS NULL
                    AS is_odd,
                came_back AND EXISTS (
                    SELECT FROM ipam_allocation AS a
                    WHERE a.subject = this_subject AND a.pool_id = p.id AND a.state = 'quarantine'
                        AND (a.sticky_until IS NULL OR a.sticky_until >= now_at)) AS is_known
            FROM ipam_pool_binding AS d LEFT JOIN ipam_pool AS p ON p.id = d.pool_id
                LEFT JOIN ipam_prefix AS x ON x.id = p.prefix_id
                LEFT JOIN ipam_svlan AS v ON v.id = coalesce(p.svlan_id, d.svlan_id)
                LEFT JOIN ipam_vlan_group AS g ON g.id = v.group_id
            WHERE d.tenant_id = of_tenant AND (d.plan_id IS NULL OR d.plan_id = asked.plan_id)
                AND (d.bng_id = asked.bng_id OR d.site_id = asked.site_id OR d.node_id = asked.node_id
                    OR d.port_id = asked.port_id)
            ORDER BY 1, 2 DESC, is_known DESC, d.priority, coalesce(p.name, g.name || '/' || v.vid) COLLATE "C"
        ) AS every
        WHERE kind = ANY (asked.kinds);
        IF NOT asked.kinds <@ coalesce(bound.kinds, '{}') THEN
            RETURN NULL;
        END IF;
        IF bound.has_odd THEN
            FOR i IN 1 .. cardinality(bound.kinds) LOOP
                IF i = 1 OR bound.kinds[i] <> bound.kinds[i - 1] THEN
                    best := bound.standings[i];
                END IF;
                IF bound.odd[i] AND bound.standings[i] = best THEN
                    RETURN NULL;
                END IF;
            END LOOP;
        END IF;
        of_plan := asked.plan_id;
        wanted := cardinality(asked.kinds);
        kinds := bound.kinds;
        standings := bound.standings;
        pools := bound.pools;
        reuses := bound.reuses;
        last_seqs := bound.last_seqs;
        known := bound.known;
        svlans := bound.svlans;
        is_plain := NOT came_back;
        firsts := '{}';
        drawn := '{}';
        hints := '{}';
        FOR i IN 1 .. cardinality(kinds) LOOP
            CONTINUE WHEN i > 1 AND kinds[i] = kinds[i - 1];
            firsts := firsts || i;
            CONTINUE WHEN kinds[i] = 'svlan';
            is_plain := is_plain AND kinds[i] <> 'framed_pool' AND NOT reuses[i]
                AND EXISTS (SELECT FROM ipam_free_range AS f WHERE f.pool_id = pools[i]);
            drawn := drawn || pools[i];
            hints := hints || last_seqs[i];
        END LOOP;
        IF NOT is_plain OR drawn = '{}' THEN
            drawn := NULL;
        END IF;
        facts := json_build_object('asked', asked, 'kinds', bound.kinds, 'bases', bound.bases,
            'unit_lengths', bound.unit_lengths, 'lengths', bound.lengths, 'gateways', bound.gateways,
            'vids', bound.vids, 'framed', bound.framed);
        IF NOT came_back AND network_version IS NOT NULL
            AND current_setting('firstlight.network_changed', true) IS DISTINCT FROM of_tenant
            AND pg_try_advisory_xact_lock(hashtextextended(
                concat_ws('/', 'ipam_serving', of_tenant, here_node, here_port, on_plan), 0)) THEN
            PERFORM FROM ipam_location AS l WHERE l.id = here FOR KEY SHARE;
            INSERT INTO ipam_serving AS s (tenant_id, node_id, port_id, plan, version, plan_id, wanted, kinds,
                standings, pools, reuses, last_seqs, svlans, firsts, drawn, hints, facts)
            VALUES (of_tenant, here_node, coalesce(here_port, 0), on_plan, network_version, of_plan, wanted, kinds,
                standings, pools, reuses, last_seqs, svlans, firsts, drawn, hints, facts)
            ON CONFLICT (tenant_id, node_id, port_id, plan) DO UPDATE
            SET version = excluded.version, plan_id = excluded.plan_id, wanted = excluded.wanted,
                kinds = excluded.kinds, standings = excluded.standings, pools = excluded.pools,
                reuses = excluded.reuses, last_seqs = excluded.last_seqs, svlans = excluded.svlans,
                firsts = excluded.firsts, drawn = excluded.drawn, hints = excluded.hints, facts = excluded.facts;
        END IF;
    END IF;

    number := nextval('ipam_service_service_id_seq');
    login := 'c' || for_customer || '-s' || number || at_realm;
    IF 'framed_pool' = ANY (kinds) THEN
        PERFORM FROM ipam_location AS l WHERE l.id = here FOR KEY SHARE;
    END IF;
    INSERT INTO ipam_service (tenant_id, service_id, request_id, customer_id, location_id, plan_id, username, state,
        created_at, svlan_id, framed_pool_id)
    VALUES (of_tenant, number, by_request, for_customer, here, of_plan, login, 'active', now_at,
        svlans[array_position(kinds, 'svlan')], pools[array_position(kinds, 'framed_pool')]);
    IF NOT EXISTS (SELECT FROM ipam_location AS l
        WHERE l.id = here AND l.node_id = here_node AND l.port_id IS NOT DISTINCT FROM here_port
            AND l.onu IS NOT DISTINCT FROM here_onu
            AND (SELECT n.version FROM ipam_network_version AS n WHERE n.tenant_id = of_tenant)
                IS NOT DISTINCT FROM network_version) THEN
        RAISE lock_not_available;
    END IF;

    IF drawn IS NOT NULL THEN
        WITH picked AS (
            SELECT d.pool_id, f.seq, f.next_unit
            FROM (SELECT e.pool_id, floor(random() * (e.hint + 1))::integer AS first_seq
                  FROM unnest(drawn, hints) AS e (pool_id, hint) OFFSET 0) AS d
                CROSS JOIN LATERAL (
                    SELECT r.seq, r.next_unit, r.last_unit FROM ipam_free_range AS r
                    WHERE r.pool_id = d.pool_id AND r.seq >= d.first_seq
                    ORDER BY r.pool_id, r.seq LIMIT 1 FOR UPDATE SKIP LOCKED) AS f
            WHERE f.next_unit < f.last_unit
        ), moved AS (
            UPDATE ipam_free_range AS f SET next_unit = p.next_unit + 1 FROM picked AS p
            WHERE f.pool_id = p.pool_id AND f.seq = p.seq AND (SELECT count(*) FROM picked) = cardinality(drawn)
            RETURNING p.pool_id, p.next_unit AS unit
        ), added AS (
            INSERT INTO ipam_allocation (tenant_id, pool_id, unit, state, service_id, subject, assigned_at)
            SELECT of_tenant, m.pool_id, m.unit, 'assigned', number, this_subject, now_at FROM moved AS m
        ), told AS (
            INSERT INTO ipam_allocation_event (tenant_id, pool_id, unit, service_id, what, at)
            SELECT of_tenant, m.pool_id, m.unit, number, 'assigned', now_at FROM moved AS m
        )
        SELECT array_agg(p.pool_id), array_agg(p.next_unit) INTO taken, units FROM picked AS p;
    END IF;
    IF taken = drawn THEN
        chosen := firsts;
        IF cardinality(units) < wanted THEN
            units := array_append(units, NULL);
        END IF;
    ELSE
        IF cardinality(taken) = cardinality(drawn) THEN
            RAISE lock_not_available;
        END IF;
        units := '{}';
        FOR i IN 1 .. cardinality(kinds) LOOP
            CONTINUE WHEN kinds[i] = served;
            IF i = 1 OR kinds[i] <> kinds[i - 1] THEN
                best := standings[i];
            END IF;
            IF standings[i] < best THEN
                RAISE no_data_found;
            END IF;
            this_row := NULL;
            this_unit := NULL;
            IF kinds[i] NOT IN ('svlan', 'framed_pool') THEN
                this_pool := pools[i];
                IF known[i] THEN
                    SELECT a.id, a.unit INTO this_row, this_unit FROM ipam_allocation AS a
                    WHERE a.subject = this_subject AND a.pool_id = this_pool AND a.state = 'quarantine'
                        AND (a.sticky_until IS NULL OR a.sticky_until >= now_at)
                    ORDER BY a.available_at DESC, a.id DESC LIMIT 1 FOR UPDATE SKIP LOCKED;
                END IF;
                FOR turn IN 1 .. 2 LOOP
                    EXIT WHEN this_unit IS NOT NULL;
                    IF (turn = 1) = reuses[i] THEN
                        SELECT a.id, a.unit INTO this_row, this_unit FROM ipam_allocation AS a
                        WHERE a.pool_id = this_pool AND a.available_at <= now_at
                        ORDER BY a.available_at, a.id LIMIT 1 FOR UPDATE SKIP LOCKED;
                        CONTINUE;
                    END IF;
                    this_seq := floor(random() * (last_seqs[i] + 1));
                    SELECT f.seq, f.next_unit, f.last_unit INTO front FROM ipam_free_range AS f
                    WHERE f.pool_id = this_pool AND f.seq >= this_seq
                    ORDER BY f.pool_id, f.seq LIMIT 1 FOR UPDATE SKIP LOCKED;
                    IF NOT FOUND THEN
                        SELECT f.seq, f.next_unit, f.last_unit INTO front FROM ipam_free_range AS f
                        WHERE f.pool_id = this_pool ORDER BY f.pool_id, f.seq LIMIT 1 FOR UPDATE SKIP LOCKED;
                    END IF;
                    CONTINUE WHEN NOT FOUND;
                    this_unit := front.next_unit;
                    IF front.next_unit < front.last_unit THEN
                        UPDATE ipam_free_range AS f SET next_unit = front.next_unit + 1
                        WHERE f.pool_id = this_pool AND f.seq = front.seq;
                    ELSE
                        DELETE FROM ipam_free_range AS f WHERE f.pool_id = this_pool AND f.seq = front.seq;
                    END IF;
                END LOOP;
                IF this_unit IS NULL THEN
                    IF EXISTS (SELECT FROM ipam_free_range AS f WHERE f.pool_id = this_pool)
                        OR EXISTS (SELECT FROM ipam_allocation AS a WHERE a.pool_id = this_pool
                            AND a.available_at <= now_at) THEN
                        RAISE lock_not_available;
                    END IF;
                    CONTINUE;
                END IF;
                IF this_row IS NOT NULL THEN
                    UPDATE ipam_allocation AS a
                    SET state = 'assigned', service_id = number, subject = this_subject, assigned_at = now_at,
                        available_at = NULL, sticky_until = NULL
                    WHERE a.id = this_row;
                END IF;
            END IF;
            served := kinds[i];
            chosen := chosen || i;
            units := array_append(units, this_unit);
            reused := array_append(reused, this_row);
        END LOOP;
        IF cardinality(chosen) < wanted THEN
            RAISE no_data_found;
        END IF;
        WITH added AS (
            INSERT INTO ipam_allocation (tenant_id, pool_id, unit, state, service_id, subject, assigned_at)
            SELECT of_tenant, pools[u.i], u.unit, 'assigned', number, this_subject, now_at
            FROM unnest(chosen, units, reused) AS u (i, unit, id) WHERE u.unit IS NOT NULL AND u.id IS NULL
        )
        INSERT INTO ipam_allocation_event (tenant_id, pool_id, unit, service_id, what, at)
        SELECT of_tenant, pools[u.i], u.unit, number, 'assigned', now_at
        FROM unnest(chosen, units) AS u (i, unit) WHERE u.unit IS NOT NULL;
        IF drawn IS NOT NULL AND EXISTS (SELECT FROM unnest(drawn) AS d (pool_id)
                WHERE NOT EXISTS (SELECT FROM ipam_free_range AS f WHERE f.pool_id = d.pool_id))
            AND pg_try_advisory_xact_lock(hashtextextended(
                concat_ws('/', 'ipam_serving', of_tenant, here_node, here_port, on_plan), 0)) THEN
            UPDATE ipam_serving AS s SET drawn = NULL
            WHERE s.tenant_id = of_tenant AND s.node_id = here_node AND s.port_id = coalesce(here_port, 0)
                AND s.plan = on_plan AND s.version = network_version;
        END IF;
    END IF;
    RETURN concat('{"service_id": ', number, ', "username": ', to_json(login), ', "location_id": ', here,
        ', "location": ', to_json(here_name), ', "onu": ', coalesce(here_onu::text, 'null'),
        ', "chosen": ', array_to_json(chosen), ', "units": ', array_to_json(units), '}', E'\n', facts);
END $$
"""

# In a transaction of somebody else's: what was begun is undone by itself, which takes a transaction inside of that one.
_OR_NOTHING = """
CREATE OR REPLACE FUNCTION ipam_give_at_once(
    of_tenant text, for_customer bigint, at_place text, on_plan text, by_request text, at_realm text, now_at timestamptz
) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN ipam_give_or_refuse(of_tenant, for_customer, at_place, on_plan, by_request, at_realm, now_at);
EXCEPTION
    WHEN lock_not_available OR no_data_found OR integrity_constraint_violation THEN
        RETURN NULL;
END $$
"""

GIVE_AT_ONCE: tuple[str, ...] = (_GIVE.strip(), _OR_NOTHING.strip())
