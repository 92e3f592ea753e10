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
/// <param name="Versions">How many versions are there when it is done, of those that are copied.</param>
/// <param name="Reason">Why it is refused, or has fewer versions there.</param>
/// <param name="HasKeyToRevoke">Whether a key of it is to be revoked at its provider, for which the place that it is copied from goes on to care.</param>
internal sealed record PlannedCopy(string Name, CopyStep Step, int Versions, string? Reason = null, bool HasKeyToRevoke = false)
{
    /// <summary>How many older versions are not kept there.</summary>
    internal int Left { get; init; }
}

/// <summary>
/// Copies secrets from one store to another with their versions, times and policies. Each comes whole or not at all: one that
/// was cut off is gone on with by copying again.
/// </summary>
internal sealed class SecretCopy(ISecretStore from, ISecretStore to)
{
    private const string Source = "copy";
    private const int AtOnce = 8;

    /// <summary>What would become of secrets that are there. Writes nothing.</summary>
    /// <exception cref="StoreUnreachableException">A store does not answer.</exception>
    internal async ValueTask<List<PlannedCopy>> PlanAllAsync(
        IReadOnlyList<string> names, bool overwrite, Action<long, long> progress, CancellationToken cancellationToken)
    {
        var plan = new PlannedCopy[names.Count];
        await ForEachAsync(
            names,
            AtOnce,
            async (i, name, token) =>
            {
                if (await TryAsync(async () => plan[i] = await PlanAsync(name, overwrite, token).ConfigureAwait(false)).ConfigureAwait(false) is { } fault)
                {
                    plan[i] = new PlannedCopy(name, CopyStep.Refused, 0, fault.Problem);
                }
            },
            progress,
            cancellationToken).ConfigureAwait(false);
        return [.. plan];
    }

    /// <summary>Does what was planned, as many together as the store takes. One that fails keeps no other from its turn.</summary>
    /// <returns>Those that were not done, and why.</returns>
    /// <exception cref="StoreUnreachableException">A store does not answer; some may be done.</exception>
    internal async ValueTask<List<(PlannedCopy Planned, SecretsException Fault)>> DoAllAsync(IReadOnlyList<PlannedCopy> plan, Action<long, long> progress, CancellationToken cancellationToken)
    {
        var (faults, together) = (new SecretsException?[plan.Count], to.MostTogether);
        await ForEachAsync(
            [.. plan.Chunk(together)],
            together == 1 ? AtOnce : 1,
            async (i, batch, token) => (await DoTogetherAsync(batch, token).ConfigureAwait(false)).CopyTo(faults, i * together),
            (done, _) => progress(Math.Min(done * together, plan.Count), plan.Count),
            cancellationToken).ConfigureAwait(false);
        return [.. plan.Zip(faults).Where(static one => one.Second is not null).Select(static one => (one.First, one.Second!))];
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

        if (await to.FindHolderAsync(parsed, cancellationToken).ConfigureAwait(false) is not { } there || IsUnused(there.Record))
        {
            return PlanNew(planned, source.Record, await to.GetKeepAsync(cancellationToken).ConfigureAwait(false));
        }

        // the numbers of one that was removed are taken
        if (there.Record.Current is null)
        {
            return planned with { Step = CopyStep.Overwrite, Versions = 1 };
        }

        if (there.Record.Name != name)
        {
            return planned with { Reason = $"'{SecretsException.Show(there.Record.Name)}' there is the same name" };
        }

        return await HaveSameAsync(source, there, cancellationToken).ConfigureAwait(false) ? planned with { Step = CopyStep.Same }
            : overwrite ? planned with { Step = CopyStep.Overwrite, Versions = 1 }
            : planned with { Step = CopyStep.Keep };
    }

    /// <summary>Does what was planned, and reads it again.</summary>
    /// <exception cref="SecretsException">It can't be read or written, or somebody has changed it since it was planned. Nothing of it was changed, unless the message says so.</exception>
    internal async ValueTask DoAsync(PlannedCopy planned, CancellationToken cancellationToken)
    {
        if (await DoTogetherAsync([planned], cancellationToken).ConfigureAwait(false) is [{ } fault])
        {
            throw fault;
        }
    }

