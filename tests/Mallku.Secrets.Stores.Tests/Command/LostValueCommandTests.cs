using Mallku.Secrets.Stores.Tests.PostgreSql;

namespace Mallku.Secrets.Stores.Tests.Command;

/// <summary>What the command says of values that are gone from a store, and that what it says to do helps.</summary>
[Collection(OnePostgreSql.Name)]
public sealed class LostValueCommandTests(SharedPostgreSql shared)
{
    [Fact]
    public async Task A_lost_value_is_named_and_what_is_said_to_do_helps()
    {
        var server = await shared.StartAsync();
        using var machine = new Machine(server.Address("command_lost", password: null), PostgreSqlServer.Password);
        machine.Run("mallku store init && printf one | mallku set s");
        machine.Run("printf '#!/bin/sh\\ncase \"$MALLKU_ROTATION_STEP\" in create) date +%%N;; test) exit 1;; esac\\n' > rot.sh && chmod +x rot.sh");
        machine.Run(1, "mallku rotate s -- $PWD/rot.sh");
        await server.RunAsync("DELETE FROM command_lost.version WHERE id LIKE '%.0000000002'");
        foreach (var line in new[] { "rotate s --resume", "rotate --due", "store reseal" })
        {
            var refused = machine.Run(1, $"mallku {line} 2>&1").Output;
            Assert.Contains("has lost the value of version 2 of 's'", refused, StringComparison.Ordinal);
            Assert.Contains("mallku rotate s --abandon", refused, StringComparison.Ordinal);
        }

        machine.Run("mallku rotate s --abandon && mallku store reseal");

        // and a person looks whether the key is in use
        Assert.Contains("then say so: mallku rotate s --abandon", machine.Run(1, "mallku rotate --due 2>&1").Output, StringComparison.Ordinal);
        machine.Run("mallku rotate s --abandon && mallku rotate --due");
        Assert.Equal("one", machine.Reveal("mallku get s"));
        Assert.Equal("1\n", machine.Run("mallku audit log --json | grep -c 'the store had lost the value of version 2'"));

        // one that may be used for a while yet
        machine.Run("printf three | mallku set s --grace 7d && printf four | mallku set s --grace 7d");
        await server.RunAsync("DELETE FROM command_lost.version WHERE id LIKE '%.0000000003'");
        Assert.Contains("has lost the value of version 3 of 's'", machine.Run(1, "mallku store reseal").Error, StringComparison.Ordinal);
        Assert.Contains("version 3 of 's' has lost its value", machine.Run(1, "mallku rollback s").Error, StringComparison.Ordinal);
        machine.Run("mallku rotate --due && mallku rotate s --with generate && mallku store reseal && mallku rollback s 4");
        Assert.Equal("four", machine.Reveal("mallku get s"));

        // and all of them
        await server.RunAsync("DELETE FROM command_lost.version");
        machine.Run(1, "mallku get s");
        machine.Run("printf six | mallku set s --grace 24h && mallku store reseal && mallku rotate --due && mallku audit verify --all");
        Assert.Equal("six", machine.Reveal("mallku get s"));

        // of a secret that is gone
        await server.RunAsync("DELETE FROM command_lost.secret");
        Assert.Contains("1 value in the store", machine.Run(1, "rm ~/.local/state/mallku/stores/*/seen*; mallku store reseal").Error, StringComparison.Ordinal);
        machine.Run("printf seven | mallku set s && mallku store reseal");
    }
}
