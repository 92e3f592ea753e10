using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Sources;

/// <summary>The encrypted vault in a <c>.secrets/</c> folder.</summary>
internal sealed class VaultSource(FileVault vault) : ISecretSource
{
    internal const string SourceName = "vault";

    internal FileVault Vault => vault;

    public string Name => SourceName;

    public string DescribeLookup(SecretName name) => vault.Settings.Directory;

    public long GetChangeStamp(long now) => vault.GetChangeStamp(now);

    public async ValueTask<FoundSecret?> FindAsync(SecretName name, CancellationToken cancellationToken)
    {
        var opened = await vault.OpenAsync(cancellationToken).ConfigureAwait(false);
        if (opened.FindFileError(name.ToString()) is { } error)
        {
            throw error;
        }

        return opened.Document.Find(name.ToString())?.Current is { } version ? Reveal(opened, name.ToString(), version) : null;
    }

    /// <summary>The versions before the current one that are still within their grace, the newest first.</summary>
    internal async ValueTask<IReadOnlyList<FoundSecret>> FindPreviousAsync(string name, CancellationToken cancellationToken)
    {
        var opened = await vault.OpenAsync(cancellationToken).ConfigureAwait(false);
        return opened.Document.Find(name) is { } record
            ? [.. VersionMoves.Live(vault.Settings.Clock.GetUtcNow(), record.Facts).Skip(1).Select(live => Reveal(opened, name, record.Get(live.Number)!))]
            : [];
    }

    private FoundSecret Reveal(OpenedVault opened, string name, VersionRecord version)
    {
        var isText = JsonToken.TryDecode(version.Value!.Value.Span, borrowed: true, out var value);

        // the document wipes its values when nobody holds it, and the vault may have forgotten it meanwhile
        GC.KeepAlive(opened.Document);
        return isText
            ? new FoundSecret(name, value!, SourceName, version.Number, version.Created)
            : throw new SecretsException(
                $"the value of '{SecretsException.Show(name)}' in {vault.Describe()} is no text: it holds half of a surrogate pair or bytes that are no UTF-8",
                "write it again with the program that wrote it, or set it here");
    }

    public async ValueTask<IReadOnlyList<string>> FindLooseMatchesAsync(SecretName name, CancellationToken cancellationToken) =>
        VaultMatch.FindLoosely(await vault.OpenAsync(cancellationToken).ConfigureAwait(false), name);

    public async ValueTask<IReadOnlyList<SecretFacts>> ListAsync(CancellationToken cancellationToken)
    {
        var opened = await vault.OpenAsync(cancellationToken).ConfigureAwait(false);
        var list = new List<SecretFacts>();
        foreach (var record in opened.Document.Existing)
        {
            var version = record.Current!;
            list.Add(new SecretFacts(record.Name, SourceName, version.Number, version.Created, []));
        }

        foreach (var file in opened.SecretFiles)
        {
            if (file.Error is not null)
            {
                throw file.Error;
            }
        }

        return list;
    }

    public ValueTask RefreshAsync(CancellationToken cancellationToken)
    {
        vault.Forget();
        return ValueTask.CompletedTask;
    }
}