    // of each, why it was not done
    private async ValueTask<SecretsException?[]> DoTogetherAsync(PlannedCopy[] batch, CancellationToken cancellationToken)
    {
        var (faults, sources) = (new SecretsException?[batch.Length], new StoredSecret?[batch.Length]);
        await ForEachAsync(
            batch,
            AtOnce,
            async (i, planned, token) => faults[i] = await TryAsync(
                async () => sources[i] = await RevealAsync(from, await RequireAsync(planned.Name, token).ConfigureAwait(false), token).ConfigureAwait(false)).ConfigureAwait(false),
            static (_, _) => { },
            cancellationToken).ConfigureAwait(false);

        int[] found = [.. Enumerable.Range(0, batch.Length).Where(i => sources[i] is not null)];
        if (found.Length > 0 && await TryAsync(WriteAsync).ConfigureAwait(false) is { } refused)
        {
            return batch.Length == 1 ? [refused] : await DoEachAsync(batch, cancellationToken).ConfigureAwait(false);
        }

        foreach (var i in found.Where(i => faults[i] is null))
        {
            faults[i] = await TryAsync(() => VerifyAsync(sources[i]!, cancellationToken)).ConfigureAwait(false);
        }

        return faults;

        async ValueTask WriteAsync()
        {
            (string, Action<SecretEdit>)[] changes = [.. found.Select(i => (batch[i].Name, (Action<SecretEdit>)(edit => Write(batch[i], sources[i]!, edit))))];
            var refusals = await to.ChangeTogetherAsync(changes, cancellationToken).ConfigureAwait(false);
            found.Index().ToList().ForEach(one => faults[one.Item] = refusals[one.Index]);
        }
    }

    // where one of them keeps all from being written, such as by its size
    private async ValueTask<SecretsException?[]> DoEachAsync(PlannedCopy[] batch, CancellationToken cancellationToken)
    {
        var faults = new SecretsException?[batch.Length];
        for (var i = 0; i < batch.Length; i++)
        {
            faults[i] = (await DoTogetherAsync([batch[i]], cancellationToken).ConfigureAwait(false))[0];
        }

        return faults;
    }

    private void Write(PlannedCopy planned, StoredSecret source, SecretEdit edit)
    {
        if (edit.Fault is not null)
        {
            throw edit.Fault;
        }

        if (planned.Step == CopyStep.New && !IsUnused(edit.Record))
        {
            throw new SecretsException($"'{planned.Name}' came into {to.Describe()} meanwhile; it was not changed", "look at it, and copy again");
        }

        var replaced = edit.Record.Current;
        var added = planned.Step == CopyStep.New
            ? CopyAll(source.Record, edit)
            : edit.Record.Add(Copy(source.Record.Current!.Value, edit)!.Value, VersionRecord.NewId(), edit.Now, Source);
        edit.Tell(
            planned.Step == CopyStep.New ? LedgerKind.Created : LedgerKind.Updated, added.Number, to.Purpose, $"copied from the {from.Name}", replaced?.GraceEnds);
    }

    private async ValueTask VerifyAsync(StoredSecret source, CancellationToken cancellationToken)
    {
        var name = source.Record.Name;
        if (await to.ReadAsync(name, cancellationToken).ConfigureAwait(false) is not { } copied || !HaveSame(source, copied))
        {
            throw new SecretsException($"'{name}' was written to {to.Describe()}, and what is read there now is another value", "see who else writes it: mallku history " + name);
        }
    }

    private static async ValueTask<SecretsException?> TryAsync(Func<ValueTask> step)
    {
        try
        {
            await step().ConfigureAwait(false);
            return null;
        }
        catch (SecretsException e) when (e is not StoreUnreachableException)
        {
            return e;
        }
    }

