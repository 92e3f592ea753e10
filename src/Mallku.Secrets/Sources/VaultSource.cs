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

    /// <summary>The version before the current one, while it may still work at its provider; null for none.</summary>
    internal async ValueTask<FoundSecret?> FindPreviousAsync(string name, CancellationToken cancellationToken)
    {
        var opened = await vault.OpenAsync(cancellationToken).ConfigureAwait(false);
        var version = opened.Document.Find(name)?.Versions.FindLast(static version => version is { State: SecretVersionState.Previous, Value: not null });
        return version is null ? null : Reveal(opened, name, version);
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
