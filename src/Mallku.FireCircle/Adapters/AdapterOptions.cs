namespace Mallku.FireCircle.Adapters;

/// <summary>How an adapter differs from what the catalogue says of its provider. Immutable.</summary>
public sealed record AdapterOptions
{
    /// <summary>The provider's id or alias. Null: the adapter's own name is one.</summary>
    public string? Provider { get; init; }

    /// <summary>The model. Null: the provider's default.</summary>
    public string? Model { get; init; }

    /// <summary>
    /// Where the provider's server is, in place of what the catalogue says: <c>https</c>, or <c>http</c> on this machine.
    /// The key goes there and nowhere else.
    /// </summary>
    public Uri? BaseUrl { get; init; }

    /// <summary>The temperature of requests that name none.</summary>
    public float? Temperature { get; init; }

    /// <summary>The secret that is the key. Null: the first of the provider's names that is there.</summary>
    public string? Secret { get; init; }

    /// <summary>The key itself, which wins over any secret and never changes. Stays the caller's, and must outlive the adapter.</summary>
    public SecretValue? Key { get; init; }
}
