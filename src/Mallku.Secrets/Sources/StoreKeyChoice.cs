using System.Security.Cryptography;
using System.Text;
using Mallku.Secrets.Files;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Sources;

/// <summary>
/// Which of several kept keys opens the store in a place. Only the store can tell, so it is remembered: the next time the store
/// need not answer for it. A file beside the folders of the stores has the id of the one that it is.
/// </summary>
internal static class StoreKeyChoice
{
    /// <summary>The file of the key that opens the store; and why that could not be told, where the store does not answer: then it may be another's.</summary>
    /// <param name="records">The medium.</param>
    /// <param name="kept">The files of the keys.</param>
    /// <param name="warn">Told of a file that can't be used, where another one opens the store.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="SecretsException">None of them opens it, or there is no store.</exception>
    internal static async ValueTask<(string KeyFile, StoreUnreachableException? Outage)> ChooseAsync(
        IRecordStore records, IReadOnlyList<string> kept, Action<string> warn, CancellationToken cancellationToken)
    {
        if (Recall(records, kept) is { } known)
        {
            return (known, null);
        }

        var unusable = new List<SecretsException>();
        foreach (var path in kept)
        {
            StoreKey key;
            try
            {
                key = KeptStoreKeys.Read(path);
            }
            catch (SecretsException e)
            {
                // it may be another store's
                unusable.Add(e);
                continue;
            }

            using (key)
            {
                try
                {
                    if (await new StoreRoot(records, key).IsOpenedAsync(cancellationToken).ConfigureAwait(false))
                    {
                        unusable.ForEach(fault => warn($"{fault.Problem}; another key opens the store"));
                        Remember(records, key.StoreId);
                        return (path, null);
                    }
                }
                catch (StoreUnreachableException e)
                {
                    return (path, e);
                }
            }
        }

        throw unusable is [var first, ..]
            ? first
            : new VaultOpenException($"none of the keys in '{KeptStoreKeys.Folder}' opens the store in '{records.Description}'", "take the key that was made for it: mallku store join");
    }

    /// <summary>Notes which store is in a place. Where it can't be noted, the store is asked again the next time.</summary>
    internal static void Remember(IRecordStore records, string storeId)
    {
        try
        {
            var note = NoteOf(records);
            Directory.CreateDirectory(Path.GetDirectoryName(note)!);
            FileReplacement.Overwrite(note, Encoding.UTF8.GetBytes(storeId));
        }
        catch (Exception e) when (e is SecretsException or IOException or UnauthorizedAccessException)
        {
            // nothing depends on it while the store answers
        }
    }

    private static string? Recall(IRecordStore records, IReadOnlyList<string> kept)
    {
        try
        {
            return PrivateFile.Read(NoteOf(records), out _) is { } id ? kept.FirstOrDefault(path => IsOf(path, Encoding.UTF8.GetString(id))) : null;
        }
        catch (SecretsException)
        {
            return null;
        }
    }

    private static bool IsOf(string path, string storeId)
    {
        try
        {
            using var key = KeptStoreKeys.Read(path);
            return key.StoreId == storeId;
        }
        catch (SecretsException)
        {
            // said where it may be the one
            return false;
        }
    }

    // a description has no password, and is hashed since it is no name for a file
    private static string NoteOf(IRecordStore records) =>
        Path.Combine(StoreLocator.StateFolder, $"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(records.Description)).AsSpan(0, 16))}.at");
}
