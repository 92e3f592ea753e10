using System.Text.Json.Serialization.Metadata;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Stores.Tests.Command;
using Mallku.Secrets.Tests.Rotation;

namespace Mallku.Secrets.Stores.Tests.Dumps;

/// <summary>
/// Everything that shared stores are used for: one by two machines with the library, one by two with the command. And the words
/// that nobody but these may learn.
/// </summary>
/// <param name="open">Opens the medium, as each machine does.</param>
/// <param name="url">Of another place in it, for the command.</param>
/// <param name="password">For that.</param>
internal sealed class Uses(Func<IRecordStore> open, string url, string? password = null) : IAsyncDisposable
{
    private const string Value = "sk-canary-Wq7LtP2xVb", Spun = "quipu_spinner_key", Woven = "Quipu-Weaver.Key", Dyed = "cochineal_dyer", Shorn = "alpaca_shearer", Missing = "missing_vicuna_key";
    private const string Rotator = "chasqui-runner", Account = "account-of-the-tambo", Told = "tell-the-amautas", Prefix = "tocapu-prefix-", Argument = "argument-for-the-script", Host = "quillay-the-machine";
    private const string Voice = "voice-of-the-apacheta", Purpose = "mending-the-ayllus-roof", Another = "counting-the-harvest", Source = "source-of-the-yarn";

    private readonly DirectoryInfo _state = Directory.CreateTempSubdirectory("mallku-state-");
    private readonly StoreKey _key = StoreKey.Generate();
    private readonly List<SecretsManager> _opened = [];
    private readonly List<(string Name, byte[] Bytes)> _keys = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>What nobody else may learn: values, names, who and for what, how is rotated, members' names, and keys.</summary>
    /// <param name="ownMembers">Members of JSON that the medium has by itself, for requests or in its log.</param>
    internal WordSearch Hidden(params string[] ownMembers)
    {
        var actor = LedgerActors.Current;
        string[] words =
        [
            Value, Spun, Woven, Woven.Replace('-', '_').Replace('.', '_'), Dyed, Shorn, Missing, Rotator, Account, Told, Prefix, Argument, Host, Voice, Purpose, Another, Source, PostgreSql.PostgreSqlServer.Password[..10],
            $"{actor.User}@{actor.Host}", "rotate-by-hand.sh", "mallku-providers", "mallku-ledger", "mallku1-", nameof(StoreHead), nameof(SecretHead), nameof(InstanceHead), nameof(AuditBatch), nameof(WrappedKey),
            .. Members.Except(ownMembers, StringComparer.Ordinal).SelectMany(static name => new[] { $"\"{name}\":", $"\\\"{name}\\\":" }),
        ];
        return new WordSearch(actor.Process.Length < 12 ? words : [.. words, actor.Process], _keys);
    }

    /// <summary>What is planted where it is to be found.</summary>
    internal static WordSearch Planted { get; } = new(["planted-in-the-open"]);

    private static IEnumerable<string> Members => new JsonTypeInfo[]
        {
            StoreJson.Default.StoreHead, StoreJson.Default.SecretHead, StoreJson.Default.RecordedChange, StoreJson.Default.WrappedKey, AuditJson.Default.InstanceHead, AuditJson.Default.AuditBatch,
        }
        .SelectMany(static type => type.Properties).Select(static member => member.Name)
        .Concat(["value", "versions", "number", "state", "created", "source", "sealed", "policy", "rotation", "rotator", "graceEnds", "revokeAfter", "kind", "secret", "actor", "purpose", "voice"])
        .Distinct(StringComparer.Ordinal);

    internal async Task RunAsync()
    {
        await UseLibraryAsync();
        await UseCommandAsync();
    }

    /// <summary>Writes a record in clear, as a program that seals nothing would.</summary>
    internal static async Task PlantAsync(IRecordStore records)
    {
        await using var _ = records;
        Assert.True(await records.WriteAsync([new RecordWrite(new RecordKey(RecordKind.Secret, "planted"), Expected: null, "{\"a\":\"planted-in-the-open\"}"u8.ToArray())], Token));
    }

