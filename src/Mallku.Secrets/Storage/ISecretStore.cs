namespace Mallku.Secrets.Storage;

/// <summary>
/// Secrets with their versions, that can be changed: the file vault, or a shared store. What was acknowledged is durable, and
/// in the ledger. Safe for concurrent use, in this process and by others.
/// </summary>
internal interface ISecretStore
{
    /// <summary>What its answers are called as those of a source, and its changes in the ledger.</summary>
    string Name { get; }

    /// <summary>The store in words, for an error.</summary>
    string Describe();

    /// <summary>The clock of versions' times.</summary>
    TimeProvider Clock { get; }

    /// <summary>For what this process uses it, as the ledger says it.</summary>
    string? Purpose { get; }

    /// <summary>
    /// What is known of a secret: of one that is there, exactly, else loosely; else of one of exactly this name that was removed;
    /// null where there never was one. As far as its values need not be read for it without them.
    /// </summary>
    /// <exception cref="AmbiguousSecretNameException">Several match loosely.</exception>
    /// <exception cref="SecretsException">It can't be told.</exception>
    ValueTask<StoredSecret?> FindAsync(SecretName name, CancellationToken cancellationToken);

    /// <summary>What a change by this name goes on from, under whatever spelling: <see cref="FindAsync"/>, and one that was removed and has its numbers.</summary>
    /// <inheritdoc cref="FindAsync"/>
    ValueTask<StoredSecret?> FindHolderAsync(SecretName name, CancellationToken cancellationToken);

    /// <summary>How many versions of each secret it keeps.</summary>
    /// <exception cref="SecretsException">It can't be told.</exception>
    ValueTask<int> GetKeepAsync(CancellationToken cancellationToken);

    /// <summary>A secret of exactly this name as it is now, with its values, also one that was removed; null where there never was one.</summary>
    /// <exception cref="SecretsException">It can't be told.</exception>
    ValueTask<StoredSecret?> ReadAsync(string name, CancellationToken cancellationToken);

    /// <summary>
    /// The same, also where the store has lost values of it: such a version has none, and <see cref="VersionRecord.IsLost"/> tells
    /// it. A vault is read as a whole or not at all.
    /// </summary>
    /// <exception cref="SecretsException">It can't be told.</exception>
    ValueTask<StoredSecret?> ReadLackingAsync(string name, CancellationToken cancellationToken) => ReadAsync(name, cancellationToken);

    /// <summary>What is known of all secrets, removed ones too, in no order, and as far as their values need not be read for it without them.</summary>
    /// <param name="faults">Told of each that can't be used, and goes on with the others; null to end at the first.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">It can't be told.</exception>
    IAsyncEnumerable<StoredSecret> ReadAllAsync(Action<SecretsException>? faults, CancellationToken cancellationToken);

    /// <summary>The other secrets, as they are now and with their values, of which a version has the value of one.</summary>
    /// <param name="one">The version.</param>
    /// <param name="except">Its secret, which is left out; null where it is in another store.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    /// <exception cref="SecretsException">It can't be told.</exception>
    IAsyncEnumerable<StoredSecret> ReadHoldersAsync(VersionRecord one, string? except, CancellationToken cancellationToken);

    /// <summary>
    /// One change of one secret: durable when it returns, together with what the ledger says of it. Nothing is changed where
    /// <paramref name="change"/> throws.
    /// </summary>
    /// <param name="name">The name as somebody says it; one that matches loosely is taken for its own, and one that nothing matches is new.</param>
    /// <param name="change">A function of what is there and of nothing else: it is asked again where another was faster.</param>
    /// <param name="cancellationToken">Ends the wait for others; a change that has begun is finished.</param>
    /// <exception cref="AmbiguousSecretNameException">Several match loosely.</exception>
    /// <exception cref="SecretsException">It can't be recorded or written. Nothing was changed, unless the message says so.</exception>
    ValueTask<T> ChangeAsync<T>(SecretName name, Func<SecretEdit, T> change, CancellationToken cancellationToken);

    /// <summary>The same, of the secret of exactly this name, also where it was removed.</summary>
    /// <inheritdoc cref="ChangeAsync{T}(SecretName, Func{SecretEdit, T}, CancellationToken)"/>
    ValueTask<T> ChangeAsync<T>(string name, Func<SecretEdit, T> change, CancellationToken cancellationToken);

    /// <summary>How many changes it takes together at most; 1 where each secret is a write of its own.</summary>
    int MostTogether { get; }

    /// <summary>Changes of several secrets, by <see cref="ChangeAsync{T}(string, Func{SecretEdit, T}, CancellationToken)"/> each, and in one write where the store has all in one place.</summary>
    /// <param name="changes">The secrets' names, each once, and what is done: one that throws has changed nothing before, and keeps no other from being done.</param>
    /// <param name="cancellationToken">Ends the wait for others; a write that has begun is finished.</param>
    /// <returns>Of each, why it was refused; null where it is durable, together with what the ledger says of it.</returns>
    /// <exception cref="SecretsException">They can't be recorded or written. Nothing was changed, unless the message says so.</exception>
    ValueTask<SecretsException?[]> ChangeTogetherAsync(IReadOnlyList<(string Name, Action<SecretEdit> Change)> changes, CancellationToken cancellationToken);

    /// <summary>Keeps other processes from rotating in this store, until it is disposed of. What is read then is as it is by then.</summary>
    /// <exception cref="SecretsException">Another one rotates for long.</exception>
    ValueTask<IAsyncDisposable> TakeTurnAsync(CancellationToken cancellationToken);
}

/// <summary>A secret as a store has it. Its values are wiped when nobody holds <see cref="Owner"/> any more.</summary>
/// <param name="Record">What is known of it; never changed.</param>
/// <param name="Owner">To be kept alive while a value is used.</param>
internal sealed record StoredSecret(SecretRecord Record, object Owner);
