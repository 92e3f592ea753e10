namespace Mallku.Secrets.Storage;

/// <summary>A member of a JSON object, its value as a token. The name is a token too where it is no text.</summary>
internal readonly record struct RawMember(ReadOnlyMemory<byte> NameToken, ReadOnlyMemory<byte> Value);

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

    /// <summary>Keys that were asked for and never came, and may appear at their provider yet.</summary>
    internal List<LostKey> Lost { get; } = [];

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

    /// <summary>The same under another name.</summary>
    internal SecretRecord Rename(string other)
    {
        var renamed = new SecretRecord(other) { Next = Next, Removed = Removed, Policy = Policy, Rotation = Rotation, Misread = Misread };
        renamed.PolicyOthers.AddRange(PolicyOthers);
        renamed.Lost.AddRange(Lost);
        renamed.Versions.AddRange(Versions);
        renamed.Others.AddRange(Others);
        renamed.Unread.AddRange(Unread);
        return renamed;
    }

    /// <summary>The rotation's key may have been made, or may be yet, and nobody has its value.</summary>
    internal void NoteLost(RotationRecord rotation, DateTimeOffset now)
    {
        if (Lost.Find(known => known.Key.Token == rotation.Token) is { } again)
        {
            (again.Asked, again.Looked) = (now, null);
            return;
        }

        Lost.Add(new LostKey { Number = rotation.Number, Id = rotation.Id, Key = ProviderKey.Of(rotation.Rotator, Policy, rotation.Token), Asked = now });
    }

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

        // what is lost can't be used any longer
        var moved = VersionMoves.Add(created, Facts, added.ToFacts(), replaced is { IsLost: true } ? TimeSpan.Zero : grace);
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
            if (other != newest && other.Key is { } key && newest.HasValueOf(other))
            {
                newest.Key ??= key;
                (other.Key, other.RevokeAfter, other.Digest) = (null, null, null);
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

    /// <summary>
    /// Drops every value; the numbers and the facts stay, and of a key that is to be revoked what names it, and by what it is
    /// known again where somebody sets it anew.
    /// </summary>
    /// <param name="now">The time.</param>
    /// <param name="findElsewhere">A version of another secret that may be used and has the value of one: a key belongs to that from then on.</param>
    internal void Remove(DateTimeOffset now, Func<VersionRecord, VersionRecord?> findElsewhere)
    {
        Removed = now;
        foreach (var version in Versions)
        {
            if (version.HasKeyToRevoke && findElsewhere(version) is { } other)
            {
                other.Key ??= version.Key;
                version.Key = null;
            }

            if (version.State != SecretVersionState.Retired)
            {
                KeepKeyForNow(version, now);
            }

            version.State = SecretVersionState.Retired;
            version.GraceEnds = null;
            version.Digest = version is { HasKeyToRevoke: true, Value: { } value } ? ValueDigest.Of(value) : version.Digest;
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

    /// <summary>Drops the value of a version that can't come back, and with it that of every other that has it and may not be used.</summary>
    /// <returns>Which they are, the version among them.</returns>
    internal List<VersionRecord> Drop(VersionRecord version, DateTimeOffset now)
    {
        var dropped = Versions.FindAll(other => other == version || (!other.IsLive(now) && other.HasValueOf(version)));
        foreach (var other in dropped)
        {
            (other.State, other.GraceEnds, other.RevokeAfter) = (SecretVersionState.Retired, null, null);
            (other.Value, other.Digest) = (null, null);
        }

        return dropped;
    }

    /// <summary>Whether a version was replaced so little ago that it may have been so by mistake: its key stays for as long.</summary>
    internal bool IsReplacedOfLate(VersionRecord version, DateTimeOffset now) =>
        Versions.Find(later => later.Number > version.Number && later.State != SecretVersionState.Pending) is { } next
        && VersionMoves.Later(next.Created, Policy?.Grace ?? RotationPolicy.UsualGrace) > now;

    /// <summary>The newest version that may be used and has the value of another; null where none has.</summary>
    internal VersionRecord? FindInUse(VersionRecord other, DateTimeOffset now) =>
        Versions.FindLast(version => version.IsLive(now) && version.HasValueOf(other));
}
