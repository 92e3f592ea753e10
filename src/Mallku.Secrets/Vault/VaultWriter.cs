using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>
/// Puts a document in the vault's place: the ledger first, then the file, whole. Whoever calls it holds the folder's lock.
/// </summary>
internal sealed class VaultWriter(VaultSettings settings, TokenOpener tokens, VaultLedger ledger)
{
    /// <summary>Whether a write has made the <c>.gitignore</c>, which was not there.</summary>
    internal bool HasMadeGitIgnore { get; private set; }

    /// <summary>
    /// The first half of a write: the ledger has the entries when it returns. What is returned is to be written then, as
    /// the last of so many generations.
    /// </summary>
    /// <exception cref="SecretsException">The document can't be written, or the ledger can't; nothing was changed.</exception>
    internal async ValueTask<PlaintextWriter> CommitAsync(
        VaultDocument document, long from, IReadOnlyList<LedgerEvent> events, int writes = 1, bool acceptsOlder = false, long? putBack = null)
    {
        using (Compose(document))
        {
        }

        HasMadeGitIgnore |= GitIgnore.MakeIfAbsent(settings.GitIgnoreFile);
        await ledger.CommitAsync(document, from, events, writes, acceptsOlder, putBack).ConfigureAwait(false);
        return VaultFormat.Write(document, capacity: 4096);
    }

    /// <summary>
    /// What is there, unchanged, as a state of its own; null where the former file is the state before it already. Written
    /// before a change to what another program began, or to a state that somebody put back: so the former file tells
    /// whatever that program may later write over, and no state that was lost has its generation.
    /// </summary>
    internal PlaintextWriter? ComposeUnrecorded(OpenedVault opened)
    {
        try
        {
            return opened.Document.HasHistory && HasOtherFormer() ? null : Compose(opened.Document);
        }
        catch (SecretsException)
        {
            // a value is too deep or the vault too large: the change itself may be what mends it, or fails for it
            return null;
        }
    }

    /// <summary>Writes what <see cref="ComposeUnrecorded"/> has made; durable when it returns.</summary>
    internal void Record(PlaintextWriter? unrecorded, DataKey key)
    {
        if (unrecorded is not null)
        {
            Replace(unrecorded, key);
        }
    }

    /// <summary>
    /// Writes the document as the vault and as its former file, whose generation is one less. What another program wrote
    /// in place is not kept, and what the former file held is in its place until the new vault is.
    /// </summary>
    internal void ReplaceBoth(PlaintextWriter current, VaultDocument document, DataKey key)
    {
        document.Generation--;
        using var former = VaultFormat.Write(document, capacity: 4096);
        FileReplacement.Overwrite(settings.VaultFile, key.Fernet.Encrypt(current.Written));
        FileReplacement.Overwrite(settings.FormerVaultFile, key.Fernet.Encrypt(former.Written));
    }

    /// <summary>Writes a plaintext that was composed, under a key; durable when it returns.</summary>
    internal void Replace(PlaintextWriter plaintext, DataKey key) =>
        FileReplacement.Replace(settings.VaultFile, key.Fernet.Encrypt(plaintext.Written));

    /// <summary>The document's next generation, to be written; nothing is changed yet.</summary>
    /// <exception cref="SecretsException">It can't be written, or would not open again.</exception>
    internal PlaintextWriter Compose(VaultDocument document)
    {
        if (new FileInfo(settings.VaultFile).LinkTarget is { } target)
        {
            throw new SecretsException(
                $"'{settings.VaultFile}' is a symbolic link to '{target}', and a write would replace the link; nothing was changed",
                "use the folder that it points to, by MALLKU_SECRETS_DIR or --dir");
        }

        document.Generation++;
        document.Keep = settings.KeepVersions ?? document.Keep;
        foreach (var record in document.Secrets.Values)
        {
            record.Prune(document.Keep ?? SecretFormat.UsuallyKept);
        }

        var plaintext = VaultFormat.Write(document, capacity: 4096);
        if (Crypto.Fernet.GetTokenLength(plaintext.Written.Length) > PrivateFile.MaxLength)
        {
            plaintext.Dispose();
            throw new SecretsException(
                $"the vault '{settings.Directory}' would be larger than {PrivateFile.MaxLength >> 20} MiB; nothing was changed",
                "keep fewer versions (mallku set NAME --keep N), or remove secrets that are not needed");
        }

        if (PythonJson.IsOneValue(plaintext.Written))
        {
            return plaintext;
        }

        // a version's value lies deeper than the flat one that another program wrote
        plaintext.Dispose();
        throw new SecretsException(
            $"a value in the vault '{settings.Directory}' is nested too deep to be kept with its versions; nothing was changed",
            "remove it, or write it with fewer levels by the program that wrote it");
    }

    /// <summary>Does what a kill in the middle of a write or of a rotation left to do.</summary>
    /// <exception cref="SecretsException">It can't be written.</exception>
    internal async ValueTask SettleInterruptedAsync(OpenedVault opened, CancellationToken cancellationToken)
    {
        VaultRecovery.FinishReplace(tokens, settings, opened.Document.Generation);
        foreach (var path in Replaced(settings))
        {
            FileReplacement.RemoveTemporary(path);
        }

        foreach (var file in opened.SecretFiles)
        {
            FileReplacement.RemoveTemporary(file.Path);
        }

        var keys = settings.Keys;
        if (keys.HasLeftovers || opened.NextKeyPath is not null)
        {
            using var keyLock = await keys.LockAsync(settings.Patience, cancellationToken).ConfigureAwait(false);
            keys.Settle(opened.NextKeyPath);
        }

        foreach (var file in opened.SecretFiles)
        {
            if (file.IsTakenIn)
            {
                file.Remove();
            }
        }
    }

    /// <summary>Whether the next write settles a leftover of this name.</summary>
    internal static bool IsSettled(VaultSettings settings, string path) =>
        path.EndsWith(SecretFileReader.Suffix + FileReplacement.TemporarySuffix, StringComparison.Ordinal)
            ? File.Exists(path[..^FileReplacement.TemporarySuffix.Length])
            : Replaced(settings).Append(settings.Keys.Path).Append(settings.Keys.NextPath).Append(settings.Keys.FormerPath)
                .Contains(path[..^FileReplacement.TemporarySuffix.Length], StringComparer.Ordinal);

    /// <summary>Every file that a write makes, replaces, or removes.</summary>
    internal static IEnumerable<string> FindFiles(VaultSettings settings)
    {
        var keys = settings.Keys;
        string[] ofKey = keys.IsGiven ? [] : [keys.Path, keys.NextPath, keys.FormerPath];
        return Replaced(settings).Concat(ofKey).SelectMany(static path => (string[])[path, path + FileReplacement.TemporarySuffix]);
    }

    private static string[] Replaced(VaultSettings settings) => [settings.VaultFile, settings.FormerVaultFile, settings.GitIgnoreFile];

    private bool HasOtherFormer() =>
        PrivateFile.Read(settings.FormerVaultFile, out _) is { } former && !former.AsSpan().SequenceEqual(PrivateFile.Read(settings.VaultFile, out _));
}
