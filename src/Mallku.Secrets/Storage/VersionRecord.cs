using System.Security.Cryptography;

namespace Mallku.Secrets.Storage;

/// <summary>A version with its value, as the vault keeps it.</summary>
internal sealed class VersionRecord
{
    internal required int Number { get; init; }

    internal required string Id { get; init; }

    internal required SecretVersionState State { get; set; }

    internal required DateTimeOffset Created { get; init; }

    internal required string Source { get; init; }

    /// <summary>The value as a JSON token; null after the secret was removed.</summary>
    internal ReadOnlyMemory<byte>? Value
    {
        get;
        set => (field, HasValue) = (value, value is not null);
    }

    /// <summary>Whether there is a value, also where it lies apart and was not read.</summary>
    internal bool HasValue { get; set; }

    /// <summary>Of a secret that was read with its values: whether there was one, and the store has it no more.</summary>
    internal bool IsLost => HasValue && Value is null;

    /// <summary>Of the value, where that was dropped with its secret and its key is still to be revoked; else null.</summary>
    internal ValueDigest? Digest { get; set; }

    /// <summary>Members that this version of the program does not know, to be written back as they are.</summary>
    internal List<RawMember> Others { get; init; } = [];

    /// <summary>Until when a previous version may still be used; null where it may not.</summary>
    internal DateTimeOffset? GraceEnds { get; set; }

    /// <summary>The key at a provider that the value is; null where there is nothing to say of one.</summary>
    internal ProviderKey? Key { get; set; }

    /// <summary>Until when the key stays, though the version may not be used: so long it can be brought back, or who has the value yet may use it.</summary>
    internal DateTimeOffset? RevokeAfter { get; set; }

    /// <summary>Since when somebody is revoking the key, or was cut off: nobody can tell whether it works.</summary>
    internal DateTimeOffset? Revoking { get; set; }

    /// <summary>When the key was revoked at the provider; in a version that is in use, the value is of no use.</summary>
    internal DateTimeOffset? Revoked { get; set; }

    /// <summary>Whether it has the value of an earlier one, which was brought back.</summary>
    internal bool IsRollback => Source == VersionSources.Rollback;

    /// <summary>Whether a rotator has made its value, and not taken charge of one that was set.</summary>
    internal bool IsMadeBy(string rotator) => Key is { Token: not null } key && key.RevokeBy == rotator;

    /// <summary>Whether somebody is to revoke its key at some time.</summary>
    internal bool HasKeyToRevoke => Key?.RevokeBy is not null;

    /// <summary>Whether it may be used, or is about to be.</summary>
    internal bool IsLive(DateTimeOffset now) => State switch
    {
        SecretVersionState.Previous => GraceEnds > now,
        var state => state != SecretVersionState.Retired,
    };

    /// <summary>Whether its key is to be revoked by now. The value can't come back, unless nobody has retired it yet.</summary>
    internal bool IsSpent(DateTimeOffset now) =>
        HasKeyToRevoke && !IsLive(now) && !(RevokeAfter > now)
        && (State == SecretVersionState.Retired || GraceEnds is not null || RevokeAfter is not null);

    /// <summary>Whether it has the value that another version has, or had before its secret was removed.</summary>
    internal bool HasValueOf(VersionRecord other) => Value is { } value && other.Had(value);

    /// <summary>Whether a value is the one that it has, or had before its secret was removed.</summary>
    internal bool Had(ReadOnlyMemory<byte> value) => Value is { } its ? JsonToken.AreSame(value, its) : Digest?.IsOf(value) ?? false;

    internal SecretVersion ToFacts() => new(Number, Id, State, Created, Source) { GraceEnds = State == SecretVersionState.Previous ? GraceEnds : null };

    /// <summary>128 random bits, by which a version or a rotation is told from all others.</summary>
    internal static string NewId()
    {
        Span<byte> id = stackalloc byte[16];
        RandomNumberGenerator.Fill(id);
        return Convert.ToHexStringLower(id);
    }
}
