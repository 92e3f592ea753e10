using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

/// <summary>What becomes of one secret when it is copied.</summary>
internal enum CopyStep
{
    /// <summary>It was never there: all versions are copied, with their numbers and times.</summary>
    New,

    /// <summary>There is another value, or one was removed: the current value becomes the next version.</summary>
    Overwrite,

    /// <summary>There is another value, which stays.</summary>
    Keep,

    /// <summary>The current value is the same.</summary>
    Same,

    /// <summary>It can't be copied.</summary>
    Refused,
}

/// <summary>A secret, and what becomes of it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Step">What is done.</param>
/// <param name="Versions">How many versions are copied.</param>
/// <param name="Reason">Why it is refused.</param>
/// <param name="HasKeyToRevoke">Whether a key of it is to be revoked at its provider, for which the place that it is copied from goes on to care.</param>
internal sealed record PlannedCopy(string Name, CopyStep Step, int Versions, string? Reason = null, bool HasKeyToRevoke = false);

/// <summary>
/// Copies secrets from one store to another with their versions, times and policies. Each is one write: one that was cut off is
/// gone on with by copying again.
/// </summary>
internal sealed class SecretCopy(ISecretStore from, ISecretStore to)
{
    private const string Source = "copy";

    /// <summary>What would become of secrets that are there. Writes nothing.</summary>
    /// <exception cref="StoreUnreachableException">A store does not answer.</exception>
    internal async ValueTask<List<PlannedCopy>> PlanAllAsync(IEnumerable<string> names, bool overwrite, CancellationToken cancellationToken)
    {
        var plan = new List<PlannedCopy>();
        foreach (var name in names)
        {
            try
            {
                plan.Add(await PlanAsync(name, overwrite, cancellationToken).ConfigureAwait(false));
            }
            catch (SecretsException e) when (e is not StoreUnreachableException)
            {
                plan.Add(new PlannedCopy(name, CopyStep.Refused, 0, e.Problem));
            }
        }

        return plan;
    }

    /// <summary>Does what was planned. One that fails keeps no other from its turn.</summary>
    /// <returns>Those that were not done, and why.</returns>
    /// <exception cref="StoreUnreachableException">A store does not answer; those before are done.</exception>
    internal async ValueTask<List<(PlannedCopy Planned, SecretsException Fault)>> DoAllAsync(IReadOnlyList<PlannedCopy> plan, Action<long, long> progress, CancellationToken cancellationToken)
    {
        var failed = new List<(PlannedCopy, SecretsException)>();
        foreach (var (done, planned) in plan.Index())
        {
            try
            {
                await DoAsync(planned, cancellationToken).ConfigureAwait(false);
            }
            catch (SecretsException e) when (e is not StoreUnreachableException)
            {
                failed.Add((planned, e));
            }

            progress(done + 1, plan.Count);
        }

        return failed;
    }

    /// <summary>What would become of a secret that is there. Writes nothing.</summary>
    /// <exception cref="SecretsException">It can't be told.</exception>
    internal async ValueTask<PlannedCopy> PlanAsync(string name, bool overwrite, CancellationToken cancellationToken)
    {
        var source = await RequireAsync(name, cancellationToken).ConfigureAwait(false);
        var planned = new PlannedCopy(name, CopyStep.Refused, 0, HasKeyToRevoke: source.Record.Versions.Exists(static version => version.HasKeyToRevoke));
        if (!SecretName.TryParse(name, out var parsed))
        {
            return planned with { Reason = "it is no name for a secret" };
        }

        if (source.Record.Rotation is not null || source.Record.Misread is not null)
        {
            return planned with { Reason = "a rotation of it is under way" };
        }

        if (await to.FindAsync(parsed, cancellationToken).ConfigureAwait(false) is not { } there)
        {
            // in a store, the numbers of one that was removed under another spelling are taken
            return to is SealedStore store && await store.HasHeadAsync(parsed, cancellationToken).ConfigureAwait(false)
                ? planned with { Step = CopyStep.Overwrite, Versions = 1 }
                : planned with { Step = CopyStep.New, Versions = source.Record.Versions.Count };
        }

        if (there.Record.Name != name && there.Record.Current is not null)
        {
            return planned with { Reason = $"'{SecretsException.Show(there.Record.Name)}' there is the same name" };
        }

        if (there.Record.Current is null)
        {
            return planned with { Step = CopyStep.Overwrite, Versions = 1 };
        }

        var target = await to.ReadAsync(name, cancellationToken).ConfigureAwait(false);
        var isSame = target?.Record.Current is { Value: { } value } && JsonToken.AreSame(value, source.Record.Current!.Value!.Value);
        GC.KeepAlive(target?.Owner);
        GC.KeepAlive(source.Owner);
        return isSame ? planned with { Step = CopyStep.Same }
            : overwrite ? planned with { Step = CopyStep.Overwrite, Versions = 1 }
            : planned with { Step = CopyStep.Keep };
    }

