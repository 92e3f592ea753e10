using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

/// <summary>A secret that is being changed.</summary>
/// <param name="store">Whose it is.</param>
/// <param name="record">What is there, to be changed in place; one without versions for a new secret.</param>
/// <param name="owner">Takes over what a value is written into.</param>
/// <param name="hidesNames">Whether the ledger has pseudonyms in the place of names, so that no note may name one.</param>
/// <param name="events">What the ledger is to say.</param>
internal sealed class SecretEdit(ISecretStore store, SecretRecord record, Func<byte[], byte[]> owner, bool hidesNames, List<LedgerEvent> events)
{
    internal SecretRecord Record => record;

    internal bool HidesNames => hidesNames;

    /// <summary>Why its current value can't be told; null where it can.</summary>
    internal SecretsException? Fault { get; init; }

    /// <summary>The names of files that the change takes in.</summary>
    internal IReadOnlyList<string> Absorbed { get; init; } = [];

    /// <summary>Finds a version of another secret that may be used and has the value of one, and that is changed together with this secret.</summary>
    internal Func<VersionRecord, VersionRecord?> FindElsewhere { get; init; } = static _ => null;

    internal DateTimeOffset Now => store.Clock.GetUtcNow();

    /// <summary>For what this process uses the store.</summary>
    internal string? Purpose => store.Purpose;

    /// <summary>Takes over the token of a value, to be wiped when the change is done.</summary>
    internal ReadOnlyMemory<byte> Own(byte[] token) => owner(token);

    /// <summary>Says for the ledger what is done.</summary>
    internal void Tell(LedgerKind kind, int? version, string? purpose, string? note = null, DateTimeOffset? graceEnds = null) =>
        events.Add(new LedgerEvent(kind, record.Name, version, store.Name, purpose, Note: note) { GraceEnds = graceEnds });

    /// <summary>The current version, which must be there.</summary>
    /// <exception cref="SecretNotFoundException">The store does not have the secret.</exception>
    /// <exception cref="SecretsException">It can't be told.</exception>
    internal VersionRecord RequireCurrent() =>
        Fault is not null ? throw Fault : record.Current ?? throw new SecretNotFoundException(record.Name, store.Describe());

    /// <summary>Adds a version, which is the current one from then on.</summary>
    /// <exception cref="SecretNameException">The secret has a name that can't be set.</exception>
    /// <exception cref="SecretsException">What is there can't be told.</exception>
    internal SecretChange Set(SecretValue value, SetOptions options)
    {
        if (Fault is not null)
        {
            throw Fault;
        }

        if (!SecretName.TryParse(record.Name, out _))
        {
            throw new SecretNameException(record.Name);
        }

        var replaced = record.Current;
        var token = Own(JsonToken.Encode(value));
        if (record.Versions.Find(version => version is { HasKeyToRevoke: true, Revoking: not null } && version.Had(token)) is { } revoked)
        {
            throw new SecretsException(
                $"the key of version {revoked.Number} of '{record.Name}', which has that value, is being revoked; nothing was changed",
                $"set another value; or, where nobody revokes it any more (mallku rotate --due) and the key works, leave it alone first: mallku rotate {record.Name} --abandon");
        }

        var added = record.Add(token, VersionRecord.NewId(), Now, options.Source, options.Grace);
        Tell(record.Versions.Count == 1 ? LedgerKind.Created : LedgerKind.Updated, added.Number, store.Purpose, graceEnds: replaced?.GraceEnds);
        return new SecretChange(record.Name, added.Number, store.Name, Created: replaced is null, Absorbed);
    }

    /// <summary>Drops every value; the numbers are never used again.</summary>
    /// <exception cref="SecretNotFoundException">The store does not have the secret.</exception>
    /// <exception cref="SecretsException">A rotation of it is under way, or it can't be told.</exception>
    internal SecretChange Remove()
    {
        var removed = RequireCurrent();
        if (record.Rotation is not null || record.Misread == "rotation")
        {
            throw new SecretsException($"a rotation of '{record.Name}' is under way; nothing was changed", $"give it up first: mallku rotate {record.Name} --abandon");
        }

        record.Remove(Now, FindElsewhere);
        Tell(LedgerKind.Removed, removed.Number, store.Purpose);
        return new SecretChange(record.Name, removed.Number, store.Name, Created: false, Absorbed);
    }
}
