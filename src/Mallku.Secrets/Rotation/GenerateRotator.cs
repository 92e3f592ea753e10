using System.Security.Cryptography;
using System.Text;

namespace Mallku.Secrets.Rotation;

/// <summary>Makes random values of the shape that the policy says: for a secret that the vault's users alone agree on.</summary>
public sealed class GenerateRotator : IRotator
{
    private const int Shortest = 8, Longest = 4096;

    /// <inheritdoc/>
    public string Name => "generate";

    /// <inheritdoc/>
    public bool CanRevoke => false;

    /// <inheritdoc/>
    public bool NeedsPerson => false;

    /// <inheritdoc/>
    public void Require(RotatedKey current)
    {
        ArgumentNullException.ThrowIfNull(current);
        var policy = current.Policy;
        if (policy.Length is < Shortest or > Longest)
        {
            throw new SecretsException($"a generated value has {Shortest} to {Longest} characters", "say how many, as: --length 43");
        }

        if (policy.Alphabet.Distinct().Count() < 2 || !policy.Alphabet.All(IsPrintable) || !policy.Prefix.All(IsPrintable))
        {
            throw new SecretsException(
                "the characters of a generated value, and its prefix, are printable ASCII, and there are at least two to choose from",
                "name them, as: --alphabet 0123456789abcdef --prefix sk-");
        }
    }

    /// <inheritdoc/>
    public ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        Require(key);
        var prefix = Encoding.ASCII.GetBytes(key.Policy.Prefix);
        var characters = Encoding.ASCII.GetBytes([.. key.Policy.Alphabet.Distinct()]);
        var value = SecretValue.Allocate(prefix.Length + key.Policy.Length);
        prefix.CopyTo(value, 0);
        RandomNumberGenerator.GetItems<byte>(characters, value.AsSpan(prefix.Length));
        return new(new NewKey(SecretValue.Adopt(value)));
    }

    /// <inheritdoc/>
    public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken) => default;

    private static bool IsPrintable(char c) => c is > ' ' and <= '~';
}
