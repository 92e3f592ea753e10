using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>Which version's value a rollback brings back.</summary>
internal static class EarlierVersion
{
    /// <summary>The one that is wanted, else the newest before the current one.</summary>
    /// <exception cref="SecretsException">There is none, or it has no value that can come back.</exception>
    internal static VersionRecord Find(SecretRecord record, int? wanted, DateTimeOffset now)
    {
        if (wanted is { } number)
        {
            return FindObstacle(record.Get(number), now) is { } obstacle
                ? throw new SecretsException($"version {number} of '{record.Name}' {obstacle}; nothing was changed", $"see what there is: mallku history {record.Name}")
                : record.Get(number)!;
        }

        var earlier = record.Versions.FindLast(version => version.Number < record.Current!.Number && (version.IsLost || FindObstacle(version, now) is null));
        return earlier is { IsLost: true } ? Find(record, earlier.Number, now) : earlier
            ?? throw new SecretsException($"no earlier version of '{record.Name}' has a value; nothing was changed", $"see what there is: mallku history {record.Name}");
    }

    private static string? FindObstacle(VersionRecord? version, DateTimeOffset now) => version switch
    {
        null => "is not kept",
        { State: SecretVersionState.Current } => "is the current one",
        { State: SecretVersionState.Pending } => "is pending",
        { Revoked: not null } => "was revoked at its provider",
        { State: SecretVersionState.Retired } when version.IsSpent(now) => "is being revoked at its provider",
        { IsLost: true } => "has lost its value in the store",
        { Value: null } => "has no value any more",
        _ => null,
    };
}
