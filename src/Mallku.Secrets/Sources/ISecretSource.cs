namespace Mallku.Secrets.Sources;

/// <summary>A place where secrets are looked up; read only. Safe for concurrent use.</summary>
/// <remarks>
/// A source that can't answer throws a <see cref="SecretsException"/> that names it and the remedy. It never answers
/// "not found" for a fault: the lookup would go on to an older value in the next source.
/// </remarks>
public interface ISecretSource
{
    /// <summary>What answers of this source are called, such as <c>environment</c> or <c>vault</c>.</summary>
    string Name { get; }

    /// <summary>
    /// A number that is another one when an answer of this source may be another one. Asked on every lookup: takes no
    /// lock and allocates nothing while nothing changed, and looks at its medium only every so often.
    /// </summary>
    /// <param name="now"><see cref="Environment.TickCount64"/>, read once per lookup.</param>
    long GetChangeStamp(long now);

    /// <summary>Where exactly it looks for a secret of this name, for an explanation: a variable, a folder.</summary>
    string DescribeLookup(SecretName name);

    /// <summary>Finds the secret of exactly this name, or null.</summary>
    ValueTask<FoundSecret?> FindAsync(SecretName name, CancellationToken cancellationToken);

    /// <summary>The names in this source that match loosely: case ignored, <c>-</c> as <c>_</c>.</summary>
    ValueTask<IReadOnlyList<string>> FindLooseMatchesAsync(SecretName name, CancellationToken cancellationToken);

    /// <summary>What this source has, in the order of the names; empty where it can't know without being asked.</summary>
    ValueTask<IReadOnlyList<SecretFacts>> ListAsync(CancellationToken cancellationToken);

    /// <summary>Looks at the medium now.</summary>
    ValueTask RefreshAsync(CancellationToken cancellationToken);
}
