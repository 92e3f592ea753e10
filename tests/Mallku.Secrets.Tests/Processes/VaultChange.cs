using System.Text;
using Mallku.Secrets.Tests.Vault;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>A change that the child makes to a vault, in the cases that take other ways through the files.</summary>
internal sealed record VaultChange(string Verb, string[] Arguments)
{
    /// <summary>Whether the folder has a <c>filed.secret</c>, which the change takes into the vault.</summary>
    private bool HasSecretFile { get; init; }

    /// <summary>What <c>strace</c> makes fail throughout.</summary>
    internal string[] Injections { get; init; } = [];

    internal static VaultChange Of(string title) => title switch
    {
        "set" => Set,
        "set, and take a file in" => Set with { HasSecretFile = true },
        "set, where files can't be exchanged" => Set with { Injections = ["renameat2:error=EINVAL"] },
        "remove" => new("remove", ["changed"]),
        "rotate" => new("rotate", []),
        "rotate, and take a file in" => new("rotate", []) { HasSecretFile = true },
        _ => throw new ArgumentOutOfRangeException(nameof(title)),
    };

    private static VaultChange Set => new("set", ["changed", "the new value"]);

    internal string[] For(TemporaryFolder folder) => [Verb, folder.Vault, .. Arguments];

    /// <summary>A vault with a history, a former file and a former key.</summary>
    internal async Task<TemporaryFolder> PrepareAsync()
    {
        var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("kept", "the kept value");
        await VaultKeys.RotateAsync(folder.Open().Vault, TestContext.Current.CancellationToken);
        await folder.SetAsync("changed", "the old value");
        if (HasSecretFile)
        {
            Plaintext.WriteSecretFile(folder, "filed", "\"the value in the file\"");
        }

        return folder;
    }

    /// <summary>Everything that a user can see of the secrets, with the generation.</summary>
    internal static async Task<string> DescribeAsync(TemporaryFolder folder)
    {
        var manager = folder.Open();
        var opened = await manager.Vault.OpenAsync(TestContext.Current.CancellationToken);
        Assert.All(opened.SecretFiles, file => Assert.Null(file.Error));
        var text = new StringBuilder().Append("generation ").Append(opened.Document.Generation).Append('\n');
        foreach (var (name, record) in opened.Document.Secrets)
        {
            var found = await manager.GetAsync(name, TestContext.Current.CancellationToken);
            text.Append(name).Append(" = ").Append(found?.RevealString()).Append(" next ").Append(record.Next).Append('\n');
            foreach (var version in record.Versions)
            {
                var value = version.Value is { } token ? Encoding.UTF8.GetString(token.Span) : "";
                text.Append("  ").Append(version.ToFacts()).Append(' ').Append(value).Append('\n');
            }
        }

        // what is not in the ledger yet would be written later, into whatever the folder is then
        await manager.FlushAsync(TestContext.Current.CancellationToken);
        return text.ToString();
    }

    /// <summary>Writes once more, which must work and leave nothing behind of a write that was cut off.</summary>
    internal static async Task SettleAsync(TemporaryFolder folder)
    {
        var before = await folder.GetAsync("changed");
        await folder.SetAsync("settled", "by the next write");
        Assert.Equal((before, "the kept value"), (await folder.GetAsync("changed"), await folder.GetAsync("kept")));
        Assert.DoesNotContain(
            Directory.EnumerateFiles(folder.Vault),
            path => Path.GetExtension(path) is ".tmp" or ".next" or ".secret");
    }
}
