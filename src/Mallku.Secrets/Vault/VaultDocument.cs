using System.Security.Cryptography;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>What the vault knows of its ledger.</summary>
/// <param name="Origin">The ledger's name.</param>
/// <param name="Seed">The seed of the key that signs its checkpoints: 44 characters of url-safe base64.</param>
/// <param name="Checkpoint">The newest checkpoint when the vault was written, signed.</param>
/// <param name="IsSuspended">Whether the vault was changed since without the ledger.</param>
internal sealed record LedgerLink(string Origin, ReadOnlyMemory<byte> Seed, string Checkpoint, bool IsSuspended)
{
    /// <summary>The vault's generation before it was changed without the ledger; null where it was not, or nobody wrote it down.</summary>
    internal long? SuspendedAt { get; init; }

    /// <summary>Members that this version of the program does not know, to be written back as they are.</summary>
    internal List<RawMember> Others { get; init; } = [];
}

/// <summary>
/// What a vault file holds. A reader's is never changed; a writer changes its own. Its values are wiped when nobody holds
/// the document any more: whoever reads one keeps the document alive meanwhile.
/// </summary>
internal sealed class VaultDocument : IDisposable
{
    private Memory<byte> _plaintext;
    private readonly List<byte[]> _tokens = [];

    /// <param name="plaintext">The array that the values' tokens lie in; wiped with the document.</param>
    internal VaultDocument(Memory<byte> plaintext) => _plaintext = plaintext;

    /// <summary>One more at each write; 0 for a file that another program began.</summary>
    internal long Generation { get; set; }

    /// <summary>Null where no ledger was begun yet.</summary>
    internal LedgerLink? Ledger { get; set; }

    /// <summary>Whether the ledger has pseudonyms in the place of secrets' names; a ledger that begins anew has them too.</summary>
    internal bool UsesPseudonyms { get; set; }

    /// <summary>When the file was written, as its token says.</summary>
    internal DateTimeOffset Written { get; init; }

    /// <summary>The number of the first version of a secret that has no record yet; it only grows.</summary>
    internal int First { get; set; } = 1;

    /// <summary>How many versions of a secret are kept; null where nobody has said.</summary>
    internal int? Keep { get; set; }

    /// <summary>Whether the file carries the reserved member, so that this program wrote it at some time.</summary>
    internal bool HasHistory { get; set; }

    /// <summary>By name, removed ones too.</summary>
    internal SortedDictionary<string, SecretRecord> Secrets { get; } = new(StringComparer.Ordinal);

    /// <summary>Flat members whose names are no text; kept, never shown.</summary>
    internal List<RawMember> Unreadable { get; } = [];

    /// <summary>Members of the reserved one that this version of the program does not know.</summary>
    internal List<RawMember> Others { get; } = [];

    internal SecretRecord? Find(string name) => Secrets.TryGetValue(name, out var record) && record.Current is not null ? record : null;

    internal IEnumerable<SecretRecord> Existing
    {
        get
        {
            foreach (var record in Secrets.Values)
            {
                if (record.Current is not null)
                {
                    yield return record;
                }
            }
        }
    }

    internal SecretRecord GetOrAdd(string name)
    {
        if (!Secrets.TryGetValue(name, out var record))
        {
            record = new SecretRecord(name) { Next = First };
            Secrets.Add(name, record);
        }

        return record;
    }

    /// <summary>Removes a secret. A key that another one has in use too belongs to that from then on.</summary>
    internal void Remove(SecretRecord record, DateTimeOffset now) => record.Remove(now, version => FindInUse(version, record.Name, now)?.Version);

    /// <summary>A version that may be used and has the value of one, in another secret than the one that is left out; null where none has.</summary>
    internal (SecretRecord Record, VersionRecord Version)? FindInUse(VersionRecord one, string except, DateTimeOffset now)
    {
        foreach (var record in Secrets.Values)
        {
            if (record.Name != except && record.FindInUse(one, now) is { } version)
            {
                return (record, version);
            }
        }

        return null;
    }

    /// <summary>Uses none of the numbers that one write, of which nothing is left, may have used.</summary>
    internal void SkipNumbers()
    {
        // an outside change, a .secret file and a new value, each of one name
        const int mostOfOneWrite = 3;
        First += mostOfOneWrite;
        foreach (var record in Secrets.Values)
        {
            record.Next += mostOfOneWrite;
        }
    }

    /// <summary>Uses no number that another state of this vault has used.</summary>
    internal void UseNoNumbersOf(VaultDocument other, DateTimeOffset now)
    {
        First = Math.Max(First, other.First);
        foreach (var (name, record) in other.Secrets)
        {
            if (!Secrets.TryGetValue(name, out var own))
            {
                Secrets.Add(name, own = new SecretRecord(name) { Removed = now });
            }

            own.Next = Math.Max(own.Next, record.Next);
        }
    }

    /// <summary>Takes over a token that does not lie in the plaintext, to be wiped with it.</summary>
    internal byte[] Own(byte[] token)
    {
        _tokens.Add(token);
        return token;
    }

    ~VaultDocument() => Wipe();

    /// <summary>Gives the plaintext back unwiped; the document is not used any more.</summary>
    internal void LetGo() => _plaintext = default;

    /// <summary>Wipes every value at once; for a writer, whose document nobody else holds.</summary>
    public void Dispose()
    {
        Wipe();
        GC.SuppressFinalize(this);
    }

    private void Wipe()
    {
        CryptographicOperations.ZeroMemory(_plaintext.Span);
        foreach (var token in _tokens)
        {
            CryptographicOperations.ZeroMemory(token);
        }
    }
}
