using System.Text.Json;
using Mallku.ArangoDb.TestServer;
using Mallku.Cli.Tests;
using Mallku.Secrets.Stores.Tests.Etcd;
using Mallku.Secrets.Stores.Tests.PostgreSql;

namespace Mallku.Secrets.Stores.Tests.Command;

/// <summary>The published command with a shared store in a real PostgreSQL.</summary>
[Collection(OnePostgreSql.Name)]
public sealed class PostgreSqlCommandTests(SharedPostgreSql shared)
{
    private const string Canary = "sk-canary-of-the-store-4Hq9";

    [Fact]
    public async Task What_one_machine_sets_another_gets_once_it_has_joined()
    {
        var server = await shared.StartAsync();
        using var one = new Machine(server.Address("command_two", password: null), PostgreSqlServer.Password);
        using var other = new Machine(server.Address("command_two", password: null), PostgreSqlServer.Password);
        StoreCommands.SetHereAndGetThere(one, other, Canary);

        // rotation, an import and a vault beside the store
        Assert.Contains("rotated generated", one.Run(0, "mallku rotate generated --with generate --every 30d").Error, StringComparison.Ordinal);
        Assert.Equal(one.Reveal("mallku get generated"), other.Reveal("mallku get generated"));
        other.Run($"mallku init && printf 'IMPORTED={Canary}' > in.env && mallku import in.env && printf {Canary} | mallku set local_key --to vault");
        Assert.Equal("vault", other.Run("mallku list | grep local_key | cut -f3").Trim());
        Assert.Equal(Canary, one.Reveal("mallku get imported"));
        one.Run(3, "mallku get local_key");
        Assert.StartsWith("local_key\tnew\t1", other.Run("mallku store copy --from vault --to store"), StringComparison.Ordinal);
        Assert.Equal(Canary, one.Reveal("mallku get local_key"));
        Assert.Contains("ok\tstore\t", other.Run("mallku doctor"), StringComparison.Ordinal);
        Assert.Contains("from now on", other.Run(0, "mallku rm --yes local_key").Error, StringComparison.Ordinal);
        Assert.Equal("current\n", other.Run("mallku history local_key | cut -f2"));
        other.Run("mallku rm --yes local_key");

        // what was removed there under another spelling goes on with the next number
        other.Run($"mallku rm --yes generated && printf {Canary} | mallku set GENERATED --to vault");
        Assert.StartsWith("GENERATED\toverwrite\t1", other.Run("mallku store copy --from vault --to store --only GENERATED"), StringComparison.Ordinal);
        Assert.Equal(Canary, one.Reveal("mallku get GENERATED"));

        // of two names that match loosely, the one that was typed
        other.Run("printf here | mallku set two-names --to vault && printf there | mallku set TWO_NAMES --to store && mallku rm --yes TWO_NAMES");
        Assert.Equal("here", other.Reveal("mallku get two-names"));
        one.Run(3, "mallku get local_key");
        Assert.Equal(Canary, other.Reveal("mallku store reseal --yes && mallku get imported"));

        // of the keys of several stores, the one that opens it is taken
        var (its, anothers) = (other.KeyFile, Path.Combine(other.Home, ".config/mallku/stores/0.key"));
        other.Run($"printf mallku1-{new string('0', 32)}-{new string('0', 64)} > {anothers} && chmod 600 {anothers}");
        Assert.Equal(Canary, other.Reveal($"chmod 644 {anothers}; mallku get imported; code=$?; chmod 600 {anothers}; exit $code"));
        Assert.Equal(Canary, other.Reveal("mallku get imported"));

        // where that is not known, the vault answers also while the store does not
        other.Run($"printf {Canary} | mallku set in_vault --to vault");
        Assert.Equal(Canary, other.Reveal("MALLKU_STORE=postgres://postgres@127.0.0.1:1/postgres mallku get in_vault"));
        other.Run(4, "MALLKU_STORE=postgres://postgres@127.0.0.1:1/postgres mallku get imported");
        var refused = other.Run(4, $"mv {its} kept; cp -p {anothers} {its}; mallku get imported; code=$?; mv kept {its}; rm {anothers}; exit $code");
        Assert.Contains("none of the keys", refused.Error, StringComparison.Ordinal);

        // what a machine has told is removed by who may do everything: the secrets that it changed name it
        Assert.Equal("[]\n", one.Run("mallku store status --json | jq -c .silent"));
        await server.RunAsync("DELETE FROM command_two.audit; DELETE FROM command_two.instance");
        using var third = new Machine(server.Address("command_two", password: null), PostgreSqlServer.Password);
        third.Run($"mallku store join < {one.KeyFile} && mallku get imported > got");

        // of one, and of the other before and since it has a vault
        Assert.Equal("3\n", third.Run("mallku store status --json | jq '.silent | length'"));
        Assert.Contains("not told yet\t", third.Run("mallku store status"), StringComparison.Ordinal);
        third.Run("mallku audit verify --all");
        Assert.Contains("the store has nothing any more of the instance", one.Run(1, "mallku audit verify --all").Error, StringComparison.Ordinal);

        // a secret is removed by who may do everything: whoever has seen it notices
        await server.RunAsync("DELETE FROM command_two.secret; DELETE FROM command_two.version");
        foreach (var line in new[] { "list", "run -- true", "export --format json", "rotate --due", "doctor", "audit verify --all" })
        {
            Assert.Contains("lost a secret", one.Run($"mallku {line} 2>&1 && exit 9; true"), StringComparison.Ordinal);
        }

        using var fresh = new Machine(server.Address("command_two", password: null), PostgreSqlServer.Password);
        Assert.Equal("[]", fresh.Run($"mallku store join < {one.KeyFile} && mallku list --json").Trim());
        StoreCommands.ShowNothing([one, other], Canary, PostgreSqlServer.Password);
    }

