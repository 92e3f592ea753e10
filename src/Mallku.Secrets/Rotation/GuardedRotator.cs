namespace Mallku.Secrets.Rotation;

/// <summary>
/// A rotator, whoever wrote it, whose every failure is a <see cref="SecretsException"/>: so a step fails, and neither the turn of
/// other secrets nor the process that rotates.
/// </summary>
internal sealed class GuardedRotator(IRotator inner) : IRotator
{
    public string Name => inner.Name;

    public bool CanRevoke => inner.CanRevoke;

    public bool NeedsPerson => inner.NeedsPerson;

    public void Require(RotatedKey current)
    {
        try
        {
            inner.Require(current);
        }
        catch (Exception e) when (e is not SecretsException)
        {
            throw Failed(e);
        }
    }

    public async ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        try
        {
            return await inner.CreateAsync(key, cancellationToken).ConfigureAwait(false) is { Value: not null } made
                ? made
                : throw new SecretsException($"the rotator '{SecretsException.Show(Name)}' made no value", "mend the rotator");
        }
        catch (Exception e) when (IsFailure(e, cancellationToken))
        {
            throw Failed(e);
        }
    }

    public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) =>
        TakeAsync(() => inner.SetAsync(key, value, cancellationToken), cancellationToken);

    public ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) =>
        TakeAsync(() => inner.TestAsync(key, value, cancellationToken), cancellationToken);

    public ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken) =>
        TakeAsync(() => inner.DiscardAsync(key, cancellationToken), cancellationToken);

    public ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken) =>
        TakeAsync(() => inner.RevokeAsync(key, value, cancellationToken), cancellationToken);

    private async ValueTask TakeAsync(Func<ValueTask> step, CancellationToken cancellationToken)
    {
        try
        {
            await step().ConfigureAwait(false);
        }
        catch (Exception e) when (IsFailure(e, cancellationToken))
        {
            throw Failed(e);
        }
    }

    // an HttpClient whose time is over says that it was cancelled; only who asked for that is to be told so
    private static bool IsFailure(Exception e, CancellationToken cancellationToken) =>
        e is not SecretsException && !(e is OperationCanceledException && cancellationToken.IsCancellationRequested);

    // its text may hold a value, and this one goes into the vault and the ledger
    private SecretsException Failed(Exception e) => new(
        $"the rotator '{SecretsException.Show(Name)}' failed with {e.GetType().Name}{(e is OperationCanceledException ? ", though nobody cancelled it: something that it waited for took too long" : "")}",
        "see to what it needs, and try again",
        e);
}
