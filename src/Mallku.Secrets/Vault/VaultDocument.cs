using System.Globalization;
using System.Security.Cryptography;

namespace Mallku.Secrets.Vault;

/// <summary>A member of a JSON object, its value as a token. The name is a token too where it is no text.</summary>
internal readonly record struct RawMember(ReadOnlyMemory<byte> NameToken, ReadOnlyMemory<byte> Value);

/// <summary>What the vault knows of its ledger.</summary>
/// <param name="Origin">The ledger's name.</param>
/// <param name="Seed">The seed of the key that signs its checkpoints: 44 characters of url-safe base64.</param>
/// <param name="Checkpoint">The newest checkpoint when the vault was written, signed.</param>
/// <param name="IsSuspended">Whether the vault was changed since without the ledger.</param>
internal sealed record LedgerLink(string Origin, ReadOnlyMemory<byte> Seed, string Checkpoint, bool IsSuspended)
{
    /// <summary>Members that this version of the program does not know, to be written back as they are.</summary>
    internal List<RawMember> Others { get; init; } = [];
}

/// <summary>A secret with its versions, the oldest first.</summary>
internal sealed class SecretRecord(string name)
{
    internal string Name { get; } = name;

    /// <summary>The number of the next version; it only grows.</summary>
    internal int Next { get; set; } = 1;

    internal DateTimeOffset? Removed { get; set; }

    /// <summary>Whether the current value is not the one that the file records: another program wrote it.</summary>
    internal bool IsChangedOutside { get; set; }

    /// <summary>Whether the file records a current value and holds none: another program removed it.</summary>
    internal bool IsRemovedOutside { get; set; }

    /// <summary>How it is rotated; null where nobody has said.</summary>
    internal RotationPolicy? Policy { get; set; }

    /// <summary>Members of the policy that this version of the program does not know.</summary>
    internal List<RawMember> PolicyOthers { get; } = [];

    /// <summary>The rotation that is under way, or null.</summary>
    internal RotationRecord? Rotation { get; set; }

    internal List<VersionRecord> Versions { get; } = [];

    internal List<RawMember> Others { get; } = [];

    /// <summary>What of its rotation is not as a program of this format writes it, and stays in the file as it is.</summary>
    internal List<RawMember> Unread { get; } = [];

    /// <summary>The member that could not be read, <c>policy</c> or <c>rotation</c>; null where all could.</summary>
    internal string? Misread { get; set; }

    internal VersionRecord? Current
    {
        get
        {
            for (var i = Versions.Count - 1; i >= 0; i--)
            {
                if (Versions[i].State == SecretVersionState.Current)
                {
                    return Versions[i];
                }
            }

            return null;
        }
    }

    /// <summary>What <see cref="VersionMoves"/> goes by.</summary>
    internal IReadOnlyList<SecretVersion> Facts => Versions.ConvertAll(static version => version.ToFacts());

    internal VersionRecord? Get(int number) => Versions.Find(version => version.Number == number);

    /// <summary>Makes a new version the current one.</summary>
    internal VersionRecord Add(ReadOnlyMemory<byte> value, string id, DateTimeOffset created, string source, TimeSpan grace = default)
    {
        var added = new VersionRecord
        {
            Number = Next,
            Id = id,
            State = SecretVersionState.Current,
            Created = created,
            Source = source,
            Value = value,
        };
        var replaced = Current;
        var moved = VersionMoves.Add(created, Facts, added.ToFacts(), grace);
        Next++;
        Versions.Add(added);
        Apply(moved);
        Removed = null;
        TakeOverKey(added);
        if (replaced is { GraceEnds: null })
        {
            KeepKeyForNow(replaced, created);
        }

        return added;
    }

    /// <summary>A key lives on in the newest version that has the value: what would revoke it with an older one is gone.</summary>
    internal void TakeOverKey(VersionRecord newest)
    {
        for (var i = Versions.Count - 1; i >= 0; i--)
        {
            var other = Versions[i];
            if (other != newest && other.Key is { } key && other.Value is { } value && JsonToken.AreSame(value, newest.Value!.Value))
            {
                newest.Key ??= key;
                (other.Key, other.RevokeAfter) = (null, null);
            }
        }
    }

    // what is replaced without a grace, or removed, may have been so by mistake
    private void KeepKeyForNow(VersionRecord version, DateTimeOffset now) =>
        version.RevokeAfter = version.HasKeyToRevoke ? VersionMoves.Later(now, Policy?.Grace ?? RotationPolicy.UsualGrace) : null;

    /// <summary>Takes over where the versions stand after a move.</summary>
    internal void Apply(IReadOnlyList<SecretVersion> moved)
    {
        for (var i = 0; i < moved.Count; i++)
        {
            Versions[i].State = moved[i].State;
            Versions[i].GraceEnds = moved[i].GraceEnds;
        }
    }

    /// <summary>Drops every value; the numbers and the facts stay, and what names a key that is to be revoked.</summary>
    internal void Remove(DateTimeOffset now)
    {
        Removed = now;
        foreach (var version in Versions)
        {
            if (version.State != SecretVersionState.Retired)
            {
                KeepKeyForNow(version, now);
            }

            version.State = SecretVersionState.Retired;
            version.GraceEnds = null;
            version.Value = null;
        }
    }

    /// <summary>
    /// Drops the oldest retired versions until no more than <paramref name="keep"/> are left, or none is retired; but none
    /// whose key is still to be revoked at its provider.
    /// </summary>
    internal void Prune(int keep)
    {
        for (var i = 0; Versions.Count > keep && i < Versions.Count;)
        {
            if (Versions[i] is { State: SecretVersionState.Retired, HasKeyToRevoke: false })
            {
                Versions.RemoveAt(i);
            }
            else
            {
                i++;
            }
        }
    }
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
    internal void Remove(SecretRecord record, DateTimeOffset now)
    {
        foreach (var version in record.Versions)
        {
            if (version is { HasKeyToRevoke: true, Value: { } value } && FindInUse(value, record, now) is { } other)
            {
                other.Version.Key ??= version.Key;
                version.Key = null;
            }
        }

        record.Remove(now);
    }

    /// <summary>A version that may be used and has that value, in another secret than the one that is left out; null where none has.</summary>
    internal (SecretRecord Record, VersionRecord Version)? FindInUse(ReadOnlyMemory<byte> value, SecretRecord except, DateTimeOffset now)
    {
        foreach (var record in Secrets.Values)
        {
            if (record != except && FindInUse(record, value, now) is { } version)
            {
                return (record, version);
            }
        }

        return null;
    }

    /// <summary>The newest version that may be used and has that value; null where none has.</summary>
    internal static VersionRecord? FindInUse(SecretRecord record, ReadOnlyMemory<byte> value, DateTimeOffset now) =>
        record.Versions.FindLast(version => version.IsLive(now) && version.Value is { } other && JsonToken.AreSame(other, value));

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

    internal static string NewVersionId()
    {
        Span<byte> id = stackalloc byte[16];
        RandomNumberGenerator.Fill(id);
        return Convert.ToHexStringLower(id);
    }

    internal static string Format(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

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
