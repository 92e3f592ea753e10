using Mallku.Secrets.Files;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Rotation;

/// <summary>
/// Replaces the values of secrets: makes a new one, puts it where it is used, tries it, and only then makes it the current
/// version; the one before stays in use for its grace, and then its key is revoked. Safe for concurrent use.
/// </summary>
/// <remarks>
/// The outcome of each step is durable before the next begins, so that whoever is cut off goes on from there. One process
/// rotates in a vault at a time; another waits for it, and is told if it takes long.
/// </remarks>
public sealed class RotationRunner
{
    private const int MostWords = 300;
    private readonly FileVault _vault;
    private readonly VaultRotations _rotations;
    private readonly Dictionary<string, IRotator> _rotators = new(StringComparer.Ordinal);

    internal RotationRunner(FileVault vault, IEnumerable<IRotator> rotators)
    {
        _vault = vault;
        _rotations = new VaultRotations(vault);
        foreach (var rotator in rotators.Append(new GenerateRotator()).Append(new CommandRotator()))
        {
            _rotators.TryAdd(rotator.Name, rotator);
        }
    }

    /// <summary>Rotates a secret.</summary>
    /// <param name="name">The secret; a name that matches it loosely is taken for its own.</param>
    /// <param name="policy">How, from now on; null for what the vault has.</param>
    /// <param name="cancellationToken">Ends a step; what was done stays done, and <see cref="ResumeAsync"/> goes on.</param>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    /// <exception cref="SecretsException">A rotation is under way already, or a step failed: the current version stays in use.</exception>
    public async ValueTask<RotatedSecret> RotateAsync(string name, RotationPolicy? policy = null, CancellationToken cancellationToken = default)
    {
        var (_, before) = await FindAsync(name, cancellationToken).ConfigureAwait(false);
        var (stored, current) = (before.Name, before.Current!);
        policy = policy is null ? null : Anchor(policy);
        Require(policy ?? before.Policy ?? throw VaultRotations.NoPolicy(stored));
        using var turn = await TakeTurnAsync(cancellationToken).ConfigureAwait(false);
        var absorbed = await _rotations.BeginAsync(stored, current.Id, policy, cancellationToken).ConfigureAwait(false);
        var rotated = await RunAsync(stored, isResumed: false, cancellationToken).ConfigureAwait(false);
        return rotated with { Absorbed = [.. absorbed, .. rotated.Absorbed] };
    }