    /// <summary>A machine that uses the store through a medium that refuses it something.</summary>
    internal async Task RequireRefusedAsync(IRecordStore records, bool mayRead)
    {
        var manager = OpenAt("refused", records);
        await Assert.ThrowsAnyAsync<SecretsException>(() => SetAsync(manager, Dyed));
        if (!mayRead)
        {
            await Assert.ThrowsAnyAsync<SecretsException>(async () => await manager.GetAsync(Spun, Token));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var manager in _opened)
        {
            await manager.Store!.DisposeAsync();
        }

        _state.Delete(recursive: true);
        _key.Dispose();
    }

    private async Task UseLibraryAsync()
    {
        await using (var records = open())
        {
            await new StoreRoot(records, _key).CreateAsync(TimeProvider.System, Token);
            using var another = StoreKey.Generate();
            await Assert.ThrowsAnyAsync<SecretsException>(async () => await new StoreRoot(records, another).OpenAsync(Token));
        }

        var (one, other) = (OpenAt("one", open()), OpenAt("other", open()));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => SetAsync(i % 2 == 0 ? one : other, Spun)));
        await SetAsync(one, Woven);
        await SetAsync(other, Dyed);
        await other.GetRequiredAsync(Spun, Token);
        await other.WithPurpose(Another).GetRequiredAsync(Woven, Token);
        Assert.Null(await one.GetAsync(Missing, Token));
        await other.ListAsync(Token);

        var shop = new KeyShop { Name = Rotator };
        var runner = one.CreateRotationRunner(shop);
        var policy = new RotationPolicy { Rotator = Rotator, Account = Account, Tell = Told, Every = TimeSpan.FromDays(30) };
        await runner.RotateAsync(Woven, policy, Token);
        await runner.RotateAsync(Woven, cancellationToken: Token);
        await runner.RollBackAsync(Woven, cancellationToken: Token);
        await runner.RotateAsync(Dyed, policy with { Grace = TimeSpan.Zero }, Token);
        await runner.RotateAsync(Dyed, cancellationToken: Token);
        await runner.RotateAsync(Spun, new RotationPolicy { Rotator = "generate", Prefix = Prefix }, Token);
        shop.FailsAt = "test";
        await Assert.ThrowsAnyAsync<SecretsException>(async () => await runner.RotateAsync(Dyed, cancellationToken: Token));
        shop.FailsAt = null;
        await other.CreateRotationRunner(shop).AbandonAsync(Dyed, Token);
        await other.CreateRotationRunner(shop).RunDueAsync(Token);
        Assert.Contains("revoke", shop.Steps, StringComparer.Ordinal);
        await other.RemoveAsync(Dyed, Token);
        await Assert.ThrowsAsync<SecretNotFoundException>(async () => await other.RemoveAsync(Dyed, Token));

        await AddKeysAsync(_key, open());
        await one.Store!.ResealAsync(null, Token);
        await SetAsync(one, Shorn);
        foreach (var manager in new[] { one, other })
        {
            await manager.FlushAsync(Token);
            await manager.StoreLedger!.TellAsync(Token);
        }

        Assert.Contains(await one.StoreLedger!.ReadAsync(cancellationToken: Token).ToListAsync(Token), static told => told.Entry.Actor.Voice == Voice && told.Entry.Purpose == Another);
        Assert.All(await other.StoreLedger!.VerifyAsync(cancellationToken: Token), static found => Assert.Null(found.Fault));
        await AddKeysAsync(_key, open());
    }

    private async Task UseCommandAsync()
    {
        using var one = new Machine(url, password);
        using var other = new Machine(url, password);
        var host = Etcd.Tool.Try("unshare", "--uts", "true").HasSucceeded
            ? $"mallku() {{ unshare --uts sh -c 'hostname {Host} && exec mallku \"$@\"' mallku \"$@\"; }}; "
            : "";
        one.Run($"{host} mallku store init && printf {Value}1 | mallku set {Spun} && printf {Value}2 | mallku set {Spun} && mallku set {Woven} --generate");
        other.Run($"{host} mallku store join < {one.KeyFile}");
        Assert.Equal(Value + "2", other.Reveal($"{host} mallku get {Spun}"));
        other.Run(3, $"{host} mallku get {Missing}");
        one.Run($"""
            cat > rotate-by-hand.sh <<'END'
            test $MALLKU_ROTATION_STEP != create || printf {Value}$MALLKU_ROTATION_VERSION
            END
            chmod +x rotate-by-hand.sh
            {host}
            mallku rotate {Woven} --grace 0 --every 30d --tell {Told} -- ./rotate-by-hand.sh {Argument}
            mallku rotate {Woven} && mallku rotate --due && mallku rotate {Spun} --with generate --prefix {Prefix} && mallku rollback {Spun}
            printf '{Dyed}={Value}' | mallku import - && mallku rm --yes {Dyed}
            mallku history {Woven} && mallku list && mallku explain {Woven} && mallku run -- true && mallku store reseal && mallku doctor
            """);
        other.Run($"""
            {host}
            mallku init && printf {Value} | mallku set {Shorn} --to vault && mallku store copy --from vault --to store && mallku store copy --from store --to vault
            mallku audit names pseudonyms && mallku rm --yes {Shorn} && mallku audit log --all && mallku audit report --all && mallku store status
            """);
        Assert.Contains(host.Length > 0 ? $"@{Host}" : "verified", one.Run($"{host} mallku audit verify --all"), StringComparison.Ordinal);
        one.Run(4, $"{host} MALLKU_STORE_KEY=mallku1-{new string('0', 32)}-{new string('0', 64)} mallku get {Spun}");
        if (password is not null)
        {
            one.Run(4, $"export MALLKU_STORE_PASSWORD=another; {host} mallku get {Spun}");
        }

        using var key = StoreKey.Parse(await File.ReadAllBytesAsync(one.KeyFile, Token), "the file");
        using var secret = password is null ? null : SecretValue.FromString(password);
        await AddKeysAsync(key, SharedStores.Open(url, secret));
    }

    private async Task AddKeysAsync(StoreKey key, IRecordStore records)
    {
        await using var _ = records;
        using var text = key.ToText();
        _keys.Add(("the root key", Convert.FromHexString(text.RevealString()[^64..])));
        _keys.Add(("the index key", key.Derive("mallku/v1/store-index"u8)));
        _keys.Add(("the wrapping key", key.Derive("mallku/v1/store-key-wrapping"u8)));
        _keys.Add(("the vault's key", key.Derive("mallku/v1/instance-vault"u8)));
        _keys.AddRange((await new StoreRoot(records, key).ReadAsync(Token)).Head.Keys.Select(static one => ("a data key", one.Key)));
        await foreach (var instance in records.ListAsync(RecordKind.Instance, "", before: null, Token))
        {
            _keys.Add(("an instance's key", key.Derive(System.Text.Encoding.ASCII.GetBytes("mallku/v1/store-audit " + instance.Key.Id))));
        }
    }

    private static async Task SetAsync(SecretsManager manager, string name)
    {
        using var value = SecretValue.FromString($"{Value}-{Guid.NewGuid():N}");
        await manager.SetAsync(name, value, new SetOptions { Source = Source, Grace = TimeSpan.FromHours(1) }, Token);
    }

    private SecretsManager OpenAt(string machine, IRecordStore records)
    {
        using var text = _key.ToText();
        Environment.SetEnvironmentVariable("MALLKU_STATE_DIR", Path.Combine(_state.FullName, machine));
        var manager = SecretsManager.Open(new SecretsOptions { Store = records, StoreKey = text, Voice = Voice, Purpose = Purpose });
        _opened.Add(manager);
        return manager;
    }
}
