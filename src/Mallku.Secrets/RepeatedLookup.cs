namespace Mallku.Secrets;

/// <summary>
/// A lookup for the first of several names that is made again and again: while no source changes, nothing is looked for, no
/// lock taken and nothing allocated, however many names there are. Each counts as handed out. Safe for concurrent use.
/// </summary>
/// <param name="lookup">Where it looks.</param>
/// <param name="names">At least one, the most wanted first.</param>
/// <param name="keepsNone">Whether it also stands while nothing changes that no source has one; else each such lookup is made and recorded.</param>
internal sealed class RepeatedLookup(SecretLookup lookup, IReadOnlyList<string> names, bool keepsNone)
{
    private SecretLookup.Answer? _last;

    /// <summary>What the last lookup found; null before the first, and where it found none.</summary>
    internal FoundSecret? Last => Volatile.Read(ref _last)?.Entry?.Found;

    /// <summary>What the last lookup found, where nothing has changed since.</summary>
    internal bool TryFindKnown(CancellationToken cancellationToken, out FoundSecret? found) =>
        lookup.TryFindKnown(Volatile.Read(ref _last), cancellationToken, out found);

    /// <summary>Asks the sources.</summary>
    /// <exception cref="SecretNameException">No secret can have one of the names.</exception>
    /// <exception cref="AmbiguousSecretNameException">Several secrets match one of the names loosely.</exception>
    /// <exception cref="SecretsException">A source failed.</exception>
    internal async ValueTask<FoundSecret?> FindAfreshAsync(CancellationToken cancellationToken)
    {
        SecretName[] parsed = [.. names.Select(SecretName.Parse)];
        var answer = await lookup.FindFirstAsync(parsed, cancellationToken).ConfigureAwait(false);
        Volatile.Write(ref _last, answer.Entry is null && !keepsNone ? null : answer);
        return answer.Entry?.Found;
    }
}