    /// <summary>Goes on with a rotation that was cut off or failed.</summary>
    /// <inheritdoc cref="RotateAsync"/>
    public async ValueTask<RotatedSecret> ResumeAsync(string name, CancellationToken cancellationToken = default)
    {
        var stored = (await FindRotationAsync(name, cancellationToken).ConfigureAwait(false)).Record.Name;
        using var turn = await TakeTurnAsync(cancellationToken).ConfigureAwait(false);
        return await RunAsync(stored, isResumed: true, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Gives up the rotation that is under way: its version is retired, and its key revoked at the provider. Where none is
    /// under way, gives up what could not be revoked: somebody has done it otherwise.
    /// </summary>
    /// <remarks>
    /// The current value is put back where it is used. Where that fails, the rotation ends all the same, and the new key is
    /// revoked at the next <see cref="RunDueAsync(CancellationToken)"/> only, since it may be in use there.
    /// </remarks>
    /// <returns>What became of the keys.</returns>
    /// <exception cref="SecretsException">There is nothing to give up.</exception>
    public async ValueTask<IReadOnlyList<RotationEvent>> AbandonAsync(string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        await FindAnyAsync(name, cancellationToken).ConfigureAwait(false);
        using var turn = await TakeTurnAsync(cancellationToken).ConfigureAwait(false);
        var (opened, record) = await FindAnyAsync(name, cancellationToken).ConfigureAwait(false);
        if (record.Rotation is { } rotation)
        {
            SecretsException? notPut = null;
            if (rotation.Step > RotationStep.Create && record.Current is { } current)
            {
                try
                {
                    // the new value may be in use elsewhere by now, and is about to be revoked
                    await PutAsync(opened, record, rotation.Rotator, current, cancellationToken).ConfigureAwait(false);
                }
                catch (SecretsException e)
                {
                    notPut = e;
                }
            }

            await _rotations.AbandonAsync(record.Name, rotation.Token, MayRevoke(rotation.Rotator), notPut is null ? null : Shorten(notPut.Problem), cancellationToken).ConfigureAwait(false);
            return notPut is null
                ? await SettleAsync(record.Name, cancellationToken).ConfigureAwait(false)
                : [NotPutBack(record, rotation.Number, notPut)];
        }

        var unrevoked = record.Versions.FindAll(version => version is { State: SecretVersionState.Retired, RevokeBy: not null });
        if (unrevoked.Count == 0)
        {
            throw NothingUnderWay(record.Name);
        }

        foreach (var version in unrevoked)
        {
            await _rotations.RecordRevokedAsync(record.Name, version.Number, isRevoked: false, isGivenUp: true).ConfigureAwait(false);
        }

        return [];
    }

    /// <summary>Makes the value of an earlier version the current one again, as a new version.</summary>
    /// <param name="name">The secret; a name that matches it loosely is taken for its own.</param>
    /// <param name="version">The earlier version; null for the newest before the current one.</param>
    /// <param name="grace">How long the version that was current may still be used; null for what the policy says.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    /// <exception cref="SecretsException">
    /// There is no such version, or it has no value, or its key is being revoked or was, or another process rotates for long.
    /// </exception>
    public async ValueTask<RolledBack> RollBackAsync(string name, int? version = null, TimeSpan? grace = null, CancellationToken cancellationToken = default)
    {
        RequireGrace(grace ?? TimeSpan.Zero);

        // while another revokes a key, nobody can tell whether it still works
        using var turn = await TakeTurnAsync(cancellationToken).ConfigureAwait(false);
        var (opened, record) = await FindAsync(name, cancellationToken).ConfigureAwait(false);
        var wanted = VaultRotations.FindEarlier(record, version);
        if (record.Policy is { } policy && _rotators.ContainsKey(policy.Rotator))
        {
            await PutAsync(opened, record, policy.Rotator, wanted, cancellationToken).ConfigureAwait(false);
        }

        return await _rotations.RollBackAsync(record.Name, wanted.Number, grace, MayRevoke, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>How a secret is rotated; null where nobody has said.</summary>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    public async ValueTask<RotationPolicy?> GetPolicyAsync(string name, CancellationToken cancellationToken = default) =>
        (await FindAsync(name, cancellationToken).ConfigureAwait(false)).Record.Policy;

    /// <summary>Writes down how and how often a secret is rotated, without rotating it; null forgets it.</summary>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    /// <exception cref="SecretsException">The policy lacks something, or a rotation is under way.</exception>
    public async ValueTask SetPolicyAsync(string name, RotationPolicy? policy, CancellationToken cancellationToken = default)
    {
        var (_, record) = await FindAsync(name, cancellationToken).ConfigureAwait(false);
        if (policy is not null)
        {
            policy = Anchor(policy);
            Require(policy);
        }

        await _rotations.SetPolicyAsync(record.Name, policy, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Rotates what is due, goes on with what was cut off, retires and revokes what is past its grace. One secret that fails
    /// keeps no other from its turn.
    /// </summary>
    /// <exception cref="SecretsException">The vault can't be opened or written.</exception>
    public async ValueTask<IReadOnlyList<RotationEvent>> RunDueAsync(CancellationToken cancellationToken = default)
    {
        if (await GetStatusAsync(cancellationToken).ConfigureAwait(false) is [])
        {
            return [];
        }

        using var turn = await TakeTurnAsync(cancellationToken).ConfigureAwait(false);
        _vault.Forget();
        var done = new List<RotationEvent>();
        foreach (var status in await GetStatusAsync(cancellationToken).ConfigureAwait(false))
        {
            try
            {
                await RunDueAsync(status.Name, done, cancellationToken).ConfigureAwait(false);
            }
            catch (SecretsException e)
            {
                done.Add(new RotationEvent(status.Name, RotationAction.Failed, status.Pending, status.Policy?.Tell, e));
            }
        }

        return done;
    }

    /// <summary>Where every secret of the vault stands, in the order of their names.</summary>
    /// <exception cref="VaultOpenException">The vault can't be opened.</exception>
    public async ValueTask<IReadOnlyList<RotationStatus>> GetStatusAsync(CancellationToken cancellationToken = default)
    {
        var opened = await _vault.OpenAsync(cancellationToken).ConfigureAwait(false);
        var now = _vault.Settings.Clock.GetUtcNow();
        return [.. opened.Document.Secrets.Values.Where(IsOfInterest).Select(record => Describe(record, now))];
    }

    // of what was removed, what is still to be done
    private static bool IsOfInterest(SecretRecord record) =>
        record.Current is not null || record.Rotation is not null || record.Versions.Exists(version => version.RevokeBy is not null);

    private async ValueTask RunDueAsync(string name, List<RotationEvent> done, CancellationToken cancellationToken)
    {
        done.AddRange(await SettleAsync(name, cancellationToken).ConfigureAwait(false));

        // as it is now: those before it may have taken long
        var record = (await _vault.OpenAsync(cancellationToken).ConfigureAwait(false)).Document.Secrets.GetValueOrDefault(name);
        if (record is null || Describe(record, _vault.Settings.Clock.GetUtcNow()) is not { } status
            || status is { Pending: null, Need: not (RotationNeed.Due or RotationNeed.Overdue) })
        {
            return;
        }

        if (GetRotator(record.Rotation?.Rotator ?? status.Policy!.Rotator).NeedsPerson)
        {
            done.Add(new RotationEvent(status.Name, RotationAction.NeedsPerson, status.Pending, status.Policy?.Tell));
            return;
        }

        if (status.Pending is null)
        {
            Require(status.Policy!);
            await _rotations.BeginAsync(status.Name, record.Current!.Id, policy: null, cancellationToken).ConfigureAwait(false);
        }

        var rotated = await RunAsync(status.Name, isResumed: status.Pending is not null, cancellationToken).ConfigureAwait(false);
        done.Add(new RotationEvent(status.Name, RotationAction.Rotated, rotated.Version, status.Policy?.Tell));
        done.AddRange(rotated.Settled);
    }

    // all steps that are left; what each has done is in the vault before the next begins
    private async ValueTask<RotatedSecret> RunAsync(string name, bool isResumed, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (opened, record) = await FindRotationAsync(name, cancellationToken).ConfigureAwait(false);
            var rotation = record.Rotation!;
            VaultRotations.RequireUnchanged(record, rotation);
            var policy = record.Policy ?? new RotationPolicy { Rotator = rotation.Rotator };
            if (rotation.Step == RotationStep.Finish)
            {
                var rotated = await _rotations.FinishAsync(name, rotation.Token, policy.Grace, MayRevoke(rotation.Rotator)).ConfigureAwait(false);
                return rotated with { Settled = await SettleAsync(name, cancellationToken).ConfigureAwait(false) };
            }

            try
            {
                await TakeStepAsync(record, rotation, GetRotator(rotation.Rotator), policy, isResumed, cancellationToken).ConfigureAwait(false);
            }
            catch (SecretsException e) when (e is not (LedgerException or VaultOpenException))
            {
                throw await FailAsync(record, rotation, e).ConfigureAwait(false);
            }

            // its values are wiped when nobody holds the document, and the vault may have forgotten it meanwhile
            GC.KeepAlive(opened.Document);
        }
    }

    private async ValueTask TakeStepAsync(
        SecretRecord record, RotationRecord rotation, IRotator rotator, RotationPolicy policy, bool isResumed, CancellationToken cancellationToken)
    {
        var pending = record.Get(rotation.Number);
        var key = new RotatedKey(record.Name, rotation.Number, rotation.Id, rotation.Token, pending?.KeyId, policy);
        if (rotation.Step == RotationStep.Create)
        {
            if (isResumed)
            {
                // the answer may have been lost, and the key that it brought is live
                await rotator.DiscardAsync(key, cancellationToken).ConfigureAwait(false);
            }

            var made = await rotator.CreateAsync(key, cancellationToken).ConfigureAwait(false);
            using (made.Value)
            {
                RequireNew(record, made.Value);
                await _rotations.KeepAsync(record.Name, rotation.Token, made).ConfigureAwait(false);
            }

            return;
        }

        using var value = Reveal(record, pending!);
        if (rotation.Step == RotationStep.Set)
        {
            await rotator.SetAsync(key, value, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await rotator.TestAsync(key, value, cancellationToken).ConfigureAwait(false);
        }

        await _rotations.RecordStepAsync(record.Name, rotation.Token, rotation.Step).ConfigureAwait(false);
    }

    private async ValueTask<SecretsException> FailAsync(SecretRecord record, RotationRecord rotation, SecretsException error)
    {
        await _rotations.RecordFailureAsync(record.Name, rotation.Token, Shorten(error.Problem)).ConfigureAwait(false);
        return new SecretsException(
            $"the rotation of '{record.Name}' stopped at the step '{RotationFormat.ToText(rotation.Step)}': {error.Problem}; version {record.Current!.Number} stays in use",
            $"{error.Remedy}; then go on: mallku rotate {record.Name} --resume, or give it up: mallku rotate {record.Name} --abandon",
            error);
    }

    private static RotationEvent NotPutBack(SecretRecord record, int abandoned, SecretsException error)
    {
        var current = record.Current!.Number;
        return new RotationEvent(record.Name, RotationAction.NotPutBack, current, record.Policy?.Tell, new SecretsException(
            $"version {current} of '{record.Name}' could not be put back where it is used: {error.Problem}",
            $"put it there by hand, before the key of version {abandoned} is revoked by the next mallku rotate --due",
            error));
    }

    private static string Shorten(string words) => words.Length <= MostWords ? words : words[..MostWords];

    // what is past its grace is retired, and what is retired is revoked where that is wanted
    private async ValueTask<IReadOnlyList<RotationEvent>> SettleAsync(string name, CancellationToken cancellationToken)
    {
        _vault.Forget();
        var now = _vault.Settings.Clock.GetUtcNow();
        var opened = await _vault.OpenAsync(cancellationToken).ConfigureAwait(false);
        var done = new List<RotationEvent>();
        if (!opened.Document.Secrets.TryGetValue(name, out var record))
        {
            return done;
        }

        if (record.Versions.Exists(version => version.State == SecretVersionState.Previous && version.GraceEnds <= now))
        {
            foreach (var number in await _rotations.RetireAsync(name, cancellationToken).ConfigureAwait(false))
            {
                done.Add(new RotationEvent(name, RotationAction.Retired, number, record.Policy?.Tell));
            }

            opened = await _vault.OpenAsync(cancellationToken).ConfigureAwait(false);
            record = opened.Document.Secrets[name];
        }

        foreach (var version in record.Versions.Where(version => version is { State: SecretVersionState.Retired, RevokeBy: not null }))
        {
            done.Add(await RevokeAsync(record, version, cancellationToken).ConfigureAwait(false));
        }

        GC.KeepAlive(opened.Document);
        return done;
    }

    private async ValueTask<RotationEvent> RevokeAsync(SecretRecord record, VersionRecord version, CancellationToken cancellationToken)
    {
        try
        {
            var rotator = GetRotator(version.RevokeBy!);
            var key = new RotatedKey(record.Name, version.Number, version.Id, version.Token, version.KeyId, record.Policy ?? new RotationPolicy { Rotator = rotator.Name });
            if (version.Value is { } token)
            {
                RequireUnused(record, version, token);
                using var value = Reveal(record, version);
                await rotator.RevokeAsync(key, value, cancellationToken).ConfigureAwait(false);
            }
            else if (version.Token is not null)
            {
                await rotator.DiscardAsync(key, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                throw new SecretsException(
                    $"the value of version {version.Number} of '{record.Name}' is gone, and with it what names its key",
                    $"revoke the key at its provider, then say so: mallku rotate {record.Name} --abandon");
            }
        }
        catch (SecretsException e)
        {
            await _rotations.RecordRevokedAsync(record.Name, version.Number, isRevoked: false).ConfigureAwait(false);
            return new RotationEvent(record.Name, RotationAction.Failed, version.Number, record.Policy?.Tell, e);
        }

        await _rotations.RecordRevokedAsync(record.Name, version.Number, isRevoked: true).ConfigureAwait(false);
        return new RotationEvent(record.Name, RotationAction.Revoked, version.Number, record.Policy?.Tell);
    }

    // an earlier value goes back to where it is used
    private async ValueTask PutAsync(OpenedVault opened, SecretRecord record, string rotator, VersionRecord version, CancellationToken cancellationToken)
    {
        var key = new RotatedKey(record.Name, version.Number, version.Id, version.Token, version.KeyId, record.Policy ?? new RotationPolicy { Rotator = rotator });
        using var value = Reveal(record, version);
        GC.KeepAlive(opened.Document);
        await GetRotator(rotator).SetAsync(key, value, cancellationToken).ConfigureAwait(false);
    }

    private static void RequireNew(SecretRecord record, SecretValue made)
    {
        if (made.Length is 0 or > FileVault.MaxValueLength)
        {
            throw new SecretsException("the new value is empty or longer than 1 MiB", "see to it that the rotator makes a key and nothing else");
        }

        using var current = Reveal(record, record.Current!);
        if (current == made)
        {
            throw new SecretsException("the new value is the current one", "see to it that the rotator makes a new key");
        }
    }

    // somebody has set the same value again
    private static void RequireUnused(SecretRecord record, VersionRecord version, ReadOnlyMemory<byte> token)
    {
        if (record.Versions.Exists(other => other != version && other.State != SecretVersionState.Retired && other.Value is { } value && JsonToken.AreSame(value, token)))
        {
            throw new SecretsException(
                $"version {version.Number} of '{record.Name}' is not revoked: a version in use has the same value",
                $"rotate it again, or leave it so: mallku rotate {record.Name} --abandon");
        }
    }

    private static SecretValue Reveal(SecretRecord record, VersionRecord version) =>
        JsonToken.TryDecode(version.Value!.Value.Span, borrowed: false, out var value)
            ? value
            : throw new SecretsException($"the value of '{SecretsException.Show(record.Name)}' is no text", $"set it first: mallku set {record.Name}");

    private static RotationStatus Describe(SecretRecord record, DateTimeOffset now)
    {
        var due = record.Current is { } current ? RotationSchedule.GetDue(current.Created, record.Policy) : null;
        return new RotationStatus(
            record.Name,
            RotationSchedule.Judge(now, due),
            due,
            record.Versions.Count == 1 && record.Current is not null,
            record.Rotation?.Number,
            record.Rotation is { } rotation ? RotationFormat.ToText(rotation.Step) : null,
            record.Rotation?.Failure,
            [.. record.Versions.Where(version => version is { State: SecretVersionState.Retired, RevokeBy: not null }).Select(version => version.Number)],
            record.Policy)
        {
            IsNeverReplacedForLong = record is { Policy: null, Current: { } only, Versions.Count: 1 } && now - only.Created > TimeSpan.FromDays(RotationStatus.LongDays),
        };
    }

    private async ValueTask<(OpenedVault Opened, SecretRecord Record)> FindAsync(string name, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        _vault.Forget();
        var opened = await _vault.OpenAsync(cancellationToken).ConfigureAwait(false);
        return VaultMatch.FindStored(opened, SecretName.Existing(name)) is { } stored && opened.Document.Find(stored) is { } record
            ? (opened, record)
            : throw new SecretNotFoundException(name, _vault.Describe());
    }

    // also of a secret that was removed since
    private async ValueTask<(OpenedVault Opened, SecretRecord Record)> FindAnyAsync(string name, CancellationToken cancellationToken)
    {
        _vault.Forget();
        var opened = await _vault.OpenAsync(cancellationToken).ConfigureAwait(false);
        return opened.Document.Secrets.TryGetValue(name, out var record) && IsOfInterest(record)
            ? (opened, record)
            : await FindAsync(name, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<(OpenedVault Opened, SecretRecord Record)> FindRotationAsync(string name, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        var found = await FindAnyAsync(name, cancellationToken).ConfigureAwait(false);
        return found.Record.Rotation is null ? throw NothingUnderWay(found.Record.Name) : found;
    }

    private ValueTask<FolderLock> TakeTurnAsync(CancellationToken cancellationToken) =>
        FolderLock.AcquireAsync(_vault.Settings.RotationLockFile, _vault.Settings.Patience, TimeProvider.System, cancellationToken);

    private void Require(RotationPolicy policy)
    {
        RequireGrace(policy.Grace);
        RotationSchedule.Require(policy, _vault.Settings.Clock.GetUtcNow());
        GetRotator(policy.Rotator).Require(policy);
    }

    // a path is said from where its writer is, and run from elsewhere
    private static RotationPolicy Anchor(RotationPolicy policy) => policy.Command is [{ } program, ..] && program.Contains('/', StringComparison.Ordinal)
        ? policy with { Command = [Path.GetFullPath(program), .. policy.Command.Skip(1)] }
        : policy;

    private static void RequireGrace(TimeSpan grace)
    {
        if (grace < TimeSpan.Zero || grace > VersionMoves.LongestGrace)
        {
            throw new SecretsException($"a grace is from zero to {VersionMoves.LongestGrace.Days} days", "write it as: --grace 24h");
        }
    }

    // of one that this process does not know, another may
    private bool MayRevoke(string rotator) => !_rotators.TryGetValue(rotator, out var known) || known.CanRevoke;

    private IRotator GetRotator(string name) => _rotators.GetValueOrDefault(name)
        ?? throw new SecretsException($"there is no rotator '{SecretsException.Show(name)}'", $"there are: {string.Join(", ", _rotators.Keys.Order(StringComparer.Ordinal))}");

    private static SecretsException NothingUnderWay(string name) =>
        new($"no rotation of '{SecretsException.Show(name)}' is under way", $"begin one: mallku rotate {SecretsException.Show(name)}");
}