    private static async ValueTask ForEachAsync<T>(
        IReadOnlyList<T> all, int atOnce, Func<int, T, CancellationToken, ValueTask> work, Action<long, long> progress, CancellationToken cancellationToken)
    {
        var (gate, done) = (new Lock(), 0);
        await Parallel.ForEachAsync(
            all.Index(),
            new ParallelOptions { MaxDegreeOfParallelism = atOnce, CancellationToken = cancellationToken },
            async (one, token) =>
            {
                await work(one.Index, one.Item, token).ConfigureAwait(false);
                lock (gate)
                {
                    progress(++done, all.Count);
                }
            }).ConfigureAwait(false);
    }

    // also what is left of a copy that was cut off; of one that was removed, numbers are known to be taken
    private static bool IsUnused(SecretRecord record) => record is { Versions.Count: 0, Removed: null };

    private PlannedCopy PlanNew(PlannedCopy planned, SecretRecord source, int keep)
    {
        var all = source.Versions.Count;
        var left = Math.Min(Math.Max(0, all - keep), source.Versions.Count(static version => version.State == SecretVersionState.Retired));
        return planned with
        {
            Step = CopyStep.New,
            Versions = all - left,
            Left = left,
            Reason = left > 0 ? $"of {all}: the {to.Name} keeps {keep} of each secret" : null,
        };
    }

    private async ValueTask<StoredSecret> RequireAsync(string name, CancellationToken cancellationToken) =>
        await from.FindAsync(SecretName.Existing(name), cancellationToken).ConfigureAwait(false) is { Record.Current: not null } source && source.Record.Name == name
            ? source
            : throw new SecretNotFoundException(name, from.Describe());

    private async ValueTask<bool> HaveSameAsync(StoredSecret source, StoredSecret there, CancellationToken cancellationToken) =>
        HaveSame(await RevealAsync(from, source, cancellationToken).ConfigureAwait(false), await RevealAsync(to, there, cancellationToken).ConfigureAwait(false));

    // a vault has given them with it
    private static async ValueTask<StoredSecret> RevealAsync(ISecretStore store, StoredSecret found, CancellationToken cancellationToken) =>
        !found.Record.Versions.Exists(static version => version is { HasValue: true, Value: null }) ? found
        : await store.ReadAsync(found.Record.Name, cancellationToken).ConfigureAwait(false) is { Record.Current: not null } whole ? whole
        : throw new SecretNotFoundException(found.Record.Name, store.Describe());

    private static bool HaveSame(StoredSecret one, StoredSecret other)
    {
        var isSame = one.Record.Current is { Value: { } value } && other.Record.Current is { Value: { } its } && JsonToken.AreSame(value, its);
        GC.KeepAlive(one.Owner);
        GC.KeepAlive(other.Owner);
        return isSame;
    }

    // but for the keys at providers: to be revoked by one place, and not by whichever is the first
    private static VersionRecord CopyAll(SecretRecord source, SecretEdit edit)
    {
        var record = edit.Record;

        // a vault that has lost what it knew uses no number that it may have used
        var taken = record.Next - 1;
        (record.Next, record.Policy) = (taken + source.Next, source.Policy);
        record.PolicyOthers.AddRange(source.PolicyOthers.Select(Copy));
        record.Others.AddRange(source.Others.Select(Copy));
        foreach (var version in source.Versions)
        {
            record.Versions.Add(new VersionRecord
            {
                Number = taken + version.Number,
                Id = version.Id,
                State = version.State,
                Created = version.Created,
                Source = version.Source,
                GraceEnds = version.GraceEnds,
                Value = Copy(version.Value, edit),
                Others = [.. version.Others.Select(Copy)],
            });
        }

        return record.Current!;
    }

    // null of one that has none any more: a conditional expression would make an empty value of it
    private static ReadOnlyMemory<byte>? Copy(ReadOnlyMemory<byte>? value, SecretEdit edit)
    {
        if (value is not { } token)
        {
            return null;
        }

        var copy = SecretValue.Allocate(token.Length);
        token.Span.CopyTo(copy);
        return edit.Own(copy);
    }

    private static RawMember Copy(RawMember member) => new(member.NameToken.ToArray(), member.Value.ToArray());
}