    /// <summary>Does what was planned, and reads it again.</summary>
    /// <exception cref="SecretsException">It can't be read or written, or somebody has changed it since it was planned. Nothing of it was changed, unless the message says so.</exception>
    internal async ValueTask DoAsync(PlannedCopy planned, CancellationToken cancellationToken)
    {
        var source = await RequireAsync(planned.Name, cancellationToken).ConfigureAwait(false);
        await to.ChangeAsync(
            planned.Name,
            edit =>
            {
                if (edit.Fault is not null)
                {
                    throw edit.Fault;
                }

                if (planned.Step == CopyStep.New && (edit.Record.Next > 1 || edit.Record.Versions.Count > 0))
                {
                    throw new SecretsException($"'{planned.Name}' came into {to.Describe()} meanwhile; it was not changed", "look at it, and copy again");
                }

                var replaced = edit.Record.Current;
                var added = planned.Step == CopyStep.New
                    ? CopyAll(source.Record, edit)
                    : edit.Record.Add(Copy(source.Record.Current!.Value!.Value, edit), VersionRecord.NewId(), edit.Now, Source);
                edit.Tell(
                    planned.Step == CopyStep.New ? LedgerKind.Created : LedgerKind.Updated, added.Number, to.Purpose, $"copied from the {from.Name}", replaced?.GraceEnds);
                return added.Number;
            },
            cancellationToken).ConfigureAwait(false);
        var copied = await to.ReadAsync(planned.Name, cancellationToken).ConfigureAwait(false);
        var isThere = copied?.Record.Current is { Value: { } value } && JsonToken.AreSame(value, source.Record.Current!.Value!.Value);
        GC.KeepAlive(copied?.Owner);
        GC.KeepAlive(source.Owner);
        if (!isThere)
        {
            throw new SecretsException($"'{planned.Name}' was written to {to.Describe()}, and what is read there now is another value", "see who else writes it: mallku history " + planned.Name);
        }
    }

    private async ValueTask<StoredSecret> RequireAsync(string name, CancellationToken cancellationToken) =>
        await from.ReadAsync(name, cancellationToken).ConfigureAwait(false) is { Record.Current: not null } source ? source : throw new SecretNotFoundException(name, from.Describe());

    // but for the keys at providers: to be revoked by one place, and not by whichever is the first
    private static VersionRecord CopyAll(SecretRecord source, SecretEdit edit)
    {
        var record = edit.Record;
        (record.Next, record.Policy) = (source.Next, source.Policy);
        record.PolicyOthers.AddRange(source.PolicyOthers.Select(Copy));
        record.Others.AddRange(source.Others.Select(Copy));
        foreach (var version in source.Versions)
        {
            record.Versions.Add(new VersionRecord
            {
                Number = version.Number,
                Id = version.Id,
                State = version.State,
                Created = version.Created,
                Source = version.Source,
                GraceEnds = version.GraceEnds,
                Value = version.Value is { } value ? Copy(value, edit) : null,
                Others = [.. version.Others.Select(Copy)],
            });
        }

        return record.Current!;
    }

    private static ReadOnlyMemory<byte> Copy(ReadOnlyMemory<byte> token, SecretEdit edit)
    {
        var copy = SecretValue.Allocate(token.Length);
        token.Span.CopyTo(copy);
        return edit.Own(copy);
    }

    private static RawMember Copy(RawMember member) => new(member.NameToken.ToArray(), member.Value.ToArray());
}
