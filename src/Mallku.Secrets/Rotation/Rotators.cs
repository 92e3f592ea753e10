namespace Mallku.Secrets.Rotation;

/// <summary>The rotators that a process knows, by their names. A vault may name others.</summary>
internal sealed class Rotators
{
    private readonly Dictionary<string, IRotator> _known = new(StringComparer.Ordinal);

    internal Rotators(IEnumerable<IRotator> given)
    {
        foreach (var rotator in given.Append(new GenerateRotator()).Append(new CommandRotator()))
        {
            _known.TryAdd(rotator.Name, new GuardedRotator(rotator));
        }
    }

    /// <exception cref="SecretsException">This process does not know it.</exception>
    internal IRotator Get(string name) => _known.GetValueOrDefault(name)
        ?? throw new SecretsException(SecretName.MayBeValue(name) ? "that text is the name of no rotator" : $"there is no rotator '{SecretsException.Show(name)}'", $"there are: {string.Join(", ", _known.Keys.Order(StringComparer.Ordinal))}");

    /// <summary>Whether there may be a key to revoke of what it makes: of one that this process does not know, there may.</summary>
    internal bool MayRevoke(string name) => !_known.TryGetValue(name, out var known) || known.CanRevoke;

    /// <summary>
    /// Whether a key that it made may be there of which nobody has the value, and it finds that by its token. One that needs a
    /// person has its keys made by him.
    /// </summary>
    internal bool MayFind(string name) => MayRevoke(name) && !(_known.TryGetValue(name, out var known) && known.NeedsPerson);

    /// <exception cref="SecretsException">A policy says what can't be, or lacks what its rotator needs, or the rotator is for other secrets.</exception>
    internal void Require(RotatedKey current, DateTimeOffset now)
    {
        RotationSchedule.Require(current.Policy, now);
        Get(current.Policy.Rotator).Require(current);
    }
}
