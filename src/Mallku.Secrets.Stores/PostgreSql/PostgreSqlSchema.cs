using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Stores.PostgreSql;

/// <summary>What the records need in a database: a schema with a table for each kind and one for its terms, and what writes to them.</summary>
internal static class PostgreSqlSchema
{
    /// <summary>The version that this program makes and knows.</summary>
    internal const int Version = 1;

    /// <summary>Makes all of it in one transaction, unless somebody has. A table of the same name that is not ours is an error.</summary>
    internal static string Creation(string schema) => Definition.Replace("{schema}", schema, StringComparison.Ordinal);

    /// <summary>The channel on which writes tell the keys of what they changed.</summary>
    internal static string Channel(string schema) => schema + ".changes";

    internal static string Table(RecordKind kind) => kind switch
    {
        RecordKind.Store => "store",
        RecordKind.Secret => "secret",
        RecordKind.Version => "version",
        RecordKind.Instance => "instance",
        RecordKind.Audit => "audit",
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    internal static RecordKind? Kind(ReadOnlySpan<char> table) => table switch
    {
        "store" => RecordKind.Store,
        "secret" => RecordKind.Secret,
        "version" => RecordKind.Version,
        "instance" => RecordKind.Instance,
        "audit" => RecordKind.Audit,
        _ => null,
    };

    // The function has the rights of its caller. It takes the records in the order in which they are given, which is the
    // same for everybody: so no two writes wait for each other. A record that must not be there is inserted, and removed at
    // once where just that was demanded: this holds off whoever would insert it until the transaction ends.
    private const string Definition = """
        DO $create$
        DECLARE
            kind text;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('mallku schema {schema}', 0));
            IF to_regclass('"{schema}".schema_version') IS NOT NULL THEN
                RETURN;
            END IF;

            IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '{schema}') THEN
                CREATE SCHEMA "{schema}";
            END IF;

            FOREACH kind IN ARRAY ARRAY['store', 'secret', 'version', 'instance', 'audit'] LOOP
                EXECUTE format('CREATE TABLE "{schema}".%I (id text COLLATE "C" PRIMARY KEY, revision bigint NOT NULL, data bytea NOT NULL)', kind);
                EXECUTE format('CREATE TABLE "{schema}".%I (term text COLLATE "C", id text COLLATE "C", PRIMARY KEY (term, id))', kind || '_term');
                EXECUTE format('CREATE INDEX ON "{schema}".%I (id)', kind || '_term');
            END LOOP;

            CREATE SEQUENCE "{schema}".revision;
            CREATE FUNCTION "{schema}".write(kinds text[], ids text[], expected bigint[], data bytea[], terms text[]) RETURNS boolean
            LANGUAGE plpgsql AS $write$
            DECLARE
                as_expected integer;
                told text[] := '{}';
            BEGIN
                IF current_setting('synchronous_commit') = 'off' THEN
                    PERFORM set_config('synchronous_commit', 'on', true);
                END IF;

                FOR i IN 1 .. cardinality(ids) LOOP
                    IF expected[i] IS NULL THEN
                        EXECUTE format('INSERT INTO "{schema}".%I (id, revision, data) VALUES ($1, nextval(''"{schema}".revision''), $2) ON CONFLICT DO NOTHING', kinds[i])
                        USING ids[i], coalesce(data[i], '');
                    ELSIF data[i] IS NULL THEN
                        EXECUTE format('DELETE FROM "{schema}".%I WHERE id = $1 AND revision = $2', kinds[i]) USING ids[i], expected[i];
                    ELSE
                        EXECUTE format('UPDATE "{schema}".%I SET revision = nextval(''"{schema}".revision''), data = $3 WHERE id = $1 AND revision = $2', kinds[i])
                        USING ids[i], expected[i], data[i];
                    END IF;

                    GET DIAGNOSTICS as_expected = ROW_COUNT;
                    IF as_expected = 0 THEN
                        RAISE SQLSTATE 'MK001';
                    END IF;

                    IF expected[i] IS NOT NULL THEN
                        EXECUTE format('DELETE FROM "{schema}".%I WHERE id = $1 AND term <> ALL ($2)', kinds[i] || '_term')
                        USING ids[i], string_to_array(terms[i], ' ');
                    ELSIF data[i] IS NULL THEN
                        EXECUTE format('DELETE FROM "{schema}".%I WHERE id = $1', kinds[i]) USING ids[i];
                        CONTINUE;
                    END IF;

                    IF terms[i] <> '' THEN
                        EXECUTE format('INSERT INTO "{schema}".%I (term, id) SELECT term, $1 FROM unnest($2) AS term ON CONFLICT DO NOTHING', kinds[i] || '_term')
                        USING ids[i], string_to_array(terms[i], ' ');
                    END IF;

                    IF kinds[i] NOT IN ('instance', 'audit') THEN
                        told := told || (kinds[i] || '/' || ids[i]);
                    END IF;
                END LOOP;

                -- A notification has less than 8000 bytes. Who notifies commits alone: so what changes often is not told.
                IF cardinality(told) > 0 THEN
                    PERFORM pg_notify('{schema}.changes', CASE WHEN cardinality(told) > 16 THEN '*' ELSE array_to_string(told, ' ') END);
                END IF;

                RETURN true;
            EXCEPTION WHEN SQLSTATE 'MK001' THEN
                -- what was written before in this call is taken back
                RETURN false;
            END
            $write$;
            CREATE TABLE "{schema}".schema_version (version integer PRIMARY KEY);
            INSERT INTO "{schema}".schema_version VALUES (1);
        END
        $create$
        """;
}