    [Fact]
    public async Task A_ledger_that_was_put_back_is_an_error_of_each_verb_that_looks_at_it_until_a_new_one_is_begun()
    {
        var server = await shared.StartAsync();
        using var one = new Machine(server.Address("command_back", password: null), PostgreSqlServer.Password);
        using var other = new Machine(server.Address("command_back", password: null), PostgreSqlServer.Password);
        one.Run($"mallku store init && printf {Canary} | mallku set some_key && mallku get some_key > got");
        other.Run($"mallku store join < {one.KeyFile}");
        one.Run($"cp -a ~/.local/state kept && for i in 1 2 3; do printf {Canary} | mallku set some_key; done && mallku audit verify --all");
        one.Run("rm -r ~/.local/state && mv kept ~/.local/state");
        AssertNamed("an older ledger was put back");
        one.Run("for i in 1 2 3 4 5 6; do mallku get some_key > got; done");
        AssertNamed("does not go on from");
        Assert.Single(other.Run("mallku audit verify --all").Split('\n', StringSplitOptions.RemoveEmptyEntries));

        one.Run("mallku audit restart --yes && mallku get some_key > got && mallku audit verify && mallku doctor");
        Assert.Equal(2, one.Run("mallku audit verify --all").Split("verified ").Length - 1);
        Assert.Equal("null\n", one.Run("mallku store status --json | jq .notTold"));
        Assert.Equal(2, other.Run("mallku audit verify --all").Split("verified ").Length - 1);
        Assert.Contains("not compared", one.Run(0, "MALLKU_STORE=postgres://postgres@127.0.0.1:1/postgres mallku audit verify").Error, StringComparison.Ordinal);
        StoreCommands.ShowNothing([one, other], Canary, PostgreSqlServer.Password);

        void AssertNamed(string what)
        {
            foreach (var verb in new[] { "audit verify", "audit verify --all" })
            {
                var refused = one.Run(1, "mallku " + verb).Error;
                Assert.Equal(1, refused.Split(what).Length - 1);
                Assert.Contains("audit restart", refused, StringComparison.Ordinal);
            }

            Assert.Contains(what, one.Run(1, "mallku doctor").Output, StringComparison.Ordinal);
            Assert.Contains(what, one.Run("mallku store status"), StringComparison.Ordinal);
            Assert.Contains(what, one.Run("mallku store status --json | jq -r .notTold.problem"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Exit_codes_and_remedies_say_what_is_wrong()
    {
        var server = await shared.StartAsync();
        var url = server.Address("command_codes", password: null);
        using var machine = new Machine(url, PostgreSqlServer.Password);
        machine.Run(2, "env -u MALLKU_STORE mallku store status");
        Assert.Contains("store init", machine.Run(4, $"MALLKU_STORE_KEY=mallku1-{new string('0', 32)}-{new string('0', 64)} mallku list").Error, StringComparison.Ordinal);
        machine.Run("mallku store init");
        machine.Run(1, "mallku store init");
        _ = machine.KeyFile;
        machine.Run(3, "mallku get nothing");
        machine.Run(3, "mallku explain nothing");

        // what a copy of many versions that was cut off has left
        using (var password = SecretValue.FromString(PostgreSqlServer.Password))
        {
            await using var stage = new StoreStage { Records = SharedStores.Open(url, password), Key = StoreKey.Parse(await File.ReadAllBytesAsync(machine.KeyFile, TestContext.Current.CancellationToken), "test") };
            await stage.Open().ChangeAsync("cut_off", static _ => true, TestContext.Current.CancellationToken);
        }

        machine.Run(3, "mallku get cut_off");
        Assert.Contains("mallku store copy --from vault --to store --only cut_off", machine.Run(3, "mallku history cut_off").Error, StringComparison.Ordinal);

        // what is given before or behind the verb is taken too, but for a password
        Assert.Equal("[]", machine.Run($"unset MALLKU_STORE; mallku --store '{url}' list --json").Trim());
        Assert.Equal("[]", machine.Run($"unset MALLKU_STORE; mallku list --store='{url}' --json").Trim());
        Assert.Contains("never an argument", machine.Run(2, $"mallku --store '{server.Address("command_codes")}' list").Error, StringComparison.Ordinal);
        Assert.Equal("[]", machine.Run($"unset MALLKU_STORE_PASSWORD; MALLKU_STORE='{server.Address("command_codes").Replace("'", "%27", StringComparison.Ordinal)}' mallku list --json").Trim());

        // the key of another store, and none
        Assert.Contains("does not open", machine.Run(4, $"MALLKU_STORE_KEY=mallku1-{new string('0', 32)}-{new string('0', 64)} mallku list").Error, StringComparison.Ordinal);
        Assert.Contains("not the one of the store", machine.Run(4, $"printf mallku1-{new string('0', 32)}-{new string('0', 64)} | mallku store join").Error, StringComparison.Ordinal);
        machine.Run(2, $"mallku store join mallku1-{new string('0', 32)}-{new string('0', 64)}");
        Assert.Contains("store join", machine.Run(4, "HOME=/nowhere mallku list").Error, StringComparison.Ordinal);
        Assert.Contains("is a key itself", machine.Run(4, $"MALLKU_STORE_KEY_FILE={File.ReadAllText(machine.KeyFile).TrimEnd()} mallku list").Error, StringComparison.Ordinal);
        machine.Run(4, $"unset MALLKU_STORE_PASSWORD; MALLKU_STORE_PASSWORD_FILE={Canary} mallku list");
        machine.Run(2, "mallku --store etcd://localhost/x key status");

        // what is no key, and what is no URL, as an argument and in a variable
        Assert.Equal("null\n", machine.Run("MALLKU_STORE_KEY=x mallku store status --json | jq .answers"));
        machine.Run(4, "MALLKU_STORE_KEY=x mallku store status");
        machine.Run(4, "MALLKU_STORE_KEY=x mallku list");
        machine.Run(2, "mallku --store postgres list");
        machine.Run(4, "MALLKU_STORE=postgres mallku list");
        Assert.Contains("chmod 600", machine.Run(4, $"chmod 644 {machine.KeyFile}; mallku list; code=$?; chmod 600 {machine.KeyFile}; exit $code").Error, StringComparison.Ordinal);

        // it does not answer, is not known, or refuses the user
        machine.Run(4, "MALLKU_STORE=postgres://postgres@127.0.0.1:1/postgres mallku get nothing");
        machine.Run(4, "MALLKU_STORE=postgres://postgres@no.such.host.invalid/postgres mallku get nothing");
        Assert.Contains("MALLKU_STORE_PASSWORD", machine.Run(4, "MALLKU_STORE_PASSWORD=another mallku get nothing").Error, StringComparison.Ordinal);
        Assert.Contains("answers\tno", machine.Run(4, "MALLKU_STORE=postgres://postgres@127.0.0.1:1/postgres mallku store status").Output, StringComparison.Ordinal);
        Assert.Contains("error\tstore\t", machine.Run(1, "MALLKU_STORE=postgres://postgres@127.0.0.1:1/postgres mallku doctor").Output, StringComparison.Ordinal);

        StoreCommands.ShowNothing([machine], Canary, PostgreSqlServer.Password);
    }

    [Fact]
    public async Task Whatever_a_machine_that_has_just_joined_does_first_is_done_and_what_keeps_its_ledger_has_a_way_on()
    {
        var server = await shared.StartAsync();
        var url = server.Address("command_first", password: null);
        using var one = new Machine(url, PostgreSqlServer.Password);
        one.Run($"mallku store init && printf {Canary} | mallku set openai_api_key");
        foreach (var line in new[] { "explain openai_api_key", "adapters", "list", "history openai_api_key", "run -- true", "export --format env", "audit log", "store status", "doctor" })
        {
            using var fresh = new Machine(url, PostgreSqlServer.Password);
            fresh.Run($"mallku store join < {one.KeyFile} && mallku {line} > said");
            Assert.Equal(Canary, fresh.Reveal("mallku get openai_api_key"));
        }

        // whoever has made another vault in that place
        var place = Path.Combine(Assert.Single(Directory.GetDirectories(Path.Combine(one.Home, ".local/state/mallku/stores"))), "vault");
        one.Run($"rm -r {place} && mallku init --dir {place}");
        var refused = one.Run(4, "mallku get openai_api_key").Error;
        Assert.DoesNotContain("MALLKU_ENCRYPTION_KEY", refused, StringComparison.Ordinal);
        one.Run(refused[refused.IndexOf("mv ", StringComparison.Ordinal)..].Split(';')[0].TrimEnd());
        Assert.Equal(Canary, one.Reveal("mallku get openai_api_key"));
    }

    [Fact]
    public async Task Machines_that_join_at_the_same_moment_all_have_joined()
    {
        var server = await shared.StartAsync();
        var url = server.Address("command_join", password: null);
        using var one = new Machine(url, PostgreSqlServer.Password);
        using var other = new Machine(url, PostgreSqlServer.Password);
        one.Run("mallku store init");
        Assert.Equal(
            "0 0 0 0 0 0 0 0", other.Run($"for i in 1 2 3 4 5 6 7 8; do (mallku store join < {one.KeyFile} 2> said.$i; echo $? > code.$i) & done; wait; cat code.* | xargs echo -n"));
        Assert.Equal(File.ReadAllText(one.KeyFile), File.ReadAllText(other.KeyFile));
    }

    [Fact]
    public async Task The_password_may_be_a_secret_of_the_vault()
    {
        var server = await shared.StartAsync();
        using var machine = new Machine(server.Address("command_password", password: null));
        machine.Variables["PASSWORD"] = PostgreSqlServer.Password;
        machine.Run("mallku init && printf %s \"$PASSWORD\" | MALLKU_STORE= mallku set db_password");
        machine.Variables["MALLKU_STORE_PASSWORD_SECRET"] = "db_password";
        machine.Run($"mallku store init && printf {Canary} | mallku set some_key");
        Assert.Equal(Canary, machine.Reveal("mallku get some_key"));
        Assert.Contains("read\tdb_password", machine.Run("mallku audit log | cut -f3,4"), StringComparison.Ordinal);
        Assert.Contains("MALLKU_STORE_PASSWORD_SECRET", machine.Run(4, "MALLKU_STORE_PASSWORD_SECRET=nothing mallku get some_key").Error, StringComparison.Ordinal);
        StoreCommands.ShowNothing([machine], Canary, PostgreSqlServer.Password);
    }

    [Fact]
    public async Task Who_may_only_read_is_told_by_the_status_that_the_store_is_not_told_of_its_ledger()
    {
        var server = await shared.StartAsync();
        using var one = new Machine(server.Address("command_reader", password: null), PostgreSqlServer.Password);
        one.Run($"mallku store init && printf {Canary} | mallku set some_key");
        Assert.Equal("null\n", one.Run("mallku store status --json | jq .notTold"));
        Assert.Contains("ledger here\tis told", one.Run("mallku store status"), StringComparison.Ordinal);
        await server.RunAsync(
            $"CREATE ROLE only_reads LOGIN PASSWORD '{PostgreSqlServer.Password.Replace("'", "''", StringComparison.Ordinal)}'; GRANT USAGE ON SCHEMA command_reader TO only_reads; GRANT SELECT ON ALL TABLES IN SCHEMA command_reader TO only_reads");
        using var reader = new Machine(server.Address("command_reader", user: "only_reads", password: null), PostgreSqlServer.Password);
        reader.Run($"mallku store join < {one.KeyFile} && mallku get some_key > got");
        Assert.Contains("no right", reader.Run("mallku store status --json | jq -r .notTold.problem"), StringComparison.Ordinal);
        Assert.Contains("ledger here\tcan't be told", reader.Run("mallku store status"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_waits_at_a_terminal_for_another_rotation_is_told_so()
    {
        var server = await shared.StartAsync();
        using var machine = new Machine(server.Address("command_wait", password: null), PostgreSqlServer.Password);
        machine.Run($"mallku store init && printf {Canary} | mallku set some_key");
        await using var records = server.Open("command_wait");
        var turn = await StoreTurn.TakeAsync(records, TimeProvider.System, TestContext.Current.CancellationToken);
        using var terminal = machine.OpenTerminal("mallku rotate some_key --with generate");
        await terminal.Await("waiting for another process that rotates in the store");
        await turn.DisposeAsync();
        Assert.Equal(0, await terminal.End());
    }

    [Fact]
    public async Task A_command_has_its_own_exit_code_and_signals_and_not_what_opens_the_store()
    {
        var server = await shared.StartAsync();
        using var machine = new Machine(server.Address("command_run", password: null), PostgreSqlServer.Password);
        machine.Run($"mallku store init && printf {Canary} | mallku set some_key");
        machine.Run(7, "mallku run -- sh -c 'exit 7'");
        machine.Run(128 + 15, "mallku run -- sh -c 'kill -TERM $$'");
        machine.Variables["MALLKU_STORE_KEY"] = File.ReadAllText(machine.KeyFile).TrimEnd();
        var environment = machine.Reveal("mallku run -- env");
        Assert.Contains($"SOME_KEY={Canary}", environment, StringComparison.Ordinal);
        Assert.DoesNotContain("MALLKU_STORE_KEY", environment, StringComparison.Ordinal);
        Assert.DoesNotContain("MALLKU_STORE_PASSWORD", environment, StringComparison.Ordinal);
        StoreCommands.ShowNothing([machine], Canary, PostgreSqlServer.Password);
    }

    [Fact]
    public void Where_the_second_program_is_missing_the_vault_works_and_a_store_is_an_error()
    {
        using var machine = new Machine("postgres://postgres@127.0.0.1:1/postgres");
        machine.Run($"mkdir bin && cp {NativeBinary.Folder}/mallku {NativeBinary.Folder}/libsodium.so bin/");
        machine.Run("unset MALLKU_STORE; bin/mallku init && printf v | bin/mallku set k && bin/mallku get k && bin/mallku list");
        var refused = machine.Run(1, "bin/mallku get k");
        Assert.Equal($"mallku: shared stores are opened by '{machine.Home}/bin/mallku-providers', which is not there\n  hint: install it beside mallku: both come with one publish\n", refused.Error);
        machine.Run(1, "bin/mallku store status");

        // what is about the vault alone, and the help, need none
        machine.Run("bin/mallku key status && bin/mallku help get && bin/mallku complete -- get k");
    }
}

/// <summary>The same in a real cluster of etcd.</summary>
[Collection(OneEtcd.Name)]
public sealed class EtcdCommandTests(SharedEtcd shared)
{
    [Fact]
    public async Task What_one_machine_sets_another_gets_once_it_has_joined()
    {
        var servers = await shared.StartAsync();
        using var one = new Machine(servers.Url("command"));
        using var other = new Machine(servers.Url("command"));
        StoreCommands.SetHereAndGetThere(one, other, "sk-canary-of-etcd-7Lm2");
        StoreCommands.ShowNothing([one, other], "sk-canary-of-etcd-7Lm2");
    }
}

/// <summary>The same in an emulation of ArangoDB.</summary>
public sealed class ArangoCommandTests
{
    [Fact]
    public async Task What_one_machine_sets_another_gets_once_it_has_joined()
    {
        const string canary = "sk-canary-of-arango-2Wd8", password = "pass: wörd/§2";
        var options = new ArangoServerOptions { User = "mallku", Password = password, Database = "keys" };
        await using var server = await ArangoServer.StartAsync(options, TestContext.Current.CancellationToken);
        var url = $"arangodb://mallku@{server.Address.Authority}/keys?tls=false";
        using var one = new Machine(url, password);
        using var other = new Machine(url, password);
        StoreCommands.SetHereAndGetThere(one, other, canary);
        one.Run(4, "MALLKU_STORE_PASSWORD=another mallku get some_key");
        StoreCommands.ShowNothing([one, other], canary, password);
    }
}

internal static class StoreCommands
{
    /// <summary>Each use and change by either is in what both can read and verify.</summary>
    private static void AuditAll(Machine one, Machine other)
    {
        var log = one.Run("mallku audit log --all | cut -f3,4");
        Assert.Contains("created\tsome_key\n", log, StringComparison.Ordinal);
        Assert.Contains("read\tsome_key\n", log, StringComparison.Ordinal);
        Assert.Equal(log, other.Run("mallku audit log --all | cut -f3,4"));
        Assert.Equal("2\n", other.Run("mallku audit log --all --json | jq '[.[].instance] | unique | length'"));
        Assert.Equal("some_key\n", one.Run("mallku audit report --all --json | jq -r '.[] | select(.count > 0).name' | grep some_key"));
        Assert.Equal(2, one.Run("mallku audit verify --all").Split("verified ").Length - 1);
        one.Run(2, "mallku audit log --all --follow");
        one.Run(2, "mallku audit verify --all --key x");
        one.Run(2, "env -u MALLKU_STORE mallku audit log --all");
    }

    internal static void SetHereAndGetThere(Machine one, Machine other, string value)
    {
        Assert.Contains($"mallku store join < {one.Home}", one.Run(0, "mallku store init").Error, StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(one.KeyFile));
        Assert.Equal("set some_key, version 1, new, in the shared store\n", one.Run(0, $"printf {value} | mallku set some_key").Error);
        one.Run("mallku set generated --generate");
        Assert.Equal(value, one.Reveal("mallku get some_key"));

        Assert.Contains("mallku store join", other.Run(4, "mallku get some_key").Error, StringComparison.Ordinal);
        other.Run($"mallku store join < {one.KeyFile} && mallku store join {one.KeyFile}");
        Assert.Equal(File.ReadAllText(one.KeyFile), File.ReadAllText(other.KeyFile));
        other.Run("mallku explain some_key");
        Assert.Equal(value, other.Reveal("mallku get some_key"));
        Assert.Equal(value, other.Reveal("mallku get SOME-KEY"));
        using (var list = JsonDocument.Parse(other.Run("mallku list --json")))
        {
            var listed = list.RootElement.EnumerateArray().Select(static secret => $"{secret.GetProperty("name")} {secret.GetProperty("version")} {secret.GetProperty("source")}");
            Assert.Equal("generated 1 store, some_key 1 store", string.Join(", ", listed));
        }

        other.Run($"printf {value}2 | mallku set some_key");
        Assert.Equal(value + "2", one.Reveal("mallku get some_key"));
        Assert.Equal("2\n1\n", one.Run("mallku history some_key | cut -f1"));
        using (var status = JsonDocument.Parse(one.Run("mallku store status --json")))
        {
            var root = status.RootElement;
            Assert.Equal((true, 2, 3, 3), (root.GetProperty("answers").GetBoolean(), root.GetProperty("secrets").GetInt32(), root.GetProperty("versions").GetInt32(), root.GetProperty("changes").GetInt32()));
            Assert.Equal(Path.GetFileNameWithoutExtension(one.KeyFile), root.GetProperty("id").GetString());
        }

        one.Run("mallku explain some_key && mallku audit log && mallku audit verify && mallku doctor && mallku complete -- get so");
        // a machine without a vault has none that an import could write to
        Assert.Equal("from_file\tnew\tFROM_FILE\t-\n", one.Run($"printf 'FROM_FILE={value}' | mallku import -"));
        Assert.Equal(value, other.Reveal("mallku get from_file"));
        one.Run(1, $"printf 'FROM_FILE={value}' | mallku import - --to vault");
        Assert.Contains("make one: mallku init\n", one.Run(1, $"printf {value} | mallku set local_key --to vault").Error, StringComparison.Ordinal);
        one.Run("mallku store reseal");
        Assert.Equal(value + "2", other.Reveal("mallku get some_key"));
        Assert.Equal($"SOME_KEY={value}2", other.Reveal("mallku export --format env --only some_key"));
        AuditAll(one, other);
    }

    /// <summary>Neither a value, nor the key, nor the password was shown where nobody asked for it.</summary>
    internal static void ShowNothing(Machine[] machines, params string[] secrets)
    {
        foreach (var machine in machines)
        {
            Assert.NotEmpty(machine.Shown);
            foreach (var secret in secrets.Append(File.ReadAllText(machine.KeyFile).TrimEnd()[^64..]))
            {
                Assert.DoesNotContain(secret, machine.Shown, StringComparison.Ordinal);
            }
        }
    }
}
