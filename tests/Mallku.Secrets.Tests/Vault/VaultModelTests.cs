using System.Globalization;
using System.Text.Json;
using CsCheck;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>Any changes, by this program and by others, leave what a plain model says.</summary>
public sealed class VaultModelTests
{
    // loose matches of each other, so that a set may update another spelling or have to refuse
    private static readonly string[] Names = ["key-a", "KEY_A", "key_a", "key.b", "c"];

    // what only another program can have written
    private static readonly string[] ForeignNames = [.. Names, "", "no/name\n", "Grüße 🦙"];

    private static readonly Gen<Change> Changes = Gen.Frequency(
        (5, Gen.Select(Gen.OneOf(Names), VaultSamples.Texts, Change (name, text) => new Set(name, text))),
        (2, Gen.OneOf(ForeignNames).Select(Change (name) => new Remove(name))),
        (1, Gen.Const<Change>(new RotateKey())),
        (3, Gen.Select(Gen.OneOf(ForeignNames), VaultSamples.StrictValues, Change (name, value) => new Edit(name, value))),
        (1, Gen.OneOf(ForeignNames).Select(Change (name) => new Edit(name, Value: null))));

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public Task Values_versions_and_history_are_what_the_changes_made_them() => Gen.Select(Changes.Array[1, 30], Gen.Int[2, 4]).SampleAsync(
        async (changes, keepVersions) =>
        {
            var clock = new FakeTimeProvider(new DateTimeOffset(2026, 11, 24, 10, 0, 0, TimeSpan.Zero));
            using var folder = await TemporaryFolder.WithVaultAsync();
            SecretsManager Open() => SecretsManager.Open(folder.Options with { KeepVersions = keepVersions, TimeProvider = clock });
            var running = Open();
            var model = new VaultModel(keepVersions);
            var ids = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var change in changes)
            {
                clock.Advance(TimeSpan.FromMilliseconds(1501));
                await ApplyAsync(change, running, model, folder, clock);
                await AssertAnswersAsync(model, running);
                await AssertAnswersAsync(model, Open());
                AssertWritten(model, folder, ids);
            }
        },
        iter: 60,
        threads: 2);

    private static async Task ApplyAsync(Change change, SecretsManager running, VaultModel model, TemporaryFolder folder, FakeTimeProvider clock)
    {
        var now = clock.GetUtcNow();
        var before = Plaintext.Members(Plaintext.Read(folder));
        if (change is Edit edit)
        {
            before.Remove(edit.Name);
            var rest = edit.Value is null ? before : before.Append(new(edit.Name, edit.Value));
            Plaintext.Write(folder, ToJson(rest), clock);
            model.Edit(edit.Name, edit.Value, now);
            await running.RefreshAsync(Cancel);
            return;
        }

        var photograph = folder.PhotographVault();
        var generation = model.Generation;
        var changed = change is RotateKey ? null : model.Match(change.Name).Stored ?? change.Name;
        var expected = change switch
        {
            Set set => model.Set(set.Name, set.Text, now),
            Remove remove => model.Remove(remove.Name, now),
            _ => model.RotateKey(),
        };
        Assert.Equal(expected, await RunAsync(change, running));
        if (model.Generation == generation)
        {
            Assert.Equal(photograph, folder.PhotographVault());
        }

        var after = Plaintext.Members(Plaintext.Read(folder));
        Assert.All(before.Keys.Except([changed, "$mallku"], StringComparer.Ordinal), name => Assert.Equal(before[name!], after[name!]));
    }

    private static async Task<string> RunAsync(Change change, SecretsManager running)
    {
        try
        {
            switch (change)
            {
                case Set set:
                    using (var value = SecretValue.FromString(set.Text))
                    {
                        return Describe(await running.SetAsync(set.Name, value, cancellationToken: Cancel));
                    }

                case Remove remove:
                    return Describe(await running.RemoveAsync(remove.Name, Cancel));
                default:
                    await VaultKeys.RotateAsync(running.Vault, Cancel);
                    return "rotated";
            }
        }
        catch (SecretsException e)
        {
            return e.GetType().Name;
        }

        static string Describe(SecretChange change) => $"{change.Name} {change.Version} {change.Created}";
    }

    private static async Task AssertAnswersAsync(VaultModel model, SecretsManager manager)
    {
        var secrets = model.Secrets;
        var existing = secrets.Where(pair => pair.Value.Current is not null);
        Assert.Equal(
            existing.Select(pair => (pair.Key, (int?)pair.Value.Current!.Number, (DateTimeOffset?)pair.Value.Current.Created)),
            (await manager.ListAsync(Cancel)).Select(facts => (facts.Name, facts.Version, facts.Created)));
        // at once, so that the ledger's entries share a flush; what follows is known by then
        await Task.WhenAll(ForeignNames.Select(name => LookUpAsync(manager, name)));
        foreach (var name in ForeignNames)
        {
            var (stored, isAmbiguous) = model.Match(name);
            Assert.Equal(ExpectLookup(name, stored, isAmbiguous, secrets), await LookUpAsync(manager, name));
            if (!isAmbiguous)
            {
                var history = await manager.Vault.GetHistoryAsync(SecretName.Existing(name), Cancel);
                Assert.Equal(
                    secrets.TryGetValue(stored ?? name, out var secret) ? Describe(secret) : "none",
                    history is null ? "none" : Describe(history));
            }
        }
    }

    private static string ExpectLookup(string name, string? stored, bool isAmbiguous, SortedDictionary<string, ModelSecret> secrets) =>
        stored is not null ? $"{stored} {secrets[stored].Current!.Number} {VaultModel.Text(secrets[stored].Current!.Value!)}"
        : isAmbiguous ? nameof(AmbiguousSecretNameException)
        : Names.Contains(name, StringComparer.Ordinal) ? "none"
        : nameof(SecretNameException);

    private static async Task<string> LookUpAsync(SecretsManager manager, string name)
    {
        try
        {
            return await manager.FindAsync(name, Cancel) is { } found
                ? $"{found.Name} {found.Version} {found.Value.RevealString()}"
                : "none";
        }
        catch (SecretsException e)
        {
            return e.GetType().Name;
        }
    }

    private static string Describe(ModelSecret secret) => string.Create(
        CultureInfo.InvariantCulture,
        $"removed {secret.Removed:o}: {string.Join("; ", secret.Versions.Reverse().Select(v => $"{v.Number} {v.State} {v.Source} {v.Created:o}"))}");

    private static string Describe(SecretHistory history) => string.Create(
        CultureInfo.InvariantCulture,
        $"removed {history.Removed:o}: {string.Join("; ", history.Versions.Select(v => $"{v.Number} {v.State.ToString().ToLowerInvariant()} {v.Source} {v.Created:o}"))}");

    private static void AssertWritten(VaultModel model, TemporaryFolder folder, Dictionary<string, string> ids)
    {
        using var document = JsonDocument.Parse(Plaintext.Read(folder));
        var reserved = document.RootElement.GetProperty("$mallku");
        Assert.Equal(1, reserved.GetProperty("format").GetInt32());
        Assert.Equal(model.Generation, reserved.GetProperty("generation").GetInt64());
        AssertLedger(reserved.GetProperty("ledger"), model.Generation);
        Assert.Equal(model.Describe(), VaultModel.Describe(reserved), StringComparer.Ordinal);
        Assert.Equal(
            model.Flat.Select(pair => (pair.Key, VaultModel.Normalize(pair.Value))),
            document.RootElement.EnumerateObject().Where(member => member.Name != "$mallku").OrderBy(member => member.Name, StringComparer.Ordinal)
                .Select(member => (member.Name, VaultModel.Normalize(member.Value.GetRawText()))));
        foreach (var secret in reserved.GetProperty("secrets").EnumerateObject())
        {
            foreach (var version in secret.Value.GetProperty("versions").EnumerateArray())
            {
                var id = version.GetProperty("id").GetString()!;
                Assert.Matches("^[0-9a-f]{32}$", id);
                var number = $"{secret.Name} {version.GetProperty("number").GetInt32()}";
                Assert.Equal(ids.TryAdd(number, id) ? id : ids[number], id);
            }
        }

        Assert.Equal(ids.Count, ids.Values.Distinct(StringComparer.Ordinal).Count());
    }

    // the vault carries the checkpoint that says to which generation the write leads
    private static void AssertLedger(JsonElement ledger, long generation)
    {
        Assert.Equal(["origin", "seed", "checkpoint"], ledger.EnumerateObject().Select(member => member.Name), StringComparer.Ordinal);
        var note = ledger.GetProperty("checkpoint").GetString()!;
        var checkpoint = Assert.IsType<Checkpoint>(Checkpoint.Parse(note[..(note.IndexOf("\n\n", StringComparison.Ordinal) + 1)]));
        Assert.Equal((ledger.GetProperty("origin").GetString(), generation), (checkpoint.Origin, checkpoint.ToGeneration));
    }

    private static string ToJson(IEnumerable<KeyValuePair<string, string>> members) =>
        "{" + string.Join(", ", members.Select(member => $"{JsonSerializer.Serialize(member.Key)}: {member.Value}")) + "}";

    private abstract record Change(string Name);

    private sealed record Set(string Name, string Text) : Change(Name);

    private sealed record Remove(string Name) : Change(Name);

    private sealed record RotateKey() : Change("");

    private sealed record Edit(string Name, string? Value) : Change(Name);
}
