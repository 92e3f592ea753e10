using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Tests.Processes;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>A vault in a folder.</summary>
internal sealed class VaultPlace : StorePlace
{
    private VaultPlace(TemporaryFolder folder) => Folder = folder;

    internal TemporaryFolder Folder { get; }

    internal static async Task<VaultPlace> CreateAsync(TimeProvider? clock = null) => new(await TemporaryFolder.WithVaultAsync()) { Clock = clock ?? TimeProvider.System };

    public override ISecretStore OpenAt(TimeProvider clock) => SecretsManager.Open(Folder.Options with { TimeProvider = clock, Purpose = "test" }).Vault;

    public override async Task<IReadOnlyList<LedgerEvent>> ToldAsync() =>
    [
        .. (await LedgerEntries.ReadAsync(Folder)).Where(static entry => entry is { Generation: not null, Secret: not null })
            .Select(static entry => new LedgerEvent(entry.Kind, entry.Secret, entry.Version, entry.Source, entry.Purpose, Note: entry.Note) { GraceEnds = entry.GraceEnds }),
    ];

    public override async Task<Func<Task>> DamageAsync()
    {
        var whole = await File.ReadAllBytesAsync(Folder.VaultFile, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Folder.VaultFile, "damaged", TestContext.Current.CancellationToken);
        return () => File.WriteAllBytesAsync(Folder.VaultFile, whole, TestContext.Current.CancellationToken);
    }

    public override ValueTask DisposeAsync()
    {
        Folder.Dispose();
        return ValueTask.CompletedTask;
    }
}
