using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Secrets with their versions, that can be changed: the file vault, or a shared store. What was acknowledged is durable, and
/// in the ledger. Safe for concurrent use, in this process and by others.
/// </summary>
internal interface ISecretStore
{
    /// <summary>What its answers are called as those of a source.</summary>
    string Name { get; }

    /// <summary>The store in words, for an error.</summary>
    string Describe();

    /// <summary>The clock of versions' times.</summary>
    TimeProvider Clock { get; }

    /// <summary>For what this process uses it, as the ledger says it.</summary>
    string? Purpose { get; }

    /// <summary>The name under which it has the secret: exactly, else loosely; null for none, also where it was removed.</summary>
    /// <exception cref="AmbiguousSecretNameException">Several match loosely.</exception>
    /// <exception cref="SecretsException">It can't be told.</exception>
    ValueTask<string?> FindStoredAsync(SecretName name, CancellationToken cancellationToken);

    /// <summary>What is known of a secret of exactly this name, also of one that was removed; null where there never was one.</summary>
    /// <exception cref="SecretsException">It can't be told.</exception>
    ValueTask<StoredSecret?> ReadAsync(string name, CancellationToken cancellationToken);

    /// <summary>The same of all secrets, in no order, and as far as their values need not be read for it without them.</summary>
    /// <exception cref="SecretsException">It can't be told.</exception>
    IAsyncEnumerable<StoredSecret> ReadAllAsync(CancellationToken cancellationToken);

    /// <summary>
    /// One change of one secret: durable when it returns, together with what the ledger says of it. Nothing is changed where
    /// <paramref name="change"/> throws.
    /// </summary>
    /// <param name="name">The secret's name; one that matches loosely is taken for its own, and one that nothing matches is new.</param>
    /// <param name="change">A function of what is there and of nothing else: it is asked again where another was faster.</param>
    /// <param name="cancellationToken">Ends the wait for others; a change that has begun is finished.</param>
    /// <exception cref="SecretsException">It can't be recorded or written. Nothing was changed, unless the message says so.</exception>
    ValueTask<T> ChangeAsync<T>(string name, Func<SecretEdit, T> change, CancellationToken cancellationToken);

    /// <summary>Keeps other processes from rotating in this store, until it is disposed of.</summary>
    /// <exception cref="SecretsException">Another one rotates for long.</exception>
    ValueTask<IAsyncDisposable> TakeTurnAsync(CancellationToken cancellationToken);
}

/// <summary>A secret as a store has it. Its values are wiped when nobody holds <see cref="Owner"/> any more.</summary>
/// <param name="Record">What is known of it; never changed.</param>
/// <param name="Owner">To be kept alive while a value is used.</param>
internal sealed record StoredSecret(SecretRecord Record, object Owner);

/// <summary>A secret that is being changed.</summary>
/// <param name="record">What is there, to be changed in place; one without versions for a new secret.</param>
/// <param name="owner">Takes over what a value is written into.</param>
/// <param name="hidesNames">Whether the ledger has pseudonyms in the place of names, so that no note may name one.</param>
/// <param name="events">What the ledger is to say.</param>
internal sealed class SecretEdit(SecretRecord record, Func<byte[], byte[]> owner, bool hidesNames, List<LedgerEvent> events)
{
    internal SecretRecord Record => record;

    internal bool HidesNames => hidesNames;

    internal List<LedgerEvent> Events => events;

    /// <summary>The names of files that the change takes in.</summary>
    internal IReadOnlyList<string> Absorbed { get; init; } = [];

    /// <summary>Takes over the token of a value, to be wiped when the change is done.</summary>
    internal ReadOnlyMemory<byte> Own(byte[] token) => owner(token);
}
